"""Days, times and periods in words of the reader's language."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from basix_ws_cti._internal.translation import N_, _
from basix_ws_cti.reports.intervals import By
from basix_ws_cti.reports.period import Period

_MONTHS = (
    N_("January"),
    N_("February"),
    N_("March"),
    N_("April"),
    N_("May"),
    N_("June"),
    N_("July"),
    N_("August"),
    N_("September"),
    N_("October"),
    N_("November"),
    N_("December"),
)

_SHORT_MONTHS = (
    N_("Jan"),
    N_("Feb"),
    N_("Mar"),
    N_("Apr"),
    N_("May"),
    N_("Jun"),
    N_("Jul"),
    N_("Aug"),
    N_("Sep"),
    N_("Oct"),
    N_("Nov"),
    N_("Dec"),
)

_WEEKDAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))


def weekday_name(weekday: int) -> str:
    """Return the short name of a day of the week; 0 is Monday."""
    return _(_WEEKDAYS[weekday])


def day_name(moment: datetime) -> str:
    """Return a day with its month and year."""
    return _("{day} {month} {year}").format(
        day=moment.day, month=_(_MONTHS[moment.month - 1]), year=moment.year
    )


def weekday_and_day(moment: datetime) -> str:
    """Return a day with its weekday, month and year."""
    return _("{weekday} {date}").format(
        weekday=weekday_name(moment.weekday()), date=day_name(moment)
    )


def time_name(moment: datetime) -> str:
    """Return a day and a time of the day, to the minute."""
    return f"{day_name(moment)} {moment:%H:%M}"


def span_name(start: datetime, end: datetime) -> str:
    """Return two times, with the day of the second one only if it is another day."""
    last = _clock(end) if start.date() == end.date() else time_name(end)
    return _("{start} – {end}").format(start=time_name(start), end=last)


def period_name(period: Period) -> str:
    """Return a period: a month or a day where it is one, else its first and last day or moment."""
    start, end = period.start, period.end
    if not (_is_midnight(start) and _is_midnight(end)):
        return span_name(start, end)
    last = end - timedelta(days=1)
    if last.date() == start.date():
        return weekday_and_day(start)
    if start.day == 1 and end.day == 1 and (last.year, last.month) == (start.year, start.month):
        return _month_name(start)
    return _("{start} – {end}").format(start=day_name(start), end=day_name(last))


def hour_name(hour: int) -> str:
    """Return an hour of the day, 0 to 24, as a time."""
    return f"{hour:02}:00"


def interval_names(starts: Sequence[datetime], by: By) -> list[str]:
    """Return names of intervals for a table, by their starts.

    They have a date if the intervals are of several days, and a year if they are of several years.
    """
    has_year = len({start.year for start in starts}) > 1
    has_day = len({start.date() for start in starts}) > 1

    def name(start: datetime) -> str:
        if by == "month":
            return _short_month_and_year(start)
        day = day_name(start) if has_year else _short_day(start)
        if by == "week":
            return day
        day = _("{weekday} {date}").format(weekday=weekday_name(start.weekday()), date=day)
        if by == "day":
            return day
        return f"{day} {_clock(start)}" if has_day else _clock(start)

    return [name(start) for start in starts]


def axis_labels(starts: Sequence[datetime], by: By) -> list[str]:
    """Return short labels for the axis of a chart, by the starts of the intervals."""
    if not starts:
        return []
    first, last = starts[0], starts[-1]
    is_one_month = (first.year, first.month) == (last.year, last.month)
    if by == "month":
        if first.year == last.year:
            return [_(_SHORT_MONTHS[start.month - 1]) for start in starts]
        return [_short_month_and_year(start) for start in starts]
    if by == "day" and is_one_month:
        return [
            _("{weekday} {day}").format(weekday=weekday_name(start.weekday()), day=start.day)
            for start in starts
        ]
    if by in {"day", "week"}:
        return [_short_day(start) for start in starts]
    if first.date() == last.date():
        return [_clock(start) for start in starts]
    return [f"{_short_day(start)} {_clock(start)}" for start in starts]


def _month_name(moment: datetime) -> str:
    return _("{month} {year}").format(month=_(_MONTHS[moment.month - 1]), year=moment.year)


def _short_month_and_year(moment: datetime) -> str:
    return _("{month} {year}").format(month=_(_SHORT_MONTHS[moment.month - 1]), year=moment.year)


def _short_day(moment: datetime) -> str:
    return _("{day} {month}").format(day=moment.day, month=_(_SHORT_MONTHS[moment.month - 1]))


def _clock(moment: datetime) -> str:
    """Return the time of day; an hour that clocks show twice has its offset the second time."""
    return f"{moment:%H:%M %z}" if moment.fold else f"{moment:%H:%M}"


def _is_midnight(moment: datetime) -> bool:
    return moment.time() == datetime.min.time()
