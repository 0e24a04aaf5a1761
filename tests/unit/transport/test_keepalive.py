"""Keepalive: silence, trickling peers, and time in which the client did not read."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from support.virtual_clock import now, run

from basix_ws_cti import ConnectionLost, UsageError
from basix_ws_cti.transport.keepalive import (
    LATE,
    MIN_PING_INTERVAL,
    MIN_RATE,
    TRICKLE_TIME,
    Keepalive,
    check_pings,
)


class PingedConnection:
    """Connection that answers pings after ``pong_delay`` seconds, or fails them."""

    def __init__(self, pong_delay=0.0, error=None):
        self.frames_read = self.bytes_received = self.partial_bytes = 0
        self.last_heard = 0.0
        self.is_paused = False
        self.pings = []
        self.aborted_at = self.abort_reason = None
        self.pong_delay = pong_delay
        self.error = error

    async def ping(self):
        self.pings.append(now())
        if self.error is not None:
            raise self.error
        await asyncio.sleep(self.pong_delay)
        self.receive(6)

    def abort(self, reason=""):
        self.aborted_at, self.abort_reason = now(), reason

    def receive(self, count):
        """Receive a complete frame."""
        self.bytes_received += count
        self.partial_bytes = 0
        self.last_heard = now()

    def receive_part(self, count):
        """Receive bytes of an incomplete frame."""
        self.bytes_received += count
        self.partial_bytes += count


def watch(connection, seconds, *, interval=4, timeout=5, events=()):
    """Run a keepalive for some seconds; ``events`` are pairs of time and function."""

    async def main():
        loop = asyncio.get_running_loop()
        keepalive = Keepalive(connection, interval=interval, timeout=timeout)
        for moment, function in events:
            loop.call_at(moment, function)
        task = asyncio.create_task(keepalive.run())
        await asyncio.wait([task], timeout=seconds)
        if not task.done():
            task.cancel()
            await asyncio.wait([task])

    run(main())


def trickle(connection, rate, seconds, *, every=1.0):
    """Return events: bytes of one long frame arrive at ``rate`` bytes per second."""
    count = round(rate * every)
    times = [0.5 + number * every for number in range(round(seconds / every))]
    return [(moment, partial(connection.receive_part, count)) for moment in times]


def test_idle_connection_is_pinged_at_each_interval():
    connection = PingedConnection()
    watch(connection, 13)
    assert connection.pings == [4, 8, 12]
    assert connection.aborted_at is None


def test_busy_connection_is_not_pinged():
    connection = PingedConnection()
    receive = partial(connection.receive, 10)
    watch(connection, 13, events=[(2, receive), (6, receive)])
    assert connection.pings == [12]


def test_missing_pong_aborts_the_connection():
    connection = PingedConnection(pong_delay=60)
    watch(connection, 60)
    assert connection.aborted_at == 4 + 5
    assert connection.abort_reason == "no answer to a ping within 5 s"


def test_frame_instead_of_a_pong_keeps_the_connection():
    connection = PingedConnection(pong_delay=60)
    watch(connection, 10, events=[(6, partial(connection.receive, 10))])
    assert connection.aborted_at is None


def test_bytes_of_an_incomplete_frame_keep_the_connection():
    """On a slow link, a pong waits behind a long frame: its bytes show that the peer is there."""
    connection = PingedConnection(pong_delay=1000)
    watch(connection, 300, events=trickle(connection, 60_000, 300, every=3))
    assert connection.pings == []
    assert connection.aborted_at is None


def test_bytes_after_a_pause_of_the_link_keep_the_connection():
    """A frame stalls for longer than the interval, but not until the ping's time-out."""
    connection = PingedConnection(pong_delay=1000)
    watch(connection, 300, events=trickle(connection, 60_000, 300, every=7))
    assert connection.pings
    assert connection.aborted_at is None


def test_stalled_frame_is_silence():
    connection = PingedConnection(pong_delay=60)
    watch(connection, 60, events=[(3, partial(connection.receive_part, 100_000))])
    assert connection.aborted_at == 8 + 5


