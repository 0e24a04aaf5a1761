"""The simulated PBX's ledger of completed calls: one row per call."""

from __future__ import annotations

import attrs
import pytest
from support.feed_follower import Office

from basix_ws_cti.simulator import (
    CallRow,
    ParticipationRow,
    Pbx,
    WaitRow,
    call_ledger,
    scenarios,
)
from basix_ws_cti.simulator.call_ledger import Ledger
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.simulator.model import SECOND
from basix_ws_cti.simulator.timeline import Timeline

CUSTOMER = scenarios.CALLERS[0]


def rows(office):
    return list(office.pbx.ledger)


def pass_time(office, seconds):
    office.pbx.now += seconds * SECOND


def fields(row, *names):
    return tuple(getattr(row, name) for name in names)


def test_rows_of_a_queued_and_parked_call():
    """The call goes through queue, talk, park slot and talk. The rows are written by hand."""
    office = Office()
    pbx, start = office.pbx, office.pbx.now
    lead = office.call(CUSTOMER)
    pass_time(office, 1)
    legs = pbx.call_group(lead, office.group)
    pass_time(office, 2)
    pbx.connect(legs[1])
    others = [office.users[number].id for number in (0, 2, 3, 4)]
    answering, retrieving = office.users[1].id, office.users[3].id
    pass_time(office, 4)
    slot = pbx.park(lead)
    pass_time(office, 8)
    leg = pbx.receive(office.users[3], str(slot))
    pbx.set_state(leg, "system_operation", operation="unpark")
    pass_time(office, 1)
    pbx.retrieve(leg, lead)
    pass_time(office, 16)
    pbx.hang_up(leg)
    assert rows(office) == [
        CallRow(
            id=lead.uuid,
            direction="inbound",
            purpose="call",
            started=start,
            answered=start + 3 * SECOND,
            ended=start + 32 * SECOND,
            caller_number=CUSTOMER.number,
            caller_user_id=None,
            called_number=DID,
            requested_user_id=None,
            requested_group_id=office.group.id,
            answered_by_user_id=answering,
            answered_by_number=None,
            handlers=f"[{answering}, {retrieving}]",
            last_handler_user_id=retrieving,
            last_handler_number=None,
            disposition="answered",
            abandoned_in=None,
            last_phase="talking",
            ended_by="callee",
            cause="NORMAL_CLEARING",
            talking_us=20 * SECOND,
            parked_us=9 * SECOND,
            parks=1,
            transfers=0,
            blind_transfers=0,
            attended_transfers=0,
            voicemail_user_id=None,
            voicemail_group_id=None,
            conference_room=None,
            menu_id="main_menu",
            origination=None,
            tags=None,
            went_outside=False,
            joined=None,
        )
    ]
    assert pbx.ledger.waits == (
        WaitRow(
            call_id=lead.uuid,
            group_id=office.group.id,
            entered=start + 1 * SECOND,
            left=start + 3 * SECOND,
            waited_us=2 * SECOND,
            result="answered",
            next_group_id=None,
            answered_by_user_id=answering,
            rings=5,
            purpose="call",
        ),
    )
    caller, *users = pbx.ledger.participations
    assert caller == ParticipationRow(
        call_id=lead.uuid,
        user_id=None,
        number=CUSTOMER.number,
        role="placed",
        group_id=None,
        result="answered",
        rings=0,
        rang_us=0,
        talked_us=20 * SECOND,
        held_us=9 * SECOND,
        first_offered=start,
        answered=start + 3 * SECOND,
        left=start + 32 * SECOND,
    )
    assert {row.user_id for row in users} == {answering, *others}
    assert {row.group_id for row in users} == {office.group.id}
    assert {(row.role, row.rings, row.rang_us) for row in users} == {("offered", 1, 2 * SECOND)}
    names = ("result", "talked_us", "held_us", "answered", "left")
    by_user = {row.user_id: fields(row, *names) for row in users}
    assert by_user == {
        **dict.fromkeys(others, ("picked_up_elsewhere", 0, 0, None, start + 3 * SECOND)),
        answering: ("answered", 4 * SECOND, 0, start + 3 * SECOND, start + 7 * SECOND),
        retrieving: ("answered", 16 * SECOND, 0, start + 16 * SECOND, start + 32 * SECOND),
    }
    assert not pbx.ledger.active_calls


def play(scenario, seed):
    """Return a PBX in which one scenario has run from beginning to end."""
    pbx = Pbx(seed)
    scenarios.populate(pbx, 40)
    timeline = Timeline(pbx)
    timeline.start(scenarios.SCENARIOS[scenario](pbx))
    while timeline.time_to_next is not None:
        timeline.step()
    return pbx


