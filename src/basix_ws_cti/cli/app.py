"""The commands, by name."""

from __future__ import annotations

import typer

from .decode import decode
from .doctor import doctor
from .hangup import hangup
from .options import command
from .park import park
from .simulate import simulate
from .transfer import transfer

app = typer.Typer(
    name="basix-ws-cti",
    help="Look at the live feed of a Basix PBX, record it, ask it to do things.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _main() -> None:
    """Look at the live feed of a Basix PBX, record it, ask it to do things."""


for function in (decode, doctor, hangup, park, simulate, transfer):
    app.command()(command(function))
