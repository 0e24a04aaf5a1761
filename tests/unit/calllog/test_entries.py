"""Entries: calls, gaps and names as rows."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest
from support.call_builders import call, leg

from basix_ws_cti import CallRecord, ConnectionLost, Gap, Participation, Party, QueueWait
from basix_ws_cti.calllog.entries import CallEntry, GapEntry, NameEntry

TALK = call(
    "0 ivr, 5 queued g1, 20 talking u7",
    50,
    by="caller",
    legs=(leg("0312341234", 0, 50, role="placed"), leg("u7", 5, 50, talks=[(20, 50)], rings=1)),
)


def test_ended_call_has_all_of_its_rows():
    entry = CallEntry.of(TALK)
    assert entry.id == TALK.id
    assert entry.call == CallRecord.of(TALK).to_dict()
    assert entry.waits == [
        {**row.to_dict(), "position": n} for n, row in enumerate(QueueWait.of(TALK))
    ]
    rows = Participation.of(TALK)
    assert entry.participations == [{**row.to_dict(), "position": n} for n, row in enumerate(rows)]


def test_call_in_progress_has_one_row():
    entry = CallEntry.of(call("0 ivr, 5 queued g1"))
    assert (entry.waits, entry.participations) == ([], [])


def test_country_code_and_greeting_are_those_of_the_record():
    foreign = attrs.evolve(TALK, caller=Party(number="06 1234 5678"))
    row = CallEntry.of(foreign, country_code="39", greeting=9).call
    assert row == CallRecord.of(foreign, country_code="39", greeting=9).to_dict()


@pytest.mark.parametrize(
    ("error", "reason"), [(ConnectionLost(1006), "ConnectionLost"), (None, "unknown")]
)
def test_reason_of_a_gap_is_the_class_of_the_error(error, reason):
    gap = Gap(datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), error)
    assert GapEntry.of(gap).row == {"started": 0, "ended": 1_000_000, "reason": reason}


def test_name_is_storable():
    entry = NameEntry.of("user", 7, 5, "A\0", 1001)
    assert entry.row == {
        "kind": "user",
        "id": 7,
        "since": 5,
        "name": "A\ufffd",
        "extension": "1001",
    }
    assert entry.named == ("A\ufffd", "1001")
