"""Keepalive: detection of a silent peer."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta

import pytest
from support.client_schedules import (
    connected,
    entered,
)
from support.fake_pbx import FakePbx
from support.virtual_clock import now, on_virtual_clock, run
from support.waiting import eventually

from basix_ws_cti import (
    ConnectionLost,
    Msg,
)
from basix_ws_cti.client import client as client_module
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.keepalive import Keepalive
from basix_ws_cti.session.status import Disconnected
from basix_ws_cti.simulator import Simulator, faults


@on_virtual_clock
async def test_frame_replaces_a_late_pong():
    """A frame that arrives while a pong is awaited is a sign of life."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        connection = pbx.connections[0]
        connection.silent_since = now()
        await asyncio.sleep(10)  # the ping comes after 8 s, its time-out after 13 s
        connection.silent_since = None
        pbx.set_user(1)
        await asyncio.sleep(4)
        assert client.is_synced
        assert client.stats.connects == 1


@pytest.mark.slow
async def test_silence_is_detected_at_any_moment():
    """Pings detect a peer that falls silent at any moment."""
    ratios = []

    def feeds(pbx, name):
        return [feed for feed in pbx.connections if feed.app_name == name]

    async def silence(pbx, name, rng):
        options = {"app_name": name, "ping_interval": 0.1, "ping_timeout": 0.1}
        async with connected(pbx, **options) as client:
            await asyncio.sleep(rng.uniform(0, 0.3))
            # On a busy machine, a peer may already have seemed silent.
            await eventually(lambda: client.is_synced and len(feeds(pbx, name)) == 1)
            pbx.inject(faults.Silence(), to=feeds(pbx, name)[0])
            began = time.monotonic()
            state = await entered(client, Disconnected)
            ratios.append((time.monotonic() - began) / 0.3)
            assert "no answer to a ping within 0.1 s" in str(state.reason)
            await eventually(lambda: client.is_synced)

    async with Simulator(speed=20) as pbx:
        await asyncio.gather(*(silence(pbx, f"app{n}", random.Random(n)) for n in range(50)))
    print(f"\nsilence, over two intervals + timeout: at most {max(ratios):.2f}")  # noqa: T201
    assert len(ratios) == 50


def test_silence_is_detected_within_fifteen_seconds_by_default():
    """Two ping intervals, the ping time-out and the closing add up to less than 15 s."""
    assert client_module.LIVENESS["ping_interval"] + sum(client_module.LIVENESS.values()) < 15
    assert set(client_module.LIVENESS) == {"ping_interval", "ping_timeout", "close_timeout"}


@pytest.mark.parametrize(("messages", "seconds"), [((), 9), ((Msg("hello"),), 11.5)])
@on_virtual_clock
async def test_gap_starts_with_the_last_sign_of_life(messages, seconds):
    """A gap starts with the last frame or pong, not when the client detects the silence."""
    gaps, began = [], datetime.now(UTC)

    pbx = FakePbx()
    async with Client("fake", connector=pbx, ping_interval=5, ping_timeout=4) as client:
        await client.synced()
        client.on_change(gaps.append)
        await asyncio.sleep(22)  # the last pong came after 20
        pbx.send(*messages)
        await asyncio.sleep(1)
        pbx.connections[0].silent_since = now()
        await asyncio.sleep(60)
    (gap,) = gaps
    # These are seconds of the virtual clock; the real time of the test is added.
    elapsed = datetime.now(UTC) - began
    assert timedelta(seconds=seconds) <= gap.ended - gap.started
    assert gap.ended - gap.started - elapsed < timedelta(seconds=seconds + 1)


