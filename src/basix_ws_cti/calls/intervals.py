"""Arithmetic of intervals of time.

An interval is half-open: it contains ``started``, and not ``ended``. An interval that ends at or
before its start is empty.
"""

from __future__ import annotations

from collections.abc import Sequence

from .model import Interval


def duration(intervals: Sequence[Interval]) -> int:
    """Return for how long at least one interval lasts, in microseconds."""
    if not intervals:  # the usual case
        return 0
    total = 0
    counted_until: int | None = None
    for interval in sorted(intervals, key=_start):
        started, ended = interval.started, interval.ended
        if counted_until is not None and started < counted_until:
            started = counted_until
        if started < ended:
            total += ended - started
            counted_until = ended
    return total


def duration_outside(intervals: Sequence[Interval], others: Sequence[Interval]) -> int:
    """Return for how long at least one interval, and none of ``others``, lasts.

    In microseconds.
    """
    if not intervals:
        return 0
    return duration([*intervals, *others]) - duration(others)


def _start(interval: Interval) -> int:
    return interval.started
