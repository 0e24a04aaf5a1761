"""Text about call events and endings."""

from __future__ import annotations

import pytest

from basix_ws_cti import CallEnded, CallParked, CallStarted, Channel, InitialInfo, Mirror, User
from basix_ws_cti.board.call_lines import describe_call_ends, describe_call_event, describe_ringing
from basix_ws_cti.board.endings import DISPOSITIONS, describe_cause, describe_disposition
from basix_ws_cti.board.labels import Labels
from basix_ws_cti.calls.model import Call, Disposition, Party, Phase
from basix_ws_cti.elements import Hangup

SECOND = 1_000_000


@pytest.fixture
def labels():
    mirror = Mirror()
    users = {
        1: User(id=1, name="aiko", label="青木 愛子", park_group=0),
        2: User(id=2, name="ben", park_group=1),
    }
    mirror.apply(InitialInfo("user", users))
    return Labels(mirror)


def a_call(**more):
    return Call(
        **{
            "id": "u",
            "direction": "inbound",
            "caller": Party(number="0312341234"),
            "called_number": "0501234567",
            "started": 0,
            "phases": (Phase(kind="ivr", started=0, place="main_menu"),),
            **more,
        }
    )


@pytest.mark.parametrize(
    ("users", "text"),
    [
        ([1], "ringing at 青木 愛子"),
        ([1, 2], "ringing at 青木 愛子 and ben"),
        ([1, 2, 3], "ringing at 青木 愛子, ben and user 3"),
        ([1, 2, 3, 4], "ringing at 青木 愛子, ben and 2 more"),
        ([*range(1, 11)], "ringing at 青木 愛子, ben and 8 more"),
    ],
)
def test_ringing_phones_are_named_up_to_three(labels, users, text):
    assert describe_ringing([Party(user_id=user) for user in users], labels) == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "0312341234 -> 0501234567"),
        ({"requested": Party(user_id=2)}, "0312341234 -> ben"),
        (
            {"requested": Party(user_id=2), "answered_by": Party(user_id=1)},
            "0312341234 -> 青木 愛子",
        ),
        ({"called_number": None}, "0312341234 -> unknown"),
    ],
)
def test_ends_of_a_call_are_names(labels, fields, text):
    assert describe_call_ends(a_call(**fields), labels) == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "new call, in IVR main menu"),
        ({"phases": (Phase(kind="unknown", started=0),)}, "new call"),
        ({"complete": False}, "in IVR main menu"),
    ],
)
def test_start_of_a_call(labels, fields, text):
    """A call that was active before the connection is not called new."""
    assert describe_call_event(CallStarted(a_call(**fields)), labels) == text


@pytest.mark.parametrize(
    ("slot", "by", "text"),
    [
        (901, 1, "parked on 901 by 青木 愛子"),
        (903, None, "parked on 903 (青木 愛子)"),
        (904, 1, "parked on 904 (ben) by 青木 愛子"),
        (907, None, "parked on 907"),
        (996, None, "parked on 996"),
        (997, None, "parked on 997 (shared)"),
        (1000, None, "parked on 1000"),
        ("lot", None, "parked on lot"),
    ],
)
def test_park_slot_has_the_name_of_its_owner(labels, slot, by, text):
    """Three slots from 901 on belong to each park group; 997 to 999 are shared."""
    assert describe_call_event(CallParked(a_call(), slot, by), labels) == text


TALK = (
    Phase(kind="ringing", started=0, ended=3 * SECOND),
    Phase(kind="talking", started=3 * SECOND, ended=10 * SECOND),
)


