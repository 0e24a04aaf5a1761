"""``replay``: a recording, shown as the feed it was."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .listen import Showing


def replay(
    file: Annotated[Path, typer.Argument(help="a recording; - is stdin")],
    showing: Showing,
    *,
    speed: Annotated[
        float, typer.Option("--speed", help="of its time", min=0.001, max=1_000_000)
    ] = 1.0,
    at_once: Annotated[bool, typer.Option("--at-once", help="without waiting")] = False,
    top: Annotated[bool, typer.Option("--top", help="on the wallboard")] = False,
    state: Annotated[bool, typer.Option("--state", help="what there was at its end")] = False,
) -> None:
    """A recording, line by line, at the speed at which it was made."""
    from basix_ws_cti.cli.recording_session import opened
    from basix_ws_cti.cli.signals import run
    from basix_ws_cti.exceptions import UsageError

    if top and state:
        raise UsageError("--top and --state are two ways to see it: choose one")
    zone = showing.zone
    showing.filters()
    if top:
        from .top import must_be_a_terminal

        must_be_a_terminal()

    async def follow() -> None:
        from basix_ws_cti.sources.recorded import RecordedSource

        source = RecordedSource(recording, speed=None if at_once or state else speed)
        if top:
            from basix_ws_cti.board.feed_history import History
            from basix_ws_cti.cli.wallboard.app import run_top

            source.on_notice = history = History(source.now)
            await run_top(source, history, zone)
            return
        from basix_ws_cti.cli.render.notices import Notices

        source.on_notice = Notices(zone)
        if state:
            from .state import Looking, show_state

            await source.read_to_end()
            looking = Looking(json=showing.json, kind=showing.kind)  # type: ignore[arg-type]
            await show_state(source, looking)
            source.check()
        else:
            from .listen import show

            await show(source, showing)

    with opened(file) as recording:
        run(follow())
