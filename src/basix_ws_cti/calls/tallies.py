"""Sums over rows, to which rows can be added and from which they can be removed again.

``figures`` turns a tally into figures. Reports add all rows of a period at once; live statistics
add a row when its call changes and remove it when it leaves the window. A sorted list of durations
answers all questions about their distribution: percentiles, the longest one, and the number of
those below a threshold.

This module decides which rows count: see ``counts_in_queue``, ``counts_for_agent`` and
``is_offer_of_queue``.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable

from attrs import Factory, define

from .model import Role, WaitResult
from .participation import Participation, ParticipationResult
from .queue_wait import QueueWait

# Roles whose talk is talk of a call; listening in and using a service are not.
_TALKING_ROLES = frozenset({"offered", "placed", "consulted", "picked_up", "retrieved"})

# Roles of a party that a queue may offer a call to, and who then has taken it, perhaps on another
# phone. A member who calls their own queue, or listens in, is not its agent. Neither is a member
# who was reached by a consult call: the wait of that call does not count in the queue.
_QUEUE_ROLES = frozenset({"offered", "picked_up", "retrieved"})

# Results of a role that no row has; only read.
_NO_RESULTS: Counter[ParticipationResult | None] = Counter()


def counts_in_queue(wait: QueueWait) -> bool:
    """Return True if a wait counts in the figures of queues: the purpose is ``"call"``."""
    return wait.purpose == "call"


def counts_for_agent(row: Participation) -> bool:
    """Return True if a participation counts in the figures of agents.

    This holds for calls, and for the colleague in a consult call. The agent who placed a consult
    call is not counted: for them it is hold time of the call that waits.
    """
    return row.purpose == "call" or (row.purpose == "consult" and row.role != "placed")


def is_offer_of_queue(row: Participation) -> bool:
    """Return True if a participation counts in the talk and hold of the queue that offered it."""
    return row.group_id is not None and row.role in _QUEUE_ROLES and row.purpose == "call"


@define(eq=False)
class QueueTally:
    """Sums over the waits of one group, or of all groups."""

    group_id: int | None = None
    """Group whose queue this is; ``None``: all groups together."""
    answered: list[int] = Factory(list)
    """Durations of the answered waits, in microseconds, sorted."""
    abandoned: list[int] = Factory(list)
    """Durations of the abandoned waits, in microseconds, sorted."""
    others: list[int] = Factory(list)
    """Durations of the waits that ended otherwise, in microseconds, sorted."""
    results: Counter[WaitResult | None] = Factory(Counter)
    """Number of waits by result; ``None``: the wait lasts."""
    overflowed_in: int = 0
    """Number of waits elsewhere that overflowed to this group."""
    transferred_in: int = 0
    """Number of waits that a transfer to the group began."""

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

    def _count(self, wait: QueueWait, step: int) -> list[int] | None:
        """Count a wait; return the durations it belongs to, ``None`` for a wait elsewhere."""
        group_id, next_group_id = self.group_id, wait.next_group_id
        is_all = group_id is None
        if wait.result == "overflowed" and next_group_id is not None:
            self.overflowed_in += step * (is_all or group_id == next_group_id)
        if not is_all and group_id != wait.group_id:
            return None
        self.results[wait.result] += step
        self.transferred_in += step * wait.entered_by_transfer
        if wait.result == "answered":
            return self.answered
        return self.abandoned if wait.result == "abandoned" else self.others


@define(eq=False)
class AgentTally:
    """Sums over participations of one agent, of one queue's agents, or of all."""

    results: dict[Role, Counter[ParticipationResult | None]] = Factory(dict)
    """Number of rows by role and result."""
    internal: Counter[Role] = Factory(Counter)
    """Number of rows by role that belong to internal calls."""
    rang: int = 0
    """Time of ringing of the calls offered, in microseconds."""
    held: int = 0
    """Time of hold, in microseconds."""
    transfers_out: int = 0
    """Number of transfers that the parties made."""
    transfers_in: int = 0
    """Number of transfers to the parties."""
    talks: list[int] = Factory(list)
    """Talk time of each call that was talked on, in microseconds, sorted."""

    def extend(self, rows: Iterable[Participation]) -> None:
        """Add many rows at once."""
        for row in rows:
            if self._count(row, 1):
                self.talks.append(row.talked_us)
        self.talks.sort()

    def add(self, row: Participation) -> None:
        """Add a row."""
        if self._count(row, 1):
            insort(self.talks, row.talked_us)

    def remove(self, row: Participation) -> None:
        """Remove a row that was added before."""
        if self._count(row, -1):
            del self.talks[bisect_left(self.talks, row.talked_us)]

    def of_role(self, role: Role) -> Counter[ParticipationResult | None]:
        """Return the number of rows of one role by result."""
        return self.results.get(role, _NO_RESULTS)

    def _count(self, row: Participation, step: int) -> bool:
        """Count a row; return True if it has talk time."""
        role, result = row.role, row.result
        results = self.results.get(role)
        if results is None:
            results = self.results[role] = Counter()
        results[result] += step
        if row.direction == "internal":
            self.internal[role] += step
        if role == "offered":
            self.rang += step * row.rang_us
        if role not in _TALKING_ROLES:
            return False
        if row.transfers_out or row.transfers_in:
            self.transfers_out += step * row.transfers_out
            self.transfers_in += step * row.transfers_in
        if result != "answered":
            return False
        self.held += step * row.held_us
        return True
