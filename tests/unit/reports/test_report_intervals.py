"""Intervals of a period, on days of clock changes, too."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from support.report_periods import BERLIN, period

from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.reports import Period, intervals, split
from basix_ws_cti.reports.intervals import DAY, Segment, index_of, segments

ZONES = ("Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "America/Santiago")


def day(zone, *numbers):
    """Return the day of a date in a time zone."""
    start = datetime(*numbers, tzinfo=ZoneInfo(zone))
    return Period(start, start + timedelta(days=1))


def starts(found):
    return [one.start.strftime("%m-%d %H:%M") for one in found]


def minutes(found):
    return [(to_microseconds(one.end) - to_microseconds(one.start)) // 60_000_000 for one in found]


@pytest.mark.parametrize(
    ("zone", "date", "number"),
    [
        ("Europe/Berlin", (2026, 3, 29), 46),
        ("Europe/Berlin", (2026, 10, 25), 50),
        ("Australia/Lord_Howe", (2026, 10, 4), 47),
        ("Australia/Lord_Howe", (2026, 4, 5), 49),
        ("America/New_York", (2026, 3, 8), 46),
        ("America/New_York", (2026, 11, 1), 50),
        ("America/Santiago", (2026, 9, 6), 46),
        ("America/Havana", (2026, 11, 1), 50),
        ("Asia/Kathmandu", (2026, 11, 1), 48),
    ],
)
def test_day_of_a_clock_change_has_its_number_of_half_hours(zone, date, number):
    found = split(day(zone, *date), "30min")
    assert len(found) == number
    assert minutes(found) == [30] * number


@pytest.mark.parametrize(
    ("zone", "date", "expected"),
    [
        ("Europe/Berlin", (2026, 3, 29), {"00:00": 60, "01:00": 60, "03:00": 60}),
        ("Australia/Lord_Howe", (2026, 10, 4), {"00:00": 60, "01:00": 60, "02:30": 30}),
        # The repeated half hour belongs to the hour that it repeats.
        ("Australia/Lord_Howe", (2026, 4, 5), {"00:00": 60, "01:00": 90, "02:00": 60}),
        ("America/Santiago", (2026, 9, 6), {"01:00": 60, "02:00": 60, "03:00": 60}),
    ],
)
def test_hours_around_a_clock_change(zone, date, expected):
    found = split(day(zone, *date), "hour")[:3]
    assert dict(zip([text[6:] for text in starts(found)], minutes(found), strict=True)) == expected


def test_repeated_hour_is_two_intervals():
    found = split(day("Europe/Berlin", 2026, 10, 25), "hour")
    assert [one.start.isoformat() for one in found[2:4]] == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
    ]
    assert len(found) == 25


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("by", ["15min", "30min", "hour", "day", "week", "month"])
def test_intervals_cover_the_period_without_overlap(zone, by):
    whole = period((2026, 3, 5, 9, 7), (2026, 4, 6, 18, 1), ZoneInfo(zone))
    found = split(whole, by)
    assert (found[0].start, found[-1].end) == (whole.start, whole.end)
    assert all(one.end == other.start for one, other in itertools.pairwise(found))
    assert all(length > 0 for length in minutes(found)[1:])


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("day", ["02-27 12:00", "02-28 00:00", "03-01 00:00", "03-02 00:00"]),
        ("week", ["02-27 12:00", "03-02 00:00"]),  # a Monday
        ("month", ["02-27 12:00", "03-01 00:00"]),
        (None, ["02-27 12:00"]),
    ],
)
def test_first_and_last_interval_end_with_the_period(by, expected):
    found = split(period((2026, 2, 27, 12), (2026, 3, 2, 6)), by)
    assert starts(found) == expected
    assert found[-1].end == datetime(2026, 3, 2, 6, tzinfo=BERLIN)


def test_months_of_a_year():
    found = split(period((2026, 1, 1), (2027, 1, 1)), "month")
    assert [length // (24 * 60) for length in minutes(found)] == [
        *(31, 28, 30, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    ]
    assert starts(found)[::6] == ["01-01 00:00", "07-01 00:00"]


@pytest.mark.parametrize(
    ("zone", "first", "last", "hours"),
    [
        # At 24:00 of April 4th, it is 23:00 again.
        ("America/Santiago", (2026, 4, 4), (2026, 4, 6), [25, 24]),
        # A minute after midnight, it is 23:01 again: the second day has begun before.
        ("America/St_Johns", (2006, 10, 28), (2006, 10, 30), [24, 25]),
    ],
)
def test_clock_that_is_set_back_over_midnight_begins_no_second_day(zone, first, last, hours):
    found = split(period(first, last, ZoneInfo(zone)), "day")
    assert [length // 60 for length in minutes(found)] == hours
    assert {one.start.strftime("%H:%M") for one in found} == {"00:00"}


def test_day_that_no_clock_showed_is_left_out():
    """Samoa moved over the date line, and had no December 30th, 2011."""
    found = split(period((2011, 12, 29), (2012, 1, 1), ZoneInfo("Pacific/Apia")), "day")
    assert starts(found) == ["12-29 00:00", "12-31 00:00"]


def test_segments_end_at_clock_changes():
    year = period((2026, 1, 1), (2027, 1, 1))
    changes = [1774746000 * 10**6, 1792890000 * 10**6]
    edges = [year.start_us, *changes, year.end_us]
    hour = 3600 * 10**6
    assert segments(year) == [
        Segment(start, end, offset)
        for (start, end), offset in zip(
            itertools.pairwise(edges), [hour, 2 * hour, hour], strict=True
        )
    ]
    short = period((2026, 1, 1), (2026, 1, 1, 1))
    assert segments(short) == [Segment(short.start_us, short.end_us, hour)]


def test_period_may_start_and_end_at_a_clock_change():
    start = datetime(2026, 3, 29, 3, tzinfo=BERLIN)
    end = datetime(2026, 10, 25, 2, tzinfo=BERLIN, fold=1)
    assert [one.offset for one in segments(Period(start, end))] == [7200 * 10**6]


def test_index_of_a_time_is_that_of_its_interval():
    assert [index_of([10, 20, 30], time) for time in (10, 19, 20, 99)] == [0, 0, 1, 2]
    assert DAY == 86_400 * 10**6


@pytest.mark.parametrize(
    ("value", "by", "problem"),
    [
        (period((2026, 1, 1), (2026, 1, 2)), "year", "by must be '15min', '30min', 'hour'"),
        ("today", "day", "period must be a Period, got str"),
    ],
)
def test_wrong_argument_is_an_error(value, by, problem):
    with pytest.raises(UsageError, match=problem):
        split(value, by)


def test_too_many_intervals_are_an_error(monkeypatch):
    monkeypatch.setattr(intervals, "MAX_INTERVALS", 48)
    assert len(split(period((2026, 1, 1), (2026, 1, 3)), "hour")) == 48
    with pytest.raises(UsageError, match="more than 48 intervals: choose longer intervals"):
        split(period((2026, 1, 1), (2026, 1, 3, 1)), "hour")