@pytest.mark.parametrize("rate", [1, MIN_RATE / 2])
def test_peer_that_trickles_is_aborted(rate):
    """Bytes of one frame at less than 1,000 per second count for a minute, and no longer."""
    connection = PingedConnection(pong_delay=1000)
    watch(connection, 300, events=trickle(connection, rate, 300))
    assert TRICKLE_TIME < connection.aborted_at <= TRICKLE_TIME + 2 * 4
    assert connection.abort_reason == "a frame arrived at less than 1,000 bytes/s"


def test_frame_at_the_minimum_rate_may_take_any_time():
    connection = PingedConnection(pong_delay=1e6)
    watch(connection, 3000, events=trickle(connection, MIN_RATE * 1.1, 3000))
    assert connection.aborted_at is None


def test_complete_frames_may_be_rare_and_small():
    """A quiet PBX is not a trickling one."""
    connection = PingedConnection()
    watch(connection, 600, interval=90)
    assert connection.aborted_at is None
    assert connection.pings == [90, 180, 270, 360, 450, 540]


def test_missing_pong_does_not_count_while_reading_is_paused():
    connection = PingedConnection(pong_delay=60)
    connection.is_paused = True
    watch(connection, 30)
    assert connection.aborted_at is None


def test_frames_read_after_a_pause_of_reading_keep_the_connection():
    """The client reads what it has, and nothing new has arrived yet."""
    connection = PingedConnection(pong_delay=60)
    connection.is_paused = True

    def read():
        connection.frames_read += 16
        connection.is_paused = False

    watch(connection, 10, events=[(8.9, read)])
    assert connection.aborted_at is None


def test_incomplete_frame_does_not_trickle_while_reading_is_paused():
    connection = PingedConnection(pong_delay=1000)
    events = trickle(connection, 100, 120)

    def set_paused(value):
        connection.is_paused = value

    events += [(10, partial(set_paused, True)), (100, partial(set_paused, False))]
    watch(connection, 120, events=events)
    assert connection.aborted_at is None


def test_pong_that_arrived_while_the_event_loop_was_blocked_counts():
    """Some event loops run timers before they read, so that the time-out comes first."""
    connection = PingedConnection(pong_delay=60)

    def block():
        loop = asyncio.get_running_loop()
        loop.now += 6
        # The pong is read in the iteration after that of the timer.
        loop.call_soon(loop.call_soon, loop.call_soon, connection.receive, 6)

    watch(connection, 12, events=[(4.5, block)])
    assert connection.aborted_at is None


def test_blocked_event_loop_does_not_make_a_frame_trickle():
    """The bytes that arrive while the event loop is blocked are not seen."""
    connection = PingedConnection()

    def block():
        asyncio.get_running_loop().now += TRICKLE_TIME

    events = [(1, partial(connection.receive_part, 100)), (5, block)]
    events += [(moment, partial(connection.receive_part, 3000)) for moment in range(66, 100, 2)]
    assert 4 + LATE < TRICKLE_TIME
    watch(connection, 100, events=events)
    assert connection.aborted_at is None


def test_keepalive_ends_when_a_ping_finds_the_connection_lost():
    connection = PingedConnection(error=ConnectionLost(1006))
    watch(connection, 30)
    assert connection.pings == [4]
    assert connection.aborted_at is None


def test_no_interval_means_no_pings():
    connection = PingedConnection()
    watch(connection, 3600, interval=None)
    assert connection.pings == []


def test_no_timeout_means_no_limit_for_a_pong():
    connection = PingedConnection(pong_delay=3000)
    watch(connection, 4000, timeout=None)
    assert connection.pings[:2] == [4, 3008]
    assert connection.aborted_at is None


@pytest.mark.parametrize("times", [(None, None), (MIN_PING_INTERVAL, 0.1)])
def test_usable_ping_times_are_accepted(times):
    check_pings(*times)


@pytest.mark.parametrize(("times", "name"), [((0, 1), "ping_interval"), ((1, "1"), "ping_timeout")])
def test_ping_times_that_cannot_work_are_usage_errors(times, name):
    with pytest.raises(UsageError, match=name):
        check_pings(*times)
