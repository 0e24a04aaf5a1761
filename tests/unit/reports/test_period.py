"""Periods and the texts that describe them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from support.report_periods import BERLIN, period

from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.reports import Period
from basix_ws_cti.reports.period import add_months, midnight

TOKYO = ZoneInfo("Asia/Tokyo")

# Monday, 2026-11-30, 08:15 in Tokyo.
NOW = datetime(2026, 11, 29, 23, 15, tzinfo=UTC)


def parse(from_text, to_text=None, zone=TOKYO):
    found = Period.parse(from_text, to_text, zone, NOW)
    assert found.timezone is zone
    return f"{found.start:%Y-%m-%dT%H:%M} {found.end:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("from_text", "to_text", "expected"),
    [
        ("today", None, "2026-11-30T00:00 2026-12-01T00:00"),
        ("Yesterday", None, "2026-11-29T00:00 2026-11-30T00:00"),
        ("this-week", None, "2026-11-30T00:00 2026-12-07T00:00"),
        ("last-week", None, "2026-11-23T00:00 2026-11-30T00:00"),
        ("this-month", None, "2026-11-01T00:00 2026-12-01T00:00"),
        ("last-month", None, "2026-10-01T00:00 2026-11-01T00:00"),
        ("2026-11", None, "2026-11-01T00:00 2026-12-01T00:00"),
        ("2026-12", None, "2026-12-01T00:00 2027-01-01T00:00"),
        ("2024-02-29", None, "2024-02-29T00:00 2024-03-01T00:00"),
        (" 2026-11-30 ", None, "2026-11-30T00:00 2026-12-01T00:00"),
        # The end of what the second text describes.
        ("2026-11-01", "2026-11-30", "2026-11-01T00:00 2026-12-01T00:00"),
        ("2026-01", "2026-03", "2026-01-01T00:00 2026-04-01T00:00"),
        ("last-week", "yesterday", "2026-11-23T00:00 2026-11-30T00:00"),
        # Times are edges.
        ("2026-11-30T07:00", None, "2026-11-30T07:00 2026-11-30T08:15"),
        ("2026-11-29T22:00Z", None, "2026-11-30T07:00 2026-11-30T08:15"),
        ("2026-11-29", "2026-11-29T12:00:00+09:00", "2026-11-29T00:00 2026-11-29T12:00"),
        ("2026-11-29 09:30", "yesterday", "2026-11-29T09:30 2026-11-30T00:00"),
    ],
)
def test_text_describes_a_period(from_text, to_text, expected):
    assert parse(from_text, to_text) == expected


@pytest.mark.parametrize(
    ("from_text", "to_text", "problem"),
    [
        ("tomorrow", None, "from must be a date such as 2026-11-30, a month such as 2026-11"),
        ("today", "never", "to must be a date"),
        ("2026-02-30", None, "from: there is no 2026-02-30 in the calendar"),
        ("2026-13", None, "from: there is no 2026-13 in the calendar"),
        ("today", "1970-12", "to must lie in the years 1971 to 9998, got the year 1970"),
        ("9999-01-01T00:00", None, "from must lie in the years 1971 to 9998, got the year 9999"),
        ("2026-11-30", "2026-11-29", "the period is empty: its end 2026-11-30T00:00:00"),
        (None, None, "from must be a str, got None"),
        ("today", "", "to must be a date"),
        ("\uff12026-11", None, "from must be a date"),
    ],
)
def test_other_text_is_an_error(from_text, to_text, problem):
    with pytest.raises(UsageError, match=problem):
        parse(from_text, to_text)


@pytest.mark.parametrize(
    ("zone", "now", "problem"),
    [
        ("Asia/Tokyo", NOW, "timezone must be a ZoneInfo, got str"),
        (TOKYO, "now", "now must be a datetime, got str"),
        (TOKYO, NOW.replace(tzinfo=None), "now must have a time zone"),
    ],
)
def test_wrong_argument_of_parse_is_an_error(zone, now, problem):
    with pytest.raises(UsageError, match=problem):
        Period.parse("today", None, zone, now)


IN_BERLIN = datetime(2026, 1, 1, tzinfo=BERLIN)
NAIVE = IN_BERLIN.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("start", "end", "problem"),
    [
        (NAIVE, IN_BERLIN, "start must have a ZoneInfo as its time zone"),
        (IN_BERLIN, NOW, "end must have a ZoneInfo as its time zone"),
        (IN_BERLIN, NOW.astimezone(TOKYO), "start and end must have the same time zone"),
        ("today", IN_BERLIN, "start must be a datetime, got str"),
        (IN_BERLIN, IN_BERLIN, "the period is empty"),
        (datetime(1970, 12, 31, tzinfo=BERLIN), IN_BERLIN, "start must lie in the years"),
    ],
)
def test_period_that_cannot_work_is_an_error(start, end, problem):
    with pytest.raises(UsageError, match=problem):
        Period(start, end)


def test_times_in_microseconds_follow_the_clock_changes():
    day = period((2026, 3, 29), (2026, 3, 30))
    assert day.end_us - day.start_us == 23 * 3600 * 10**6
    assert day.start_us == 1774738800 * 10**6


def test_period_may_lie_within_a_repeated_hour():
    """Both ends show 02:30, which is the same to a comparison of local times."""
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=fold) for fold in (0, 1))
    assert Period(first, second).end_us - Period(first, second).start_us == 3600 * 10**6
    with pytest.raises(UsageError, match="the period is empty"):
        Period(second, first)


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("Asia/Tokyo", date(2026, 11, 30), "2026-11-30T00:00:00+09:00"),
        # Clocks go from 24:00 to 01:00.
        ("America/Santiago", date(2026, 9, 6), "2026-09-06T01:00:00-03:00"),
        # Clocks go back from 24:00 to 23:00: that is still the day before.
        ("America/Santiago", date(2026, 4, 5), "2026-04-05T00:00:00-04:00"),
        # Clocks go back from 01:00 to 00:00: the first midnight counts.
        ("America/Havana", date(2026, 11, 1), "2026-11-01T00:00:00-04:00"),
    ],
)
def test_midnight_is_the_first_moment_of_a_day(zone, day, expected):
    assert midnight(day, ZoneInfo(zone)).isoformat() == expected


@pytest.mark.parametrize(
    ("months", "expected"), [(0, "2026-11-01"), (2, "2027-01-01"), (-11, "2025-12-01")]
)
def test_months_are_added_across_years(months, expected):
    assert add_months(date(2026, 11, 30), months).isoformat() == expected
