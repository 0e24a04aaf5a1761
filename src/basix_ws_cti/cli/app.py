"""The commands, by name."""

from __future__ import annotations

from typing import Annotated

import typer

from basix_ws_cti.cli.commands.anonymise import anonymise
from basix_ws_cti.cli.commands.decode import decode
from basix_ws_cti.cli.commands.doctor import doctor
from basix_ws_cti.cli.commands.hangup import hangup
from basix_ws_cti.cli.commands.listen import listen
from basix_ws_cti.cli.commands.park import park
from basix_ws_cti.cli.commands.record import record
from basix_ws_cti.cli.commands.replay import replay
from basix_ws_cti.cli.commands.schema import schema
from basix_ws_cti.cli.commands.simulate import simulate
from basix_ws_cti.cli.commands.state import state
from basix_ws_cti.cli.commands.top import top
from basix_ws_cti.cli.commands.transfer import transfer

from .options import command

app: typer.Typer = typer.Typer(
    name="basix-ws-cti",
    help="Look at the live feed of a Basix PBX, record it, ask it to do things.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - typer's
    if wanted:
        from importlib.metadata import version

        typer.echo(f"basix-ws-cti {version('basix_ws_cti')}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Look at the live feed of a Basix PBX, record it, ask it to do things."""


for _function in (
    *(listen, top, state, schema),
    *(record, replay, anonymise, decode),
    *(doctor, simulate, hangup, park, transfer),
):
    app.command()(command(_function))
