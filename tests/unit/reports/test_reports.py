"""Reports: options, errors, gaps, names, bands."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from support.call_rows import queue_wait
from support.report_periods import AUTUMN, at, week
from support.report_rows import fill

from basix_ws_cti import Band, Thresholds
from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.exceptions import CallLogError, UsageError
from basix_ws_cti.reports import GapRow, NameRow, Reports

SECOND = 1_000_000


@pytest.fixture
def path(tmp_path):
    return fill(str(tmp_path / "calls.db"))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"thresholds": 20}, "thresholds must be a Thresholds, got int"),
        ({"wrap_up": -1}, "wrap_up must be a number of seconds, 0 or more, got -1"),
        ({"target": 80}, "target must be a number from 0 to 1, got 80"),
        ({"target": -0.1}, "target must be a number, 0 or more, got -0.1"),
        ({"target": "80%"}, "target must be a number, 0 or more, got str"),
    ],
)
def test_wrong_option_is_an_error(path, options, problem):
    with pytest.raises(UsageError, match=problem):
        Reports(path, **options)


def test_options_are_attributes(path):
    thresholds = Thresholds(service_level=30)
    reports = Reports(path, thresholds=thresholds, wrap_up=12, target=0.9)
    assert (reports.thresholds, reports.wrap_up, reports.target) == (thresholds, 12, 0.9)
    assert reports.name == path
    assert Reports(path).thresholds == Thresholds()


def test_file_that_is_no_call_log_is_an_error(tmp_path):
    with pytest.raises(CallLogError, match="no such file"):
        Reports(tmp_path / "missing.db")
    (tmp_path / "text.db").write_text("no database, but a long text" * 99, encoding="utf-8")
    with pytest.raises(CallLogError, match="file is not a database"):
        Reports(tmp_path / "text.db")


METHODS = [
    *("queues", "agents", "volumes", "heat_map", "wait_bands", "calls", "callbacks"),
    *("repeat_callers", "first_contact", "outbound", "numbers", "gaps"),
]


@pytest.mark.parametrize("method", METHODS)
def test_selection_of_another_type_is_an_error(path, method):
    with pytest.raises(UsageError, match="selection must be a Selection, got Period"):
        getattr(Reports(path), method)(AUTUMN)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_database_that_cannot_be_read_any_more_is_an_error(path, method):
    reports = Reports(path)
    with closing(sqlite3.connect(path)) as connection:
        for table in ("calls", "waits", "participations", "gaps", "names"):
            connection.execute(f"DROP TABLE {table}")
    with pytest.raises(CallLogError, match="no such table"):
        list(getattr(reports, method)(week()))


@pytest.mark.parametrize(
    ("method", "conditions", "problem"),
    [
        ("queues", {"users": {1}}, "queues cannot be limited to users: waits have none"),
        ("heat_map", {"users": {1}}, "heat_map cannot be limited to users"),
        ("wait_bands", {"users": {1}}, "wait_bands cannot be limited to users"),
        ("outbound", {"groups": {1}}, "outbound cannot be limited to groups: outgoing calls"),
    ],
)
def test_condition_that_does_not_apply_is_an_error(path, method, conditions, problem):
    with pytest.raises(UsageError, match=problem):
        getattr(Reports(path), method)(week(**conditions))


@pytest.mark.parametrize("method", ["queues", "agents", "volumes"])
def test_unknown_interval_is_an_error(path, method):
    with pytest.raises(UsageError, match="by must be '15min', '30min', 'hour', 'day'"):
        getattr(Reports(path), method)(week(), "year")


def test_by_group_must_be_a_bool(path):
    with pytest.raises(UsageError, match="by_group must be True or False, got str"):
        Reports(path).agents(week(), by_group="no")


def test_wait_bands_are_those_of_all_selected_queues(database):
    noon = at(2026, 10, 23, 12) // SECOND
    waits = [
        queue_wait("1", noon, 3, group_id=1),
        queue_wait("2", noon, 10, result="abandoned", group_id=2),
        queue_wait("3", noon, 99, group_id=3),
    ]
    reports = Reports(fill(database, waits=waits), thresholds=Thresholds(bands=[10]))
    assert reports.wait_bands(week(groups={1, 2})) == (
        Band(lower=0, upper=10 * SECOND, answered=1, abandoned=0),
        Band(lower=10 * SECOND, upper=None, answered=0, abandoned=1),
    )


def test_gaps_are_those_that_overlap_the_period(database):
    start, end = AUTUMN.start_us, AUTUMN.end_us
    gaps = [(start - 9, start), (start - 9, start + 1), (start + 5, start + 6), (end, end + 1)]
    fill(
        database,
        gaps=[{"started": one, "ended": other, "reason": "unknown"} for one, other in gaps],
    )
    first, second = Reports(database).gaps(week())
    assert first.start.isoformat() == "2026-10-21T23:59:59.999991+02:00"
    assert first.end.isoformat() == "2026-10-22T00:00:00.000001+02:00"
    assert isinstance(second, GapRow)
    assert second.reason == "unknown"


@pytest.mark.slow
def test_gaps_that_overlap_each_other_are_one(database):
    """Loggers that run side by side note the same outage."""
    start = AUTUMN.start_us
    gaps = [(1, 9, "b"), (2, 5, "a"), (8, 12, "a"), (12, 20, "c"), (30, 31, "a")]
    fill(
        database,
        gaps=[
            {"started": start + one, "ended": start + other, "reason": reason}
            for one, other, reason in gaps
        ],
    )
    found = [
        (to_microseconds(gap.start) - start, to_microseconds(gap.end) - start, gap.reason)
        for gap in Reports(database).gaps(week())
    ]
    assert found == [(1, 12, "b"), (12, 20, "c"), (30, 31, "a")]


def test_names_have_the_time_from_which_they_were_known(database):
    rows = [("user", 2, 9, "B", "2"), ("group", 1, 0, "G", None), ("user", 2, 3, "A", None)]
    keys = ("kind", "id", "since", "name", "extension")
    fill(database, names=[dict(zip(keys, row, strict=True)) for row in rows])
    names = Reports(database).names()
    assert [(one.kind, one.id, one.name, one.extension) for one in names] == [
        ("group", 1, "G", None),
        ("user", 2, "A", None),
        ("user", 2, "B", "2"),
    ]
    assert isinstance(names[0], NameRow)
    assert names[2].since.isoformat() == "1970-01-01T00:00:00.000009+00:00"
