"""Calls in progress as a program knows them that follows call events alone."""

from __future__ import annotations

import attrs

from basix_ws_cti.calls import Call, CallEnded
from basix_ws_cti.calls.ended_legs import MAX_ENDED_LEGS

# What the next event of a call shows at the latest: details of its legs, and two marks.
LATE = {"legs", "complete", "clock_adjusted"}

FIELDS = [one.name for one in attrs.fields(Call) if one.name not in LATE]


class FollowedCalls:
    """The last state of each call that its events showed, beginning with the calls of a tracker."""

    def __init__(self, calls):
        self.calls = dict(calls)

    def apply(self, events):
        """Follow call events, in their order."""
        for event in events:
            call = event.call
            if isinstance(event, CallEnded):
                assert call.id in self.calls, f"call {call.id} ended and was not there"
                del self.calls[call.id]
            else:
                self.calls[call.id] = call

    def check(self, calls):
        """Check that the calls are those of the tracker, with the same legs in each of them.

        Apart from ``LATE``, all fields are the same.
        """
        assert self.calls.keys() == calls.keys()
        for call_id, expected in calls.items():
            call = self.calls[call_id]
            for name in FIELDS:
                found, value = getattr(call, name), getattr(expected, name)
                assert found is value or found == value, (call_id, name)
            if len(expected.legs) < MAX_ENDED_LEGS:  # further ones are merged
                assert {leg.uuid for leg in call.legs} == {leg.uuid for leg in expected.legs}
            assert call.complete or not expected.complete
