"""Calls one by one."""

from __future__ import annotations

from random import Random

import pytest
from support.report_periods import AUTUMN, at, week
from support.report_rows import call_record, fill, random_calls

from basix_ws_cti.reports import CallListRow, Reports, call_list

NOON = at(2026, 10, 23, 12)


@pytest.mark.slow
def test_all_calls_are_listed_in_order_across_pages(database, monkeypatch):
    monkeypatch.setattr(call_list, "PAGE", 7)
    calls = random_calls(Random(2), 120, AUTUMN.start_us, AUTUMN.start_us + 40)
    fill(database, calls=calls)
    expected = sorted(
        (call for call in calls if call.purpose == "call" and call.joined is None),
        key=lambda call: (call.started, call.id),
    )
    reports = Reports(database)
    assert [row.call for row in reports.calls(week())] == expected
    assert [row.call for row in reports.calls(week(users={11}))] == [
        call for call in expected if call.caller_user_id == 11
    ]


@pytest.mark.parametrize("number", [0, 6, 7, 8])
def test_last_page_may_be_full_or_empty(tmp_path, monkeypatch, number):
    monkeypatch.setattr(call_list, "PAGE", 7)
    calls = [call_record(f"{n}", NOON) for n in range(number)]
    reports = Reports(fill(str(tmp_path / "calls.db"), calls=calls))
    assert [row.call for row in reports.calls(week())] == calls


def test_row_has_local_time_and_the_names_of_that_time(database):
    names = [
        {"kind": kind, "id": id_, "since": since, "name": f"{kind} {id_} {word}", "extension": None}
        for kind, id_ in (("user", 11), ("user", 12), ("group", 1))
        for since, word in ((NOON - 9, "old"), (NOON, "then"), (NOON + 1, "later"))
    ]
    call = call_record(
        *("1", NOON),
        caller_user_id=11,
        group_id=1,
        answered_by_user_id=12,
        last_handler_user_id=13,
    )
    fill(database, calls=[call], names=names)
    (row,) = Reports(database).calls(week())
    assert row == CallListRow(
        call=call,
        started=row.started,
        caller_user_name="user 11 then",
        group_name="group 1 then",
        answered_by_user_name="user 12 then",
        last_handler_user_name=None,
    )
    assert row.started.isoformat() == "2026-10-23T12:00:00+02:00"
