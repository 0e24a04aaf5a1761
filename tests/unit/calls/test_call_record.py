"""CallRecord: the columns, and what is in them."""

from __future__ import annotations

import csv
import io
import json

import pytest
from support.call_transcripts import CALLERS, World

from basix_ws_cti import UsageError
from basix_ws_cti.calls import CallRecord
from basix_ws_cti.calls.call_record import COLUMNS
from basix_ws_cti.simulator.company import DID


def test_the_columns_stay():
    """The names of the columns and their order are a promise."""
    assert (
        *("id", "direction", "started", "answered", "ended"),
        *("caller_number", "caller_name", "caller_user_id", "caller_end_user_id", "called_number"),
        *("group_id", "answered_by_user_id", "answered_by_number"),
        *("disposition", "abandoned_in", "ended_by", "cause", "cause_meaning", "sip_status"),
        *("waited_us", "ivr_us", "queued_us", "ringing_us", "talking_us", "parked_us"),
        *("voicemail_us", "conference_us", "other_us", "total_us"),
        *("transfers", "complete", "joined"),
    ) == COLUMNS


def finished(world):
    """A call through menu, queue, talk, slot and talk again, of 1, 2, 4, 8 and 16 seconds."""
    pbx = world.pbx
    line = pbx.receive(CALLERS[0], DID)
    pbx.set_state(line, "ivr", ivr_id="main_menu")
    world.wait(1)
    legs = pbx.call_group(line, world.group)
    world.wait(2)
    pbx.connect(legs[1])
    world.wait(4)
    slot = pbx.park(line)
    world.wait(8)
    leg = pbx.receive(world.users[3], str(slot))
    pbx.set_state(leg, "system_operation", operation="unpark")
    pbx.retrieve(leg, line)
    world.wait(16)
    pbx.hang_up(line)
    return world.ended[0]


def test_a_row():
    """A call as a row: every figure is the one that can be worked out by hand."""
    world = World()
    call = finished(world)
    row = CallRecord.of(call).to_dict()
    assert tuple(row) == COLUMNS
    start = world.start
    assert row == {
        "id": call.id,
        "direction": "inbound",
        "started": start,
        "answered": start + 3_000_000,
        "ended": start + 31_000_000,
        "caller_number": "0312341234",
        "caller_name": "山田 太郎",
        "caller_user_id": None,
        "caller_end_user_id": "12345",
        "called_number": DID,
        "group_id": world.group.id,
        "answered_by_user_id": world.users[1].id,
        "answered_by_number": None,
        "disposition": "answered",
        "abandoned_in": None,
        "ended_by": "caller",
        "cause": "NORMAL_CLEARING",
        "cause_meaning": "normal hangup",
        "sip_status": None,
        "waited_us": 3_000_000,
        "ivr_us": 1_000_000,
        "queued_us": 2_000_000,
        "ringing_us": 0,
        "talking_us": 20_000_000,
        "parked_us": 8_000_000,
        "voicemail_us": 0,
        "conference_us": 0,
        "other_us": 0,
        "total_us": 31_000_000,
        "transfers": 0,
        "complete": True,
        "joined": None,
    }


def test_the_durations_add_up():
    """All durations but the wait add up to the total."""
    row = CallRecord.of(finished(World())).to_dict()
    parts = [name for name in row if name.endswith("_us") and name not in {"waited_us", "total_us"}]
    assert sum(row[name] for name in parts) == row["total_us"]


def test_nobody_answered():
    """What does not apply is None."""
    world = World()
    line = world.pbx.receive(world.users[0], "*97")
    world.pbx.set_state(line, "system_operation", operation="nothing")
    world.wait(2)
    world.pbx.hang_up(line, "USER_BUSY", by_peer=False)
    row = CallRecord.of(world.ended[0]).to_dict()
    nothing = {name for name, value in row.items() if value is None}
    assert nothing == {
        *("answered", "caller_number", "caller_end_user_id", "group_id", "answered_by_user_id"),
        *("answered_by_number", "abandoned_in", "waited_us", "joined"),
    }
    assert (row["sip_status"], row["other_us"]) == (486, 2_000_000)


def test_json_and_csv():
    """A row goes into JSON and a CSV file as it is."""
    row = CallRecord.of(finished(World())).to_dict()
    assert json.loads(json.dumps(row)) == row
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS)
    writer.writerow(row)
    assert file.getvalue().count(",") == len(COLUMNS) - 1


def test_active_call_has_no_record():
    """The record of an active call is a UsageError that names the call."""
    world = World()
    line = world.pbx.receive(CALLERS[0], DID)
    world.pbx.set_state(line, "ivr", ivr_id="main_menu")
    (call,) = world.tracker.calls.values()
    with pytest.raises(UsageError) as caught:
        CallRecord.of(call)
    assert str(caught.value) == f"call {call.id} has not ended: only an ended call has a record"
