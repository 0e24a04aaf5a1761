"""Reading of channels by active calls: each leg once per event of its own."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest

from basix_ws_cti import Channel
from basix_ws_cti.calls import CallRinging, CallTracker, active_call, active_legs
from basix_ws_cti.mirror.changes import Added, Changed
from basix_ws_cti.states import Calling, Ivr, Ringing

LINE = Channel(
    uuid="line",
    state=Calling(ts=1, target_location="int", target_type="group", group_id=9),
    direction="inbound",
    offer_timestamp=1,
)


def telephone(number):
    return Channel(
        uuid=f"telephone {number}",
        state=Ringing(ts=2),
        direction="outbound",
        offer_timestamp=2,
        other_uuid="line",
        user_id=number,
    )


@pytest.fixture
def read(monkeypatch):
    """Number of calls of ``leg_of`` and ``phase_of``, by name and uuid of the channel."""
    counts = Counter()

    def counting(function):
        def called(channel, *rest):
            counts[function.__name__, channel.uuid] += 1
            return function(channel, *rest)

        return called

    monkeypatch.setattr(active_legs, "leg_of", counting(active_legs.leg_of))
    monkeypatch.setattr(active_call, "phase_of", counting(active_call.phase_of))
    return counts


def test_each_leg_is_read_once(read):
    """A change reads its own leg only, however many phones ring for the call."""
    tracker = CallTracker([LINE])
    events = tracker.apply([Added("channel", telephone(number)) for number in range(20)])
    assert [type(event) for event in events] == [CallRinging] * 20
    assert len(tracker.calls["line"].legs) == 21
    assert read == {
        ("leg_of", "line"): 1,
        ("phase_of", "line"): 1,
        **{("leg_of", f"telephone {number}"): 1 for number in range(20)},
    }
    tracker.apply([Changed("channel", attrs.evolve(LINE, state=Ivr(ts=3)), LINE)])
    assert (read["leg_of", "line"], read["phase_of", "line"]) == (2, 2)
    assert read.total() == 20 + 4


def test_snapshots_share_unchanged_legs():
    """Two snapshots of a call hold the same object for a leg that did not change."""
    tracker = CallTracker([LINE])
    first, second = tracker.apply([Added("channel", telephone(number)) for number in range(2)])
    assert first.call.legs[0] is second.call.legs[0]
    assert first.call.legs[1] is second.call.legs[1]
    tracker.apply([Changed("channel", attrs.evolve(LINE, answer_timestamp=3), LINE)])
    now = tracker.calls["line"]
    assert (first.call.legs[0].answered, now.legs[0].answered) == (None, 3)
    assert now.legs[1:] == second.call.legs[1:]
