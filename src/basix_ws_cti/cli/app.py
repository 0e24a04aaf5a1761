"""Registration of the commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from basix_ws_cti._internal.translation import LANGUAGES, _

from .command_wrapper import wrap_command
from .commands.anonymise import anonymise_recording
from .commands.call import start_call
from .commands.config import print_config_path, show_config
from .commands.decode import decode_frames
from .commands.doctor import run_doctor
from .commands.hangup import hang_up_channel
from .commands.listen import print_feed
from .commands.park import park_channel
from .commands.record import record_feed
from .commands.replay import replay_recording
from .commands.schema import print_schema
from .commands.simulate import run_simulator
from .commands.state import print_state
from .commands.top import show_wallboard
from .commands.transfer import transfer_channel

app: typer.Typer = typer.Typer(
    name="basix-ws-cti",
    help="Show, record and replay the live feed of a Basix PBX, and control its calls.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(is_given: bool) -> None:  # noqa: FBT001 - typer's callback
    if is_given:
        from importlib.metadata import version

        typer.echo(f"basix-ws-cti {version('basix_ws_cti')}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    # Only for the help: ``main`` takes the option before it imports this module.
    _lang: Annotated[
        str | None,
        typer.Option(
            "--lang",
            metavar="|".join(LANGUAGES),
            help=_("Language of texts for people; default: that of the environment or system."),
        ),
    ] = None,
) -> None:
    """Show, record and replay the live feed of a Basix PBX, and control its calls."""


# In the order in which --help lists them.
_COMMANDS: dict[str, Callable[..., None]] = {
    "listen": print_feed,
    "top": show_wallboard,
    "state": print_state,
    "schema": print_schema,
    "record": record_feed,
    "replay": replay_recording,
    "anonymise": anonymise_recording,
    "decode": decode_frames,
    "doctor": run_doctor,
    "simulate": run_simulator,
    "call": start_call,
    "hangup": hang_up_channel,
    "park": park_channel,
    "transfer": transfer_channel,
}
for _name, _function in _COMMANDS.items():
    app.command(_name)(wrap_command(_function))

_config = typer.Typer(help=_("Show the config file and the values of the options."))
app.add_typer(_config, name="config")
_config.command("show")(wrap_command(show_config))
_config.command("path")(wrap_command(print_config_path))
