"""Reading of channels by active calls: once per change of a leg."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest
from support.call_transcripts import Office

from basix_ws_cti import Channel
from basix_ws_cti.calls import CallRinging, CallTracker, Party, active_call, active_leg
from basix_ws_cti.mirror.changes import Added, Changed
from basix_ws_cti.states import Calling, Ivr, Ringing

CALLER_LEG = Channel(
    uuid="caller",
    state=Calling(ts=1, target_location="int", target_type="group", group_id=9),
    direction="inbound",
    offer_timestamp=1,
)


def phone(number):
    return Channel(
        uuid=f"phone {number}",
        state=Ringing(ts=2),
        direction="outbound",
        offer_timestamp=2,
        other_uuid="caller",
        user_id=number,
    )


@pytest.fixture
def read(monkeypatch):
    """Counter of the calls of ``own_party`` and ``phase_with``, by name and uuid of the channel."""
    counts = Counter()

    def counting(function):
        def called(channel, *rest):
            counts[function.__name__, channel.uuid] += 1
            return function(channel, *rest)

        return called

    monkeypatch.setattr(active_leg, "own_party", counting(active_leg.own_party))
    monkeypatch.setattr(active_call, "phase_with", counting(active_call.phase_with))
    return counts


def test_each_leg_is_read_once(read):
    """A change reads its own leg only, however many phones ring for the call."""
    tracker = CallTracker([CALLER_LEG])
    events = tracker.apply([Added("channel", phone(number)) for number in range(20)])
    assert [type(event) for event in events] == [CallRinging] * 20
    assert len(tracker.calls["caller"].legs) == 21
    assert read == {
        ("own_party", "caller"): 1,
        ("phase_with", "caller"): 1,
        **{("own_party", f"phone {number}"): 1 for number in range(20)},
    }
    tracker.apply([Changed("channel", attrs.evolve(CALLER_LEG, state=Ivr(ts=3)), CALLER_LEG)])
    # The caller is still the same.
    assert (read["own_party", "caller"], read["phase_with", "caller"]) == (1, 2)
    assert read.total() == 20 + 3


def test_snapshots_share_unchanged_legs():
    """Two snapshots of a call hold the same object for a leg that did not change."""
    tracker = CallTracker([CALLER_LEG])
    first, second = tracker.apply([Added("channel", phone(number)) for number in range(2)])
    assert first.call.legs[0] is second.call.legs[0]
    assert first.call.legs[1] is second.call.legs[1]
    tracker.apply([Changed("channel", attrs.evolve(CALLER_LEG, answer_timestamp=3), CALLER_LEG)])
    now = tracker.calls["caller"]
    assert (first.call.legs[0].answered, now.legs[0].answered) == (None, 3)
    assert now.legs[1:] == second.call.legs[1:]


SCENARIOS_OF_MANY_LEGS = ["ring_rounds", "announcement", "callback", "parked", "attended_transfer"]


@pytest.mark.parametrize("scenario", SCENARIOS_OF_MANY_LEGS)
def test_events_create_only_legs_that_changed(scenario):
    """Each event shows all legs of its call, but most of them are those of an earlier event."""
    office = Office()
    kinds = []
    office.pbx.listeners.append(lambda kind, *_: kinds.append(kind))
    office.play(scenario)
    legs = {id(leg) for event in office.events for leg in event.call.legs}
    assert len(legs) <= 0.75 * kinds.count("channel")


def test_leg_that_lives_has_no_end_hangup_or_outcome():
    channel = Channel(uuid="a", user_id=7, direction="outbound", offer_timestamp=3)
    (leg,) = CallTracker([channel]).calls["a"].legs
    assert (leg.uuid, leg.party, leg.offered) == ("a", Party(user_id=7), 3)
    assert (leg.answered, leg.ended, leg.hangup, leg.outcome) == (None, None, None, None)
