"""The queue report has the figures that Python computes from the same rows."""

from __future__ import annotations

from bisect import bisect_right
from datetime import time
from random import Random

import attrs
import pytest
from support.call_rows import participation, queue_wait
from support.report_periods import AUTUMN, at, selects, week
from support.report_rows import fill, random_participations, random_waits

from basix_ws_cti import QueueFigures, Thresholds, rows_in_period
from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.calls.figures import time_of
from basix_ws_cti.reports import Reports, Selection, split

THRESHOLDS = Thresholds(service_level=20, short_abandon=5, bands=(10, 20, 60))
OPTIONS = {"thresholds": THRESHOLDS, "wrap_up": 7.5}

SELECTIONS = [
    week(),
    week(weekdays={5, 6}),
    week(hours=(time(9), time(18, 7))),
    week(hours=(time(22), time(6, 30))),
    week(hours=(time(22, 15), time(0))),
    week(weekdays={0, 6}, hours=(time(1), time(3))),
]


def random_rows(number=800):
    """Return waits and participations in the week, and before and after it."""
    random, margin = Random(3), 10**10
    span = AUTUMN.start_us - margin, AUTUMN.end_us + margin
    return random_waits(random, number, *span), random_participations(random, number, *span)


def by_key(rows):
    """Return figures by start in microseconds and group: repeated local times are equal."""
    return {(to_microseconds(row.start), row.group_id): row.figures for row in rows}


def rows_by_interval(rows, starts):
    """Return the rows of the period by start of the interval that contains their time."""
    found = {}
    for row in rows_in_period(rows, AUTUMN.start_us, AUTUMN.end_us):
        start = starts[bisect_right(starts, time_of(row)) - 1]
        found.setdefault(start, []).append(row)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("by", [None, "15min", "30min", "hour", "day", "week", "month"])
def test_figures_of_each_interval_are_those_of_its_rows(database, by):
    waits, participations = random_rows()
    fill(database, waits=waits, participations=participations)
    found = by_key(Reports(database, **OPTIONS).queues(week(), by))
    starts = [to_microseconds(interval.start) for interval in split(AUTUMN, by)]
    assert len(found) == 5 * len(starts)
    parts = [rows_by_interval(part, starts) for part in (waits, participations)]
    for start in starts:
        rows = [part.get(start, []) for part in parts]
        for group_id in (None, 1, 2, 3, 4):
            expected = QueueFigures.of(*rows, group_id=group_id, **OPTIONS)
            assert found[start, group_id] == expected


@pytest.mark.slow
def test_weekdays_and_hours_select_rows_by_local_time(database):
    waits, participations = random_rows()
    fill(database, waits=waits, participations=participations)
    reports = Reports(database, **OPTIONS)
    for selection in SELECTIONS:
        rows = [
            [row for row in part if selects(selection, time_of(row))]
            for part in (waits, participations)
        ]
        found = by_key(reports.queues(selection))
        assert found[AUTUMN.start_us, None] == QueueFigures.of(*rows, **OPTIONS)
        for group_id in (1, 2, 3, 4):
            expected = QueueFigures.of(*rows, group_id=group_id, **OPTIONS)
            assert found[AUTUMN.start_us, group_id] == expected


@pytest.mark.slow
@pytest.mark.parametrize("conditions", [{}, {"weekdays": {1, 6}, "hours": (time(2), time(17))}])
@pytest.mark.parametrize("by", ["hour", "day", "week"])
def test_intervals_add_up_to_the_period_and_queues_to_all_queues(database, by, conditions):
    waits, participations = random_rows()
    fill(database, waits=waits, participations=participations)
    reports = Reports(database, **OPTIONS)
    selection = week(**conditions)
    (total,) = (one.figures for one in reports.queues(selection) if one.group_id is None)
    intervals = reports.queues(selection, by)
    for name in ("offered", "answered", "abandoned", "overflowed_in", "handled", "talked", "held"):
        in_all_queues = [getattr(one.figures, name) for one in intervals if one.group_id is None]
        in_each_queue = [getattr(one.figures, name) for one in intervals if one.group_id]
        assert sum(in_all_queues) == sum(in_each_queue) == getattr(total, name)
    assert total.offered > 20


@pytest.mark.slow
def test_selected_groups_are_the_queues_of_the_report(database):
    waits, participations = random_rows(150)
    fill(
        database,
        waits=waits,
        participations=participations,
        names=[{"kind": "group", "id": 2, "since": 0, "name": "Sales", "extension": None}],
    )
    reports = Reports(database, **OPTIONS)
    everything = by_key(reports.queues(week()))
    rows = reports.queues(week(groups={2, 3, 77}))
    assert [(row.group_id, row.group_name) for row in rows] == [
        *[(None, None), (2, "Sales"), (3, None), (77, None)]
    ]
    total, second, third, missing = (row.figures for row in rows)
    assert second == everything[AUTUMN.start_us, 2]
    assert third == everything[AUTUMN.start_us, 3]
    assert missing == QueueFigures.of([], thresholds=THRESHOLDS)
    for name in ("offered", "overflowed_in", "transferred_in", "talked", "transferred_out"):
        assert getattr(total, name) == getattr(second, name) + getattr(third, name) > 0


def test_call_log_without_rows_gives_zeros_and_empty_rates(database):
    reports = Reports(fill(database))
    nothing = QueueFigures.of([])
    assert nothing.offered == 0
    assert nothing.abandon_rate is None
    assert [row.figures for row in reports.queues(week())] == [nothing]
    assert [row.figures for row in reports.queues(week(), "day")] == [nothing] * 7
    assert [row.figures for row in reports.queues(week(groups={5}))] == [nothing] * 2


def test_queue_is_listed_if_only_overflows_or_talk_concern_it(database):
    entered = at(2026, 10, 22, 9) // 10**6
    fill(
        database,
        waits=[queue_wait(entered=entered, result="overflowed", next_group_id=2)],
        participations=[participation(offered=entered, group_id=3, talked=40)],
    )
    rows = Reports(database).queues(week())
    assert [row.group_id for row in rows] == [None, 1, 2, 3]
    assert [row.figures.offered for row in rows] == [1, 1, 0, 0]
    assert [row.figures.overflowed_in for row in rows] == [1, 0, 1, 0]
    assert [row.figures.talked for row in rows] == [40_000_000, 0, 0, 40_000_000]


def test_row_has_the_edges_of_its_interval_in_local_time(database):
    rows = Reports(fill(database)).queues(week(), "day")
    assert [row.start.isoformat() for row in rows][3:5] == [
        "2026-10-25T00:00:00+02:00",
        "2026-10-26T00:00:00+01:00",
    ]
    assert [row.end for row in rows][:-1] == [row.start for row in rows][1:]


def test_name_is_the_last_one_within_the_interval(database):
    day = [at(2026, 10, number) for number in (21, 23, 25)]
    fill(
        database,
        names=[
            {"kind": "group", "id": 1, "since": since, "name": name, "extension": None}
            for since, name in zip(day, ["Old", "New", "Newest"], strict=True)
        ],
    )
    rows = Reports(database).queues(week(groups={1}), "day")
    names = [row.group_name for row in rows if row.group_id == 1]
    assert names == ["Old", "New", "New", *["Newest"] * 4]


def test_selection_stays_as_it_is():
    assert attrs.evolve(week(groups=[3]), weekdays=()) == Selection(period=AUTUMN, groups={3})
