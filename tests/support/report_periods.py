"""Periods and selections of reports."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.reports import Period, Selection

BERLIN = ZoneInfo("Europe/Berlin")


def period(first, last, zone=BERLIN):
    """Return a period of local time; ``first`` and ``last`` are arguments of ``datetime``."""
    return Period(datetime(*first, tzinfo=zone), datetime(*last, tzinfo=zone))


# A week in which clocks are set back on Sunday: half hours 02:00 to 03:00 come twice.
AUTUMN = period((2026, 10, 22), (2026, 10, 29))


def at(*arguments, zone=BERLIN, fold=0):
    """Return a local time in microseconds since the epoch."""
    return to_microseconds(datetime(*arguments, tzinfo=zone, fold=fold))


def selects(selection, time):
    """Return True if a time in microseconds is on the selected weekdays and hours."""
    period = selection.period
    if time is None or not period.start_us <= time < period.end_us:
        return False
    local = datetime.fromtimestamp(time / 1e6, period.timezone)
    if selection.weekdays and local.weekday() not in selection.weekdays:
        return False
    if selection.hours is None:
        return True
    start, end = selection.hours
    clock = local.time()
    if not end.hour and not end.minute:
        return start <= clock
    return start <= clock < end if start < end else clock >= start or clock < end


def week(**conditions):
    """Return a selection of the week in autumn."""
    return Selection(period=AUTUMN, **conditions)
