"""CallTracker: partial feeds, transfers, late starts, gaps, and unusual values."""

from __future__ import annotations

import itertools
import json
import pickle
import sys
import threading
import time
from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.call_transcripts import CALLERS, SCENARIOS, Office, Transcriber, unindented
from support.random_pbx import shared_columns

from basix_ws_cti import Channel, InfoEvent, InitialInfo, Mirror
from basix_ws_cti.calls import (
    CallEnded,
    CallRecord,
    CallRetrieved,
    CallRinging,
    CallStarted,
    CallTracker,
    CallTransferred,
    CallUpdated,
    Party,
    QueueWait,
    ended_legs,
    phase_history,
    talk_history,
    used_ids,
)
from basix_ws_cti.elements import OtherInfo
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Removed
from basix_ws_cti.simulator.commands import parse_command
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.states import Bridged, Conference, Ivr, Park, Ringing, SystemOperation

YAMADA = CALLERS[0]


def transcript(office):
    return unindented(Transcriber(office).write(office.events))


def ring(office, number=0):
    """Let Yamada call a user; return the caller's leg and that of the ringing phone."""
    caller_leg = office.pbx.receive(YAMADA, DID)
    return caller_leg, office.pbx.call_user(caller_leg, office.users[number])


def talk(office, number=0):
    """Let Yamada talk to a user; return the legs of both."""
    caller_leg, leg = ring(office, number)
    office.wait(2)
    office.pbx.connect(leg)
    office.wait(10)
    return caller_leg, leg


def call_of(office, channel):
    """Return the call of which a channel is an active leg."""
    (call,) = (
        call
        for call in office.tracker.calls.values()
        if any(leg.uuid == channel.uuid and leg.ended is None for leg in call.legs)
    )
    return call


# -- feeds that show one user's channels ----------------------------------------------


