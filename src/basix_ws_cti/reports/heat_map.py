"""Waits by weekday and hour of local time."""

from __future__ import annotations

from collections import Counter, defaultdict

from sqlalchemy import Connection, func, select

from basix_ws_cti.calllog.schema import WAITS
from basix_ws_cti.calls.tallies import COUNTED_PURPOSE

from .conditions import bounds_of, hour_of, in_segment, label_all, names_of, weekday_of
from .intervals import HOUR, segments
from .rows import HeatCell
from .selection import Hours, Selection

_C = WAITS.c


def heat_cells(connection: Connection, selection: Selection) -> list[HeatCell]:
    """Return a cell for each selected weekday and hour, with the waits that began in it."""
    results: defaultdict[tuple[int, int], Counter[str | None]] = defaultdict(Counter)
    for segment in segments(selection.period):
        local = _C.entered + segment.offset
        keys = label_all(weekday_of(local), hour_of(local), _C.result)
        query = (
            select(*keys, func.count().label("number"))
            .where(in_segment(_C.entered, segment, selection), _C.purpose == COUNTED_PURPOSE)
            .group_by(*names_of(keys))
        )
        if selection.groups:
            query = query.where(_C.group_id.in_(sorted(selection.groups)))
        for row in connection.execute(query):
            weekday, hour, result, number = tuple(row)
            results[weekday, hour][result] += number
    return [
        HeatCell(
            weekday=weekday,
            hour=hour,
            offered=results[weekday, hour].total(),
            answered=results[weekday, hour]["answered"],
            abandoned=results[weekday, hour]["abandoned"],
        )
        for weekday in sorted(selection.weekdays or range(7))
        for hour in range(24)
        if selection.hours is None or _overlaps(hour, selection.hours)
    ]


def _overlaps(hour: int, hours: Hours) -> bool:
    """Return True if an hour of the day has a part within the selected hours."""
    start, end = bounds_of(hours)
    is_before_end, is_after_start = hour * HOUR < end, (hour + 1) * HOUR > start
    if start < end:
        return is_before_end and is_after_start
    return is_before_end or is_after_start
