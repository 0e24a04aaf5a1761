"""Sums over waits, and over the participations that queues offered, by interval and group.

The database groups rows with equal columns; ``QueueSums`` and ``AgentSums`` count these groups as
live figures count single rows. Medians need each duration of the abandoned waits.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from attrs import Factory, define, frozen
from sqlalchemy import Connection, func, or_, select

from basix_ws_cti.calllog.schema import WAITS
from basix_ws_cti.calls.model import WaitResult
from basix_ws_cti.calls.sums import AgentSums, DurationClasses, DurationSum, QueueSums
from basix_ws_cti.calls.tallies import COUNTED_PURPOSE, counts_for_agent, is_offer_of_queue

from .conditions import STREAMED, Buckets, in_segment, label_all, names_of
from .intervals import By
from .part_groups import groups_of_queues
from .selection import Selection

_C = WAITS.c

Key = tuple[int, int]
"""Index of an interval, and id of a group."""


@frozen
class WaitGroup:
    """Waits with the same group, next group and result."""

    group_id: int
    """Id of the group whose queue this is."""
    next_group_id: int | None
    """Id of the group to which the calls overflowed."""
    result: WaitResult | None
    """Result of the waits."""
    rows: int
    """Number of waits."""
    transferred: int
    """Number of waits that began with a transfer."""
    durations: DurationSum
    """Sum of the durations."""
    below: Sequence[int]
    """Number of durations below each bound of ``DurationClasses``."""

    def add_to(self, sums: QueueSums) -> None:
        """Count these waits."""
        is_here = sums.count(
            self.group_id, self.next_group_id, self.result, self.rows, self.transferred
        )
        if is_here:
            edges = (0, *self.below, self.durations.number)
            counts = [end - start for start, end in pairwise(edges)]
            sums.add_durations(self.result, self.durations, counts)


@define(eq=False)
class SumsOfQueues:
    """Sums of each interval and group that has rows."""

    waits: dict[Key, QueueSums] = Factory(dict)
    """Sums over waits."""
    served: defaultdict[Key, AgentSums] = Factory(lambda: defaultdict(AgentSums))
    """Sums over participations that the queue offered."""

    @property
    def groups(self) -> set[int]:
        """Ids of the groups that have rows."""
        return {group_id for _, group_id in (*self.waits, *self.served)}


def sums_of_queues(
    connection: Connection, selection: Selection, by: By | None, classes: DurationClasses
) -> SumsOfQueues:
    """Return the sums over the rows of a selection; ``classes`` are those of the thresholds."""
    sums = SumsOfQueues()
    buckets = Buckets.of(selection, by)
    for interval, waits in _wait_groups(connection, selection, buckets, classes):
        for group_id in {waits.group_id, waits.next_group_id}:
            if group_id is None or (selection.groups and group_id not in selection.groups):
                continue
            queue = sums.waits.get((interval, group_id))
            if queue is None:
                queue = sums.waits[interval, group_id] = QueueSums(group_id, classes=classes)
            waits.add_to(queue)
    _add_abandon_times(connection, selection, buckets, sums.waits)
    for interval, parts in groups_of_queues(connection, selection, buckets):
        if parts.group_id is not None and counts_for_agent(parts) and is_offer_of_queue(parts):
            parts.add_to(sums.served[interval, parts.group_id])
    return sums


def _wait_groups(
    connection: Connection, selection: Selection, buckets: Buckets, classes: DurationClasses
) -> Iterator[tuple[int, WaitGroup]]:
    """Yield waits in selected groups, and those that overflowed to one, with their interval."""
    for segment in buckets.segments:
        keys = label_all(
            buckets.column(_C.entered, segment), _C.group_id, _C.next_group_id, _C.result
        )
        query = (
            select(
                *keys,
                func.count(),
                func.count().filter(_C.entered_by_transfer),
                func.count(_C.waited_us),
                func.sum(_C.waited_us),
                func.max(_C.waited_us),
                *(func.count().filter(_C.waited_us < cut) for cut in classes.cuts),
            )
            .where(in_segment(_C.entered, segment, selection), _C.purpose == COUNTED_PURPOSE)
            .group_by(*names_of(keys))
        )
        if selection.groups:
            ids = sorted(selection.groups)
            query = query.where(or_(_C.group_id.in_(ids), _C.next_group_id.in_(ids)))
        for row in connection.execute(query):
            bucket, group_id, next_group_id, result, rows, transferred, *durations = tuple(row)
            number, total, longest, *below = durations
            # PostgreSQL's sum of integers is of type Decimal.
            duration_sum = DurationSum(number, int(total or 0), longest)
            waits = WaitGroup(
                group_id, next_group_id, result, rows, transferred, duration_sum, below
            )
            yield buckets.interval_of(bucket, segment), waits


def _add_abandon_times(
    connection: Connection, selection: Selection, buckets: Buckets, waits: dict[Key, QueueSums]
) -> None:
    """Add the durations of all abandoned waits."""
    durations: defaultdict[Key, array[int]] = defaultdict(lambda: array("q"))
    for segment in buckets.segments:
        query = select(buckets.column(_C.entered, segment), _C.group_id, _C.waited_us).where(
            in_segment(_C.entered, segment, selection),
            _C.purpose == COUNTED_PURPOSE,
            _C.result == "abandoned",
            _C.waited_us.is_not(None),
        )
        if selection.groups:
            query = query.where(_C.group_id.in_(sorted(selection.groups)))
        for row in connection.execute(query, execution_options=STREAMED):
            durations[buckets.interval_of(row[0], segment), row.group_id].append(row.waited_us)
    for key, unsorted in durations.items():
        waits[key].abandon_times = sorted(unsorted)
