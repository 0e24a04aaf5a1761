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
from basix_ws_cti.calls import Call, CallEnded, CallRecord, CallTracker, Party, Phase
from basix_ws_cti.calls.call_record import COLUMNS
from basix_ws_cti.calls.model import MergedPhases
from basix_ws_cti.mirror.changes import Removed
from basix_ws_cti.parsing.record_decoder import record_reader
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.terms import decode


def test_names_and_order_of_columns_are_stable():
    assert (
        *("id", "purpose", "direction", "went_outside", "started", "answered", "ended"),
        *("caller_number", "caller_number_normalised", "caller_name", "caller_user_id"),
        *("caller_end_user_id", "called_number", "called_number_normalised"),
        *("requested_user_id", "requested_group_id", "menu_id", "group_id"),
        *("answered_by_user_id", "answered_by_number", "handlers"),
        *("last_handler_user_id", "last_handler_number"),
        *("voicemail_user_id", "voicemail_group_id", "conference_room"),
        *("disposition", "abandoned_in", "last_phase"),
        *("ended_by", "cause", "cause_meaning", "sip_status"),
        *("waited_us", "ivr_us", "queued_us", "ringing_us", "talking_us", "parked_us"),
        *("voicemail_us", "conference_us", "other_us", "total_us"),
        *("transfers", "blind_transfers", "attended_transfers"),
        *("origination", "tags", "complete", "clock_adjusted", "joined"),
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
        "purpose": "call",
        "direction": "inbound",
        "went_outside": False,
        "started": start,
        "answered": start + 3_000_000,
        "ended": start + 31_000_000,
        "caller_number": "0312341234",
        "caller_number_normalised": "0312341234",
        "caller_name": "山田 太郎",
        "caller_user_id": None,
        "caller_end_user_id": "12345",
        "called_number": DID,
        "called_number_normalised": DID,
        "requested_user_id": None,
        "requested_group_id": office.group.id,
        "menu_id": "main_menu",
        "group_id": office.group.id,
        "answered_by_user_id": office.users[1].id,
        "answered_by_number": None,
        "handlers": f"[{office.users[1].id}, {office.users[3].id}]",
        "last_handler_user_id": office.users[3].id,
        "last_handler_number": None,
        "voicemail_user_id": None,
        "voicemail_group_id": None,
        "conference_room": None,
        "disposition": "answered",
        "abandoned_in": None,
        "last_phase": "talking",
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
        "blind_transfers": 0,
        "attended_transfers": 0,
        "origination": None,
        "tags": None,
        "complete": True,
        "clock_adjusted": False,
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
        *("answered", "caller_number", "caller_number_normalised", "caller_end_user_id"),
        *("called_number_normalised", "requested_user_id", "requested_group_id"),
        *("menu_id", "group_id", "answered_by_user_id", "answered_by_number", "handlers"),
        *("last_handler_user_id", "last_handler_number"),
        *("voicemail_user_id", "voicemail_group_id", "conference_room"),
        *("abandoned_in", "waited_us", "origination", "tags", "joined"),
    }
    assert (row["sip_status"], row["other_us"]) == (486, 2_000_000)


def test_record_can_be_written_as_json_and_csv():
    row = CallRecord.of(ended_call(Office())).to_dict()
    assert json.loads(json.dumps(row)) == row
    file = io.StringIO()
    csv.DictWriter(file, COLUMNS).writerow(row)
    assert len(next(csv.reader([file.getvalue()]))) == len(COLUMNS)


def test_record_of_a_call_in_progress_shows_the_call_so_far():
    """Columns that the end decides are empty; the current phase counts as 0."""
    office = Office()
    caller_leg = office.pbx.receive(CALLERS[0], DID)
    office.pbx.set_state(caller_leg, "ivr", ivr_id="main_menu")
    office.wait(1)
    legs = office.pbx.call_group(caller_leg, office.group)
    office.wait(2)
    office.pbx.connect(legs[1])
    office.wait(4)
    (call,) = office.tracker.calls.values()
    row = CallRecord.of(call)
    decided_at_the_end = ("ended", "disposition", "abandoned_in", "ended_by", "cause")
    decided_at_the_end += ("cause_meaning", "sip_status", "total_us", "joined")
    assert {getattr(row, name) for name in decided_at_the_end} == {None}
    assert (row.complete, row.last_phase) == (False, "talking")
    assert (row.ivr_us, row.queued_us, row.talking_us) == (1_000_000, 2_000_000, 0)
    assert row.last_handler_user_id == row.answered_by_user_id == office.users[1].id


TALK = {"kind": "talking", "started": 0, "ended": 1}


def call_of(*phases, **fields):
    """Return an ended call with these phases."""
    defaults = {"direction": "inbound", "caller": Party(), "called_number": None, "started": 0}
    ended = {"ended": 0, "disposition": "answered"}
    return Call(id="a", phases=phases, **{**defaults, **ended, **fields})


