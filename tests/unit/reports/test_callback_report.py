"""Callers who were not answered, and have not been called back since."""

from __future__ import annotations

from random import Random

import pytest
from support.call_rows import participation, queue_wait
from support.report_periods import AUTUMN, at, week
from support.report_rows import call_record, fill, random_calls, unanswered

from basix_ws_cti.reports import CallbackRow, Reports

MINUTE = 60_000_000
NOON = at(2026, 10, 23, 12)

CALLER = {"caller_number": "03-0000-0001", "caller_number_normalised": "0300000001"}
OTHER = {"caller_number": "+81300000002", "caller_number_normalised": "0300000002"}


def call_back(call_id, started, *, answered):
    """Return a call to ``CALLER``."""
    return call_record(
        call_id,
        started,
        direction="outbound",
        caller_number=None,
        caller_number_normalised=None,
        called_number=CALLER["caller_number"],
        called_number_normalised=CALLER["caller_number_normalised"],
        answered=started if answered else None,
        disposition="answered" if answered else "unanswered",
    )


def test_row_describes_the_last_call_and_all_of_them(database):
    fill(
        database,
        calls=[
            unanswered("1", NOON, group_id=1, caller_name="Sato", **CALLER),
            unanswered("2", NOON + 1, disposition="ended_in_menu", **OTHER),
            unanswered(
                *("3", NOON + 5 * MINUTE),
                **{"group_id": 2, "queued_us": 42, "disposition": "voicemail", **CALLER},
            ),
            call_back("4", NOON + 4 * MINUTE, answered=False),
            call_back("5", NOON + 6 * MINUTE, answered=False),
            call_back("6", NOON + 7 * MINUTE, answered=False),
        ],
        names=[
            {"kind": "group", "id": 2, "since": NOON, "name": "Support", "extension": None},
            {"kind": "group", "id": 2, "since": NOON + 9 * MINUTE, "name": "X", "extension": None},
        ],
    )
    first, second = Reports(database).callbacks(week())
    assert first == CallbackRow(
        number="0300000001",
        name="Sato",
        calls=2,
        first=first.first,
        last=first.last,
        group_id=2,
        group_name="Support",
        disposition="voicemail",
        queued_us=42,
        attempts=2,
    )
    assert first.first.isoformat() == "2026-10-23T12:00:00+02:00"
    assert first.last.isoformat() == "2026-10-23T12:05:00+02:00"
    assert (second.number, second.name, second.attempts) == ("0300000002", None, 0)
    assert (second.group_id, second.group_name) == (None, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("later", "is_listed"),
    [
        ([], True),
        ([call_back("2", NOON + MINUTE, answered=True)], False),
        ([call_back("2", NOON + MINUTE, answered=False)], True),
        ([call_back("2", NOON - MINUTE, answered=True)], True),
        ([call_record("2", NOON + MINUTE, **CALLER)], False),
        ([call_record("2", NOON + MINUTE, **OTHER)], True),
        # After the period, too.
        ([call_back("2", AUTUMN.end_us + MINUTE, answered=True)], False),
        # Neither a consult call nor a call that became a part of another one.
        ([call_record("2", NOON + MINUTE, purpose="consult", **CALLER)], True),
        ([call_record("2", NOON + MINUTE, joined="x", **CALLER)], True),
        ([unanswered("2", AUTUMN.end_us + MINUTE, **CALLER)], True),
    ],
)
def test_answered_call_from_or_to_the_number_settles_the_caller(tmp_path, later, is_listed):
    database = fill(str(tmp_path / "calls.db"), calls=[unanswered("1", NOON, **CALLER), *later])
    rows = Reports(database).callbacks(week())
    assert [row.number for row in rows] == ["0300000001"] * is_listed


def test_calls_before_the_last_answer_do_not_count(database):
    fill(
        database,
        calls=[
            unanswered("1", NOON, **CALLER),
            call_record("2", NOON + MINUTE, **CALLER),
            unanswered("3", NOON + 2 * MINUTE, **CALLER),
        ],
    )
    (row,) = Reports(database).callbacks(week())
    assert (row.calls, row.first) == (1, row.last)


@pytest.mark.slow
@pytest.mark.parametrize(
    "columns",
    [
        {"disposition": "unknown"},
        {"disposition": "picked_up_elsewhere"},
        {"disposition": None, "ended": None},
        {"direction": "internal"},
        {"purpose": "service"},
        {"caller_number": "anonymous", "caller_number_normalised": None},
        {"started": AUTUMN.end_us},
        {"started": AUTUMN.start_us - 1},
    ],
)
def test_call_that_may_need_no_answer_is_not_listed(tmp_path, columns):
    call = unanswered("1", **{"started": NOON, **CALLER, **columns})
    assert Reports(fill(str(tmp_path / "calls.db"), calls=[call])).callbacks(week()) == ()


def test_groups_and_users_limit_the_unanswered_calls(database):
    fill(
        database,
        calls=[unanswered("1", NOON, **CALLER), unanswered("2", NOON, **OTHER)],
        waits=[queue_wait("1", group_id=7)],
        participations=[participation("2", 11, result="missed")],
    )
    reports = Reports(database)

    def numbers(**conditions):
        return [row.number for row in reports.callbacks(week(**conditions))]

    assert numbers(groups={7}) == ["0300000001"]
    assert numbers(users={11}) == ["0300000002"]
    assert numbers(groups={7}, users={11}) == []


@pytest.mark.slow
def test_list_is_that_of_a_search_call_by_call(database):
    calls = random_calls(Random(8), 900, AUTUMN.start_us - 10**10, AUTUMN.end_us + 10**10)
    fill(database, calls=calls)
    counted = [call for call in calls if call.purpose == "call" and call.joined is None]
    missed = {"abandoned", "missed", "voicemail", "no_message", "ended_in_menu", "busy"}
    missed |= {"rejected", "unreachable", "failed"}
    expected = {}
    for call in counted:
        number = call.caller_number_normalised
        is_candidate = call.direction == "inbound" and number and call.disposition in missed
        if not is_candidate or not AUTUMN.start_us <= call.started < AUTUMN.end_us:
            continue
        is_settled = any(
            other.answered
            and other.started > call.started
            and (
                (other.direction == "inbound" and other.caller_number_normalised == number)
                or (other.direction == "outbound" and other.called_number_normalised == number)
            )
            for other in counted
        )
        if not is_settled:
            expected[number] = expected.get(number, 0) + 1
    found = {row.number: row.calls for row in Reports(database).callbacks(week())}
    assert found == expected
    assert len(found) > 3
