"""CallRecord: its columns and their values."""

from __future__ import annotations

import csv
import io
import json
import random

import attrs
import pytest
from support.call_transcripts import CALLERS, Office
from support.etf_encoder import frame
from support.random_terms import random_term

from basix_ws_cti import Channel, FieldSpec, UsageError
from basix_ws_cti.calls import CallEnded, CallRecord, CallTracker
from basix_ws_cti.calls.call_record import COLUMNS
from basix_ws_cti.mirror.changes import Removed
from basix_ws_cti.parsing.record_decoder import record_reader
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.terms import decode


def test_names_and_order_of_columns_are_stable():
    assert (
        *("id", "direction", "started", "answered", "ended"),
        *("caller_number", "caller_name", "caller_user_id", "caller_end_user_id", "called_number"),
        *("group_id", "answered_by_user_id", "answered_by_number"),
        *("disposition", "abandoned_in", "ended_by", "cause", "cause_meaning", "sip_status"),
        *("waited_us", "ivr_us", "queued_us", "ringing_us", "talking_us", "parked_us"),
        *("voicemail_us", "conference_us", "other_us", "total_us"),
        *("transfers", "complete", "joined"),
    ) == COLUMNS


def ended_call(office):
    """Return a call: 1 s in the menu, 2 s queued, 4 s talking, 8 s parked, 16 s talking."""
    pbx = office.pbx
    caller_leg = pbx.receive(CALLERS[0], DID)
    pbx.set_state(caller_leg, "ivr", ivr_id="main_menu")
    office.wait(1)
    legs = pbx.call_group(caller_leg, office.group)
    office.wait(2)
    pbx.connect(legs[1])
    office.wait(4)
    slot = pbx.park(caller_leg)
    office.wait(8)
    leg = pbx.receive(office.users[3], str(slot))
    pbx.set_state(leg, "system_operation", operation="unpark")
    pbx.retrieve(leg, caller_leg)
    office.wait(16)
    pbx.hang_up(caller_leg)
    return office.ended[0]


def test_record_of_a_parked_and_retrieved_call():
    """Every figure equals the one calculated by hand."""
    office = Office()
    call = ended_call(office)
    row = CallRecord.of(call).to_dict()
    assert tuple(row) == COLUMNS
    start = office.start
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
        "group_id": office.group.id,
        "answered_by_user_id": office.users[1].id,
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


def test_durations_add_up_to_the_total():
    """All durations but the wait add up to the total."""
    row = CallRecord.of(ended_call(Office())).to_dict()
    parts = [name for name in row if name.endswith("_us") and name not in {"waited_us", "total_us"}]
    assert sum(row[name] for name in parts) == row["total_us"]


def test_columns_that_do_not_apply_have_no_value():
    office = Office()
    caller_leg = office.pbx.receive(office.users[0], "*97")
    office.pbx.set_state(caller_leg, "system_operation", operation="nothing")
    office.wait(2)
    office.pbx.hang_up(caller_leg, "USER_BUSY", by_peer=False)
    row = CallRecord.of(office.ended[0]).to_dict()
    empty = {name for name, value in row.items() if value is None}
    assert empty == {
        *("answered", "caller_number", "caller_end_user_id", "group_id", "answered_by_user_id"),
        *("answered_by_number", "abandoned_in", "waited_us", "joined"),
    }
    assert (row["sip_status"], row["other_us"]) == (486, 2_000_000)


def test_record_can_be_written_as_json_and_csv():
    row = CallRecord.of(ended_call(Office())).to_dict()
    assert json.loads(json.dumps(row)) == row
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS)
    writer.writerow(row)
    assert file.getvalue().count(",") == len(COLUMNS) - 1


def test_record_of_an_active_call_raises_usage_error():
    """The error names the call."""
    office = Office()
    caller_leg = office.pbx.receive(CALLERS[0], DID)
    office.pbx.set_state(caller_leg, "ivr", ivr_id="main_menu")
    (call,) = office.tracker.calls.values()
    with pytest.raises(UsageError) as caught:
        CallRecord.of(call)
    assert str(caught.value) == f"call {call.id} has not ended: only an ended call has a record"


def test_record_of_channels_with_random_terms_has_scalars_only():
    draw = random.Random(0)
    names = [one.name for one in attrs.fields(Channel) if one.name not in {"extra", "uuid"}]
    reader = record_reader(FieldSpec("channel", ("uuid", *names)))
    records = []
    for number in range(300):
        values = [f"leg{number}", *[random_term(draw, depth=2) for _ in names]]
        channel = reader(decode(frame(tuple(values))))
        tracker = CallTracker([channel])
        ended = tracker.apply([Removed("channel", channel)])
        records += [CallRecord.of(event.call) for event in ended if isinstance(event, CallEnded)]
    assert len(records) == 300
    found = {type(value) for record in records for value in record.to_dict().values()}
    assert {str, int, type(None)} <= found <= {str, int, float, bool, type(None)}