@pytest.mark.parametrize(
    ("fields", "synthetic", "text"),
    [
        (
            {
                "disposition": "answered",
                "phases": TALK,
                "ended": 10 * SECOND,
                "ended_by": "caller",
                "hangup": Hangup("recv_bye", "NORMAL_CLEARING"),
            },
            False,
            "ended: answered, talked 0:07, caller hung up, 0:10 in all",
        ),
        (
            {
                "disposition": "abandoned",
                "abandoned_in": "queue",
                "ended": 5 * SECOND,
                "ended_by": "caller",
                "hangup": Hangup("recv_cancel", "ORIGINATOR_CANCEL"),
            },
            False,
            "ended: abandoned in the queue, caller hung up, cancelled by the caller, 0:05 in all",
        ),
        (
            {"disposition": "answered", "abandoned_in": "parked", "ended_by": "callee"},
            False,
            "ended: answered, abandoned while parked, called party hung up",
        ),
        (
            {"disposition": "ended_in_menu", "ended_by": "pbx"},
            True,
            "ended: ended in the menu, ended by the PBX, end not observed",
        ),
        (
            {"disposition": "failed", "hangup": Hangup("send_bye", "NEW_CAUSE"), "joined": "v"},
            False,
            "ended: failed, NEW_CAUSE, merged into another call",
        ),
        ({}, False, "ended: outcome unknown"),
    ],
)
def test_end_of_a_call_is_described_in_words(labels, fields, synthetic, text):
    """The most important phrase comes first; an unknown cause is shown as it is."""
    event = CallEnded(a_call(**fields), synthetic)
    assert describe_call_event(event, labels) == text


def test_every_disposition_has_words():
    assert {*DISPOSITIONS} == {*Disposition.__args__}
    assert describe_disposition("picked_up_elsewhere") == "picked up elsewhere"
    assert describe_disposition(None) == "outcome unknown"


@pytest.mark.parametrize(
    ("cause", "text"),
    [("USER_BUSY", "busy"), ("NEW_CAUSE", "NEW_CAUSE"), (None, "")],
)
def test_cause_is_described_in_words(cause, text):
    assert describe_cause(cause) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("recv_bye,NORMAL_CLEARING", "hung up after 1:02"),
        ("send_bye,MEDIA_TIMEOUT", "disconnected by the PBX after 1:02: no audio received"),
        ("send_cancel,LOSE_RACE", "answered on another phone"),
        ("recv_cancel,ORIGINATOR_CANCEL", "cancelled by the caller"),
        ("recv_cancel", "cancelled after 1:02"),
        ("send_cancel,NEW_CAUSE", "ringing stopped by the PBX after 1:02: NEW_CAUSE"),
        ("new_word,USER_BUSY", "ended after 1:02: new_word, busy"),
        ("new_word", "ended after 1:02: new_word"),
    ],
)
def test_end_of_a_leg_is_described_in_words(labels, data, text):
    leg = Channel(
        answer_timestamp=0,
        hangup_timestamp=62 * SECOND,
        last_event="CHANNEL_HANGUP",
        last_event_data=data,
    )
    assert labels.activity(leg) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [("recv_refuse,USER_BUSY", "refused: busy"), ("send_refuse", "refused by the PBX")],
)
def test_end_of_an_unanswered_leg_has_no_duration(labels, data, text):
    leg = Channel(last_event="CHANNEL_HANGUP", last_event_data=data)
    assert labels.activity(leg) == text


@pytest.mark.parametrize(
    ("called", "text"),
    [
        ("pickup_uuid.e3e70682-c209-4cac-629f-6fbed82c07cd", "ben -> pickup of a call"),
        ("RINGING_PARK", "ben -> ringing park"),
        ("media_plug", "ben -> media plug"),
        ("*97", "ben -> *97"),
    ],
)
def test_markers_of_the_pbx_are_described_in_words(labels, called, text):
    leg = Channel(direction="inbound", user_id=2, called_number=called)
    assert labels.element(leg) == text


def test_numbers_of_named_parties_can_be_left_out(labels):
    party = Party(name="山田 太郎", number="0312341234")
    short = Labels(labels.mirror, with_numbers=False)
    assert short.party(party) == "山田 太郎"
    assert short.party(Party(number="0312341234")) == "0312341234"
