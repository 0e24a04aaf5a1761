"""Description of a report."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest
from support.report_rows import fill

from basix_ws_cti import Thresholds
from basix_ws_cti.reports import GapRow, Period, Reports, Selection
from basix_ws_cti.reports.about import About

TOKYO = ZoneInfo("Asia/Tokyo")


def moment(*parts):
    return datetime(*parts, tzinfo=TOKYO)


DAY = Period(moment(2026, 11, 30), moment(2026, 12, 1))


@pytest.fixture
def about(tmp_path):
    """Return a function that describes a report of a selection."""
    thresholds = Thresholds(service_level=15, short_abandon=3, bands=(10, 30))
    database = fill(tmp_path / "calls.db")
    reports = Reports(database, thresholds=thresholds, wrap_up=12.5, target=0.9)

    def describe(period=DAY, by=None, gaps=(), **conditions):
        selection = Selection(period=period, **conditions)
        names = {("group", 1): "営業", ("user", 11): "佐藤"}
        return About(reports=reports, selection=selection, by=by, names=names, gaps=gaps)

    return describe


def test_lines_describe_selection_and_definitions(about):
    selected = {"weekdays": {4, 0}, "hours": (time(9), time(0)), "groups": {2, 1}, "users": {11}}
    lines = dict(about(by="30min", **selected).lines())
    assert lines.pop("Database").endswith("calls.db")
    assert lines == {
        "Period": "2026-11-30",
        "Time zone": "Asia/Tokyo",
        "Interval": "30 minutes",
        "Days of the week": "Mon, Fri",
        "Hours": "09:00 – 00:00",
        "Queues": "営業, 2",
        "Agents": "佐藤",
        "Service level": "90% of calls answered within 15 s",
        "Short abandons": "3 s",
        "Wrap-up": "12.5 s",
    }


def test_members_are_for_programs(about):
    members = about(hours=(time(9), time(18)), groups={1}).members()
    assert members.pop("database").endswith("calls.db")
    assert members == {
        "from": "2026-11-30T00:00:00+09:00",
        "to": "2026-12-01T00:00:00+09:00",
        "timezone": "Asia/Tokyo",
        "by": None,
        "weekdays": [],
        "hours": ["09:00", "18:00"],
        "groups": [1],
        "users": [],
        "service_level_seconds": 15,
        "target": 0.9,
        "short_abandon_seconds": 3,
        "band_seconds": [10, 30],
        "wrap_up_seconds": 12.5,
        "gaps": [],
    }


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        ((2026, 11, 30), (2026, 12, 1), "2026-11-30"),
        ((2026, 11, 1), (2026, 12, 1), "2026-11-01 – 2026-11-30"),
        ((2026, 11, 30, 9), (2026, 12, 1), "2026-11-30 09:00 – 2026-12-01 00:00"),
        ((2026, 11, 30), (2026, 11, 30, 12, 30), "2026-11-30 00:00 – 2026-11-30 12:30"),
    ],
)
def test_period_is_shown_by_its_last_day_or_its_end(about, start, end, text):
    assert about(Period(moment(*start), moment(*end))).period_text() == text


def test_gaps_count_within_the_period_only(about):
    assert about().gap_warning() is None
    gaps = [
        GapRow(start=moment(2026, 11, 29, 23), end=moment(2026, 11, 30, 0, 0, 30), reason="x"),
        GapRow(start=moment(2026, 11, 30, 9), end=moment(2026, 11, 30, 9, 1), reason="x"),
    ]
    described = about(gaps=gaps)
    assert described.gap_warning() == (
        "the feed was interrupted for 1:30 in this period: calls may be missing"
    )
    assert dict(described.lines())["Gaps in the feed"] == described.gap_warning()
    assert [gap["from"] for gap in described.members()["gaps"]] == [
        *("2026-11-29T23:00:00+09:00", "2026-11-30T09:00:00+09:00")
    ]
