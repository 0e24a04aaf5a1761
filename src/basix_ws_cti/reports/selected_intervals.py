"""Intervals that a report shows: those with a time of day and a weekday that are selected."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Protocol, TypeVar

from .intervals import By
from .selection import Hours, Selection


class InInterval(Protocol):
    """Row of an interval."""

    @property
    def start(self) -> datetime:
        """First moment of the interval."""

    @property
    def end(self) -> datetime:
        """First moment after the interval."""


R = TypeVar("R", bound=InInterval)


def selected_rows(rows: Iterable[R], by: By | None, selection: Selection) -> tuple[R, ...]:
    """Return the rows without those of intervals that have no selected time.

    Every week and month has one. ``by`` ``None``: the interval is the period.
    """
    return tuple(row for row in rows if is_selected(row, by, selection))


def is_selected(row: InInterval, by: By | None, selection: Selection) -> bool:
    """Return False for the row of an interval without any selected weekday or time of day."""
    if by in {None, "week", "month"}:
        return True
    if selection.weekdays and row.start.weekday() not in selection.weekdays:
        return False
    if by == "day" or selection.hours is None:
        return True
    # In UTC, because the subtraction would ignore a clock change that ends the interval.
    last_moment = row.end.astimezone(UTC) - timedelta.resolution
    first, last = row.start.time(), last_moment.astimezone(row.end.tzinfo).time()
    return (
        _is_within(first, selection.hours)
        or _is_within(last, selection.hours)
        or first <= selection.hours[0] <= last
    )


def _is_within(moment: time, hours: Hours) -> bool:
    start, end = hours
    return start <= moment < end if start < end else moment >= start or moment < end
