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
from support.virtual_clock import now, run
from support.waiting import eventually

from basix_ws_cti import (
    ConnectionLost,
    Msg,
)
from basix_ws_cti.client import client as module
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.keepalive import Keepalive
from basix_ws_cti.session.status import Disconnected
from basix_ws_cti.simulator import Simulator, faults


def test_a_pong_that_is_late():
    """What is read while a pong is waited for is sign of life enough."""

    async def main():
        pbx = FakePbx()
        async with Client("fake", connector=pbx) as client:
            await client.synced()
            connection = pbx.connections[0]
            connection.silent_since = now()
            await asyncio.sleep(10)  # it is pinged after 8 s, and given up after 13
            connection.silent_since = None
            pbx.set_user(1)
            await asyncio.sleep(4)
            assert client.is_synced
            assert client.stats.connects == 1

    run(main())


@pytest.mark.slow
async def test_silence_is_found():
    """A peer that falls silent at any moment is found, each time, by the client's own pings."""
    ratios = []

    def feeds(pbx, name):
        return [feed for feed in pbx.connections if feed.app_name == name]

    async def one(pbx, name, chance):
        options = {"app_name": name, "ping_interval": 0.1, "ping_timeout": 0.1}
        async with connected(pbx, **options) as client:
            await asyncio.sleep(chance.uniform(0, 0.3))
            # On a busy machine a peer may have seemed silent already.
            await eventually(lambda: client.is_synced and len(feeds(pbx, name)) == 1)
            pbx.inject(faults.Silence(), to=feeds(pbx, name)[0])
            began = time.monotonic()
            state = await entered(client, Disconnected)
            ratios.append((time.monotonic() - began) / 0.3)
            assert "no answer to a ping within 0.1 s" in str(state.reason)
            await eventually(lambda: client.is_synced)

    async with Simulator(speed=20) as pbx:
        await asyncio.gather(*(one(pbx, f"app{n}", random.Random(n)) for n in range(50)))
    print(f"\nsilence, over two intervals + timeout: at most {max(ratios):.2f}")  # noqa: T201
    assert len(ratios) == 50


def test_silence_is_found_within_fifteen_seconds_by_default():
    """The defaults for pings (two intervals at worst) and closing add up to less than 15 s."""
    assert module.LIVENESS["ping_interval"] + sum(module.LIVENESS.values()) < 15
    assert set(module.LIVENESS) == {"ping_interval", "ping_timeout", "close_timeout"}


@pytest.mark.parametrize(("says", "blind"), [((), 9), ((Msg("hello"),), 11.5)])
def test_a_gap_begins_with_the_silence(says, blind):
    """The client is blind from the last sign of life on, not from when it finds that out."""
    gaps, began = [], datetime.now(UTC)

    async def main():
        pbx = FakePbx()
        async with Client("fake", connector=pbx, ping_interval=5, ping_timeout=4) as client:
            await client.synced()
            client.on_change(gaps.append)
            await asyncio.sleep(22)  # the last pong came after 20
            pbx.send(*says)
            await asyncio.sleep(1)
            pbx.connections[0].silent_since = now()
            await asyncio.sleep(60)

    run(main())
    (gap,) = gaps
    # That is in the loop's time; what passed on the clock comes on top.
    elapsed = datetime.now(UTC) - began
    assert timedelta(seconds=blind) <= gap.ended - gap.started
    assert gap.ended - gap.started - elapsed < timedelta(seconds=blind + 1)


def test_a_pong_that_nobody_lets_in():
    """While the client is too busy to let anything in, that nothing comes says nothing."""

    async def main():
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

    run(main())


def test_a_ping_on_a_line_that_is_lost():
    """That a line is lost is for who reads to say: a ping that finds it first ends nothing."""
    pings = []

    async def ping():
        pings.append(now())
        raise ConnectionLost(1006)

    async def main():
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

    run(main())


def test_data_is_sign_of_life_enough():
    """A pong that does not come ends no connection on which messages do."""

    async def ping():
        await asyncio.sleep(60)

    async def main():
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

    run(main())


async def test_no_pings_at_all():
    """Without an interval nobody asks: a silent connection stays."""
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