def test_callee_only_feed_shows_the_same_call():
    """The call has the same id and the same caller if only the ringing phone is visible."""
    office = Office(user=0)
    caller_leg, leg = ring(office)
    office.wait(3)
    office.pbx.connect(leg)
    office.wait(9)
    office.pbx.hang_up(caller_leg)
    assert transcript(office) == unindented("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        2 ends: answered by caller, NORMAL_CLEARING
        ringing A 0-1, talking A 1-2
    """)
    (call,) = office.ended
    assert call.id == caller_leg.uuid
    assert call.caller == Party(
        number=YAMADA.number, name=YAMADA.name, end_user=call.caller.end_user
    )
    assert call.answered_by == Party(user_id=office.users[0].id)


def test_caller_only_feed_names_callee_and_ending_side():
    """The user's leg alone names the callee and the side that hung up."""
    office = Office(user=0)
    caller_leg = office.pbx.receive(office.users[0], YAMADA.number)
    leg = office.pbx.call_out(caller_leg, YAMADA)
    office.wait(3)
    office.pbx.connect(leg)
    office.wait(9)
    office.pbx.hang_up(leg)
    assert transcript(office) == unindented("""
        0 starts: outbound from A, ringing customer
        1 answered by customer, waited since 0
        2 ends: answered by callee, NORMAL_CLEARING
        ringing customer 0-1, talking customer 1-2
    """)


@pytest.mark.parametrize("scenario", ["pickup", "race"])
def test_call_answered_elsewhere_is_not_missed(scenario):
    """A phone that stops ringing because another one answered has no missed call."""
    office = Office(user=0)
    caller_leg = office.pbx.receive(YAMADA, DID)
    if scenario == "race":
        legs = office.pbx.call_group(caller_leg, office.group)
        office.wait(3)
        office.pbx.connect(legs[1])
    else:
        office.pbx.call_user(caller_leg, office.users[0])
        office.wait(3)
        leg = office.pbx.receive(office.users[1], "pickup")
        office.pbx.pick_up(leg, caller_leg)
    (call,) = office.ended
    assert (call.disposition, call.ended_by) == ("picked_up_elsewhere", "pbx")
    assert [leg.outcome for leg in call.legs] == ["picked_up_elsewhere"]
    assert call.cause == ("LOSE_RACE" if scenario == "race" else "PICKED_OFF")


def test_cancel_of_an_invisible_caller_is_abandoned():
    """A cancel at the callee's phone comes from the caller, whose leg is not visible."""
    office = Office(user=0)
    caller_leg, _ = ring(office)
    office.wait(5)
    office.pbx.hang_up(caller_leg)
    assert transcript(office) == unindented("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 ends: abandoned in ringing by caller, ORIGINATOR_CANCEL
        ringing A 0-1
    """)


def test_parking_and_retrieving_an_invisible_leg_are_two_calls():
    """Parking ends the user's call; retrieving the invisible leg starts a new one."""
    office = Office(user=0)
    caller_leg, _ = talk(office, number=0)
    slot = office.pbx.park(caller_leg)
    office.wait(20)
    leg = office.pbx.receive(office.users[0], str(slot))
    office.pbx.set_state(leg, "system_operation", operation="unpark")
    office.wait(1)
    office.pbx.retrieve(leg, caller_leg)
    office.wait(5)
    office.pbx.hang_up(leg)
    assert transcript(office) == unindented("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        2 ends: answered by callee, NORMAL_CLEARING
        ringing A 0-1, talking A 1-2
        3 #2 starts: internal from A, other unpark
        4 #2 answered by customer, waited since 3
        5 #2 ends: answered by caller, NORMAL_CLEARING
        #2 other unpark 3-4, talking customer 4-5
    """)


@pytest.mark.parametrize("max_remembered", [1000, 0])
def test_phone_that_rings_again_has_a_new_call_id(max_remembered, monkeypatch):
    """The second call gets an id of its own, even if the first one is no longer remembered."""
    monkeypatch.setattr(used_ids, "MAX_USED_IDS", max_remembered)
    office = Office(user=0)
    caller_leg = office.pbx.receive(YAMADA, DID)
    legs = []
    for _ in range(2):
        legs.append(office.pbx.call_user(caller_leg, office.users[0]))
        assert not office.tracker.is_empty
        office.wait(5)
        office.pbx.stop_ringing(legs[-1])
    office.pbx.hang_up(caller_leg)
    assert office.tracker.is_empty
    first, second = office.ended
    assert first.id == caller_leg.uuid
    # The second leg was offered when the first call ended: it may be older than the memory.
    assert second.id == (legs[1].uuid if max_remembered else f"{caller_leg.uuid}#1")
    assert first.caller == second.caller
    assert (first.disposition, second.disposition) == ("missed", "missed")
    assert first.direction == second.direction == "inbound"


# -- transfers, pickup and parking ----------------------------------------------------


def test_busy_phone_does_not_end_a_queued_call():
    """The call is missed when the PBX ends it."""
    office = Office()
    caller_leg = office.pbx.receive(YAMADA, DID)
    (leg, *others) = office.pbx.call_group(caller_leg, office.group)
    office.wait(1)
    office.pbx.refuse(leg)
    office.wait(20)
    for other in others:
        office.pbx.stop_ringing(other)
    office.pbx.hang_up(caller_leg, by_peer=False)
    assert transcript(office) == unindented("""
        0 starts: inbound from customer, queued group
        0 rings at 5 phones
        2 ends: missed by pbx, NO_ANSWER 480
        queued group 0-2
    """)
    outcomes = [leg.outcome for leg in office.ended[0].legs]
    assert outcomes == ["busy", *["missed"] * 4, "unanswered"]


def test_call_is_busy_if_its_only_callee_is_busy():
    """The cause at the caller's leg does not matter."""
    office = Office()
    _, leg = ring(office)
    office.wait(1)
    office.pbx.hang_up(leg)
    (call,) = office.ended
    assert (call.disposition, call.ended_by, call.sip_status) == ("busy", "callee", 486)
    assert {leg.hangup.cause for leg in call.legs} == {"USER_BUSY", "NO_ANSWER"}


def test_attended_transfer_by_the_caller_continues_one_call():
    """A user calls a customer, consults a colleague, and transfers the customer."""
    office = Office()
    caller_leg = office.pbx.receive(office.users[0], YAMADA.number)
    customer = office.pbx.call_out(caller_leg, YAMADA)
    office.wait(3)
    office.pbx.connect(customer)
    office.wait(9)
    consulting = office.pbx.receive(office.users[0], office.users[1].main_extension)
    consulted = office.pbx.call_user(consulting, office.users[1])
    office.wait(2)
    office.pbx.connect(consulted)
    office.wait(4)
    office.pbx.attended_transfer(customer, consulted)
    office.wait(30)
    office.pbx.hang_up(consulted)
    assert transcript(office) == unindented("""
        0 starts: outbound from A, ringing customer
        0 rings at customer
        1 answered by customer, waited since 0
        2 #2 starts: internal from A, ringing B
        2 #2 rings at B
        3 #2 answered by B, waited since 2
        4 #2 ends: answered joined #1
        #2 ringing B 2-3, talking B 3-4
        1 has legs of A and B
        4 transferred by A to B
        5 ends: answered by callee, NORMAL_CLEARING
        ringing customer 0-1, talking customer 1-4, talking B 4-5
    """)


def test_attended_transfer_of_second_legs_continues_the_older_talk():
    """The party that talked first goes on with another partner."""
    office = Office()
    caller_leg, leg = talk(office, 0)
    consulting = office.pbx.receive(YAMADA, DID)  # the same customer calls a second time
    consulted = office.pbx.call_user(consulting, office.users[1])
    office.pbx.connect(consulted)
    office.wait(4)
    for one, other in ((leg, consulted), (consulted, leg)):
        one.other_uuid, one.other_info = other.uuid, other.summary
    office.pbx.set_state(leg, "bridged")
    office.pbx.set_state(consulted, "bridged")
    office.pbx.hang_up(caller_leg)
    office.pbx.hang_up(consulting)
    transfers = [event for event in office.events if isinstance(event, CallTransferred)]
    assert [(event.source.number, event.target.user_id) for event in transfers] == [
        (YAMADA.number, office.users[1].id)
    ]


@pytest.mark.parametrize("is_answered", [True, False])
def test_park_recall_is_no_transfer(is_answered):
    """A parked call that rings back is answered or abandoned."""
    office = Office()
    caller_leg, _ = talk(office)
    office.pbx.park(caller_leg)
    office.wait(60)
    (leg,) = office.pbx.transfer(caller_leg, office.users[0])
    office.wait(3)
    if is_answered:
        office.pbx.connect(leg)
        office.wait(5)
    office.pbx.hang_up(caller_leg)
    answered = """
        4 answered by A, waited since 3
        5 ends: answered by caller, NORMAL_CLEARING
        ringing A 0-1, talking A 1-2, parked by A 2-3, ringing A 3-4, talking A 4-5
    """
    abandoned = """
        4 ends: answered then abandoned in ringing by caller, NORMAL_CLEARING
        ringing A 0-1, talking A 1-2, parked by A 2-3, ringing A 3-4
    """
    assert transcript(office) == unindented(
        """
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        2 parked by A
        3 now ringing A
        3 rings at A
        """
        + (answered if is_answered else abandoned)
    )
    assert office.ended[0].transfers == 0


def send_command(office, **command):
    """Send a command to the PBX, as a client does."""
    office.timeline.start_now(parse_command(office.pbx, json.dumps(command), simulate_users=False))


@pytest.mark.parametrize("is_answered", [True, False])
def test_transfer_command_of_a_web_phone_is_a_blind_transfer(is_answered):
    """The user who is named is the source, and the destination is the target."""
    office = Office()
    caller_leg, _ = talk(office)
    send_command(
        office,
        cmd="transfer",
        uuid=caller_leg.uuid,
        user_id=office.users[0].id,
        user_name=office.users[0].name,
        destination=office.users[1].main_extension,
    )
    office.wait(3)
    if is_answered:
        office.pbx.connect(office.pbx.ringing_for(caller_leg)[0])
        office.wait(4)
    office.pbx.hang_up(caller_leg)
    answered = """
        3 answered by B, waited since 2
        4 ends: answered by caller, NORMAL_CLEARING
        ringing A 0-1, talking A 1-2, ringing B 2-3, talking B 3-4
    """
    abandoned = """
        3 ends: answered then abandoned in ringing by caller, NORMAL_CLEARING
        ringing A 0-1, talking A 1-2, ringing B 2-3
    """
    assert transcript(office) == unindented(
        """
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        2 transferred by A to B
        2 rings at B
        """
        + (answered if is_answered else abandoned)
    )
    (record,) = map(CallRecord.of, office.ended)
    (row,) = office.pbx.ledger
    assert shared_columns(record) == shared_columns(row)
    assert record.transfers == 1


def test_park_command_that_times_out_is_a_recall():
    """The parker answers the recall; the call counts no transfer."""
    office = Office()
    caller_leg, _ = talk(office)
    send_command(office, cmd="park", uuid=caller_leg.uuid, timeout=30)
    office.wait(30)
    office.wait(2)
    office.pbx.connect(office.pbx.ringing_for(caller_leg)[0])
    office.wait(5)
    send_command(office, cmd="hangup", uuid=caller_leg.uuid)
    assert transcript(office) == unindented("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        2 parked by A
        3 now ringing A
        3 rings at A
        4 answered by A, waited since 3
        5 ends: answered by pbx, NORMAL_CLEARING
        ringing A 0-1, talking A 1-2, parked by A 2-3, ringing A 3-4, talking A 4-5
    """)
    (record,) = map(CallRecord.of, office.ended)
    (row,) = office.pbx.ledger
    assert shared_columns(record) == shared_columns(row)
    assert record.transfers == 0


def test_call_is_transferred_to_a_group_and_to_an_outside_number():
    office = Office()
    caller_leg, _ = talk(office)
    legs = office.pbx.transfer(caller_leg, office.group)
    office.wait(3)
    office.pbx.connect(legs[2])
    office.wait(4)
    (leg,) = office.pbx.transfer(caller_leg, CALLERS[3])
    office.wait(5)
    office.pbx.connect(leg)
    office.wait(6)
    office.pbx.hang_up(leg)
    assert transcript(office) == unindented("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        2 transferred by A to group
        2 rings at 5 phones
        3 answered by B, waited since 2
        4 transferred by B to customer
        4 rings at customer
        5 answered by customer, waited since 4
        6 ends: answered by callee, NORMAL_CLEARING
        ringing A 0-1, talking A 1-2, queued group 2-3, talking B 3-4, ringing customer 4-5, \
talking customer 5-6
    """)
    assert office.ended[0].transfers == 2
    assert office.ended[0].direction == "inbound"


def test_internal_call_transferred_outside_stays_internal():
    office = Office()
    caller_leg = office.pbx.receive(office.users[0], office.users[1].main_extension)
    leg = office.pbx.call_user(caller_leg, office.users[1])
    office.pbx.connect(leg)
    office.wait(3)
    office.pbx.transfer(leg, YAMADA)
    (call,) = office.tracker.calls.values()
    assert (call.direction, call.went_outside) == ("internal", True)
    assert (call.caller.user_id, call.phase.kind) == (office.users[0].id, "ringing")


DIALLING = {"peer_location": "internal", "direction": "inbound", "state": SystemOperation(ts=9)}


def take(tracker, number):
    """Let a user's phone dial ``number``; return the ids of the active calls."""
    tracker.apply([Added("channel", channel("taker", called_number=number, **DIALLING))])
    return set(tracker.calls)


@pytest.mark.parametrize("prefix", ["pickup_uuid.", "assimilate."])
def test_leg_that_dials_a_uuid_joins_its_call(prefix):
    tracker = CallTracker([channel("a", state=Ivr(ts=1), offer_timestamp=1)])
    assert take(tracker, f"{prefix}a") == {"a"}
    (call,) = tracker.calls.values()
    assert {leg.uuid for leg in call.legs} == {"a", "taker"}


@pytest.mark.parametrize(
    "number",
    [
        "assimilate.",
        "assimilate",
        "assimilate.x",
        "xassimilate.a",
        "RINGING_PARK.a",
        "assimilate a",
    ],
)
def test_other_markers_join_no_call(number):
    tracker = CallTracker([channel("a", state=Ivr(ts=1), offer_timestamp=1)])
    assert take(tracker, number) == {"a", "taker"}


@pytest.mark.parametrize("prefix", ["RINGING_PARK.", "LOCAL_PARK."])
@pytest.mark.parametrize("named", [False, True])
def test_call_is_taken_by_the_uuid_of_its_ringing_park(prefix, named):
    """The uuid is that in the called number, even if a leg named this leg before."""
    tracker = CallTracker()
    if named:
        first = channel("a", state=Ivr(ts=1), offer_timestamp=1, other_uuid="b")
        tracker.apply([Added("channel", first)])
    parked = channel("b", called_number=f"{prefix}offer", state=Ringing(ts=2), offer_timestamp=2)
    tracker.apply([Added("channel", parked)])
    assert take(tracker, "assimilate.offer") == {"a" if named else "b"}


def test_uuid_of_a_ringing_park_does_not_move_a_leg():
    """If it is the uuid of a leg, that leg's call is taken."""
    tracker = CallTracker([channel("a", state=Ivr(ts=1), offer_timestamp=1)])
    offer = channel("b", called_number="RINGING_PARK.a", state=Ringing(ts=2), offer_timestamp=2)
    tracker.apply([Added("channel", offer)])
    assert take(tracker, "assimilate.a") == {"a", "b"}
    assert {leg.uuid for leg in tracker.calls["a"].legs} == {"a", "taker"}


@pytest.mark.parametrize("how", ["parked", "ringing"])
def test_late_pickup_or_retrieval_is_a_call_of_its_own(how):
    """If the call ends first, the leg that wanted it leaves the ended call unchanged."""
    office = Office()
    caller_leg, leg = talk(office) if how == "parked" else ring(office)
    number = str(office.pbx.park(caller_leg)) if how == "parked" else f"pickup_uuid.{leg.uuid}"
    office.wait(1)
    pickup_leg = office.pbx.receive(office.users[1], number)
    office.pbx.set_state(pickup_leg, "system_operation", operation="fetch")
    assert len(office.tracker.calls) == 1
    office.wait(1)
    office.pbx.hang_up(caller_leg)
    (call,) = office.ended
    ended = call.ended
    assert ended == office.pbx.now
    assert call.disposition == ("answered" if how == "parked" else "abandoned")
    assert call_of(office, pickup_leg).caller.user_id == office.users[1].id
    office.wait(1)
    office.pbx.hang_up(pickup_leg)
    assert [one.id for one in office.ended] == [caller_leg.uuid, pickup_leg.uuid]


def test_pickup_leg_does_not_become_the_lead_leg():
    """When the caller's leg is gone, another leg of the call leads."""
    office = Office()
    caller_leg, leg = ring(office)
    pickup_leg = office.pbx.receive(office.users[1], f"pickup_uuid.{leg.uuid}")
    office.pbx.set_state(pickup_leg, "system_operation", operation="pickup")
    office.pbx.connect(leg)
    office.wait(2)
    office.pbx.transfer(leg, YAMADA)
    office.wait(2)
    assert call_of(office, pickup_leg).phase.kind == "ringing"
    office.pbx.hang_up(leg)
    assert [phase.kind for phase in office.ended[0].phases] == ["ringing", "talking", "ringing"]
    assert office.ended[0].ended_by == "callee"
    assert caller_leg.uuid == office.ended[0].id


@pytest.mark.parametrize("dials_slot", [True, False])
def test_retrieving_leg_joins_the_parked_call(dials_slot):
    """It joins at once if it dialled the slot, else when it talks."""
    office = Office()
    caller_leg, _ = talk(office)
    slot = office.pbx.park(caller_leg)
    office.wait(20)
    leg = office.pbx.receive(office.users[1], str(slot) if dials_slot else "unpark")
    office.pbx.set_state(leg, "system_operation", operation="unpark")
    assert (call_of(office, leg).id == caller_leg.uuid) is dials_slot
    office.wait(1)
    office.pbx.retrieve(leg, caller_leg)
    (retrieved,) = (event for event in office.events if isinstance(event, CallRetrieved))
    assert retrieved.call.id == call_of(office, leg).id == caller_leg.uuid
    assert (retrieved.parked_for, retrieved.party.user_id) == (21_000_000, office.users[1].id)
    office.wait(3)
    office.pbx.hang_up(caller_leg)
    assert [call.joined for call in office.ended] == (
        [None] if dials_slot else [caller_leg.uuid, None]
    )
    assert office.ended[-1].id == caller_leg.uuid


def test_two_calls_of_the_same_parties_stay_separate():
    office = Office()
    first, leg = talk(office)
    second = office.pbx.receive(YAMADA, DID)
    other = office.pbx.call_user(second, office.users[0])
    assert {call_of(office, leg).id, call_of(office, other).id} == {first.uuid, second.uuid}
    office.pbx.hang_up(second)
    office.pbx.hang_up(first)
    assert [call.id for call in office.ended] == [second.uuid, first.uuid]


def test_leg_without_an_end_keeps_its_call_until_the_next_snapshot():
    office = Office()
    caller_leg, leg = ring(office)
    office.wait(2)
    messages = [
        Removed("channel", one)
        for one in office.mirror.channels.values()
        if one.uuid == caller_leg.uuid
    ]
    (call,) = office.tracker.calls.values()
    office.tracker.apply(messages)
    assert [one.uuid for one in office.tracker.calls[call.id].legs if one.ended is None] == [
        leg.uuid
    ]
    office.pbx.listeners.clear()
    office.pbx.hang_up(caller_leg)
    office.resync()
    (call,) = office.ended
    assert not call.complete


def test_remaining_leg_names_the_cause_after_a_transfer():
    """The cause is that of the transferred leg, not that of the phone that rang."""
    office = Office()
    _, leg = talk(office)
    office.pbx.transfer(leg, YAMADA)
    office.wait(2)
    office.pbx.hang_up(leg, by_peer=False)
    (call,) = office.ended
    assert {one.hangup.cause for one in call.legs[1:]} == {"NORMAL_CLEARING", "ORIGINATOR_CANCEL"}
    assert (call.ended_by, call.cause) == ("pbx", "NORMAL_CLEARING")


def test_talking_leg_leads_after_the_caller_is_gone():
    """An older leg that joined the call later does not lead."""
    office = Office()
    consulting = office.pbx.receive(YAMADA, DID)
    office.pbx.set_state(consulting, "ivr", ivr_id="main_menu")
    office.wait(1)
    caller_leg, leg = talk(office, 0)
    consulted = office.pbx.call_user(consulting, office.users[1])  # the youngest leg of all
    office.pbx.connect(consulted)
    office.wait(4)
    office.pbx.bridge(consulted, leg)
    office.pbx.hang_up(caller_leg)
    office.pbx.hang_up(consulting)
    (transfer,) = (event for event in office.events if isinstance(event, CallTransferred))
    # User 1 of the older call goes on with user 0 of the other call.
    assert transfer.call.id == consulting.uuid
    assert (transfer.source.number, transfer.target.user_id) == (YAMADA.number, office.users[0].id)


def test_phase_of_the_remaining_leg_begins_when_the_lead_leg_ends():
    tracker = CallTracker()
    caller_leg = channel("a", state=Bridged(ts=5), offer_timestamp=1, other_uuid="b")
    leg = channel("b", state=Bridged(ts=5), offer_timestamp=2, other_uuid="a")
    tracker.apply([Added("channel", caller_leg), Added("channel", leg)])
    moved = channel("b", state=Conference(ts=8, room_id=1), offer_timestamp=2)
    tracker.apply([Changed("channel", moved, leg)])
    tracker.apply([Removed("channel", attrs.evolve(caller_leg, hangup_timestamp=20))])
    phases = [(one.kind, one.started, one.ended) for one in tracker.calls["a"].phases]
    assert phases == [("talking", 1, 20), ("conference", 20, None)]


@pytest.mark.parametrize("late", [True, False])
def test_joined_call_brings_its_pickup_legs(late):
    """An incomplete call makes the call that it joins incomplete."""
    office = Office()
    caller_leg, _ = talk(office, 0)
    consulting = office.pbx.receive(office.users[0], office.users[1].main_extension)
    consulted = office.pbx.call_user(consulting, office.users[1])
    pickup_leg = office.pbx.receive(office.users[2], f"pickup_uuid.{consulted.uuid}")
    office.pbx.set_state(pickup_leg, "system_operation", operation="pickup")
    office.wait(1)
    if late:
        office.tracker.apply(
            [Changed("channel", office.mirror.channels[consulted.uuid], None, True)]
        )
    office.pbx.connect(consulted)
    office.wait(4)
    office.pbx.attended_transfer(caller_leg, consulted)
    assert call_of(office, pickup_leg).id == caller_leg.uuid
    office.wait(3)
    office.pbx.hang_up(caller_leg)
    assert [call.id for call in office.ended] == [consulting.uuid, caller_leg.uuid]
    assert [call.complete for call in office.ended] == [not late, not late]
    own = call_of(office, pickup_leg)
    assert (own.id, own.complete) == (pickup_leg.uuid, not late)


def test_answering_user_is_kept_after_an_immediate_transfer():
    office = Office()
    caller_leg, leg = ring(office)
    office.wait(3)
    office.pbx.connect(leg)
    (second,) = office.pbx.transfer(caller_leg, office.users[1])
    office.pbx.connect(second)
    office.pbx.answer(second)
    office.wait(1)
    office.pbx.hang_up(caller_leg)
    (call,) = office.ended
    assert call.answered_by.user_id == office.users[0].id
    assert call.transfers == 1


def test_leg_that_picked_up_earlier_has_its_own_call():
    """A leg in a conference is no pickup leg, even if it dialled a pickup number."""
    tracker = CallTracker()
    tracker.apply([Added("channel", channel("a", state=Ivr(ts=1), offer_timestamp=1))])
    fields = {"called_number": "pickup_uuid.a", "peer_location": "internal", "answer_timestamp": 3}
    tracker.apply([Added("channel", channel("b", state=Conference(ts=5), **fields))])
    assert set(tracker.calls) == {"a", "b"}


# -- trackers that start late ---------------------------------------------------------


def _known_values(call):
    """Return the values of a call that a tracker which started late must know."""
    return (
        call.direction,
        attrs.evolve(call.caller, whoscall=None),
        call.called_number,
        attrs.evolve(call.phase, party=attrs.evolve(call.phase.party, whoscall=None)),
        {leg.uuid for leg in call.legs if leg.ended is None},
    )


def offices_during(scenario, seed):
    """Yield an office after each step of a scenario."""
    office = Office(seed, users=40 if scenario == "hunt" else 5)
    office.timeline.start(SCENARIOS[scenario](office.pbx))
    while office.timeline.time_to_next is not None:
        office.timeline.step()
        yield office


# The phones that ring for one click-to-call name no leg in common: which of them is the first
# depends on the order in which they are shown.
ORDERED_SCENARIOS = [name for name in SCENARIOS if name != "click_to_call_endpoints"]


@pytest.mark.parametrize("scenario", ORDERED_SCENARIOS)
@pytest.mark.parametrize("seed", [1, 2])
def test_late_tracker_finds_the_same_calls(scenario, seed):
    """At each moment and in any order of the legs, a new tracker finds the calls of an old one."""
    for office in offices_during(scenario, seed):
        legs = list(office.mirror.channels.values())
        late = CallTracker(legs).calls
        if "conference" not in {leg.state.name for leg in legs}:
            assert {key: _known_values(call) for key, call in late.items()} == {
                key: _known_values(call) for key, call in office.tracker.calls.items()
            }
        for order in itertools.islice(itertools.permutations(legs), 24):
            found = CallTracker(order).calls
            assert {**found} == {
                key: attrs.evolve(late[key], legs=found[key].legs) for key in found
            }
            assert {key: set(call.legs) for key, call in found.items()} == {
                key: set(call.legs) for key, call in late.items()
            }


@pytest.mark.parametrize("scenario", ORDERED_SCENARIOS)
def test_order_of_added_legs_does_not_matter(scenario):
    """A pickup leg that arrives before its call is an exception: see the tests of retrieval."""
    for office in offices_during(scenario, 1):
        legs = list(office.mirror.channels.values())
        if {"conference", "system_operation"} & {leg.state.name for leg in legs}:
            continue
        for order in itertools.islice(itertools.permutations(legs), 24):
            tracker = CallTracker()
            for leg in order:
                tracker.apply([Added("channel", leg)])
            assert {key: _known_values(call)[:3] for key, call in tracker.calls.items()} == {
                key: _known_values(call)[:3] for key, call in office.tracker.calls.items()
            }
            assert {key: call.started for key, call in tracker.calls.items()} == {
                key: call.started for key, call in office.tracker.calls.items()
            }


def test_talk_found_in_progress_has_an_unknown_first_phase():
    """The phases after the unknown one are right."""
    office = Office()
    caller_leg, leg = talk(office)
    office.start_tracking()
    (call,) = office.tracker.calls.values()
    assert call.id == caller_leg.uuid
    assert not call.complete
    assert [(phase.kind, phase.duration) for phase in call.phases] == [
        ("unknown", 2_000_000),
        ("talking", 0),
    ]
    assert call.answered_by.user_id == office.users[0].id
    office.wait(5)
    office.pbx.hang_up(leg)
    assert transcript(office) == unindented("""
        3 ends: answered by callee, NORMAL_CLEARING (incomplete)
        unknown 0-1, talking A 1-3
    """)


# -- gaps in the feed -----------------------------------------------------------------


def test_call_that_ended_in_a_gap_ends_at_the_start_of_the_gap():
    """No later sign of life is known."""
    office = Office()
    caller_leg, _ = talk(office)
    office.is_disconnected = True
    began = office.pbx.now
    office.wait(5)
    office.pbx.hang_up(caller_leg)
    office.wait(5)
    office.resync([Gap(_moment(began), _moment(office.pbx.now), None)])
    assert transcript(office) == unindented("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        2 ends: answered (synthetic) (incomplete)
        ringing A 0-1, talking A 1-2
    """)
    (call,) = office.ended
    assert {leg.outcome for leg in call.legs} == {"unknown"}


def test_ringing_call_that_ended_in_a_gap_has_an_unknown_disposition():
    office = Office()
    caller_leg, _ = ring(office)
    office.wait(2)
    office.is_disconnected = True
    office.pbx.hang_up(caller_leg)
    office.resync()
    (call,) = office.ended
    # Without a gap, the call ends at its last sign of life.
    assert (call.disposition, call.ended) == ("unknown", call.started)
    assert not call.complete


def test_call_answered_in_a_gap_has_the_time_of_the_answer():
    """The PBX reports the time of the answer; the call is incomplete."""
    office = Office()
    caller_leg, leg = ring(office)
    office.wait(2)
    office.is_disconnected = True
    office.pbx.connect(leg)
    office.wait(3)
    office.resync()
    office.pbx.hang_up(caller_leg)
    assert transcript(office) == unindented("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        2 ends: answered by caller, NORMAL_CLEARING (incomplete)
        ringing A 0-1, talking A 1-2
    """)


def test_call_transferred_in_a_gap_continues_with_its_new_party():
    office = Office()
    caller_leg, _ = talk(office)
    office.is_disconnected = True
    (leg,) = office.pbx.transfer(caller_leg, office.users[1])
    office.wait(4)
    office.pbx.connect(leg)
    office.wait(4)
    office.resync([Gap(_moment(office.moments[2]), _moment(office.pbx.now), None)])
    assert list(office.tracker.calls) == [caller_leg.uuid]
    office.wait(3)
    office.pbx.hang_up(caller_leg)
    assert transcript(office) == unindented("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        1 has legs of B
        3 transferred by A to B
        5 ends: answered by caller, NORMAL_CLEARING (incomplete)
        ringing A 0-1, talking A 1-3, talking B 3-5
    """)


def test_call_that_began_in_a_gap_is_reported_after_it():
    """It is incomplete."""
    office = Office()
    office.is_disconnected = True
    caller_leg, _ = ring(office)
    office.wait(4)
    office.resync()
    started, rings = office.events
    assert isinstance(started, CallStarted)
    assert isinstance(rings, CallRinging)
    assert started.call.started == office.start
    assert not started.call.complete
    assert list(office.tracker.calls) == [caller_leg.uuid]


# -- details --------------------------------------------------------------------------


def channel(uuid, **fields):
    return Channel(uuid=uuid, **fields)


def test_other_kinds_and_channels_without_uuid_are_no_calls():
    tracker = CallTracker()
    caller_leg = channel("a", state=Ivr(ts=1))
    assert (
        tracker.apply([Added("channel_waiting", caller_leg), Added("channel", channel(None))]) == []
    )
    assert tracker.apply([Removed("channel", caller_leg)]) == []
    assert len(tracker.calls) == 0


def test_apply_stepwise_yields_one_list_per_change():
    """Together, the lists hold the events of ``apply``."""
    legs = [channel(name, state=Ivr(ts=number)) for number, name in enumerate("abc")]
    changes = [Added("channel", leg) for leg in legs]
    changes += [Gap(_moment(0), _moment(0), None), Removed("channel", legs[1])]
    steps = [*CallTracker().apply_stepwise(changes)]
    assert [len(events) for events in steps] == [1, 1, 1, 0, 1]
    assert [event for events in steps for event in events] == CallTracker().apply(changes)


def test_channel_without_times_state_and_number_is_a_call():
    tracker = CallTracker()
    (started,) = tracker.apply([Added("channel", channel("a"))])
    assert (started.call.id, started.call.started, started.call.phase.kind) == ("a", 0, "unknown")
    (ended,) = tracker.apply([Removed("channel", channel("a"))])
    assert (ended.call.disposition, ended.call.ended, ended.call.ended_by) == ("unknown", 0, None)


def test_dialled_slot_must_hold_a_parked_call():
    """A user's call to an empty slot is a call of its own."""
    tracker = CallTracker()
    parked = channel("a", state=Park(ts=5, slot=901), offer_timestamp=1)
    fields = {"peer_location": "internal", "direction": "inbound", "state": SystemOperation(ts=9)}
    tracker.apply([Added("channel", parked)])
    tracker.apply([Added("channel", channel("b", called_number="902", **fields))])
    tracker.apply([Added("channel", channel("c", called_number="901", **fields))])
    tracker.apply([Added("channel", channel("d", called_number="pickup_uuid.x", **fields))])
    assert set(tracker.calls) == {"a", "b", "d"}


def test_dialled_slot_belongs_to_the_call_that_was_parked_then():
    """The first call leaves its slot and ends; meanwhile another call is parked there."""
    tracker = CallTracker()
    first = channel("a", state=Park(ts=5, slot=901), offer_timestamp=1)
    fields = {"peer_location": "internal", "direction": "inbound", "state": SystemOperation(ts=9)}
    tracker.apply([Added("channel", first)])
    tracker.apply(
        [Added("channel", channel("b", called_number="901", offer_timestamp=9, **fields))]
    )
    assert set(tracker.calls) == {"a"}
    talk = attrs.evolve(first, state=Bridged(ts=10))
    tracker.apply([Changed("channel", talk, first)])
    second = channel("c", state=Ivr(ts=2), offer_timestamp=2)
    parked = attrs.evolve(second, state=Park(ts=12, slot=901))
    tracker.apply([Added("channel", second), Changed("channel", parked, second)])
    tracker.apply([Removed("channel", talk)])
    assert set(tracker.calls) == {"b", "c"}
    assert [leg.uuid for leg in tracker.calls["c"].legs] == ["c"]


def test_later_called_number_gives_an_event():
    tracker = CallTracker()
    caller_leg = channel("a", state=SystemOperation(ts=1), offer_timestamp=1, user_id=1)
    tracker.apply([Added("channel", caller_leg)])
    with_number = attrs.evolve(caller_leg, called_number="110")
    (event,) = tracker.apply([Changed("channel", with_number, caller_leg)])
    assert isinstance(event, CallUpdated)
    assert event.call.called_number == "110"


def test_caller_directory_entry_of_another_leg_is_kept():
    """The entry of the caller's own leg replaces it."""
    tracker = CallTracker()
    caller_leg = channel("a", state=Ivr(ts=1), offer_timestamp=1, peer_location="external")
    info = OtherInfo(type="end_user", whoscall="%7B%7D", offer_timestamp=1, direction="inbound")
    leg = channel(
        "b",
        state=Ringing(ts=2),
        offer_timestamp=2,
        other_uuid="a",
        other_info=info,
        direction="outbound",
    )
    tracker.apply([Added("channel", caller_leg)])
    tracker.apply([Added("channel", leg)])
    assert tracker.calls["a"].caller.whoscall == "%7B%7D"
    tracker.apply([Removed("channel", leg)])
    tracker.apply(
        [Changed("channel", attrs.evolve(caller_leg, state=Ivr(ts=3, ivr_id=1)), caller_leg)]
    )
    assert tracker.calls["a"].caller.whoscall == "%7B%7D"
    own = attrs.evolve(caller_leg, extra={"whoscall": "own"})
    tracker.apply([Changed("channel", own, caller_leg)])
    assert tracker.calls["a"].caller.whoscall == "own"


def test_late_lead_leg_moves_the_start_of_its_call():
    """The call begins when the lead leg was offered."""
    tracker = CallTracker()
    info = OtherInfo(type="end_user", offer_timestamp=10, direction="inbound")
    leg = channel(
        "b",
        state=Bridged(ts=30),
        offer_timestamp=20,
        other_uuid="a",
        other_info=info,
        direction="outbound",
        user_id=7,
    )
    tracker.apply([Added("channel", leg)])
    assert list(tracker.calls) == ["a"]
    caller_leg = channel("a", state=Bridged(ts=30), offer_timestamp=10, other_uuid="b")
    tracker.apply([Added("channel", caller_leg)])
    assert tracker.calls["a"].started == tracker.calls["a"].phases[0].started == 10
    assert tracker.calls["a"].answered_by == Party(user_id=7)
    tracker.apply([Changed("channel", attrs.evolve(leg, state=Ivr(ts=40)), leg)])
    older = attrs.evolve(caller_leg, offer_timestamp=5, state=Ivr(ts=50))
    tracker.apply([Changed("channel", older, caller_leg)])
    assert tracker.calls["a"].started == 5


def test_channels_without_a_uuid_are_identified_by_position():
    mirror = Mirror()
    legs = {place: Channel(state=Ivr(ts=5), user_id=place) for place in (0, 1)}
    tracker = CallTracker()
    tracker.apply(mirror.apply(InitialInfo("channel", dict(legs))))
    assert list(tracker.calls) == ["0", "1"]
    assert [leg.party.user_id for call in tracker.calls.values() for leg in call.legs] == [0, 1]
    (ended,) = tracker.apply(mirror.apply(InitialInfo("channel", {0: legs[0]})))
    assert ended.call.id == "1"
    assert list(tracker.calls) == ["0"]


@pytest.mark.parametrize("synthetic", [False, True])
def test_offer_time_of_zero_counts_as_missing(synthetic):
    """The time of the leg's state is used instead."""
    tracker = CallTracker()
    leg = Channel(uuid="a", offer_timestamp=0, state=Ivr(ts=5, ivr_id="menu"))
    (started,) = tracker.apply([Added("channel", leg, synthetic=synthetic)])
    assert started.call.started == 5
    tracker.apply([Changed("channel", attrs.evolve(leg, state=Ringing(ts=7)), leg)])
    assert [phase.started for phase in tracker.calls["a"].phases] == [5, 7]


def test_numbers_of_legs_and_phases_of_a_call_are_limited(monkeypatch):
    """Legs of one party are merged, with all their rings; so are the oldest phases."""
    monkeypatch.setattr(ended_legs, "MAX_ENDED_LEGS", 8)
    monkeypatch.setattr(phase_history, "MAX_PHASES", 4)
    office = Office()
    caller_leg, _ = talk(office)
    for number in range(4):
        legs = office.pbx.transfer(caller_leg, office.group)
        office.wait(1)
        office.pbx.connect(legs[number])
        office.wait(1)
    office.pbx.transfer(caller_leg, office.group)
    for leg in office.pbx.ringing_for(caller_leg):
        office.pbx.stop_ringing(leg)
    office.pbx.hang_up(caller_leg)
    (call,) = office.ended
    assert len(call.legs) == 11  # of the caller, and of five users: answered, and not
    rings = [event for event in office.events if isinstance(event, CallRinging)]
    assert sum(leg.rings for leg in call.legs) == len(rings)
    assert sum(len(leg.talks) for leg in call.legs) == 5 * 2
    assert len(call.phases) == 4
    assert call.phases[0].kind == "unknown"
    assert call.phases[0].started == call.started
    assert call.complete
    assert [phase.kind for phase in call.merged.phases][:2] == ["ringing", "talking"]
    assert call.transfers == 5
    assert [wait.entered_by_transfer for wait in QueueWait.of(call)] == [True] * 5
    assert sum(phase.duration for phase in call.phases) == call.ended - call.started


def test_target_of_a_transfer_is_the_party_that_a_later_event_shows():
    """The leg of the colleague who talks next is shown after the caller is connected to it."""
    caller_leg = Channel(uuid="a", direction="inbound", offer_timestamp=0, state=Ivr(ts=0))
    agent_leg, colleague_leg = (
        Channel(uuid=uuid, direction="outbound", offer_timestamp=1, user_id=user_id, other_uuid="a")
        for uuid, user_id in (("b", 7), ("c", 8))
    )
    tracker = CallTracker([])

    def apply(change):
        tracker.apply([change])
        (call,) = tracker.calls.values()
        return [(one.at, one.source, one.target) for one in call.transfer_history]

    first, second = (
        attrs.evolve(caller_leg, state=Bridged(ts=ts), other_uuid=uuid)
        for ts, uuid in ((5, "b"), (9, "c"))
    )
    apply(Added("channel", caller_leg))
    apply(Added("channel", attrs.evolve(agent_leg, state=Bridged(ts=5))))
    assert apply(Changed("channel", first, caller_leg)) == []
    agent = Party(user_id=7)
    assert apply(Changed("channel", second, first)) == [(9, agent, Party())]
    shown = Added("channel", attrs.evolve(colleague_leg, state=Bridged(ts=9)))
    assert apply(shown) == [(9, agent, Party(user_id=8))]


def test_number_of_transfers_of_a_call_is_limited(monkeypatch):
    """The last ones are kept, and the call is no longer complete."""
    monkeypatch.setattr(talk_history, "MAX_TRANSFERS", 3)
    office = Office()
    caller_leg, _ = talk(office)
    for number in range(4):
        office.wait(1)
        legs = office.pbx.transfer(caller_leg, office.group)
        office.wait(1)
        office.pbx.connect(legs[0])
        (call,) = office.tracker.calls.values()
        assert call.complete == (number < 3)
    office.pbx.hang_up(caller_leg)
    (call,) = office.ended
    assert call.transfers == 4
    queued = [phase for phase in call.phases if phase.kind == "queued"]
    assert [transfer.at for transfer in call.transfer_history] == [
        phase.started for phase in queued[-3:]
    ]


def test_calls_are_a_live_read_only_mapping():
    office = Office()
    calls = office.tracker.calls
    caller_leg, _ = ring(office)
    assert (len(calls), list(calls), caller_leg.uuid in calls) == (1, [caller_leg.uuid], True)
    assert repr(calls) == "<1 calls>"
    assert repr(office.tracker) == "<CallTracker of 1 calls>"
    with pytest.raises(KeyError):
        calls["nothing"]
    with pytest.raises(TypeError):
        calls["x"] = None
    for _ in calls:
        office.pbx.hang_up(caller_leg)
    assert not calls


def test_call_of_an_event_never_changes():
    office = Office()
    caller_leg, leg = ring(office)
    first = office.events[0].call
    before = repr(first)
    office.pbx.connect(leg)
    office.pbx.hang_up(caller_leg)
    assert repr(first) == before
    assert isinstance(office.events[-1], CallEnded)


def test_tracker_starts_from_existing_channels():
    """Existing channels give calls, but no events."""
    office = Office()
    caller_leg, _ = talk(office)
    mirror = Mirror()
    mirror.apply(office.reader.snapshot(office.pbx))
    tracker = CallTracker(mirror.channels.values())
    assert list(tracker.calls) == [caller_leg.uuid]
    assert tracker.apply([]) == []


def _moment(microseconds):
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


# -- values that no PBX should send ---------------------------------------------------


UNUSUAL = [None, "", [70000], ("a",), 5, 2.5, {"a": 1}, True]


@pytest.mark.parametrize("value", UNUSUAL, ids=repr)
def test_calls_start_and_end_despite_values_of_wrong_types(value):
    channels = [
        Channel(uuid="u", other_uuid=value, offer_timestamp=value, answer_timestamp=value),
        Channel(
            uuid="v", other_uuid=value, offer_timestamp=5, state=Bridged(ts=value), user_id=value
        ),
        Channel(uuid="w", called_number=value, peer_location="internal", state=Ringing()),
        Channel(uuid=7, state=Bridged(ts=1), other_uuid="u"),
    ]
    tracker = CallTracker()
    events = tracker.apply([Added("channel", one) for one in channels])
    events += tracker.apply([Changed("channel", channels[1], channels[0])])
    assert sum(len(call.legs) for call in tracker.calls.values()) == 4
    hung_up = [
        attrs.evolve(one, last_event="CHANNEL_HANGUP", hangup_timestamp=value) for one in channels
    ]
    events += tracker.apply([Removed("channel", one) for one in hung_up])
    assert dict(tracker.calls) == {}
    count = [sum(isinstance(event, cls) for event in events) for cls in (CallStarted, CallEnded)]
    assert count[0] == count[1] > 0


def test_integer_uuids_refer_to_each_other():
    """Two legs whose uuids are integers are one call."""
    one, two = Channel(uuid=1, other_uuid=2), Channel(uuid=2, other_uuid=1, state=Bridged(ts=1))
    tracker = CallTracker([one, two])
    (call,) = tracker.calls.values()
    assert [leg.uuid for leg in call.legs] == ["1", "2"]


def leg_of_call(uuid, other=None, **fields):
    """Return a channel; with ``other``, a phone that rings for that channel."""
    if other is None:
        fields = {"direction": "inbound", "peer_location": "external", **fields}
    else:
        ringing = {"direction": "outbound", "peer_location": "internal", "other_uuid": other}
        fields = {**ringing, "state": Ringing(ts=5), **fields}
    return Channel(uuid=uuid, **{"offer_timestamp": 5, **fields})


def ids_of(events, event_type):
    return [event.call.id for event in events if isinstance(event, event_type)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["caller"]),
        ({"state": Bridged(ts=6)}, ["caller"]),
        ({"offer_timestamp": 8}, ["caller", "phone"]),  # after the end of the call
        ({"offer_timestamp": None}, ["caller", "phone"]),
    ],
)
def test_late_leg_of_an_ended_call_is_no_call(fields, expected):
    """The caller has hung up before the PBX shows the phone that rings for them."""
    tracker = CallTracker()
    caller = leg_of_call("caller", hangup_timestamp=7)
    info = OtherInfo(direction="inbound", peer_location="external", offer_timestamp=5)
    phone = leg_of_call("phone", other="caller", other_info=info, **fields)
    changes = [cls("channel", leg) for leg in (caller, phone) for cls in (Added, Removed)]
    events = tracker.apply(changes)
    assert ids_of(events, CallStarted) == ids_of(events, CallEnded) == expected
    assert tracker.is_empty


@pytest.mark.parametrize(
    ("entered", "expected"),
    [(6, ["caller"]), (7, ["caller", "caller#1"]), (8, ["caller", "caller#1"])],
)
def test_callers_leg_that_is_shown_after_the_call_is_no_call_while_its_state_is_older(
    entered, expected
):
    """The call was known by the leg of the user who talked to the caller, and ended at time 7."""
    tracker = CallTracker()
    info = OtherInfo(direction="inbound", peer_location="external", offer_timestamp=5)
    phone = leg_of_call(
        "phone", other="caller", other_info=info, state=Bridged(ts=6), hangup_timestamp=7
    )
    caller = leg_of_call("caller", other_uuid="phone", state=Bridged(ts=entered))
    changes = [cls("channel", leg) for leg in (phone, caller) for cls in (Added, Removed)]
    events = tracker.apply(changes)
    assert ids_of(events, CallStarted) == ids_of(events, CallEnded) == expected
    assert tracker.is_empty


def test_leg_that_a_snapshot_shows_after_its_call_ended_is_a_call():
    """The PBX says that the leg lives: it did not come late."""
    tracker = CallTracker()
    caller, phone = leg_of_call("caller", hangup_timestamp=7), leg_of_call("phone", other="caller")
    tracker.apply([Added("channel", caller), Removed("channel", caller)])
    tracker.apply([Added("channel", phone, synthetic=True)])
    assert list(tracker.calls) == ["phone"]


def test_leg_that_comes_back_under_a_used_id_is_a_call_with_a_new_id():
    """The id of the second call of an invisible caller is the uuid of a leg that comes back."""
    tracker = CallTracker()
    first, second, third = (leg_of_call(uuid, other="caller") for uuid in ("a", "b", "c"))
    events = tracker.apply(
        [
            *(Added("channel", first), Removed("channel", first)),
            *(Added("channel", second), Added("channel", third), Removed("channel", second)),
            Added("channel", leg_of_call("b")),
            *(Removed("channel", leg_of_call("b")), Removed("channel", third)),
        ]
    )
    assert ids_of(events, CallStarted) == ["caller", "b", "b#1"]
    assert ids_of(events, CallEnded) == ["caller", "b#1", "b"]
    assert tracker.is_empty


def test_numbered_id_that_a_pbx_uses_as_uuid_is_skipped():
    tracker = CallTracker()
    changes = [
        Added("channel", leg_of_call("x#1")),
        *(Added("channel", leg_of_call("x#2")), Removed("channel", leg_of_call("x#2"))),
        *(Added("channel", leg_of_call("x")), Removed("channel", leg_of_call("x"))),
        Added("channel", leg_of_call("x")),
    ]
    assert ids_of(tracker.apply(changes), CallStarted) == ["x#1", "x#2", "x", "x#3"]


CHANGES = st.tuples(
    st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from(["added", "updated", "removed", "hangup", "snapshot"]),
    st.sampled_from([None, "a", "b", "c", "d", "unseen"]),  # the other leg
    st.sampled_from(["external", "internal"]),
    st.sampled_from([None, Ringing(ts=5), Bridged(ts=6), Park(ts=7, slot=901)]),
    st.sampled_from([None, "pickup_uuid.a", "901"]),
)
OFFERED = {"a": 2, "b": 3, "c": 0, "d": None}  # a PBX does not use a uuid for two legs


@pytest.mark.slow
@pytest.mark.parametrize("max_remembered", [50_000, 1])
@settings(max_examples=150)
@given(changes=st.lists(CHANGES, max_size=25))
def test_call_ids_are_unique_whatever_the_feed_shows(max_remembered, changes):
    """No order of late, returning and invisible legs raises, or makes an id come twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(used_ids, "MAX_USED_IDS", max_remembered)
        mirror, tracker = Mirror(), CallTracker()
        started, ended = [], []
        for uuid, event, other, location, state, called in changes:
            leg = Channel(
                uuid=uuid,
                direction="inbound" if other is None else "outbound",
                peer_location=location,
                other_uuid=other,
                state=state,
                called_number=called,
                offer_timestamp=OFFERED[uuid],
                last_event="CHANNEL_HANGUP" if event == "hangup" else None,
            )
            if event == "snapshot":
                applied = [
                    Gap(datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(0, UTC), None),
                    *mirror.apply(InitialInfo("channel", {uuid: leg})),
                ]
            else:
                applied = mirror.apply(InfoEvent("channel", leg, event))
            events = tracker.apply(applied)
            started += ids_of(events, CallStarted)
            ended += ids_of(events, CallEnded)
            assert len(started) == len({*started})
            assert len(ended) == len({*ended})
            assert {*started} == {*ended, *tracker.calls}
            assert [call.id for call in tracker.calls.values()] == [*tracker.calls]
        tracker.apply(mirror.apply(InitialInfo("channel", {})))
        assert tracker.is_empty


@pytest.mark.slow
def test_any_thread_may_read_the_calls_while_they_change():
    """Each call that is read is consistent, and nothing raises."""
    tracker, errors, stop = CallTracker(), [], threading.Event()

    def read_on():
        try:
            while not stop.is_set():
                for call_id, call in tracker.calls.items():
                    assert (call_id, call.ended) == (call.id, None)
                    assert call.legs
                assert len([*tracker.calls.values()]) <= 20
        except Exception as error:  # noqa: BLE001 - of any kind
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=read_on)
    thread.start()
    try:
        end = time.monotonic() + 0.5
        numbers = itertools.count()
        while time.monotonic() < end and not errors:
            legs = []
            for number in itertools.islice(numbers, 10):
                caller = leg_of_call(f"a{number}")
                legs += [caller, leg_of_call(f"b{number}", other=caller.uuid)]
            for cls in (Added, Removed):
                tracker.apply([cls("channel", leg) for leg in legs])
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert errors == []


def test_views_of_the_calls_are_live():
    tracker = CallTracker()
    values = tracker.calls.values()
    tracker.apply([Added("channel", leg_of_call("a"))])
    assert [call.id for call in values] == ["a"]
    assert pickle.loads(pickle.dumps(tracker.calls)) == tracker.calls == {"a": tracker.calls["a"]}
    assert "a" in tracker.calls
    assert repr(tracker.calls) == "<1 calls>"
