"""Rows of the simulator's scenarios satisfy the invariants of rows, at each event."""

from __future__ import annotations

import pytest
from support.call_transcripts import CALLERS, SCENARIOS, Office
from support.row_checks import Rows, check_phases, check_rows, check_sums, check_talks

from basix_ws_cti.calls import CallEnded, Participation, QueueWait
from basix_ws_cti.simulator.company import DID

SEEDS = 6


def offices(scenario):
    return [Office(seed, users=10).play(scenario) for seed in range(SEEDS)]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_rows_of_a_scenario_are_consistent(scenario):
    """Phases tile, waits lie within their call and apart, nobody talks twice at one moment.

    This holds for calls in progress too. The sums over all queues are those over all calls.
    """
    for office in offices(scenario):
        for event in office.events:
            check_phases(event.call)
            check_rows(event.call)
        check_talks(office.ended)
        check_sums(office.ended)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_rows_of_a_call_in_progress_become_those_of_the_ended_call(scenario):
    """A wait that has ended changes no more, apart from ``complete``; no party disappears."""
    for office in offices(scenario):
        rows = {event.call.id: Rows.of(event.call) for event in office.events if is_end(event)}
        for event in office.events:
            final = rows[event.call.id]
            for wait, last in zip(QueueWait.of(event.call), final.waits, strict=False):
                assert (wait.group_id, wait.entered) == (last.group_id, last.entered)
                if wait.result is not None:
                    assert (wait.result, wait.left) == (last.result, last.left)
            if final.record.joined is None:
                parties = {(row.user_id, row.number) for row in Participation.of(event.call)}
                assert parties <= {(row.user_id, row.number) for row in final.participations}


def consult_of_a_queue(office):
    """Let a user talk to a customer, and call the queue; return the customer's leg and theirs."""
    customer_leg = office.pbx.receive(CALLERS[0], DID)
    office.pbx.connect(office.pbx.call_user(customer_leg, office.users[0]))
    office.wait(10)
    consulting = office.pbx.receive(office.users[0], "8001")
    office.pbx.call_group(consulting, office.group)
    office.wait(5)
    return customer_leg, consulting


@pytest.mark.parametrize("is_customer", [True, False])
def test_wait_that_lasts_when_its_call_is_joined_names_who_talks_since_then(is_customer):
    """A phone of the group is bridged to the customer whose agent waits in the queue.

    Or the agent's own leg is bridged to the customer's: then nobody of the group answers.
    """
    office = Office()
    customer_leg, consulting = consult_of_a_queue(office)
    phone = office.pbx.ringing_for(consulting)[0]
    office.pbx.bridge(customer_leg, phone if is_customer else consulting)
    office.wait(5)
    office.pbx.hang_up(customer_leg)
    joined = next(call for call in office.ended if call.joined is not None)
    (wait,) = QueueWait.of(joined)
    expected = phone.user.id if is_customer else None
    assert (wait.result, wait.answered_by_user_id, wait.waited_us) == (
        "answered",
        expected,
        5_000_000,
    )


def is_end(event):
    return isinstance(event, CallEnded)
