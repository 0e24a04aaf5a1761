"""Counters of calls and queues since the start of a program, for monitoring.

A counter never falls, whatever happens to the feed:

- A wait counts once, when its end is known. What later events say about it changes nothing.
- A call that was going on when it was first shown has waits that began, or ended, unseen. Its
  finished waits count nowhere. A wait that lasts counts when it ends, but not as an entry.
- A call whose end was lost counts nowhere, and its last wait as ``unknown``.

``figures`` has the definitions of the rows, and decides which of them count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import get_args

from attrs import Factory, define, field

from basix_ws_cti.calls import Call, CallEnded, CallEvent, CallStarted, QueueWait
from basix_ws_cti.calls.model import Direction, Disposition, Phase, Purpose, WaitResult
from basix_ws_cti.calls.participation import rows_of_agents
from basix_ws_cti.calls.tallies import counts_in_queue, is_offer_of_queue

_SECOND = 1_000_000  # in microseconds, as all times here

WAIT_BOUNDS: tuple[int, ...] = (5, 10, 15, 20, 30, 60, 120, 300, 600)
"""Upper bounds of the classes of waits, in seconds. They contain the usual thresholds of service
levels (10, 15, 20, 30 s) and of short abandons (5 s)."""

TALK_BOUNDS: tuple[int, ...] = (15, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600)
"""Upper bounds of the classes of talk and handle times, in seconds."""

WAIT_RESULTS: tuple[WaitResult, ...] = get_args(WaitResult)
"""Every result of a wait."""


@define(eq=False)
class DurationCounter:
    """Counts durations by class, as a Prometheus histogram does."""

    bounds: tuple[int, ...]
    """Upper bounds of the classes, in seconds, ascending; a last class has no bound."""
    counts: list[int] = field(init=False)
    """Number of durations in each class."""
    total: int = 0
    """Sum of all durations, in microseconds."""

    def __attrs_post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, duration: int) -> None:
        """Count a duration in microseconds; a negative one counts as 0."""
        self.total += max(0, duration)
        index = bisect_left(self.bounds, duration, key=lambda bound: bound * _SECOND)
        self.counts[index] += 1

    def copy(self) -> DurationCounter:
        """Return a copy, which counts for itself."""
        duplicate = DurationCounter(self.bounds, total=self.total)
        duplicate.counts = self.counts.copy()
        return duplicate

    @property
    def seconds(self) -> float:
        """Sum of all durations, in seconds."""
        return self.total / _SECOND

    @property
    def buckets(self) -> list[tuple[str, int]]:
        """Number of durations up to each bound, as the values of the label ``le`` and counts."""
        names = (*(str(float(bound)) for bound in self.bounds), "+Inf")
        return list(zip(names, accumulate(self.counts), strict=True))


def _wait_counter() -> DurationCounter:
    return DurationCounter(WAIT_BOUNDS)


def _talk_counter() -> DurationCounter:
    return DurationCounter(TALK_BOUNDS)


@define(eq=False)
class QueueCounters:
    """Counters of one queue."""

    entered: int = 0
    """Waits that began."""
    results: Counter[WaitResult] = Factory(Counter)
    """Waits that ended, by result."""
    answered: DurationCounter = Factory(_wait_counter)
    """Durations of the answered waits."""
    abandoned: DurationCounter = Factory(_wait_counter)
    """Durations of the abandoned waits."""
    handled: DurationCounter = Factory(_talk_counter)
    """Talk and hold of the calls that the queue offered, once for each agent."""
    waiting: dict[str, int] = Factory(dict)
    """Times of entry of the calls that wait now, by id of the call, in microseconds."""

    def add_wait(self, wait: QueueWait) -> None:
        """Count a wait that ended."""
        if wait.result is None:
            return
        self.results[wait.result] += 1
        if wait.waited_us is not None and wait.result in {"answered", "abandoned"}:
            durations = self.answered if wait.result == "answered" else self.abandoned
            durations.add(wait.waited_us)


@define(eq=False)
class _Followed:
    """Active call."""

    call: Call
    # What its waits were last counted from; they change with nothing else.
    counted: tuple[int, Phase, Purpose] | None = None
    # Group and time of entry of the waits that have begun, and of those that have ended.
    begun: set[tuple[int, int]] = Factory(set)
    finished: set[tuple[int, int]] = Factory(set)
    waits_in: int | None = None


@define(eq=False)
class CallCounters:
    """Counts call events. It reads no clock, and belongs to one thread."""

    max_queues: int
    """Number of queues with counters; all further ones count in ``other``."""
    calls: Counter[tuple[Direction, Disposition]] = Factory(Counter)
    """Calls that ended, by direction and disposition; no consult calls and no services."""
    talks: DurationCounter = Factory(_talk_counter)
    """Talk time of each answered call."""
    queues: dict[int, QueueCounters] = Factory(dict)
    """Counters by id of the group; a queue that has some keeps them."""
    other: QueueCounters = Factory(QueueCounters)
    """Sums over the queues beyond ``max_queues``."""
    _followed: dict[str, _Followed] = Factory(dict)

    def apply(self, event: CallEvent) -> None:
        """Count what a call event reports."""
        call = event.call
        followed = self._followed.get(call.id)
        if followed is None:
            followed = self._followed[call.id] = _Followed(call)
            if not isinstance(event, CallStarted) or not call.complete:
                self._skip_past(followed)
        followed.call = call
        self._count_waits(followed)
        if isinstance(event, CallEnded):
            self._end(followed)

    def restart(self, calls: Iterable[Call]) -> None:
        """Take ``calls`` as the active calls, after events were lost or at a late start."""
        active = {call.id: call for call in calls if call.ended is None}
        for call_id in [*self._followed]:
            if call_id not in active:
                self._lose(self._followed.pop(call_id))
        for call in active.values():
            followed = self._followed.get(call.id)
            if followed is None:
                followed = self._followed[call.id] = _Followed(call)
                self._skip_past(followed)
            followed.call = call
            self._count_waits(followed)

    def reserve(self, group_ids: Iterable[int]) -> None:
        """Give queues their counters, as long as there is room."""
        for group_id in group_ids:
            if len(self.queues) >= self.max_queues:
                return
            if group_id not in self.queues:
                self.queues[group_id] = QueueCounters()

    def queue(self, group_id: int) -> QueueCounters:
        """Return the counters of a queue."""
        self.reserve((group_id,))
        return self.queues.get(group_id, self.other)

    def _skip_past(self, followed: _Followed) -> None:
        """Do not count the waits of a call that began before it was shown."""
        for wait in _waits_of(followed.call):
            key = (wait.group_id, wait.entered)
            followed.begun.add(key)
            if wait.result is not None:
                followed.finished.add(key)

    def _count_waits(self, followed: _Followed) -> None:
        call = followed.call
        counted = (len(call.phases), call.phase, call.purpose)
        if counted == followed.counted and call.ended is None:
            return
        followed.counted = counted
        waits_in, kept = None, set()
        for wait in _waits_of(call):
            key, queue = (wait.group_id, wait.entered), self.queue(wait.group_id)
            kept.add(key)
            if key not in followed.begun:
                followed.begun.add(key)
                queue.entered += 1
            if wait.result is None:
                waits_in = wait.group_id
                queue.waiting[call.id] = wait.entered
            elif key not in followed.finished:
                followed.finished.add(key)
                queue.add_wait(wait)
        # A call of many days forgets its first waits.
        followed.begun &= kept
        followed.finished &= kept
        self._move(followed, waits_in)

    def _move(self, followed: _Followed, waits_in: int | None) -> None:
        """Note the queue in which a call waits now; ``None``: in none."""
        before = followed.waits_in
        if before is not None and before != waits_in:
            self.queue(before).waiting.pop(followed.call.id, None)
        followed.waits_in = waits_in

    def _end(self, followed: _Followed) -> None:
        call = followed.call
        del self._followed[call.id]
        self._move(followed, None)
        if call.joined is not None or call.purpose != "call" or call.disposition is None:
            return
        self.calls[call.direction, call.disposition] += 1
        if call.answered is not None:
            self.talks.add(call.time_in("talking", "conference"))
        for row in rows_of_agents(call):
            if row.group_id is not None and row.result == "answered" and is_offer_of_queue(row):
                self.queue(row.group_id).handled.add(row.talked_us + row.held_us)

    def _lose(self, followed: _Followed) -> None:
        """Count the wait of a call whose end was lost."""
        if followed.waits_in is not None:
            self.queue(followed.waits_in).results["unknown"] += 1
        self._move(followed, None)


def _waits_of(call: Call) -> Iterator[QueueWait]:
    return filter(counts_in_queue, QueueWait.of(call))