# The rows that a scenario gives: direction, disposition, abandoned_in, ended_by, cause, and what is
# special. A scenario that can go several ways has several.
TALKED = "inbound answered None caller NORMAL_CLEARING"
OUTCOMES = {
    "inbound_call": {TALKED},
    "hunt": {TALKED},
    "abandoned": {"inbound abandoned queue caller NORMAL_CLEARING"},
    "voicemail": {"inbound voicemail None caller NORMAL_CLEARING"},
    "direct_call": {TALKED, "inbound answered None callee NORMAL_CLEARING"},
    "abandoned_ringing": {"inbound abandoned ringing caller ORIGINATOR_CANCEL"},
    "no_answer": {"inbound missed None pbx NO_ANSWER"},
    "after_hours": {"inbound abandoned ringing caller NORMAL_CLEARING outside"},
    "maximum_duration": {"inbound answered None pbx ALLOTTED_TIMEOUT"},
    "ring_rounds": {TALKED, "inbound missed None pbx NORMAL_CLEARING"},
    "overflow": {
        TALKED,
        "inbound abandoned queue caller NORMAL_CLEARING",
        "inbound voicemail None caller NORMAL_CLEARING",
    },
    "announcement": {
        TALKED,
        "inbound abandoned queue caller NORMAL_CLEARING",
        "inbound missed None pbx NORMAL_CLEARING",
    },
    "callback": {
        "inbound abandoned queue caller NORMAL_CLEARING",
        "outbound answered None caller NORMAL_CLEARING",
        "outbound unanswered None caller ORIGINATOR_CANCEL",
    },
    "two_phones_ring": {TALKED, "inbound missed None pbx NO_ANSWER"},
    "closed": {"inbound ended_in_menu None pbx NORMAL_CLEARING"},
    "short_voicemail": {"inbound no_message None caller NORMAL_CLEARING"},
    "not_routed": {
        "inbound rejected None pbx CALL_REJECTED",
        "inbound failed None pbx UNALLOCATED_NUMBER",
        "inbound abandoned ringing caller ORIGINATOR_CANCEL",
    },
    "forwarded": {
        TALKED,
        f"{TALKED} outside",
        "inbound voicemail None caller NORMAL_CLEARING",
    },
    "parked": {TALKED},
    "picked_up": {TALKED},
    "blind_transfer": {f"{TALKED} blind"},
    "returned_to_queue": {f"{TALKED} blind"},
    "transferred_and_abandoned": {"inbound answered queue caller NORMAL_CLEARING blind"},
    "transferred_outside": {
        f"{TALKED} blind outside",
        "inbound answered None callee NORMAL_CLEARING blind outside",
        "inbound answered None pbx NO_ANSWER blind outside",
    },
    "abandoned_while_parked": {"inbound answered parked caller NORMAL_CLEARING"},
    "pickup_without_call": {"internal failed None pbx NO_PICKUP pickup"},
    "attended_transfer": {
        f"{TALKED} attended",
        "internal answered None None None consult joined",
    },
    "semi_attended_transfer": {
        f"{TALKED} blind",
        "inbound answered ringing caller NORMAL_CLEARING blind",
        "internal unanswered None None None consult joined",
    },
    "consult_returned": {
        TALKED,
        "internal answered None caller NORMAL_CLEARING consult",
        "internal answered None callee NORMAL_CLEARING consult",
        "internal busy None callee USER_BUSY consult",
    },
    "consult_in_queue": {
        TALKED,
        f"{TALKED} attended",
        f"{TALKED} blind",
        "internal answered None None None consult joined",
        "internal unanswered None None None consult joined",
        "internal answered None caller NORMAL_CLEARING consult",
        "internal abandoned queue caller ORIGINATOR_CANCEL consult",
    },
    "older_consult": {
        f"{TALKED} attended",
        "internal answered None None None consult joined",
    },
    "internal_call": {
        "internal answered None caller NORMAL_CLEARING",
        "internal answered None callee NORMAL_CLEARING",
    },
    "outbound_call": {
        "outbound answered None caller NORMAL_CLEARING",
        "outbound answered None callee NORMAL_CLEARING",
    },
    "busy": {"outbound busy None callee USER_BUSY"},
    "rejected": {"outbound rejected None callee CALL_REJECTED"},
    "unreachable": {"outbound unreachable None callee NO_USER_RESPONSE"},
    "click_to_call": {"outbound answered None callee NORMAL_CLEARING"},
    "click_to_call_endpoints": {
        "outbound answered None caller NORMAL_CLEARING",
        "outbound answered None callee NORMAL_CLEARING",
        "outbound unanswered None pbx NO_ANSWER",
    },
    "queue_call": {
        "internal answered None caller NORMAL_CLEARING",
        "internal abandoned queue caller ORIGINATOR_CANCEL",
    },
    "checking_voicemail": {"internal answered None caller NORMAL_CLEARING service"},
    "conference": {TALKED, "internal answered None caller NORMAL_CLEARING"},
    "conference_call": {
        "internal answered None caller NORMAL_CLEARING",
        "internal rejected None pbx CALL_REJECTED",
    },
    "eavesdrop": {TALKED, "internal answered None caller NORMAL_CLEARING monitor"},
    "directory_changes": set(),
}


