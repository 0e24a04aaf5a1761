"""Waits by weekday and hour."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, time
from random import Random

import pytest
from support.call_rows import queue_wait
from support.report_periods import AUTUMN, BERLIN, at, period, selects, week
from support.report_rows import fill, random_waits

from basix_ws_cti.reports import Reports, Selection


def cells(database, selection):
    return {
        (cell.weekday, cell.hour): (cell.offered, cell.answered, cell.abandoned)
        for cell in Reports(database).heat_map(selection)
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"weekdays": {0, 6}, "hours": (time(1, 30), time(4))},
        {"hours": (time(22), time(6)), "groups": {2, 3}},
    ],
)
def test_cells_have_the_waits_of_their_hours(database, conditions):
    waits = random_waits(Random(5), 1500, AUTUMN.start_us - 10**10, AUTUMN.end_us + 10**10)
    fill(database, waits=waits)
    selection = week(**conditions)
    expected = Counter()
    for wait in waits:
        is_selected = not selection.groups or wait.group_id in selection.groups
        if is_selected and wait.purpose == "call" and selects(selection, wait.entered):
            local = datetime.fromtimestamp(wait.entered / 1e6, BERLIN)
            for name in ("offered", wait.result):
                expected[local.weekday(), local.hour, name] += 1
    found = cells(database, selection)
    assert {
        (*hour, name): number
        for hour, numbers in found.items()
        for name, number in zip(("offered", "answered", "abandoned"), numbers, strict=True)
        if number
    } == {
        key: number
        for key, number in expected.items()
        if key[2] in {"offered", "answered", "abandoned"}
    }


def test_repeated_hour_counts_in_one_cell(database):
    fill(
        database,
        waits=[queue_wait(entered=at(2026, 10, 25, 2, 30, fold=fold) // 10**6) for fold in (0, 1)],
    )
    assert cells(database, week())[6, 2] == (2, 2, 0)


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (None, [*range(24)]),
        ((time(9), time(12)), [9, 10, 11]),
        ((time(9, 30), time(12, 1)), [9, 10, 11, 12]),
        ((time(22), time(0)), [22, 23]),
        ((time(22, 59), time(2)), [0, 1, 22, 23]),
        ((time(0), time(0, 0, 1)), [0]),
    ],
)
def test_each_selected_hour_has_a_cell(database, hours, expected):
    found = cells(fill(database), week(hours=hours, weekdays={2, 4}))
    assert [*found] == [(weekday, hour) for weekday in (2, 4) for hour in expected]
    assert {*found.values()} == {(0, 0, 0)}


def test_cells_are_in_the_zone_of_the_period(database):
    """It is Monday in Germany, and Tuesday in Japan."""
    fill(database, waits=[queue_wait(entered=at(2026, 10, 26, 20) // 10**6)])
    tokyo = period((2026, 10, 26), (2026, 10, 28), zone=type(BERLIN)("Asia/Tokyo"))
    assert cells(database, Selection(period=tokyo))[1, 4] == (1, 1, 0)
