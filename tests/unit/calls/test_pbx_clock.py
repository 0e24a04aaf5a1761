"""Estimate of the PBX's clock from the timestamps in its feed."""

from __future__ import annotations

import attrs
import pytest

from basix_ws_cti import Channel, InitialInfo, Mirror
from basix_ws_cti.calls import CallAnswered, CallEnded, CallStarted, CallUpdated, Party
from basix_ws_cti.calls.model import Call, Phase
from basix_ws_cti.calls.pbx_clock import MAX_QUIET, PbxClock
from basix_ws_cti.states import Ringing

SECOND = 1_000_000
HOUR = 3600 * SECOND
NOW = 1_767_323_045 * SECOND


def mirror_with(*channels):
    mirror = Mirror()
    mirror.apply(InitialInfo("channel", {one.uuid: one for one in channels}))
    return mirror


def ringing(at):
    return mirror_with(Channel(uuid="u", state=Ringing(ts=at)))


def call(started, *, ended=None):
    phase = Phase(kind="ringing", started=started, ended=ended)
    return Call(
        id="u",
        direction="inbound",
        started=started,
        caller=Party(),
        called_number=None,
        legs=(),
        phases=(phase,),
        ended=ended,
    )


def observed(offset, *, first=NOW - HOUR):
    """Return a clock that has seen a call being answered, on a PBX with this offset."""
    clock = PbxClock()
    clock.observe(CallStarted(call(first)), NOW)
    clock.observe(CallAnswered(call(NOW + offset), Party(), 0), NOW)
    return clock


def test_without_timestamps_the_clocks_agree():
    assert PbxClock().offset(Mirror(), (), NOW) == 0


@pytest.mark.parametrize("age", [0, 2 * HOUR, MAX_QUIET])
def test_old_timestamps_of_a_snapshot_do_not_mean_a_late_clock(age):
    """Nothing may have happened on the PBX since then."""
    assert PbxClock().offset(ringing(NOW - age), (), NOW) == 0


def test_timestamp_in_the_future_means_a_clock_that_is_ahead():
    assert PbxClock().offset(ringing(NOW + 2 * HOUR), (), NOW) == 2 * HOUR
    assert PbxClock().offset(Mirror(), [call(NOW + SECOND)], NOW) == SECOND


def test_pbx_without_a_recent_timestamp_has_another_clock():
    """A simulator's time starts years ago."""
    age = MAX_QUIET + SECOND
    assert PbxClock().offset(ringing(NOW - age), (), NOW) == -age


@pytest.mark.parametrize("offset", [-9 * HOUR, -3 * SECOND, SECOND, 2 * HOUR])
def test_observed_event_gives_the_offset(offset):
    assert observed(offset).offset(Mirror(), (), NOW) == offset


def test_delay_of_an_event_is_no_difference_of_clocks():
    assert observed(-SECOND).offset(Mirror(), (), NOW) == 0


def test_first_event_of_a_call_is_not_observed():
    """The call may have begun long before."""
    clock = PbxClock()
    clock.observe(CallStarted(call(NOW - HOUR)), NOW)
    clock.observe(CallStarted(call(NOW - HOUR)), NOW)
    assert clock.offset(Mirror(), (), NOW) == 0


def test_end_that_the_feed_did_not_show_is_not_observed():
    clock = PbxClock()
    clock.observe(CallStarted(call(NOW - HOUR)), NOW)
    clock.observe(CallEnded(call(NOW - HOUR, ended=NOW - HOUR // 2), synthetic=True), NOW)
    assert clock.offset(Mirror(), (), NOW) == 0


def test_timestamp_of_an_old_event_is_never_observed():
    """It is not new in the next event of the call either."""
    clock = PbxClock()
    clock.observe(CallStarted(call(NOW - 3 * HOUR)), NOW)
    clock.observe(CallUpdated(call(NOW - 2 * HOUR)), NOW, is_recent=False)
    clock.observe(CallUpdated(call(NOW - 2 * HOUR)), NOW)
    assert clock.offset(Mirror(), (), NOW) == 0
    assert not clock.has_observations


def test_end_of_a_call_is_observed():
    clock = PbxClock()
    clock.observe(CallStarted(call(NOW - 3 * HOUR)), NOW)
    clock.observe(CallEnded(call(NOW - 3 * HOUR, ended=NOW - 2 * HOUR)), NOW)
    assert clock.offset(Mirror(), (), NOW) == -2 * HOUR


def test_newest_timestamp_counts_until_an_event_is_newer():
    """The PBX's time is never before one of its timestamps."""
    assert observed(-2 * HOUR).offset(ringing(NOW - HOUR), (), NOW) == -HOUR


@pytest.mark.parametrize("value", [2**60, "text", None, True, 1.5])
def test_value_that_is_no_time_is_ignored(value):
    leg = Channel(uuid="u", state=Ringing(ts=NOW + HOUR), offer_timestamp=value)
    assert PbxClock().offset(mirror_with(leg), (), NOW) == HOUR
    raw = attrs.evolve(leg, state=("unknown", value))
    assert PbxClock().offset(mirror_with(raw), (), NOW) == 0


def test_estimate_follows_a_clock_that_is_set_back():
    clock = observed(2 * HOUR)
    for second in range(70):
        at = NOW + second * SECOND
        clock.observe(CallAnswered(call(at - HOUR), Party(), 0), at)
    assert clock.offset(Mirror(), (), NOW + 70 * SECOND) == -HOUR
