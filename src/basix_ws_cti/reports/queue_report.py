"""Rows of the queue report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.calls import QueueFigures, Thresholds
from basix_ws_cti.calls.figures import classes_of
from basix_ws_cti.calls.sums import AgentSums, DurationClasses, QueueSums

from .intervals import By, split
from .names import Names
from .queue_sums import SumsOfQueues, sums_of_queues
from .rows import QueueRow
from .selection import Selection


def queue_rows(
    connection: Connection,
    selection: Selection,
    by: By | None,
    *,
    thresholds: Thresholds,
    wrap_up: float,
) -> Iterator[QueueRow]:
    """Yield the rows of each interval: all queues together, and then each queue."""
    intervals = split(selection.period, by)
    classes = classes_of(thresholds)
    sums = sums_of_queues(connection, selection, by, classes)
    names = Names.read(connection)
    groups = sorted(selection.groups or sums.groups)

    def figures(waits: QueueSums, served: AgentSums) -> QueueFigures:
        waiting = waits.results[None]
        return QueueFigures.of_sums(
            waits,
            served,
            waiting=waiting,
            longest_wait=None if waiting else 0,
            thresholds=thresholds,
            wrap_up=wrap_up,
        )

    # Most quarter hours of a year have no rows: they share these figures.
    nothing = figures(QueueSums(classes=classes), AgentSums())
    for number, interval in enumerate(intervals):
        end = to_microseconds(interval.end)
        here = {group_id: _find(sums, number, group_id, classes) for group_id in groups}
        found = [pair for pair in here.values() if pair is not None]
        yield QueueRow(
            start=interval.start,
            end=interval.end,
            group_id=None,
            group_name=None,
            figures=figures(*_together(found, classes)) if found else nothing,
        )
        for group_id, pair in here.items():
            yield QueueRow(
                start=interval.start,
                end=interval.end,
                group_id=group_id,
                group_name=names.group(group_id, end),
                figures=nothing if pair is None else figures(*pair),
            )


def _find(
    sums: SumsOfQueues, interval: int, group_id: int, classes: DurationClasses
) -> tuple[QueueSums, AgentSums] | None:
    """Return the sums of a queue in an interval; ``None`` if it has no rows."""
    waits, served = sums.waits.get((interval, group_id)), sums.served.get((interval, group_id))
    if waits is None and served is None:
        return None
    return waits or QueueSums(group_id, classes=classes), served or AgentSums()


def _together(
    queues: Sequence[tuple[QueueSums, AgentSums]], classes: DurationClasses
) -> tuple[QueueSums, AgentSums]:
    return (
        QueueSums.together([waits for waits, _ in queues], classes),
        AgentSums.together(served for _, served in queues),
    )
