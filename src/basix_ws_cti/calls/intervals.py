"""Arithmetic of intervals of time.

An interval is half-open: it contains ``started``, and not ``ended``. An interval that ends at or
before its start is empty.
"""

from __future__ import annotations

from collections.abc import Iterable

from .model import Interval


def union(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Return the times that lie in at least one interval.

    The result is in order of time, without empty intervals. Intervals that overlap or touch are
    one interval.
    """
    merged: list[Interval] = []
    for interval in sorted(intervals, key=_start):
        if interval.ended <= interval.started:
            continue
        if merged and interval.started <= merged[-1].ended:
            before = merged.pop()
            ended = max(before.ended, interval.ended)
            merged.append(Interval(started=before.started, ended=ended))
        else:
            merged.append(interval)
    return tuple(merged)


def duration(intervals: Iterable[Interval]) -> int:
    """Return the length of the union of intervals, in microseconds."""
    return sum(interval.ended - interval.started for interval in union(intervals))


def duration_outside(intervals: Iterable[Interval], others: Iterable[Interval]) -> int:
    """Return for how long at least one interval, and none of ``others``, lasts.

    In microseconds.
    """
    others = tuple(others)
    return duration((*intervals, *others)) - duration(others)


def _start(interval: Interval) -> int:
    return interval.started
