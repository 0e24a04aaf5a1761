"""The commands, by name."""

from __future__ import annotations

import typer

from .options import command
from .simulate import simulate
from .top import top

app = typer.Typer(
    name="basix-ws-cti",
    help="Look at the live feed of a Basix PBX, record it, ask it to do things.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _main() -> None:
    """Look at the live feed of a Basix PBX, record it, ask it to do things."""


for function in (simulate, top):
    app.command()(command(function))
