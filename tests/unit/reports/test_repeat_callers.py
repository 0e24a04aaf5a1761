"""Numbers that called several times, and callers who did not need to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.call_rows import queue_wait
from support.report_periods import AUTUMN, at, week
from support.report_rows import call_record, fill, unanswered

from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.reports import FirstContactRow, RepeatCallerRow, Reports, repeat_callers

DAY = 86_400_000_000
NOON = at(2026, 10, 23, 12)


def from_number(number, call_id, started, make=call_record, **columns):
    return make(call_id, started, caller_number_normalised=number, **columns)


@pytest.fixture
def reports(database):
    calls = [
        from_number("01", "1", NOON, caller_name="Sato"),
        from_number("01", "2", NOON + 1, unanswered, caller_name="Ito"),
        from_number("01", "3", NOON + 2, unanswered, caller_name=None),
        from_number("02", "4", NOON - 5),
        from_number("02", "5", NOON - 4),
        from_number("02", "6", NOON + DAY, caller_name="Abe"),
        from_number("02", "7", AUTUMN.end_us),
        from_number("03", "8", NOON),
        from_number("03", "9", NOON + 9, unanswered),
        # None of these is a call from outside with a number.
        from_number("03", "10", NOON, purpose="service"),
        from_number("03", "11", NOON, direction="internal"),
        *(from_number(None, f"anonymous {n}", NOON) for n in range(4)),
    ]
    return Reports(fill(database, calls=calls, waits=[queue_wait("8", group_id=4)]))


def test_numbers_with_enough_calls_are_listed(reports):
    rows = reports.repeat_callers(week())
    assert [(row.number, row.calls, row.answered, row.name) for row in rows] == [
        ("02", 3, 3, "Abe"),
        ("01", 3, 1, "Ito"),
    ]
    assert rows[1] == RepeatCallerRow(
        number="01", name="Ito", calls=3, answered=1, first=rows[1].first, last=rows[1].last
    )
    assert rows[0].first.isoformat() == "2026-10-23T11:59:59.999995+02:00"
    assert rows[0].last.isoformat() == "2026-10-24T12:00:00+02:00"


def test_selection_and_number_of_calls_limit_the_list(reports):
    assert [row.number for row in reports.repeat_callers(week(), 2)] == ["02", "01", "03"]
    assert [row.number for row in reports.repeat_callers(week(weekdays={4}))] == ["01"]
    assert reports.repeat_callers(week(groups={4}), 2) == ()
    assert reports.repeat_callers(week(), 4) == ()


@pytest.mark.slow
def test_names_of_many_numbers_are_found_in_parts(reports, monkeypatch):
    monkeypatch.setattr(repeat_callers, "MAX_VARIABLES", 1)
    assert [row.name for row in reports.repeat_callers(week())] == ["Abe", "Ito"]


@pytest.mark.parametrize(("microseconds", "resolved"), [(1, 1), (8, 1), (9, 0)])
def test_caller_who_does_not_call_again_is_resolved(reports, microseconds, resolved):
    """Numbers 01 and 02 call again after 1 µs, number 03 after 9 µs."""
    found = reports.first_contact(week(), timedelta(microseconds=microseconds))
    assert found == FirstContactRow(callers=3, resolved=resolved, rate=resolved / 3)


def test_calls_after_the_period_count_against_resolution(reports):
    """Number 02 calls on Saturday, and again after the end of the period."""
    saturday = week(weekdays={5})
    assert reports.first_contact(saturday, timedelta(days=4)).resolved == 1
    assert reports.first_contact(saturday, timedelta(days=5)).resolved == 0


def test_no_callers_have_no_rate(database):
    found = Reports(fill(database)).first_contact(week())
    assert found == FirstContactRow(callers=0, resolved=0, rate=None)


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda one: one.repeat_callers(week(), 1), "at_least must be an int of 2 or more, got 1"),
        (lambda one: one.first_contact(week(), 7), "within must be a timedelta, got int"),
        (lambda one: one.first_contact(week(), timedelta()), "within must be longer than 0"),
        (lambda one: one.first_contact(week(), timedelta.max), "and at most ten years"),
    ],
)
def test_wrong_argument_is_an_error(tmp_path, call, problem):
    with pytest.raises(UsageError, match=problem):
        call(Reports(fill(str(tmp_path / "calls.db"))))
