"""Command ``top``: shows the live wallboard in the terminal."""

from __future__ import annotations

import sys

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.options import SourceOptions, TimezoneOption, parse_timezone
from basix_ws_cti.cli.wait_limits import LimitOptions
from basix_ws_cti.exceptions import UsageError


def show_wallboard(
    connection: SourceOptions, limits: LimitOptions, *, timezone: TimezoneOption = None
) -> None:
    """Show a live wallboard of calls, queues, users, parked calls and the connection."""
    zone = parse_timezone(timezone)
    board_limits = limits.board_limits()
    require_terminal()
    from basix_ws_cti.board.feed_history import FeedHistory
    from basix_ws_cti.cli.open_source import open_shown_source
    from basix_ws_cti.cli.signals import run_interruptible
    from basix_ws_cti.cli.wallboard.app import run_wallboard

    async def show() -> None:
        history = FeedHistory()
        async with open_shown_source(connection, history) as source:
            history.clock = source.now
            await run_wallboard(source, history, zone, board_limits)

    run_interruptible(show())


def require_terminal() -> None:
    """Raise ``UsageError`` unless stdin, stdout and stderr are terminals."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if not stream.isatty():
            raise UsageError(
                _(
                    "top needs a terminal for input, output and errors: use state for the current "
                    "state, or listen for events"
                )
            )
