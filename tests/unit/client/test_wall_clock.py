"""Unix time that is steady within a connection."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def gap_start(seconds_passed, *, last_heard=12.0, last_heard_unix=1002.0):
    """Return the start of a gap, and the present Unix time.

    The clocks show 10 s and 1000 s when the connection opens. Five seconds of the event loop's
    clock later it is lost, and the machine's clock has moved by ``seconds_passed``.
    """
    unix_time = UnixTime(1000.0)
    clock = WallClock(unix_time)
    clock.synchronise(10.0)
    unix_time.seconds += seconds_passed
    return clock.gap_start(15.0, last_heard, last_heard_unix), clock.unix(15.0)


def test_gap_starts_with_the_last_sign_of_life():
    assert gap_start(5) == (1002.0, 1005.0)


def test_gap_starts_before_a_suspension():
    """While the machine is suspended, Unix time passes and the event loop's clock stands still."""
    assert gap_start(5 + 8 * 3600) == (1002.0, 1005.0 + 8 * 3600)


def test_gap_starts_after_a_suspension_that_the_connection_survived():
    """The last sign of life came after the suspension, so the gap does not include it."""
    started, now = gap_start(5 + 300, last_heard_unix=1302.0)
    assert (started, now) == (1302.0, 1305.0)


def test_gap_keeps_its_length_if_the_clock_was_set_back():
    assert gap_start(5 - 100) == (902.0, 905.0)


def test_gap_starts_early_if_the_clock_was_set_forward():
    """A clock without battery is set after the start; a suspension looks the same."""
    assert gap_start(5 + 1e9) == (1002.0, 1005.0 + 1e9)


@settings(max_examples=40)
@given(st.floats(-1e9, 1e9), st.floats(0, 100), st.floats(-1e9, 1e10, allow_nan=False))
def test_gap_never_starts_later_than_now(seconds_passed, last_heard, last_heard_unix):
    started, now = gap_start(seconds_passed, last_heard=last_heard, last_heard_unix=last_heard_unix)
    assert started <= now


def test_default_clock_is_that_of_the_machine():
    clock = WallClock()
    clock.synchronise(0.0)
    assert clock.unix(0.0) == pytest.approx(time.time(), abs=60)
