"""The commands, by name."""

from __future__ import annotations

from typing import Annotated

import typer

from .anonymise import anonymise
from .decode import decode
from .doctor import doctor
from .hangup import hangup
from .listen import listen
from .options import command
from .park import park
from .record import record
from .replay import replay
from .schema import schema
from .simulate import simulate
from .state import state
from .top import top
from .transfer import transfer

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