def test_handlers_are_all_parties_that_talked_in_the_order_of_their_first_talk():
    """The last handler may be somebody who talked before."""
    parties = [
        *(Party(user_id=7), Party(number="0312341234"), Party(user_id=8), Party()),
        *(Party(user_id=7), Party(number="+81 3-1234")),
    ]
    row = CallRecord.of(call_of(*[Phase(party=party, **TALK) for party in parties]))
    assert json.loads(row.handlers) == [7, "0312341234", 8, None, "+81 3-1234"]
    assert (row.last_handler_user_id, row.last_handler_number) == (None, "+81 3-1234")
    back = CallRecord.of(call_of(*[Phase(party=party, **TALK) for party in parties[:5]]))
    assert (back.last_handler_user_id, back.last_handler_number) == (7, None)


def test_labels_are_json_arrays():
    row = CallRecord.of(
        call_of(Phase(**TALK), tags=("急ぎ", 'a"b'), origination=("call_user", "7"))
    )
    assert json.loads(row.tags) == ["急ぎ", 'a"b']
    assert "急ぎ" in row.tags
    assert row.origination == '["call_user", "7"]'


def test_last_menu_room_and_box_are_recorded():
    def phase(kind, place=None, **party):
        return Phase(kind=kind, started=0, ended=1, place=place, party=Party(**party))

    row = CallRecord.of(
        call_of(
            *(phase("ivr", "day"), phase("ivr", 12), phase("ivr")),
            *(phase("conference", 8000), phase("conference", 8001)),
            *(phase("voicemail", "a", user_id=7), phase("voicemail", "b", group_id=9)),
        )
    )
    assert (row.menu_id, row.conference_room, row.last_phase) == ("12", "8001", "voicemail")
    assert (row.voicemail_user_id, row.voicemail_group_id) == (None, 9)


def test_phases_that_were_merged_count():
    """Of a long call, the first phases are merged into an unknown one."""

    def phase(kind, place=None, **party):
        return Phase(kind=kind, started=0, ended=1, place=place, party=Party(**party))

    merged = MergedPhases(
        phases=(
            *(phase("queued", group_id=9), phase("ivr", "day"), phase("talking", user_id=7)),
            *(phase("talking", number="110"), phase("conference", 8)),
        ),
        waits=(),
    )
    call = call_of(phase("unknown"), phase("queued", group_id=11), merged=merged)
    row = CallRecord.of(call)
    assert (row.group_id, row.menu_id, row.conference_room) == (9, "day", "8")
    assert (row.handlers, row.last_handler_number) == ('[7, "110"]', "110")
    call = call_of(phase("unknown"), phase("talking", user_id=8), phase("ivr", 2), merged=merged)
    row = CallRecord.of(call)
    assert (row.handlers, row.last_handler_user_id, row.menu_id) == ('[7, "110", 8]', 8, "2")


@pytest.mark.parametrize(
    ("seconds", "options", "abandoned_in", "disposition"),
    [
        (1, {}, None, "no_message"),
        (4.999999, {}, None, "no_message"),
        (5, {}, None, "voicemail"),
        (1, {"greeting": 1}, None, "voicemail"),
        (0, {"greeting": 0}, None, "voicemail"),
        (9, {"greeting": 9.5}, None, "no_message"),
        # The caller left the box at once, and then the queue.
        (1, {}, "queue", "abandoned"),
        (5, {}, "queue", "voicemail"),
    ],
)
def test_caller_who_leaves_the_box_within_the_greeting_left_no_message(
    seconds, options, abandoned_in, disposition
):
    phase = Phase(kind="voicemail", started=0, ended=round(seconds * 1e6))
    call = call_of(phase, disposition="voicemail", abandoned_in=abandoned_in)
    assert CallRecord.of(call, **options).disposition == disposition


def test_greeting_does_not_matter_to_an_answered_call():
    call = call_of(Phase(**TALK), Phase(kind="voicemail", started=1, ended=2))
    assert CallRecord.of(call).disposition == "answered"


def test_transfers_are_blind_or_attended():
    row = CallRecord.of(call_of(Phase(**TALK), transfers=3, attended_transfers=1))
    assert (row.transfers, row.blind_transfers, row.attended_transfers) == (3, 2, 1)


@pytest.mark.parametrize(
    ("number", "country_code", "normalised"),
    [
        ("+81 3-1234-1234", "81", "0312341234"),
        ("sip:1001@pbx.example", "81", "1001"),
        ("03-1234-1234", "44", "0312341234"),
        ("+44 20 7946 0000", "44", "02079460000"),
        ("anonymous", "81", None),
        ("*97", "81", None),
        (None, "81", None),
    ],
)
def test_numbers_are_normalised(number, country_code, normalised):
    call = call_of(Phase(**TALK), caller=Party(number=number), called_number=number)
    row = CallRecord.of(call, country_code=country_code)
    assert (row.caller_number, row.called_number) == (number, number)
    assert (row.caller_number_normalised, row.called_number_normalised) == (normalised, normalised)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"country_code": "0"}, "unknown country_code '0'"),
        ({"greeting": -1}, "greeting must be a number of seconds, 0 or more, got -1"),
        ({"greeting": "5"}, "greeting must be a number of seconds, 0 or more, got str"),
    ],
)
def test_unusable_options_raise_usage_error(options, error):
    with pytest.raises(UsageError, match=error):
        CallRecord.of(call_of(Phase(**TALK)), **options)


@pytest.mark.slow
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
