"""Field ``feed`` of a state document: if the page can be trusted, and since when."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.board.feed_history import describe_notice
from basix_ws_cti.board.feed_status import FeedStatus
from basix_ws_cti.board.model import BoardState
from basix_ws_cti.session.status import Stopped

from .rows import to_milliseconds


def feed_field(state: BoardState, zone: tzinfo | None) -> dict[str, Any]:
    """Return the field in the language of the current context; times in its text are in ``zone``.

    ``state`` in it is ``"live"``; ``"connecting"`` before the first snapshot; ``"lost"`` while the
    client tries to reconnect; ``"ended"`` at the end of a recording; or ``"stopped"`` by an error.
    """
    status = state.status
    since = to_microseconds(status.since) + state.clock_offset
    return {
        "state": _name(status),
        "since": to_milliseconds(since),
        "text": describe_notice(status.state, zone),
        "live": status.is_live,
        "was_live": status.was_live,
    }


def _name(status: FeedStatus) -> str:
    match status.state:
        case Stopped(reason):
            return "ended" if reason is None else "stopped"
    if status.is_live:
        return "live"
    return "lost" if status.was_live else "connecting"
