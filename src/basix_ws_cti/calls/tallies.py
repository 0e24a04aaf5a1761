"""Sums over rows, to which rows can be added and from which they can be removed again.

``figures`` turns a tally into figures. Reports add all rows of a period at once; live statistics
add a row when its call changes and remove it when it leaves the window. A sorted list of durations
answers all questions about their distribution: percentiles, the longest one, and the number of
those below a threshold.

This module decides which rows count: see ``counts_in_queue``, ``counts_for_agent`` and
``is_offer_of_queue``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from typing import Protocol

from attrs import Factory, define

from .participation import Participation
from .queue_wait import QueueWait
from .sums import AgentSums, DurationClasses, DurationSum, QueueSums, WaitCounts

COUNTED_PURPOSE = "call"
"""Purpose of the calls whose waits count in the figures of queues."""

# Roles of a party that a queue may offer a call to, and who then has taken it, perhaps on another
# phone. A member who calls their own queue, or listens in, is not its agent. Neither is a member
# who was reached by a consult call: the wait of that call does not count in the queue.
_QUEUE_ROLES = frozenset({"offered", "picked_up", "retrieved"})


class Purposed(Protocol):
    """Wait, or several waits with the same columns."""

    @property
    def purpose(self) -> str:
        """``Call.purpose``."""


class Part(Purposed, Protocol):
    """Participation, or several participations with the same columns."""

    @property
    def role(self) -> str:
        """Role of the party."""

    @property
    def group_id(self) -> int | None:
        """Id of the group whose queue offered the call."""


def counts_in_queue(wait: Purposed) -> bool:
    """Return True if a wait counts in the figures of queues: the purpose is ``"call"``."""
    return wait.purpose == COUNTED_PURPOSE


def counts_for_agent(row: Part) -> bool:
    """Return True if a participation counts in the figures of agents.

    This holds for calls, and for the colleague in a consult call. The agent who placed a consult
    call is not counted: for them it is hold time of the call that waits.
    """
    return row.purpose == "call" or (row.purpose == "consult" and row.role != "placed")


def is_offer_of_queue(row: Part) -> bool:
    """Return True if a participation counts in the talk and hold of the queue that offered it."""
    return row.group_id is not None and row.role in _QUEUE_ROLES and row.purpose == "call"


@define(eq=False)
class QueueTally(WaitCounts):
    """Sums over the waits of one group, or of all groups."""

    answered: list[int] = Factory(list)
    """Durations of the answered waits, in microseconds, sorted."""
    abandoned: list[int] = Factory(list)
    """Durations of the abandoned waits, in microseconds, sorted."""
    others: list[int] = Factory(list)
    """Durations of the waits that ended otherwise, in microseconds, sorted."""

    def extend(self, waits: Iterable[QueueWait]) -> None:
        """Add many waits at once."""
        for wait in waits:
            durations = self._count(wait, 1)
            if durations is not None and wait.waited_us is not None:
                durations.append(wait.waited_us)
        for durations in (self.answered, self.abandoned, self.others):
            durations.sort()

    def add(self, wait: QueueWait) -> None:
        """Add a wait of this group, or one that overflowed to it."""
        durations = self._count(wait, 1)
        if durations is not None and wait.waited_us is not None:
            insort(durations, wait.waited_us)

    def remove(self, wait: QueueWait) -> None:
        """Remove a wait that was added before."""
        durations = self._count(wait, -1)
        if durations is not None and wait.waited_us is not None:
            del durations[bisect_left(durations, wait.waited_us)]

    def in_time_and_ended(self, threshold: int) -> tuple[int, int]:
        """Return the number of waits answered within ``threshold`` microseconds, and of all ended.

        A wait is within the threshold if it is at most as long.
        """
        ended = self.results.total() - self.results[None]
        return bisect_right(self.answered, threshold), ended

    def sums(self, classes: DurationClasses) -> QueueSums:
        """Return the sums of these waits. They share the counters and lists of the tally."""
        return QueueSums(
            self.group_id,
            self.results,
            self.overflowed_in,
            self.transferred_in,
            classes=classes,
            answered=DurationSum.of(self.answered),
            abandoned=DurationSum.of(self.abandoned),
            others=DurationSum.of(self.others),
            answered_counts=classes.counts(self.answered),
            abandoned_counts=classes.counts(self.abandoned),
            abandon_times=self.abandoned,
        )

    def _count(self, wait: QueueWait, step: int) -> list[int] | None:
        """Count a wait; return the durations it belongs to, ``None`` for a wait elsewhere."""
        transferred = step * wait.entered_by_transfer
        if not self.count(wait.group_id, wait.next_group_id, wait.result, step, transferred):
            return None
        if wait.result == "answered":
            return self.answered
        return self.abandoned if wait.result == "abandoned" else self.others


@define(eq=False)
class AgentTally(AgentSums):
    """Sums over participations, from which a row can be removed again."""

    talks: list[int] = Factory(list)
    """Talk time of each call that was talked on, in microseconds, sorted."""

    def extend(self, rows: Iterable[Participation]) -> None:
        """Add many rows at once."""
        for row in rows:
            if self._count(row, 1):
                self.talks.append(row.talked_us)
                self.add_talks(1, row.talked_us, row.talked_us)
        self.talks.sort()

    def add(self, row: Participation) -> None:
        """Add a row."""
        if self._count(row, 1):
            insort(self.talks, row.talked_us)
            self.add_talks(1, row.talked_us, row.talked_us)

    def remove(self, row: Participation) -> None:
        """Remove a row that was added before."""
        if self._count(row, -1):
            del self.talks[bisect_left(self.talks, row.talked_us)]
            self.remove_talk(row.talked_us, self.talks[-1] if self.talks else 0)

    def _count(self, row: Participation, step: int) -> bool:
        """Count a row; return True if it has talk time."""
        return self.count(
            row.role,
            row.result,
            step,
            is_internal=row.direction == "internal",
            rang=step * row.rang_us,
            held=step * row.held_us,
            transfers_out=step * row.transfers_out,
            transfers_in=step * row.transfers_in,
        )
