"""Intervals of a period: quarter hours, hours, days, weeks or months of local time.

A time zone's offset from UTC is constant between two clock changes. A ``Segment`` is such a part
of a period. Within it, local time is UTC plus a number, so that a database can compute local
days, weekdays and hours with integers. ``split`` uses the same arithmetic for the edges.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from attrs import frozen

from basix_ws_cti._internal.arguments import check_choice, check_instance
from basix_ws_cti.exceptions import UsageError

from .period import Period, add_months

By = Literal["15min", "30min", "hour", "day", "week", "month"]
"""Length of the intervals of a report. Weeks start on Monday."""

MAX_INTERVALS = 400_000
"""Largest number of intervals of one report: eleven years of quarter hours."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# Lengths of the intervals that are parts of an hour, in microseconds of local time.
_SHORT: dict[str, int] = {"15min": 15 * MINUTE, "30min": 30 * MINUTE, "hour": HOUR}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The day of the epoch was a Thursday.
EPOCH_WEEKDAY = 3
"""Weekday of the epoch's first day; 0 is Monday."""


@frozen
class Interval:
    """Half-open interval: ``start`` belongs to it, ``end`` does not."""

    start: datetime
    """First moment, in the time zone of the period."""
    end: datetime
    """First moment after the interval, in the time zone of the period."""


@frozen
class Segment:
    """Part of a period in which the offset from UTC is constant. All times are microseconds."""

    start: int
    """Start, since the epoch."""
    end: int
    """End, since the epoch; not a part of the segment."""
    offset: int
    """Local time minus UTC."""


def split(period: Period, by: By | None) -> tuple[Interval, ...]:
    """Return the intervals of a period, in their order; ``by`` ``None``: one, the period itself.

    - The edges are those of local time. The first and the last interval may be shorter.
    - Where clocks are set forward, the intervals that no clock shows are left out. Where they are
      set back, the half hours that clocks show twice are two intervals. A part of an hour that is
      repeated alone, as in Australia/Lord_Howe, belongs to one hour of 90 minutes.

    Raise ``UsageError`` for more than ``MAX_INTERVALS`` intervals.
    """
    check_instance("period", period, Period, "a Period")
    if by is None:
        return (Interval(period.start, period.end),)
    starts = [*edges(period, by), period.end_us]
    moments = [moment(start, period.timezone) for start in starts]
    return tuple(map(Interval, moments, moments[1:]))


def edges(period: Period, by: By) -> list[int]:
    """Return the starts of the intervals, in microseconds since the epoch."""
    check_choice("by", by, ("15min", "30min", "hour", "day", "week", "month"))
    found: list[int] = []
    current: int | None = None
    for segment in segments(period):
        label = _label(segment.start + segment.offset, by)
        begins_here = label == segment.start + segment.offset and by in _SHORT
        if current is None or label > current or begins_here:
            found.append(segment.start)
            current = label
        for edge in _labels_after(label, segment.end + segment.offset, by):
            # A clock that is set back over midnight begins no second day.
            if edge > current or by in _SHORT:
                found.append(edge - segment.offset)
                current = edge
                if len(found) > MAX_INTERVALS:
                    raise UsageError(
                        f"the period has more than {MAX_INTERVALS} intervals: choose longer "
                        "intervals or a shorter period"
                    )
    return found


def index_of(starts: list[int], time: int) -> int:
    """Return the index of the interval that contains a time in microseconds."""
    return bisect_right(starts, time) - 1


def segments(period: Period) -> list[Segment]:
    """Return the segments of a period, in their order."""
    zone, end = period.timezone, period.end_us
    found: list[Segment] = []
    start = period.start_us
    while start < end:
        offset = _offset(start, zone)
        change = _next_change(start, end, offset, zone)
        found.append(Segment(start, change, offset))
        start = change
    return found


def moment(time: int, zone: ZoneInfo) -> datetime:
    """Return a time in microseconds since the epoch as local time."""
    return (_EPOCH + timedelta(microseconds=time)).astimezone(zone)


def _offset(time: int, zone: ZoneInfo) -> int:
    offset = moment(time, zone).utcoffset() or timedelta()
    return offset // timedelta(microseconds=1)


def _next_change(start: int, end: int, offset: int, zone: ZoneInfo) -> int:
    """Return the first time after ``start`` with another offset, or ``end`` if there is none."""
    # No two clock changes of a time zone lie within a day.
    before, after = start, min(start + DAY, end)
    while _offset(after, zone) == offset:
        if after == end:
            return end
        before, after = after, min(after + DAY, end)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return after


def _label(local: int, by: By) -> int:
    """Return the start of the interval that a local time lies in, in local microseconds."""
    if by in _SHORT:
        return local - local % _SHORT[by]
    day = local // DAY
    if by == "week":
        day -= (day + EPOCH_WEEKDAY) % 7
    elif by == "month":
        day -= (_EPOCH + timedelta(days=day)).day - 1
    return day * DAY


def _labels_after(label: int, end: int, by: By) -> Iterator[int]:
    """Yield the starts of the following intervals before ``end``, in local microseconds."""
    label = _following(label, by)
    while label < end:
        yield label
        label = _following(label, by)


def _following(label: int, by: By) -> int:
    if by == "month":
        day = add_months((_EPOCH + timedelta(microseconds=label)).date(), 1)
        return (day - _EPOCH.date()).days * DAY
    return label + (_SHORT.get(by) or (7 * DAY if by == "week" else DAY))
