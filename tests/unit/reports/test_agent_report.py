"""The agent report has the figures that Python computes from the same rows."""

from __future__ import annotations

from datetime import time
from random import Random

import pytest
from support.call_rows import SECOND, participation
from support.report_periods import AUTUMN, selects, week
from support.report_rows import fill, random_participations

from basix_ws_cti import AgentFigures, rows_in_period
from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.calls.figures import time_of
from basix_ws_cti.reports import Reports, split

NOTHING = AgentFigures.of([])


def random_rows(number=800):
    margin = 10**10
    span = AUTUMN.start_us - margin, AUTUMN.end_us + margin
    return random_participations(Random(4), number, *span)


def key_of(row):
    return to_microseconds(row.start), row.user_id, row.group_id


@pytest.mark.slow
@pytest.mark.parametrize("by", [None, "hour", "day", "month"])
def test_figures_of_each_interval_are_those_of_its_rows(database, by):
    participations = random_rows()
    fill(database, participations=participations)
    rows = Reports(database, wrap_up=3).agents(week(), by)
    found = {key_of(row): row.figures for row in rows}
    for interval in split(AUTUMN, by):
        span = to_microseconds(interval.start), to_microseconds(interval.end)
        counted = [*rows_in_period(participations, *span)]
        for user_id in (None, *range(11, 17)):
            expected = AgentFigures.of(counted, user_id=user_id, wrap_up=3)
            assert found.pop((span[0], user_id, None)) == expected
    assert not found


@pytest.mark.slow
def test_figures_by_queue_are_those_of_the_rows(database):
    participations = random_rows()
    fill(database, participations=participations)
    rows = Reports(database).agents(week(), by_group=True)
    counted = [*rows_in_period(participations, AUTUMN.start_us, AUTUMN.end_us)]
    expected = AgentFigures.by_agent_and_group(counted)
    assert rows[0].figures == AgentFigures.of(counted)
    assert [(row.user_id, row.group_id) for row in rows[1:]] == [*expected]
    assert [row.figures for row in rows[1:]] == [*expected.values()]


@pytest.mark.slow
def test_selection_limits_the_rows(database):
    participations = random_rows()
    fill(database, participations=participations)
    selection = week(
        weekdays={0, 1, 6}, hours=(time(8), time(20)), groups={1, 3}, users={12, 14, 99}
    )
    rows = Reports(database).agents(selection)
    counted = [
        row
        for row in participations
        if selects(selection, time_of(row)) and row.group_id in {1, 3} and row.user_id in {12, 14}
    ]
    assert [row.user_id for row in rows] == [None, 12, 14, 99]
    assert rows[0].figures == AgentFigures.of(counted)
    assert rows[2].figures == AgentFigures.of(counted, user_id=14) != NOTHING
    assert rows[3].figures == NOTHING


def test_rows_have_names_and_extensions(database):
    fill(
        database,
        participations=[participation(offered=AUTUMN.start_us // SECOND, group_id=1)],
        names=[
            {"kind": "user", "id": 11, "since": 0, "name": "Sato", "extension": "1001"},
            {"kind": "group", "id": 1, "since": 0, "name": "Sales", "extension": None},
        ],
    )
    rows = Reports(database).agents(week(users={11}), by_group=True)
    assert [(row.user_name, row.extension, row.group_name) for row in rows] == [
        (None, None, None),
        ("Sato", "1001", "Sales"),
    ]


def test_call_log_without_rows_gives_zeros(database):
    reports = Reports(fill(database))
    assert [row.figures for row in reports.agents(week(), "day")] == [NOTHING] * 7
    assert [row.figures for row in reports.agents(week(users={1}))] == [NOTHING] * 2
    assert [row.user_id for row in reports.agents(week(users={1}), by_group=True)] == [None]
