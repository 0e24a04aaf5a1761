"""``top``: the live wallboard in the terminal."""

from __future__ import annotations

import sys

from basix_ws_cti.cli.options import ConnectionOptions, Timezone, zone
from basix_ws_cti.exceptions import UsageError


def top(connection: ConnectionOptions, *, timezone: Timezone = None) -> None:
    """The live wallboard: calls, queues, users, parked calls, the connection."""
    shown_in = zone(timezone)
    must_be_a_terminal()
    from basix_ws_cti.board.feed_history import History
    from basix_ws_cti.cli.open_source import open_selected_source
    from basix_ws_cti.cli.signals import run
    from basix_ws_cti.cli.wallboard.app import run_top

    async def show() -> None:
        history = History()
        async with open_selected_source(connection, history) as source:
            await run_top(source, history, shown_in)

    run(show())


def must_be_a_terminal() -> None:
    """Raise ``UsageError`` where there is no screen to draw on, or no keyboard."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if not stream.isatty():
            raise UsageError(
                "top needs a terminal for its input, output and errors: "
                "state prints the picture, listen what happens"
            )