def outcome(row):
    words = [row.direction, row.disposition, row.abandoned_in, row.ended_by, row.cause]
    words += [] if row.purpose == "call" else [row.purpose]
    words += ["blind"] * row.blind_transfers + ["attended"] * row.attended_transfers
    words += ["outside"] * row.went_outside + ["joined"] * (row.joined is not None)
    return " ".join(map(str, words))


def test_every_scenario_has_an_outcome():
    assert OUTCOMES.keys() == scenarios.SCENARIOS.keys()


@pytest.mark.parametrize("scenario", OUTCOMES)
def test_rows_of_each_scenario(scenario):
    """With any users, a scenario gives its rows; all of them occur."""
    ledgers = [play(scenario, seed).ledger for seed in range(20)]
    assert {outcome(row) for ledger in ledgers for row in ledger} == OUTCOMES[scenario]


def test_caller_who_hangs_up_in_the_menu_abandons_there():
    """The call is not answered, although the PBX answered the channel."""
    office = Office()
    lead = office.call()
    office.pbx.answer(lead)
    office.pbx.hang_up(lead)
    assert fields(rows(office)[0], "disposition", "abandoned_in", "answered") == (
        "abandoned",
        "ivr",
        None,
    )


def test_transfers_are_counted():
    """A blind and an attended transfer count as two; the talk time continues."""
    office = Office()
    pbx = office.pbx
    lead, _ = office.talk(0)
    pass_time(office, 5)
    (leg,) = pbx.transfer(lead, office.users[1])
    pass_time(office, 2)
    pbx.connect(leg)
    consult_lead = pbx.receive(office.users[1], "1003")
    pass_time(office, 3)
    consult_leg = pbx.call_user(consult_lead, office.users[2])
    pbx.connect(consult_leg)
    pass_time(office, 4)
    pbx.attended_transfer(lead, consult_leg)
    pass_time(office, 6)
    pbx.hang_up(consult_leg)
    joined, row = rows(office)
    names = ("id", "joined", "disposition", "ended_by", "talking_us", "transfers")
    assert fields(joined, *names) == (consult_lead.uuid, lead.uuid, "answered", None, 4 * SECOND, 0)
    assert fields(row, *names) == (lead.uuid, None, "answered", "callee", 18 * SECOND, 2)


def test_ring_back_from_a_park_slot_is_no_transfer():
    office = Office()
    lead, _ = office.talk(0)
    office.pbx.park(lead)
    pass_time(office, 30)
    office.pbx.transfer(lead, office.users[0])
    pass_time(office, 5)
    office.pbx.hang_up(lead)
    assert fields(rows(office)[0], "transfers", "parks", "parked_us") == (0, 1, 30 * SECOND)


def test_parked_caller_hangs_up():
    """The call ends; the leg that dialled the slot has a row of its own."""
    office = Office()
    pbx = office.pbx
    lead, _ = office.talk(0)
    slot = pbx.park(lead)
    pass_time(office, 7)
    leg = pbx.receive(office.users[1], str(slot))
    pbx.set_state(leg, "system_operation", operation="unpark")
    pbx.hang_up(lead)
    pass_time(office, 1)
    pbx.hang_up(leg)
    parked, second = rows(office)
    assert fields(parked, "id", "parked_us", "ended_by") == (lead.uuid, 7 * SECOND, "caller")
    names = ("disposition", "abandoned_in", "purpose")
    assert fields(parked, *names) == ("answered", "parked", "call")
    assert fields(second, "id", "purpose", "answered", "caller_user_id") == (
        leg.uuid,
        "pickup",
        None,
        office.users[1].id,
    )


def test_restart_ends_all_calls():
    """The rows of lost calls end at the restart, with an unknown ending side and cause."""
    office = Office()
    lead, _ = office.talk(0)
    other, _ = office.talk(1)
    office.pbx.park(other)
    pass_time(office, 5)
    office.pbx.drop_channels()
    first, second = rows(office)
    names = ("id", "disposition", "ended_by", "cause", "talking_us", "parked_us")
    assert fields(first, *names) == (lead.uuid, "answered", None, None, 5 * SECOND, 0)
    assert fields(second, *names) == (other.uuid, "answered", None, None, 0, 5 * SECOND)
    lead = office.call()
    office.pbx.drop_channels()
    assert fields(rows(office)[2], "id", "disposition") == (lead.uuid, "unknown")
    assert not office.pbx.ledger.active_calls


def test_ledger_keeps_the_newest_rows():
    assert Ledger().max_rows == call_ledger.MAX_ROWS == 20_000
    office = Office()
    office.pbx.ledger = Ledger(max_rows=2)
    leads = [office.call() for _ in range(3)]
    for lead in leads:
        office.pbx.hang_up(lead)
    assert [row.id for row in office.pbx.ledger] == [lead.uuid for lead in leads[1:]]
    assert len(office.pbx.ledger) == 2


def test_rows_are_immutable():
    """An iterator over the ledger yields the rows of the moment it was made."""
    office = Office()
    office.pbx.hang_up(office.call())
    iterator = iter(office.pbx.ledger)
    office.pbx.hang_up(office.call())
    assert len(list(iterator)) == 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        rows(office)[0].ended = 0
