"""Sums over rows from which figures follow, however the rows were added up.

``tallies`` adds up single rows. A report lets a database group the rows, and adds up the groups.
Both count by the methods of these classes, so that a figure has one definition.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise

from attrs import Factory, define, field, frozen

from .model import Role, WaitResult
from .participation import ParticipationResult

# Roles whose talk is talk of a call; listening in and using a service are not.
_TALKING_ROLES = frozenset({"offered", "placed", "consulted", "picked_up", "retrieved"})

# Results of a role that no row has; only read.
_NO_RESULTS: Counter[ParticipationResult | None] = Counter()


@frozen
class DurationClasses:
    """Division of durations into classes, none of which a threshold cuts in two."""

    cuts: tuple[int, ...]
    """Lower bounds of all classes but the first one, in microseconds, ascending. A duration that
    equals a bound belongs to the class above it."""

    @classmethod
    def of(cls, within: Sequence[int], below: Sequence[int]) -> DurationClasses:
        """Return the classes for thresholds in microseconds.

        A duration is ``within`` a threshold if it is at most as long, and ``below`` it if it is
        shorter.
        """
        return cls(tuple(sorted({*(threshold + 1 for threshold in within), *below})))

    def counts(self, durations: Sequence[int]) -> list[int]:
        """Return the number of durations in each class. ``durations`` are sorted."""
        edges = [0, *(bisect_left(durations, cut) for cut in self.cuts), len(durations)]
        return [end - start for start, end in pairwise(edges)]

    def within(self, counts: Sequence[int], threshold: int) -> int:
        """Return the number of durations of at most ``threshold``, given those of each class."""
        return self.below(counts, threshold + 1)

    def below(self, counts: Sequence[int], threshold: int) -> int:
        """Return the number of durations under ``threshold``, given those of each class."""
        return sum(counts[: 1 + self.cuts.index(threshold)])


@define(eq=False)
class DurationSum:
    """Number, sum and maximum of durations."""

    number: int = 0
    """Number of durations."""
    total: int = 0
    """Their sum, in microseconds."""
    longest: int | None = None
    """The longest one, in microseconds; ``None`` if there is none."""

    @classmethod
    def of(cls, durations: Sequence[int]) -> DurationSum:
        """Return the sum of sorted durations."""
        return cls(len(durations), sum(durations), durations[-1] if durations else None)

    def add(self, other: DurationSum) -> None:
        """Add other durations."""
        self.number += other.number
        self.total += other.total
        if other.longest is not None:
            self.longest = max(other.longest, self.longest or 0)


@define(eq=False)
class WaitCounts:
    """Numbers of the waits of one group, or of all groups together."""

    group_id: int | None = None
    """Group whose queue this is; ``None``: all groups together."""
    results: Counter[WaitResult | None] = Factory(Counter)
    """Number of waits by result; ``None``: the wait lasts."""
    overflowed_in: int = 0
    """Number of waits elsewhere that overflowed to this group."""
    transferred_in: int = 0
    """Number of waits that a transfer to the group began."""

    def count(
        self,
        group_id: int,
        next_group_id: int | None,
        result: WaitResult | None,
        rows: int,
        transferred: int,
    ) -> bool:
        """Count waits in ``group_id`` with the same result; return True if they are waits here.

        ``transferred`` is the number of those that a transfer began.
        """
        here, is_all = self.group_id, self.group_id is None
        if result == "overflowed" and next_group_id is not None:
            self.overflowed_in += rows * (is_all or here == next_group_id)
        if not is_all and here != group_id:
            return False
        self.results[result] += rows
        self.transferred_in += transferred
        return True


def _no_counts(sums: QueueSums) -> list[int]:
    return [0] * (1 + len(sums.classes.cuts))


@define(eq=False)
class QueueSums(WaitCounts):
    """Numbers and durations of the waits of one group, or of all groups together."""

    classes: DurationClasses = field(kw_only=True)
    """Classes of the durations, for the thresholds of the figures."""
    answered: DurationSum = Factory(DurationSum)
    """Answered waits."""
    abandoned: DurationSum = Factory(DurationSum)
    """Abandoned waits."""
    others: DurationSum = Factory(DurationSum)
    """Waits that last, or ended otherwise."""
    answered_counts: list[int] = field(default=Factory(_no_counts, takes_self=True))
    """Number of answered waits in each class."""
    abandoned_counts: list[int] = field(default=Factory(_no_counts, takes_self=True))
    """Number of abandoned waits in each class."""
    abandon_times: Sequence[int] = ()
    """Durations of the abandoned waits, in microseconds, sorted."""

    def add_durations(
        self, result: WaitResult | None, durations: DurationSum, counts: Sequence[int]
    ) -> None:
        """Add durations of waits with the same result; ``counts`` are those of each class."""
        if result == "answered":
            self.answered.add(durations)
            _add(self.answered_counts, counts)
        elif result == "abandoned":
            self.abandoned.add(durations)
            _add(self.abandoned_counts, counts)
        else:
            self.others.add(durations)

    @classmethod
    def together(cls, queues: Sequence[QueueSums], classes: DurationClasses) -> QueueSums:
        """Return the sums over several queues, all with these classes."""
        total = cls(classes=classes)
        for queue in queues:
            total.results.update(queue.results)
            total.overflowed_in += queue.overflowed_in
            total.transferred_in += queue.transferred_in
            total.answered.add(queue.answered)
            total.abandoned.add(queue.abandoned)
            total.others.add(queue.others)
            _add(total.answered_counts, queue.answered_counts)
            _add(total.abandoned_counts, queue.abandoned_counts)
        total.abandon_times = sorted(chain.from_iterable(one.abandon_times for one in queues))
        return total


def _add(counts: list[int], others: Sequence[int]) -> None:
    counts[:] = map(int.__add__, counts, others)


@define(eq=False)
class AgentSums:
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
    handled: int = 0
    """Number of calls that were talked on."""
    talked: int = 0
    """Talk time of those calls, in microseconds."""
    longest_talk: int = 0
    """Longest talk time of one call, in microseconds; 0 if none was talked on."""

    def of_role(self, role: Role) -> Counter[ParticipationResult | None]:
        """Return the number of rows of one role by result."""
        return self.results.get(role, _NO_RESULTS)

    def count(
        self,
        role: Role,
        result: ParticipationResult | None,
        rows: int,
        *,
        is_internal: bool,
        rang: int,
        held: int,
        transfers_out: int,
        transfers_in: int,
    ) -> bool:
        """Count rows of the same role and result; return True if their talk is talk of a call.

        ``rang``, ``held`` and the transfers are sums over these rows.
        """
        results = self.results.get(role)
        if results is None:
            results = self.results[role] = Counter()
        results[result] += rows
        if is_internal:
            self.internal[role] += rows
        if role == "offered":
            self.rang += rang
        if role not in _TALKING_ROLES:
            return False
        self.transfers_out += transfers_out
        self.transfers_in += transfers_in
        if result != "answered":
            return False
        self.held += held
        return True

    def add_talks(self, number: int, total: int, longest: int) -> None:
        """Add the talk times of calls."""
        self.handled += number
        self.talked += total
        self.longest_talk = max(self.longest_talk, longest)

    def remove_talk(self, talked: int, longest: int) -> None:
        """Remove the talk time of a call; ``longest`` is the longest one of those left."""
        self.handled -= 1
        self.talked -= talked
        self.longest_talk = longest

    @classmethod
    def together(cls, parts: Iterable[AgentSums]) -> AgentSums:
        """Return the sums over the rows of several sums."""
        total = AgentSums()
        for part in parts:
            for role, results in part.results.items():
                total.results.setdefault(role, Counter()).update(results)
            total.internal.update(part.internal)
            total.rang += part.rang
            total.held += part.held
            total.transfers_out += part.transfers_out
            total.transfers_in += part.transfers_in
            total.add_talks(part.handled, part.talked, part.longest_talk)
        return total
