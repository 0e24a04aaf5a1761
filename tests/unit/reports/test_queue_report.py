"""The queue report: the same figures as those of the rows in Python."""

from __future__ import annotations

from datetime import datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest
from support.report_rows import fill, random_participations, random_waits

from basix_ws_cti import QueueFigures, Thresholds, rows_in_period
from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.reports import Period, Reports, Selection, split

BERLIN = ZoneInfo("Europe/Berlin")
THRESHOLDS = Thresholds(service_level=20, short_abandon=5, bands=(10, 20, 60))


def period(first, last, zone=BERLIN):
    return Period(datetime(*first, tzinfo=zone), datetime(*last, tzinfo=zone))


# A week in which clocks are set back.
AUTUMN = period((2026, 10, 22), (2026, 10, 29))


@pytest.fixture
def rows():
    random = Random(3)
    start, end = AUTUMN.start_us - 10**10, AUTUMN.end_us + 10**10
    return (
        random_waits(random, 3000, start, end),
        random_participations(random, 3000, start, end),
    )


def expected(rows, interval):
    return tuple(
        [*rows_in_period(part, to_microseconds(interval.start), to_microseconds(interval.end))]
        for part in rows
    )


@pytest.mark.slow
@pytest.mark.parametrize("by", [None, "15min", "30min", "hour", "day", "week", "month"])
def test_figures_are_those_of_the_rows(database, rows, by):
    fill(database, waits=rows[0], participations=rows[1])
    reports = Reports(database, thresholds=THRESHOLDS, wrap_up=7.5)
    found = {
        (to_microseconds(row.start), row.group_id): row.figures
        for row in reports.queues(Selection(period=AUTUMN), by)
    }
    intervals = split(AUTUMN, by)
    assert len(found) == 5 * len(intervals)
    for interval in intervals:
        waits, participations = expected(rows, interval)
        for group_id in (None, 1, 2, 3, 4):
            assert found[to_microseconds(interval.start), group_id] == QueueFigures.of(
                waits, participations, group_id=group_id, thresholds=THRESHOLDS, wrap_up=7.5
            )
