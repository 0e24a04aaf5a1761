"""Calls of users who are in several calls: what the rows say once two of them are joined."""

from __future__ import annotations

from support.call_transcripts import CALLERS, Office
from support.random_pbx import shared_columns

from basix_ws_cti.calls import CallRecord, Participation
from basix_ws_cti.simulator.company import DID


def call(office, caller, callee):
    """Let somebody call a user, who answers; return both legs."""
    lead = office.pbx.receive(caller, getattr(callee, "main_extension", DID))
    leg = office.pbx.call_user(lead, callee)
    office.wait()
    office.pbx.connect(leg)
    office.wait()
    return lead, leg


def ended(office):
    """Return the records of the calls that ended, by id; they equal those of the ledger."""
    records = {one.id: CallRecord.of(one) for one in office.ended}
    rows = {row.id: row for row in office.pbx.ledger}
    assert {key: shared_columns(one) for key, one in records.items()} == {
        key: shared_columns(row) for key, row in rows.items()
    }
    return records


def roles(office, call_id):
    (one,) = [one for one in office.ended if one.id == call_id]
    return {row.user_id: row.role for row in Participation.of(one) if row.user_id is not None}


def test_colleague_in_an_older_consult_call_was_consulted():
    office = Office()
    user, colleague = office.users[:2]
    _, consulted = call(office, user, colleague)
    lead, _ = call(office, CALLERS[0], user)
    office.pbx.attended_transfer(lead, consulted)
    office.wait()
    office.pbx.hang_up(lead)
    assert roles(office, lead.uuid)[colleague.id] == "consulted"


def test_consult_call_that_absorbs_another_one_stays_a_consult_call():
    """The colleague asks somebody else and connects them, while the customer waits."""
    office = Office()
    user, colleague, expert = office.users[:3]
    call(office, CALLERS[0], user)
    consulting, _ = call(office, user, colleague)
    _, asked = call(office, colleague, expert)
    office.pbx.attended_transfer(consulting, asked)
    office.wait()
    office.pbx.hang_up(consulting)
    assert ended(office)[consulting.uuid].purpose == "consult"


def test_outbound_call_that_absorbs_the_call_that_waited_for_it_is_a_call():
    office = Office()
    user, colleague = office.users[:2]
    _, waiting = call(office, user, colleague)
    lead = office.pbx.receive(user, CALLERS[1].number)
    customer = office.pbx.call_out(lead, CALLERS[1])
    office.wait()
    office.pbx.connect(customer)
    office.wait()
    office.pbx.attended_transfer(customer, waiting)
    office.wait()
    office.pbx.hang_up(customer)
    record = ended(office)[lead.uuid]
    assert (record.direction, record.purpose, record.joined) == ("outbound", "call", None)


def test_user_who_transferred_before_the_answer_did_not_end_the_call():
    """The PBX ends the call while the colleague's phone rings."""
    office = Office()
    user, colleague = office.users[:2]
    lead, _ = call(office, CALLERS[0], user)
    consulting = office.pbx.receive(user, colleague.main_extension)
    ringing = office.pbx.call_user(consulting, colleague)
    office.wait()
    office.pbx.semi_attended_transfer(lead, ringing)
    office.wait()
    office.pbx.hang_up(lead, by_peer=False)
    record = ended(office)[lead.uuid]
    assert (record.ended_by, record.last_phase, record.blind_transfers) == ("pbx", "ringing", 1)


def test_failed_attempt_to_retrieve_a_call_has_the_role_retrieved():
    office = Office()
    leg = office.pbx.receive(office.users[0], "901")
    office.pbx.set_state(leg, "system_operation", operation="unpark")
    office.wait()
    office.pbx.hang_up(leg, "NO_PICKUP", by_peer=False)
    assert roles(office, leg.uuid) == {office.users[0].id: "retrieved"}
    assert ended(office)[leg.uuid].purpose == "pickup"


def test_phone_that_refused_does_not_end_a_call_that_rings_another_phone():
    """The other phone of the user who requested the call rings on for a moment."""
    office = Office()
    user = office.users[0]
    phones = [*office.pbx.terminals_of(user), office.pbx.add_terminal(user)]
    legs = office.pbx.ring_endpoints(
        {office.pbx.new_uuid(): phone for phone in phones}, "0312345678"
    )
    office.wait()
    office.pbx.hang_up(legs[1], "USER_BUSY")
    office.wait(0.05)
    office.pbx.stop_ringing(legs[0])
    record = ended(office)[legs[0].uuid]
    assert (record.disposition, record.ended_by, record.cause) == ("unanswered", "pbx", "NO_ANSWER")
