"""Client on uvloop, over real sockets."""

from __future__ import annotations

import asyncio
import functools
import itertools
import random

import pytest
from support.client_schedules import (
    client_tasks,
    connected,
    entered,
    is_current,
    new_client,
    ping_options,
    run_schedule,
)
from support.waiting import TIMEOUT, eventually

from basix_ws_cti import ConnectionLost, HandshakeError
from basix_ws_cti.client.client import Client
from basix_ws_cti.exceptions import ClientClosed, CommandTimeout, NotConnectedError, ResyncRequired
from basix_ws_cti.mirror.changes import Gap, Lagged
from basix_ws_cti.session.status import Disconnected, Stopped, Synced
from basix_ws_cti.simulator import Simulator, faults

uvloop = pytest.importorskip("uvloop")


def run(coroutine):
    """Run a coroutine on uvloop.

    Fails if a task is left over, or if the loop's exception handler was called.
    """
    defects = []

    async def main():
        loop = asyncio.get_running_loop()
        assert isinstance(loop, uvloop.Loop)
        loop.set_exception_handler(lambda _, context: defects.append(context))
        async with asyncio.timeout(4 * TIMEOUT):
            await coroutine
        await eventually(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    assert defects == []


def on_uvloop(test):
    """Run an async test on uvloop, as ``run`` does."""

    @functools.wraps(test)
    def run_test(*arguments, **options):
        run(test(*arguments, **options))

    return run_test


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (faults.Drop(), ConnectionLost),
        (faults.Reset(), ConnectionLost),
        (faults.HalfClose(), ConnectionLost),
        pytest.param(faults.Silence(), ConnectionLost, marks=pytest.mark.slow),
        (faults.Restart(down_for=0.1), ConnectionLost),
        (faults.SendFrame(), ResyncRequired),
    ],
    ids=str,
)
@on_uvloop
async def test_client_reconnects_with_a_gap(ending, reason):
    """However a connection ends, the client reconnects and reports a Gap with the reason."""
    async with (
        Simulator(calls=False) as pbx,
        connected(pbx, **ping_options(ending)) as client,
    ):
        changes = client.changes()
        pbx.inject(ending)
        gap = await asyncio.wait_for(anext(changes), TIMEOUT)
        assert isinstance(gap, Gap)
        assert isinstance(gap.reason, reason)
        pbx.call(to="1001")
        await eventually(lambda: is_current(client, pbx))
        assert client.stats.gaps == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.slow
def test_any_schedule_converges(seed):
    """After any schedule of the simulator's faults, the mirror equals pbx.snapshot()."""
    run(run_schedule(1000 + seed))


@on_uvloop
async def test_busy_server_is_retried():
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Refuse(503, times=2))
        errors = []
        async with new_client(pbx) as client:
            client.on_error(errors.append)
            await client.synced(TIMEOUT)
        assert [type(error) for error in errors] == [HandshakeError] * 2


@pytest.mark.parametrize(
    "peer",
    [
        None,
        faults.Silence(),
        pytest.param(faults.Stall(30), marks=pytest.mark.slow),
        "connecting",
        "waiting",
    ],
    ids=str,
)
@on_uvloop
async def test_leaving_the_block_takes_at_most_a_second(peer):
    """Leaving is quick whatever the peer does, and leaves no task."""
    async with Simulator(calls=False) as pbx:
        if peer == "connecting":
            pbx.inject(faults.DelayHandshake(30))
        elif peer == "waiting":
            pbx.inject(faults.Refuse(503, retry_after=60))
        client = await Client(**pbx.connect_args).__aenter__()
        if peer in {"connecting", "waiting"}:
            await asyncio.sleep(0.1)
        else:
            await client.synced(TIMEOUT)
            if peer is not None:
                pbx.inject(peer)
        changes = client.changes()
        async with asyncio.timeout(
            20
        ):  # the peer's 30 s would exceed this; the machine may be busy
            await client.__aexit__(None, None, None)
        assert client.state == Stopped(None)
        assert [item async for item in changes] == []
        assert client_tasks() == []


@pytest.mark.slow
@on_uvloop
async def test_block_can_be_cancelled_at_any_moment():
    """A block that is cancelled at any moment ends cancelled and leaves no task."""
    rng = random.Random(4)
    async with Simulator(calls=False) as pbx:

        async def block():
            async with new_client(pbx) as client:
                await client.synced()
                pbx.inject(faults.Drop())
                await client.hangup("nobody", confirm=True, confirm_timeout=60)

        for _ in range(20):
            task = asyncio.create_task(block())
            await asyncio.sleep(rng.uniform(0, 0.15))
            task.cancel()
            await asyncio.wait([task], timeout=TIMEOUT)
            assert task.cancelled() or isinstance(
                task.exception(), NotConnectedError | ClientClosed
            )
            await eventually(lambda: not client_tasks())


@on_uvloop
async def test_commands_are_confirmed_or_time_out():
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        uuid = pbx.call(to="1001")
        leg = pbx.answer(uuid)
        await client.wait_for(lambda mirror: leg in mirror.channels, 10)
        await client.park(uuid, 60, confirm=True)
        await client.hangup(uuid, confirm=True)
        assert uuid not in pbx.snapshot()["channel"]
        with pytest.raises(CommandTimeout):
            await client.hangup(uuid, confirm=True, confirm_timeout=0.05)
        pbx.inject(faults.Refuse(503))
        pbx.inject(faults.Drop())
        await entered(client, Disconnected)
        with pytest.raises(NotConnectedError):
            await client.hangup(uuid)


@pytest.mark.slow
@on_uvloop
async def test_flood_does_not_affect_other_subscribers():
    """In a flood, a slow reader gets the number of missed items; a fast one misses nothing."""
    events = 2000

    received = itertools.count()

    async def sleeper(_):
        await asyncio.sleep(60)

    async with Simulator(calls=False, users=20) as pbx, connected(pbx) as client:
        client.on_change(sleeper)
        client.on_change(lambda _: next(received))
        dropping = client.changes(policy="drop_oldest", size=5)
        pbx.inject(faults.Flood(events))
        await eventually(lambda: client.stats.messages.get("InfoEvent", 0) >= events)
        assert next(received) == events
        assert await anext(dropping) == Lagged(events - 5)
        assert client.state == Synced()
        assert is_current(client, pbx)
