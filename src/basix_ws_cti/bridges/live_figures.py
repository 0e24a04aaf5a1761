"""Figures of a feed for monitoring: counters of its calls, and a cheap copy of them.

The event loop of the feed calls everything here. ``snapshot`` copies what changes with the events,
in about a millisecond for 200 queues; everything that takes longer is left to the thread that
renders the copy.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from attrs import frozen

from basix_ws_cti.calls import Call, CallEvent
from basix_ws_cti.calls.model import Direction, Disposition, PhaseKind, WaitResult
from basix_ws_cti.calls.pbx_clock import PbxClock
from basix_ws_cti.exceptions import printable
from basix_ws_cti.mirror.changes import Lagged
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.session.status import ClientState, Stats, Synced

from .call_counters import CallCounters, DurationCounter, QueueCounters

MAX_NAME = 80
"""Longest name of a queue in a label, in characters."""

_SECOND = 1_000_000  # in microseconds, as all times here


class ObservedFeed(Protocol):
    """State of a feed, as ``Feed`` and ``Source`` provide it."""

    @property
    def mirror(self) -> Mirror:
        """Mirror of the PBX."""

    @property
    def calls(self) -> Mapping[str, Call]:
        """Ongoing calls by id."""

    @property
    def state(self) -> ClientState:
        """State of the feed."""

    @property
    def is_settled(self) -> bool:
        """False while the events that lead to a new snapshot are delivered."""


@frozen
class QueueSample:
    """Figures of one queue at one moment."""

    id: int | None
    """Id of the group; ``None``: all queues beyond the limit together."""
    name: str
    """Name of the queue, printable."""
    waiting: int
    """Calls that wait now."""
    longest_wait: float
    """Longest of these waits, in seconds; 0 if no call waits."""
    entered: int
    """Waits that began."""
    results: dict[WaitResult, int]
    """Waits that ended, by result."""
    answered: DurationCounter
    """Durations of the answered waits."""
    abandoned: DurationCounter
    """Durations of the abandoned waits."""
    handled: DurationCounter
    """Talk and hold of the calls handled."""


@frozen
class Snapshot:
    """Figures of a feed at one moment."""

    is_synced: bool
    """True if the mirror shows the current state of the PBX."""
    last_frame: float | None
    """Time of the last frame, in seconds since the epoch; ``None``: none has arrived."""
    clock_offset: float
    """Time by which the PBX's clock seems to be ahead of the source's, in seconds."""
    stats: Stats | None
    """Statistics of the feed; ``None`` for a recording."""
    calls: dict[PhaseKind, int]
    """Ongoing calls, by the kind of their phase."""
    ended_calls: dict[tuple[Direction, Disposition], int]
    """Calls that ended, by direction and disposition."""
    talks: DurationCounter
    """Talk time of each answered call."""
    queues: tuple[QueueSample, ...]
    """Queues with counters; the last one stands for all others, if there are any."""
    groups: int
    """Number of groups of the PBX."""


class LiveFigures:
    """Counts the call events of a feed.

    - ``feed``: the feed. Its ongoing calls are taken as they are.
    - ``max_queues``: as in ``Metrics``.
    - ``now``: returns the time of the feed's source, in microseconds since the epoch.
    - ``stats``: returns the statistics of the feed; ``None``: it has none.
    """

    def __init__(
        self,
        feed: ObservedFeed,
        *,
        max_queues: int,
        now: Callable[[], int],
        stats: Callable[[], Stats] | None = None,
    ) -> None:
        self._feed = feed
        self._now = now
        self._stats = stats
        self._clock = PbxClock()
        self._counters = CallCounters(max_queues)
        # Names as sent and as shown, by id. A group that was deleted keeps its name, because its
        # counters stay.
        self._names: dict[int, tuple[object, str]] = {}
        self._counters.restart(feed.calls.values())

    @property
    def mirror(self) -> Mirror:
        """Mirror of the PBX, which any thread may read."""
        return self._feed.mirror

    @property
    def state(self) -> str:
        """Name of the feed's state, such as ``synced``; any thread may read it."""
        return type(self._feed.state).__name__.lower()

    @property
    def is_synced(self) -> bool:
        """True if the mirror shows the current state of the PBX; any thread may read it."""
        return isinstance(self._feed.state, Synced)

    def apply(self, event: CallEvent | Lagged) -> None:
        """Count a call event, or take the ongoing calls anew after events were lost.

        Call it at the moment of the event: the ongoing calls of the feed are those of that moment.
        """
        if isinstance(event, Lagged):
            self._counters.restart(self._feed.calls.values())
            return
        self._counters.apply(event)
        # Events that lead to a snapshot may have happened long ago.
        is_recent = self._feed.is_settled and self.is_synced
        self._clock.observe(event, self._now(), is_recent=is_recent)

    def snapshot(self) -> Snapshot:
        """Return the figures of this moment."""
        counters, at = self._counters, self._now()
        groups = self._feed.mirror.groups
        counters.reserve(sorted(key for key in groups if isinstance(key, int)))
        # Only observed events count: the timestamps of all channels would take long to read.
        offset = self._clock.offset_from((), at)
        pbx_time = at + offset
        queues = [
            _sample(group_id, self._name(group_id), queue, pbx_time)
            for group_id, queue in counters.queues.items()
        ]
        if len(groups) > len(queues) or counters.other.entered:
            queues.append(_sample(None, "other", counters.other, pbx_time))
        stats = None if self._stats is None else self._stats()
        age = None if stats is None else stats.last_frame_age
        return Snapshot(
            is_synced=self.is_synced,
            last_frame=None if age is None else time.time() - age,
            clock_offset=offset / _SECOND,
            stats=stats,
            calls=dict(Counter(call.phase.kind for call in self._feed.calls.values())),
            ended_calls=dict(counters.calls),
            talks=counters.talks.copy(),
            queues=tuple(queues),
            groups=len(groups),
        )

    def _name(self, group_id: int) -> str:
        group = self._feed.mirror.groups.get(group_id)
        sent, shown = self._names.get(group_id, (None, ""))
        if group is not None:
            name = group.label or group.name
            if name != sent:
                shown = printable(name, MAX_NAME) if isinstance(name, str) else ""
                self._names[group_id] = name, shown
        return shown


def _sample(group_id: int | None, name: str, queue: QueueCounters, now: int) -> QueueSample:
    entered = min(queue.waiting.values(), default=now)
    return QueueSample(
        id=group_id,
        name=name,
        waiting=len(queue.waiting),
        longest_wait=max(0, now - entered) / _SECOND,
        entered=queue.entered,
        results=dict(queue.results),
        answered=queue.answered.copy(),
        abandoned=queue.abandoned.copy(),
        handled=queue.handled.copy(),
    )
