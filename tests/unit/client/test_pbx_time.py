"""Present time of the PBX: estimated, or given by a clock of any speed."""

from __future__ import annotations

import pytest
from support.call_builders import call

from basix_ws_cti.calls import CallStarted, CallUpdated
from basix_ws_cti.client.pbx_time import PbxTime

SECOND = 1_000_000
NOW = 1_800_000_000


def waiting(at):
    return call(f"{round(at * SECOND)} queued g1", id="a")


def test_without_calls_the_clocks_agree():
    assert PbxTime(lambda: NOW).now() == NOW * SECOND


def test_newest_call_of_a_snapshot_may_be_ahead():
    time = PbxTime(lambda: NOW)
    time.synchronise([waiting(NOW - 50), waiting(NOW + 7), waiting(NOW + 5)])
    assert time.now() == (NOW + 7) * SECOND
    time.synchronise([])
    assert time.now() == NOW * SECOND


@pytest.mark.parametrize("offset", [-3600, 3600])
def test_observed_event_replaces_the_estimate_of_the_snapshot(offset):
    time = PbxTime(lambda: NOW)
    time.synchronise([waiting(NOW + offset - 100)])
    time.observe(CallStarted(waiting(NOW + offset - 90)))
    time.observe(CallUpdated(waiting(NOW + offset)))
    assert time.now() == (NOW + offset) * SECOND
    assert time.delay((NOW + offset + 5) * SECOND, 0.0) == 5
    assert time.delay((NOW + offset - 5) * SECOND, 0.0) == 0


def test_old_event_only_shows_that_the_clock_is_not_before_it():
    """It may have happened long ago, as those that a snapshot leads to."""
    time = PbxTime(lambda: NOW)
    for age in (30, 20):
        time.observe(CallStarted(waiting(NOW - age)), is_recent=False)
    assert time.now() == NOW * SECOND
    time = PbxTime(lambda: NOW)
    time.observe(CallStarted(waiting(NOW - 365 * 86400)), is_recent=False)
    assert time.now() == (NOW - 365 * 86400) * SECOND


def test_old_event_leaves_no_timestamp_for_later_ones():
    time = PbxTime(lambda: NOW)
    time.observe(CallStarted(waiting(NOW - 300)))
    time.observe(CallUpdated(waiting(NOW - 240)), is_recent=False)
    time.observe(CallUpdated(waiting(NOW - 240)))
    assert time.now() == NOW * SECOND


def test_timestamp_that_is_no_time_is_ignored():
    time = PbxTime(lambda: NOW)
    time.observe(CallStarted(waiting(NOW * 1000)))
    assert time.now() == NOW * SECOND


def test_delay_by_a_given_clock_follows_its_speed():
    """Until the speed is known, the delay is short."""
    clock = {"now": 100.0}
    time = PbxTime(pbx_time=lambda: clock["now"])
    assert time.now() == 100 * SECOND
    assert time.delay(200 * SECOND, 1.0) == 0.1
    clock["now"] += 10
    assert time.delay(200 * SECOND, 2.0) == pytest.approx(9.0)
    assert time.delay(100_500_000, 2.0) == 0
