"""State of the feed at one moment, and since when it has been live or not."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from attrs import frozen

from basix_ws_cti._internal.translation import _
from basix_ws_cti.session.status import ClientState, Disconnected, Stopped, Synced

from .durations import format_duration
from .feed_history import describe_notice, describe_state

# Longest time from the last sign of life until the feed counts as lost.
_LONGEST_DELAY = timedelta(minutes=5)


@frozen
class FeedStatus:
    """State of the feed at one moment."""

    state: ClientState
    """Connection state of the feed."""

    since: datetime
    """Time from which on the feed has been live, or has not, timezone-aware."""

    was_live: bool
    """True if the feed is live or was live before."""

    @property
    def is_live(self) -> bool:
        """True if the mirror shows the current state of the PBX."""
        return isinstance(self.state, Synced)


def next_status(
    before: FeedStatus | None, state: ClientState, now: datetime, *, was_live: bool
) -> FeedStatus:
    """Return the status that follows ``before``.

    - ``before``: the last status; ``None`` at first.
    - ``now``: the time of the feed's source.
    - ``was_live``: True if the feed is live or was live before.
    """
    is_live = isinstance(state, Synced)
    since = now
    if before is not None and (before.is_live, before.was_live) == (is_live, was_live):
        since = before.since
    elif isinstance(state, Disconnected) and state.last_heard is not None:
        # A simulated feed has another clock than this machine.
        delay = now - state.last_heard
        since = state.last_heard if timedelta(0) <= delay < _LONGEST_DELAY else now
    return FeedStatus(state, since, was_live)


def describe_outage(status: FeedStatus, at: datetime, zone: tzinfo | None = None) -> str:
    """Return in one line why the board is stale, and since when; empty if the feed is live.

    ``at`` is the present time of the source. Times are in ``zone``; ``None`` is local time.
    """
    if status.is_live:
        return ""
    state = status.state
    has_reason = isinstance(state, Disconnected | Stopped)
    text = _("Stale since {time} ({duration}): {state}")
    if not status.was_live:
        text = _("No data yet, since {time} ({duration}): {state}")
    return text.format(
        time=f"{status.since.astimezone(zone):%H:%M:%S}",
        duration=format_duration((at - status.since) // timedelta(microseconds=1)),
        state=describe_notice(state, zone) if has_reason else describe_state(state),
    )
