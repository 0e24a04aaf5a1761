"""SQL of a selection: local time as integers, and the conditions that rows must meet.

Within a ``Segment`` the offset from UTC is constant. Local days, weekdays and hours are then
integer arithmetic, which every database computes alike: times are positive.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time
from typing import Any

from attrs import frozen
from sqlalchemy import BigInteger, ColumnElement, Integer, Label, and_, literal, or_

from .intervals import (
    DAY,
    EPOCH_WEEKDAY,
    HOUR,
    MINUTE,
    SECOND,
    By,
    Segment,
    edges,
    index_of,
    segments,
)
from .selection import Hours, Selection

STREAMED = {"yield_per": 1000}
"""Options of a query with many rows: PostgreSQL would send all of them at once."""

# Length of the buckets in which a database groups rows, in microseconds of local time. Weeks and
# months are made of days.
_BUCKETS: dict[By, int] = {
    "15min": 15 * MINUTE,
    "30min": 30 * MINUTE,
    "hour": HOUR,
    "day": DAY,
    "week": DAY,
    "month": DAY,
}


def in_segment(
    column: ColumnElement[Any], segment: Segment, selection: Selection
) -> ColumnElement[bool]:
    """Return the condition that a time lies in a segment, on selected weekdays and hours."""
    conditions = [column >= segment.start, column < segment.end]
    local = column + _integer(segment.offset)
    if selection.weekdays:
        conditions.append(weekday_of(local).in_(sorted(selection.weekdays)))
    if selection.hours is not None:
        conditions.append(_in_hours(local % _integer(DAY), selection.hours))
    return and_(*conditions)


def in_selection(column: ColumnElement[Any], selection: Selection) -> ColumnElement[bool]:
    """Return the condition that a time lies in the period, on selected weekdays and hours."""
    period = selection.period
    local_parts = Buckets.of(selection, None).segments
    return and_(
        column >= period.start_us,
        column < period.end_us,
        or_(*(in_segment(column, segment, selection) for segment in local_parts)),
    )


def label_all(*keys: ColumnElement[Any]) -> list[Label[Any]]:
    """Return columns with names by which a query can group its rows."""
    return [key.label(f"key{number}") for number, key in enumerate(keys)]


def names_of(labels: Iterable[Label[Any]]) -> list[str]:
    """Return the names of labels.

    PostgreSQL takes two expressions with parameters for different ones, even if they are equal.
    """
    return [label.name for label in labels]


def weekday_of(local: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the weekday of a local time in microseconds; 0 is Monday."""
    return (local // _integer(DAY) + EPOCH_WEEKDAY) % 7


def hour_of(local: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the hour of the day of a local time in microseconds."""
    return local % _integer(DAY) // _integer(HOUR)


@frozen
class Buckets:
    """Buckets of local time in which a database groups rows, and the intervals they belong to."""

    starts: list[int]
    """Starts of the intervals, in microseconds since the epoch."""
    length: int | None
    """Length of a bucket in microseconds; ``None``: one bucket for everything."""
    segments: list[Segment]
    """Parts of the period with a constant offset; a query is for one of them."""

    @classmethod
    def of(cls, selection: Selection, by: By | None) -> Buckets:
        """Return the buckets for intervals of a length."""
        period = selection.period
        if by is not None:
            return cls(edges(period, by), _BUCKETS[by], segments(period))
        is_utc_enough = not selection.weekdays and selection.hours is None
        start, end = period.start_us, period.end_us
        return cls([start], None, [Segment(start, end, 0)] if is_utc_enough else segments(period))

    def column(self, time_column: ColumnElement[Any], segment: Segment) -> ColumnElement[Any]:
        """Return the number of the bucket of a time."""
        if self.length is None:
            return literal(0, Integer)
        return (time_column + _integer(segment.offset)) // _integer(self.length)

    def interval_of(self, bucket: int, segment: Segment) -> int:
        """Return the index of the interval that a bucket of a segment belongs to."""
        if self.length is None:
            return 0
        # The first bucket of a segment may begin before it.
        start = max(bucket * self.length - segment.offset, segment.start)
        return index_of(self.starts, start)


def bounds_of(hours: Hours) -> tuple[int, int]:
    """Return hours as microseconds since midnight; the end of a day is that of 24 hours."""
    start, end = map(_microseconds, hours)
    return start, end or DAY


def _in_hours(time_of_day: ColumnElement[Any], hours: Hours) -> ColumnElement[bool]:
    start, end = bounds_of(hours)
    after, before = time_of_day >= _integer(start), time_of_day < _integer(end)
    return and_(after, before) if start < end else or_(after, before)


def _microseconds(clock: time) -> int:
    minutes = clock.hour * 60 + clock.minute
    return minutes * MINUTE + clock.second * SECOND + clock.microsecond


def _integer(value: int) -> ColumnElement[Any]:
    """Return a constant of 64 bits: PostgreSQL would take a small one as one of 32 bits."""
    return literal(value, BigInteger)