@on_virtual_clock
async def test_missing_pong_is_ignored_while_reading_is_paused():
    """While the client is too busy to read, a missing pong does not end the connection."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        (connection,) = pbx.connections
        connection.silent_since, connection.is_paused = now(), True
        await asyncio.sleep(60)
        assert client.stats.connects == 1
        connection.is_paused = False
        await asyncio.sleep(15)
        assert client.stats.connects == 2


@on_virtual_clock
async def test_ping_on_a_lost_connection_does_not_end_it():
    """A ping that finds the connection lost leaves it to the reading task to report the loss."""
    pings = []

    async def ping():
        pings.append(now())
        raise ConnectionLost(1006)

    pbx = FakePbx()
    async with Client("fake", connector=pbx, ping_interval=1) as client:
        await client.synced()
        pbx.connections[0].ping = ping
        pbx.connections[0].abort = pings.clear
        await asyncio.sleep(10)
        assert client.is_synced
        pbx.lose()
        await asyncio.sleep(0.1)
        assert isinstance(client.state, Disconnected)
    assert len(pings) == 1


@on_virtual_clock
async def test_missing_pong_does_not_end_a_busy_connection():
    """A missing pong ends no connection on which messages arrive."""

    async def ping():
        await asyncio.sleep(60)

    pbx = FakePbx()
    async with Client("fake", connector=pbx, ping_interval=0.05, ping_timeout=0.1) as client:
        await client.synced()
        pbx.connections[0].ping = ping
        for number in range(20):
            pbx.set_user(number)
            await asyncio.sleep(0.08)  # time for a ping, and not for its time-out
        assert client.is_synced
        assert client.stats.gaps == 0
        await asyncio.sleep(10)
        assert client.stats.gaps > 0


async def test_without_pings_silence_is_not_detected():
    """Without a ping interval, a silent connection stays open."""
    async with Simulator(calls=False) as pbx, connected(pbx, ping_interval=None) as client:
        pbx.inject(faults.Silence())
        await asyncio.sleep(0.3)
        assert client.is_synced


class PingedConnection:
    """Connection that answers pings after ``pong_delay`` seconds, or fails them."""

    def __init__(self, pong_delay=0.0, error=None):
        self.frames_read = 0
        self.is_paused = False
        self.pings = []
        self.aborted_at = None
        self.pong_delay = pong_delay
        self.error = error

    async def ping(self):
        self.pings.append(now())
        if self.error is not None:
            raise self.error
        await asyncio.sleep(self.pong_delay)

    def abort(self):
        self.aborted_at = now()


def watch(connection, seconds, *, interval=4, timeout=5, last_frame=None, events=()):
    """Run a keepalive for some seconds and return it; ``events`` are pairs of time and function."""

    async def main():
        loop = asyncio.get_running_loop()
        keepalive = Keepalive(
            connection, interval=interval, timeout=timeout, last_frame=lambda: last_frame
        )
        for moment, function in events:
            loop.call_at(moment, function)
        task = asyncio.create_task(keepalive.run())
        await asyncio.wait([task], timeout=seconds)
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        return keepalive

    return run(main())


def test_idle_connection_is_pinged_at_each_interval():
    connection = PingedConnection()
    keepalive = watch(connection, 13)
    assert connection.pings == [4, 8, 12]
    assert keepalive.last_heard == 12
    assert not keepalive.timed_out


def test_busy_connection_is_not_pinged():
    connection = PingedConnection()

    def receive():
        connection.frames_read += 1

    watch(connection, 13, events=[(2, receive), (6, receive)])
    assert connection.pings == [12]


def test_missing_pong_aborts_the_connection():
    connection = PingedConnection(pong_delay=60)
    keepalive = watch(connection, 60)
    assert connection.aborted_at == 4 + 5
    assert keepalive.timed_out
    assert keepalive.last_heard == 0


def test_frame_instead_of_a_pong_keeps_the_connection():
    connection = PingedConnection(pong_delay=60)

    def receive():
        connection.frames_read += 1

    watch(connection, 10, events=[(6, receive)])
    assert connection.aborted_at is None


def test_missing_pong_does_not_count_while_reading_is_paused():
    connection = PingedConnection(pong_delay=60)
    connection.is_paused = True
    keepalive = watch(connection, 30)
    assert connection.aborted_at is None
    assert not keepalive.timed_out


def test_keepalive_ends_when_a_ping_finds_the_connection_lost():
    connection = PingedConnection(error=ConnectionLost(1006))
    keepalive = watch(connection, 30)
    assert connection.pings == [4]
    assert connection.aborted_at is None
    assert not keepalive.timed_out


def test_no_interval_means_no_pings():
    connection = PingedConnection()
    watch(connection, 3600, interval=None)
    assert connection.pings == []


@pytest.mark.parametrize(("last_frame", "last_heard"), [(None, 12), (11.5, 12), (12.5, 12.5)])
def test_last_heard_is_the_later_of_frame_and_pong(last_frame, last_heard):
    assert watch(PingedConnection(), 13, last_frame=last_frame).last_heard == last_heard
