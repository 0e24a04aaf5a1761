"""Client and liveness: silent peers, slow links, and the start of gaps."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from datetime import timedelta

import pytest
from support.client_schedules import (
    connected,
    entered,
)
from support.fake_pbx import FakePbx
from support.faulty_proxy import Proxy
from support.virtual_clock import VirtualUnixTime, now, on_virtual_clock
from support.waiting import eventually

from basix_ws_cti import (
    ConnectionLost,
    Msg,
)
from basix_ws_cti.client import client as client_module
from basix_ws_cti.client.client import Client
from basix_ws_cti.exceptions import SyncTimeout
from basix_ws_cti.mirror.changes import Gap
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


@contextlib.asynccontextmanager
async def clocked_client(pbx, **options):
    """Run a synced client whose machine has a clock that can be set; yield client and clock."""
    pbx.unix_time = VirtualUnixTime()
    async with Client("fake", connector=pbx, unix_time=pbx.unix_time, **options) as client:
        await client.synced()
        yield client, pbx.unix_time


async def next_gap(client):
    """Return the next Gap."""
    changes = client.changes()
    while not isinstance(change := await anext(changes), Gap):
        pass
    return change


def unix(moment):
    return moment.timestamp() - VirtualUnixTime.START


@pytest.mark.parametrize(("messages", "last_heard"), [((), 20.25), ((Msg("hello"),), 22)])
@on_virtual_clock
async def test_gap_starts_with_the_last_sign_of_life(messages, last_heard):
    """A gap starts with the last frame or pong, not when the client detects the silence."""
    pbx = FakePbx()
    pbx.plan.append({"pace": None})
    async with clocked_client(pbx, ping_interval=5, ping_timeout=4) as (client, _):
        await asyncio.sleep(22 - now())  # the last pong came after 20 s
        pbx.send(*messages)
        await asyncio.sleep(1)
        pbx.connections[0].silent_since = now()
        gap = await next_gap(client)
        assert unix(gap.started) == pytest.approx(last_heard, abs=0.3)
        assert unix(gap.ended) == pytest.approx(now())


@pytest.mark.parametrize("how", ["silence", "reset"])
@on_virtual_clock
async def test_gap_covers_a_suspension(how):
    """A gap starts before the machine was suspended, however the loss shows afterwards."""
    pbx = FakePbx()
    async with clocked_client(pbx) as (client, clock):
        await asyncio.sleep(30)
        suspended = clock()
        clock.shift += 8 * 3600  # and the event loop's clock stands still
        if how == "silence":
            pbx.connections[0].silent_since = now()
        else:
            pbx.lose()
        gap = await next_gap(client)
        assert suspended - 5 <= gap.started.timestamp() <= suspended
        assert gap.ended.timestamp() == pytest.approx(clock())
        assert gap.ended - gap.started > timedelta(hours=8)


@on_virtual_clock
async def test_gap_does_not_cover_a_suspension_that_the_connection_survived():
    pbx = FakePbx()
    async with clocked_client(pbx) as (client, clock):
        clock.shift += 300
        await asyncio.sleep(30)  # pongs arrive
        pbx.lose()
        gap = await next_gap(client)
        assert gap.ended - gap.started < timedelta(seconds=10)


@pytest.mark.parametrize("when", ["connected", "silent", "disconnected"])
@pytest.mark.parametrize("seconds", [-3600, -5, 5, 3600])
@on_virtual_clock
async def test_clock_steps_give_no_negative_gap(when, seconds):
    """A clock that is set back makes no gap shorter than zero; one set forward a longer one."""
    pbx = FakePbx()
    async with clocked_client(pbx) as (client, clock):
        await asyncio.sleep(30)
        gap = asyncio.create_task(next_gap(client))
        await asyncio.sleep(0)
        if when == "connected":
            clock.shift += seconds
            await asyncio.sleep(30)
        began = pbx.connections[0].silent_since = now()
        await asyncio.sleep(1)
        if when == "silent":
            clock.shift += seconds
        lost = await entered(client, Disconnected, retry=False)
        if when == "disconnected":
            clock.shift += seconds
        gap = await gap
        elapsed = now() - began
        length = (gap.ended - gap.started).total_seconds()
        if when == "silent":  # the event loop's clock shows how much time has passed
            assert max(elapsed, elapsed + seconds) <= length <= max(elapsed, elapsed + seconds) + 4
        elif when == "disconnected":
            assert max(0, elapsed + seconds) <= length <= max(0, elapsed + seconds + 4)
        else:
            assert elapsed <= length <= elapsed + 4
        assert gap.started <= lost.last_heard


@on_virtual_clock
async def test_snapshot_arrives_on_a_slow_link():
    """A frame that takes 28 s arrives; any of its bytes is a sign of life and progress."""
    pbx = FakePbx({"rate": 60_000 / 17})
    async with Client("fake", connector=pbx, sync_timeout=20) as client:
        await client.synced(300)
        assert client.stats.connects == 1
        assert now() > 4 * 28


@pytest.mark.parametrize("rate", [1, 400])
@on_virtual_clock
async def test_trickling_snapshot_is_aborted(rate):
    """A peer that trickles keeps no connection for much longer than a minute."""
    pbx = FakePbx({"rate": rate})
    errors = []
    async with Client("fake", connector=pbx) as client:
        client.on_error(errors.append)
        await asyncio.sleep(75)
        assert len(errors) == 1
        assert isinstance(errors[0], SyncTimeout | ConnectionLost)


@on_virtual_clock
async def test_trickling_event_is_aborted():
    """A synced client does not wait forever for an event that trickles."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        pbx.connections[0].rate = 10
        pbx.set_user(1)
        state = await entered(client, Disconnected)
        assert 60 < now() < 75
        assert "less than 1,000 bytes/s" in str(state.reason)


@pytest.mark.slow
async def test_real_snapshot_frame_outlasts_the_keepalive():
    """A frame that takes several times as long as all time-outs arrives over a slow link."""
    async with Simulator(calls=False, users=400) as pbx, Proxy(port_of(pbx)) as proxy:
        proxy.on_link = lambda link: setattr(link.down, "rate", 40_000)
        arguments = {**pbx.connect_args, "server": f"ws://127.0.0.1:{proxy.port}"}
        options = {"ping_interval": 0.1, "ping_timeout": 0.2, "sync_timeout": 0.6}
        began = time.monotonic()
        async with Client(**arguments, **options) as client:
            await client.synced(30)
            assert time.monotonic() - began > 3 * 0.6
            assert client.stats.connects == 1


def port_of(pbx):
    return int(pbx.url.rpartition(":")[2])


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
