"""The commands, by name."""

from __future__ import annotations

import typer

from .anonymise import anonymise
from .options import command
from .record import record
from .replay import replay
from .simulate import simulate

app = typer.Typer(
    name="basix-ws-cti",
    help="Look at the live feed of a Basix PBX, record it, ask it to do things.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _main() -> None:
    """Look at the live feed of a Basix PBX, record it, ask it to do things."""


for function in (record, replay, anonymise, simulate):
    app.command()(command(function))
