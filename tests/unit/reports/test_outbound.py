"""Results of outgoing calls by user."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from support.report_periods import AUTUMN, selects, week
from support.report_rows import fill, random_calls

from basix_ws_cti.reports import OutboundRow, Reports

RESULTS = {
    None: "active",
    "answered": "answered",
    "voicemail": "answered",
    "no_message": "answered",
    "unanswered": "unanswered",
    "busy": "refused",
    "rejected": "refused",
    "unreachable": "unreachable",
}
NUMBERS = [
    *("calls", "answered", "unanswered", "refused", "unreachable", "failed", "active"),
    *("click_to_call", "talked"),
]


@pytest.mark.slow
def test_numbers_are_those_of_the_calls(database):
    calls = random_calls(Random(9), 500, AUTUMN.start_us - 10**10, AUTUMN.end_us + 10**10)
    names = [{"kind": "user", "id": 12, "since": 0, "name": "Ito", "extension": "1002"}]
    fill(database, calls=calls, names=names)
    reports = Reports(database)
    selection = week(weekdays={1, 2, 5})
    counted = [
        call
        for call in calls
        if selects(selection, call.started)
        and (call.purpose, call.joined, call.direction) == ("call", None, "outbound")
    ]
    rows = reports.outbound(selection)
    users = sorted({call.caller_user_id for call in counted} - {None})
    assert [row.user_id for row in rows] == [None, *users]
    for row in rows:
        expected = Counter()
        for call in counted:
            if row.user_id in {None, call.caller_user_id}:
                expected[RESULTS.get(call.disposition, "failed")] += 1
                expected["calls"] += 1
                expected["click_to_call"] += call.origination is not None
                expected["talked"] += call.talking_us
        assert {name: getattr(row, name) for name in NUMBERS} == {
            name: expected[name] for name in NUMBERS
        }
    named = next(row for row in rows if row.user_id == 12)
    assert (named.user_name, named.extension) == ("Ito", "1002")
    assert rows[0].calls > sum(row.calls for row in rows[1:]) > 10  # some users are unknown
    (selected, twelfth) = reports.outbound(week(weekdays={1, 2, 5}, users={12}))
    assert twelfth == named
    assert selected.calls == named.calls


def test_selected_user_without_calls_has_zeros(database):
    rows = Reports(fill(database)).outbound(week(users={3}))
    assert rows == tuple(
        OutboundRow(user_id=user, user_name=None, extension=None, **dict.fromkeys(NUMBERS, 0))
        for user in (None, 3)
    )
