from __future__ import annotations

import asyncio
import traceback

import pytest
from support.client_schedules import (
    connected,
    entered,
)
from support.fake_pbx import FakePbx
from support.virtual_clock import run

from basix_ws_cti import (
    SystemMsg,
)
from basix_ws_cti.client.client import Client
from basix_ws_cti.exceptions import (
    LoggedOut,
    WaitTimeout,
)
from basix_ws_cti.session.status import Connecting, Disconnected, Stopped, Synced, Syncing
from basix_ws_cti.simulator import Simulator, faults


def test_the_states_in_their_order():
    """A client goes through connecting, syncing, synced, and at its end is stopped."""

    async def main():
        states = []
        async with Client("fake", connector=pbx) as client:
            client.on_state(states.append)
            assert client.state == Connecting(1)
            mirror = await client.synced(10)
            assert mirror is client.mirror
            assert client.is_synced
        assert not client.is_synced
        return states

    pbx = FakePbx()
    assert run(main()) == [Connecting(1), Syncing(), Synced(), Stopped(None)]


@pytest.mark.parametrize("ask", [Client.synced, lambda client: anext(client.changes())])
def test_who_asks_again_after_the_end(ask):
    """However often it is asked for, what stopped the client holds on to nothing of who asked."""

    async def main():
        pbx = FakePbx()
        async with Client("fake", connector=pbx) as client:
            await client.synced()
            pbx.send(SystemMsg("logout"))
            error = (await entered(client, Stopped)).reason
            frames = []
            for _ in range(3):
                with pytest.raises(LoggedOut) as caught:
                    await ask(client)
                assert caught.value is error
                frames.append(len([*traceback.walk_tb(error.__traceback__)]))
            assert len(set(frames)) == 1

    run(main())


def test_the_wait_for_a_predicate_of_its_own_time_out():
    """A TimeoutError that the predicate raises is the predicate's."""

    def ask(_):
        raise TimeoutError("mine")

    async def main():
        pbx = FakePbx()
        async with Client("fake", connector=pbx) as client:
            with pytest.raises(TimeoutError, match="mine") as caught:
                await client.wait_for(ask, 10)
            assert not isinstance(caught.value, WaitTimeout)

    run(main())


async def test_waiting_for_what_does_not_come():
    """wait_for and synced end with a WaitTimeout, which is a TimeoutError; the predicate's own
    errors are passed on.
    """
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        with pytest.raises(WaitTimeout) as caught:
            await client.wait_for(lambda mirror: mirror.channels, 0.05)
        assert isinstance(caught.value, TimeoutError)
        with pytest.raises(ZeroDivisionError):
            await client.wait_for(lambda _: 1 / 0, 1)
        with pytest.raises(TimeoutError) as other:
            async with asyncio.timeout(0.05):
                await client.wait_for(lambda _: False)
        assert not isinstance(other.value, WaitTimeout)
        pbx.inject(faults.DelayHandshake(5))
        pbx.inject(faults.Drop())
        await entered(client, Disconnected)
        with pytest.raises(WaitTimeout, match=r"0\.05 s"):
            await client.synced(0.05)
