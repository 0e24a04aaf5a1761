"""Unix time that is steady within a connection."""

from __future__ import annotations

import time

import pytest

from basix_ws_cti.client.wall_clock import WallClock


class UnixTime:
    """Clock of the machine, which a test can set."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self):
        return self.seconds


def test_times_convert_both_ways():
    unix_time = UnixTime(1000.0)
    clock = WallClock(unix_time)
    clock.synchronise(10.0)
    assert clock.unix(10.0) == 1000.0
    assert clock.unix(12.5) == 1002.5
    assert clock.loop(1002.5) == 12.5


def test_setting_the_clock_moves_no_time_until_the_next_synchronisation():
    unix_time = UnixTime(1000.0)
    clock = WallClock(unix_time)
    clock.synchronise(10.0)
    unix_time.seconds = 5000.0
    assert clock.unix(11.0) == 1001.0
    clock.synchronise(11.0)
    assert clock.unix(11.0) == 5000.0


def test_last_sign_of_life_is_converted():
    unix_time = UnixTime(1000.0)
    clock = WallClock(unix_time)
    clock.synchronise(10.0)
    unix_time.seconds = 1005.0
    assert clock.last_heard(15.0, 12.0) == 1002.0


def test_gap_starts_before_a_suspension():
    """While the machine is suspended, Unix time passes and the event loop's clock stands still."""
    unix_time = UnixTime(1000.0)
    clock = WallClock(unix_time)
    clock.synchronise(10.0)
    unix_time.seconds = 1005.0 + 3600  # an hour of suspension
    assert clock.last_heard(15.0, 12.0) == 1002.0
    assert clock.unix(15.0) == 4605.0


def test_gap_starts_early_if_the_clock_was_set_back():
    unix_time = UnixTime(1000.0)
    clock = WallClock(unix_time)
    clock.synchronise(10.0)
    unix_time.seconds = 905.0
    assert clock.last_heard(15.0, 12.0) == 902.0
    assert clock.unix(15.0) == 905.0


def test_default_clock_is_that_of_the_machine():
    clock = WallClock()
    clock.synchronise(0.0)
    assert clock.unix(0.0) == pytest.approx(time.time(), abs=60)
