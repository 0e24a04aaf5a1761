"""Rows of the simulator's scenarios satisfy the invariants of rows, at each event."""

from __future__ import annotations

import pytest
from support.call_transcripts import SCENARIOS, Office
from support.row_checks import Rows, check_phases, check_rows, check_sums, check_talks

from basix_ws_cti.calls import CallEnded, Participation, QueueWait

SEEDS = 6


def offices(scenario):
    return [Office(seed, users=10).play(scenario) for seed in range(SEEDS)]


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


def is_end(event):
    return isinstance(event, CallEnded)
