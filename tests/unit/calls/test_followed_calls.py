"""A program that follows call events alone knows the calls of the tracker, and their legs.

``Watcher`` and ``random_pbx.Observer`` check the same after each message of all other scripts.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter

import pytest
from support.call_feeds import Watcher
from support.call_script import messages_of, snapshot_before
from support.call_transcripts import CALLERS, SCENARIOS, Office
from support.followed_calls import FollowedCalls
from support.random_scripts import random_script

from basix_ws_cti.calls import CallUpdated
from basix_ws_cti.simulator import NotPossibleError


class FollowingOffice(Office):
    """Office whose call events are followed, and compared with the tracker after each message."""

    def start_tracking(self):
        super().start_tracking()
        self.followed = FollowedCalls(self.tracker.calls)

    def _on_event(self, *notification):
        known = len(self.events)
        super()._on_event(*notification)
        self.followed.apply(self.events[known:])
        self.followed.check(self.tracker.calls)


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_events_of_a_scenario_show_the_calls_of_the_tracker(scenario):
    FollowingOffice(users=10).play(scenario)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_each_connected_leg_is_in_one_followed_call(seed):
    """Many calls at once, in which users consult and transfer; the program is restarted at times.

    A leg that rings or is connected is in exactly one of the calls that the program knows.
    """
    rng = random.Random(seed)
    office = FollowingOffice(seed, users=30)
    for _ in range(150):
        with contextlib.suppress(NotPossibleError):  # when no user is free
            office.timeline.start(SCENARIOS[rng.choice([*SCENARIOS])](office.pbx))
        office.wait(rng.uniform(0, 5))
        legs = Counter(
            leg.uuid
            for call in office.followed.calls.values()
            for leg in call.legs
            if leg.ended is None
        )
        for leg in office.pbx.channels.values():
            assert legs[leg.uuid] == 1 or leg.state.name not in {"ringing", "bridged"}
        if rng.random() < 0.05:
            office.start_tracking()


@pytest.mark.parametrize("seed", range(10))
def test_events_of_random_calls_show_the_calls_of_the_tracker(seed):
    """This also holds for a client that connects while calls are in progress."""
    script = random_script(seed)
    messages = messages_of(script)
    for first in range(0, len(messages), 10):
        watcher = Watcher(snapshot_before(script, first))
        for message in messages[first:]:
            watcher.receive(message)  # compares


def consult_that_rings():
    """Return an office, and the legs of a customer and of the phone that rings for a consult."""
    office = FollowingOffice()
    customer_leg = office.pbx.receive(CALLERS[0], "0501234567")
    office.pbx.connect(office.pbx.call_user(customer_leg, office.users[0]))
    office.wait(10)
    consulting = office.pbx.receive(office.users[0], office.users[1].main_extension)
    ringing = office.pbx.call_user(consulting, office.users[1])
    office.wait(2)
    return office, customer_leg, ringing


def test_call_that_takes_over_a_ringing_consult_shows_the_phone_that_rings():
    office, customer_leg, ringing = consult_that_rings()
    known = len(office.events)
    office.pbx.semi_attended_transfer(customer_leg, ringing)
    updates = [one for one in office.events[known:] if isinstance(one, CallUpdated)]
    assert [one.call.id for one in updates] == [customer_leg.uuid]
    assert ringing.uuid in {leg.uuid for leg in updates[0].call.legs}


def test_attempt_to_pick_up_is_shown_before_it_succeeds():
    office = FollowingOffice()
    customer_leg = office.pbx.receive(CALLERS[0], "0501234567")
    ringing = office.pbx.call_user(customer_leg, office.users[0])
    office.wait(3)
    known = len(office.events)
    leg = office.pbx.receive(office.users[1], f"pickup_uuid.{ringing.uuid}")
    office.pbx.set_state(leg, "system_operation", operation="pickup")
    (event,) = office.events[known:]
    assert isinstance(event, CallUpdated)
    assert event.call.id == customer_leg.uuid
    assert event.call.legs[-1].uuid == leg.uuid


def updates_of(script):
    """Return the text "call: legs, purpose" of the updates after the events of a script."""
    watcher = Watcher()
    for message in messages_of(script):
        watcher.receive(message)
    updates = [one.call for one in watcher.events if isinstance(one, CallUpdated)]
    return [
        f"{call.id}: {' '.join(leg.uuid for leg in call.legs if leg.ended is None)}, {call.purpose}"
        for call in updates
    ]


def test_call_that_turns_out_to_be_a_consult_call_is_shown():
    """A phone that the PBX rings for the user's own call is answered during another call."""
    updates = updates_of("""
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
        20  A2 rings by API to dial B
        22  A2 answered
    """)
    assert updates == ["X1: X1, call", "A2: A2, consult"]


def test_call_that_goes_on_without_a_permanent_line_is_shown():
    """The line takes a queued caller, whom its user then sends to a colleague."""
    updates = updates_of("""
        0   B1 rings by API to dial media_plug
        1   B1 answered
        10  X1 dials 0501234567
        10  X1 queued G
        20  X1 bridged with B1
        40  B1 service x
        40  X1 calls C
    """)
    assert updates == ["X1: X1, call", "X1: X1, call"]  # queued, and left by the line
