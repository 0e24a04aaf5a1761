"""Command ``replay``: shows a recording as a feed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.wait_limits import LimitOptions

from .listen import FeedOptions


def replay_recording(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_("Recording to show; - is stdin."))],
    options: FeedOptions,
    limits: LimitOptions,
    *,
    speed: Annotated[
        float,
        typer.Option(
            "--speed",
            metavar="FACTOR",
            help=_("Speed of the replay, in recorded seconds per second."),
            min=0.001,
            max=1_000_000,
        ),
    ] = 1.0,
    at_once: Annotated[
        bool, typer.Option("--at-once", help=_("Replay without waiting between events."))
    ] = False,
    top: Annotated[
        bool, typer.Option("--top", help=_("Show the recording on the wallboard."))
    ] = False,
    state: Annotated[
        bool, typer.Option("--state", help=_("Print the state at the end of the recording."))
    ] = False,
) -> None:
    """Print the events of a recording line by line, at the speed of the recording."""
    from basix_ws_cti.cli.open_source import open_recorded_source
    from basix_ws_cti.cli.signals import run_interruptible
    from basix_ws_cti.exceptions import UsageError

    if top and state:
        raise UsageError(_("--top and --state cannot be combined"))
    if state:
        options.check_for_state()
    # Invalid options are reported before reading.
    zone = options.zone
    options.filters()
    options.alert_rules()
    board_limits = limits.board_limits()
    if top:
        from .top import require_terminal

        require_terminal()

    async def follow() -> None:
        async with open_recorded_source(file, speed=None if at_once or state else speed) as source:
            if top:
                from basix_ws_cti.board.feed_history import FeedHistory
                from basix_ws_cti.cli.wallboard.app import run_wallboard

                source.on_notice = history = FeedHistory(source.now)
                await run_wallboard(source, history, zone, board_limits)
                return
            from basix_ws_cti.cli.render.notices import NoticePrinter

            source.on_notice = NoticePrinter(zone)
            if state:
                from .state import StateOptions, print_final_state

                state_options = StateOptions(
                    json=options.json,
                    calls=options.calls,
                    kind=options.kind,  # type: ignore[arg-type]
                    wide=options.wide,
                )
                await print_final_state(source, state_options)
            else:
                from .listen import print_source

                await print_source(source, options)

    run_interruptible(follow())
