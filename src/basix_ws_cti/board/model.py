"""Board of one moment, built from a source."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo

from attrs import Factory, define, frozen

from basix_ws_cti.calls import Call, CallEnded, CallEvent, QueueStats
from basix_ws_cti.mirror.changes import Lagged
from basix_ws_cti.session.status import ClientState
from basix_ws_cti.sources.source import Source

from .durations import format_duration, to_microseconds
from .feed_history import FeedHistory
from .labels import Labels
from .pbx_clock import SHOWN_OFFSET, PbxClock, describe_clock_offset
from .rows import call_rows, feed_rows, parked_rows, queue_rows, user_rows
from .tables import Row


@frozen
class Board:
    """State of the wallboard at one moment."""

    now: int
    """Time of the PBX's clock, in microseconds since the epoch; durations end there."""

    at: datetime
    """Time of the feed's source, timezone-aware: by this machine's clock if the feed is live."""

    state: ClientState
    """Connection state of the feed."""

    rows: Mapping[str, tuple[Row, ...]]
    """Rows of each table, by the table's name."""

    calls: Mapping[str, Call]
    """Ongoing calls by id."""

    gaps: int
    """Number of gaps in the feed so far."""

    clock_offset: int = 0
    """Estimated difference between the PBX's clock and ``at``, in microseconds; positive: the PBX's
    clock is ahead."""

    @property
    def summary(self) -> str:
        """Headline figures in one line, such as ``3 calls, 2 talking, 1 parked``."""
        kinds = [call.phase.kind for call in self.calls.values()]
        parts = [_counted(len(kinds), "call"), f"{kinds.count('talking')} talking"]
        waits = [row.cells[2].sort_key for row in self.rows["queues"] if row.cells[1].sort_key]
        waiting = sum(row.cells[1].sort_key for row in self.rows["queues"])
        if waiting:
            parts.append(f"{waiting} waiting {format_duration(max(waits))}")
        if parked := len(self.rows["parked"]):
            parts.append(f"{parked} parked")
        if self.gaps:
            parts.append(_counted(self.gaps, "gap"))
        if abs(self.clock_offset) >= SHOWN_OFFSET:
            parts.append(describe_clock_offset(self.clock_offset))
        return ", ".join(parts)


@define
class BoardModel:
    """Builder of boards from a source. It also keeps what only call events report."""

    source: Source
    """Feed to show."""

    history: FeedHistory
    """History that receives the source's notices."""

    zone: tzinfo | None = None
    """Time zone of displayed times; ``None`` is local time."""

    max_ended_calls: int = 200
    """Ended calls kept for the details view; the oldest is dropped first."""

    missed_events: int = 0
    """Number of call events lost because the consumer was too slow."""

    ended_calls: dict[str, Call] = Factory(dict)
    """Calls that ended most recently, by id, oldest first."""

    _stats: QueueStats = Factory(QueueStats)
    _clock: PbxClock = Factory(PbxClock)

    def __attrs_post_init__(self) -> None:
        self._stats.restart(self.source.calls.values())

    def apply(self, event: CallEvent | Lagged) -> None:
        """Update queue figures and ended calls from a call event."""
        if isinstance(event, Lagged):
            self.missed_events += event.missed
            self._stats.restart(self.source.calls.values())
            return
        self._stats.apply([event])
        self._clock.observe(event, to_microseconds(self.source.now()))
        if isinstance(event, CallEnded):
            if len(self.ended_calls) >= self.max_ended_calls:
                del self.ended_calls[next(iter(self.ended_calls))]
            self.ended_calls[event.call.id] = event.call

    def build_board(self) -> Board:
        """Return the board of this moment."""
        at = self.source.now()
        calls = dict(self.source.calls)
        time = to_microseconds(at)
        offset = self._clock.offset(self.source.mirror, calls.values(), time)
        now = time + offset
        labels = Labels(self.source.mirror)
        return Board(
            now=now,
            at=at,
            state=self.source.state,
            rows={
                "calls": tuple(call_rows(calls.values(), labels, now)),
                "queues": tuple(queue_rows(labels, self._stats, now)),
                "users": tuple(user_rows(calls.values(), labels, now)),
                "parked": tuple(parked_rows(calls, labels, now)),
                "feed": tuple(feed_rows(self.history, self.zone)),
            },
            calls=calls,
            gaps=self.history.gaps,
            clock_offset=offset,
        )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
