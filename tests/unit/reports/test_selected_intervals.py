"""Intervals that a report shows."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from basix_ws_cti.reports import Period, Selection, split
from basix_ws_cti.reports.selected_intervals import selected_rows

TOKYO = ZoneInfo("Asia/Tokyo")
WEEK = Period(datetime(2026, 11, 30, tzinfo=TOKYO), datetime(2026, 12, 7, tzinfo=TOKYO))


def shown(by, period=WEEK, **conditions):
    selection = Selection(period=period, **conditions)
    return [row.start for row in selected_rows(split(period, by), by, selection)]


@pytest.mark.parametrize(
    ("by", "hours", "number", "first"),
    [
        ("hour", (time(9), time(18)), 63, 9),
        ("30min", (time(9), time(18)), 126, 9),
        ("hour", (time(9, 15), time(9, 45)), 7, 9),  # within one hour
        ("hour", (time(9, 30), time(10, 30)), 14, 9),
        ("hour", (time(22), time(2)), 28, 0),  # over midnight
        ("hour", (time(22), time(0)), 14, 22),
        ("hour", None, 168, 0),
        ("day", (time(9), time(18)), 7, 0),
        ("week", (time(9), time(18)), 1, 0),
        (None, (time(9), time(18)), 1, 0),
    ],
)
def test_intervals_without_selected_hours_are_left_out(by, hours, number, first):
    starts = shown(by, hours=hours)
    assert len(starts) == number
    assert starts[0].hour == first


@pytest.mark.parametrize(("by", "number"), [("day", 5), ("hour", 120), ("week", 1), ("month", 2)])
def test_intervals_without_selected_weekdays_are_left_out(by, number):
    assert len(shown(by, weekdays=range(5))) == number


def test_hour_that_clocks_show_twice_is_shown_twice():
    berlin = ZoneInfo("Europe/Berlin")
    day = Period(datetime(2026, 10, 25, tzinfo=berlin), datetime(2026, 10, 26, tzinfo=berlin))
    starts = shown("hour", period=day, hours=(time(2), time(3)))
    assert [f"{start:%H:%M%z}" for start in starts] == ["02:00+0200", "02:00+0100"]


@pytest.mark.parametrize(
    ("date", "hours", "shown_hours"),
    [
        # 01:00 to 02:00 comes twice.
        ((2026, 11, 1), (time(1, 30), time(2, 30)), ["01:00-0400", "01:00-0500", "02:00-0500"]),
        # After 01:59 comes 03:00.
        ((2026, 3, 8), (time(2, 30), time(3, 30)), ["03:00-0400"]),
    ],
)
def test_interval_that_ends_with_a_clock_change_has_the_times_before_it(date, hours, shown_hours):
    start = datetime(*date, tzinfo=ZoneInfo("America/New_York"))
    starts = shown("hour", period=Period(start, start + timedelta(days=1)), hours=hours)
    assert [f"{start:%H:%M%z}" for start in starts] == shown_hours
