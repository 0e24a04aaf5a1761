"""State of the client, and waiting for conditions."""

from __future__ import annotations

import asyncio
import traceback

import pytest
from support.client_schedules import (
    connected,
    entered,
)
from support.fake_pbx import FakePbx
from support.virtual_clock import now, on_virtual_clock

from basix_ws_cti import (
    SystemMsg,
    UsageError,
)
from basix_ws_cti.client.callbacks import Callbacks
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.state_holder import StateHolder
from basix_ws_cti.client.subscriptions import Subscription
from basix_ws_cti.exceptions import (
    ClientClosed,
    LoggedOut,
    WaitTimeout,
)
from basix_ws_cti.mirror.snapshot import QUIET_TIME
from basix_ws_cti.session.status import Connecting, Disconnected, Stopped, Synced, Syncing
from basix_ws_cti.simulator import Simulator, faults


@on_virtual_clock
async def test_states_follow_in_order():
    """A client is connecting, syncing, synced and finally stopped."""
    pbx, states = FakePbx(), []
    async with Client("fake", connector=pbx) as client:
        client.on_state(states.append)
        assert client.state == Connecting(1)
        mirror = await client.synced(10)
        assert mirror is client.mirror
        assert client.is_synced
    assert not client.is_synced
    assert states == [Connecting(1), Syncing(), Synced(), Stopped(None)]


@pytest.mark.parametrize("ask", [Client.synced, lambda client: anext(client.changes())])
@on_virtual_clock
async def test_stop_reason_keeps_no_reference_to_callers(ask):
    """The traceback of the error that stopped the client does not grow with each raise."""
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


@on_virtual_clock
async def test_timeout_error_of_a_predicate_is_no_wait_timeout():
    """A TimeoutError that the predicate raises is passed on."""

    def ask(_):
        raise TimeoutError("mine")

    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        with pytest.raises(TimeoutError, match="mine") as caught:
            await client.wait_for(ask, 10)
        assert not isinstance(caught.value, WaitTimeout)


async def test_wait_for_and_synced_time_out():
    """wait_for and synced raise WaitTimeout, a TimeoutError; errors of the predicate pass on."""
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


def new_state():
    """Return a state holder, and a list of the states that its callbacks receive."""
    callbacks, states = Callbacks(), []
    callbacks.add("state", states.append, Subscription("drop_oldest", 8, None, lambda _: None))
    return StateHolder(callbacks), states


async def test_entering_a_state_notifies_callbacks():
    state, states = new_state()
    assert state.has_stopped
    state.enter(Connecting(1))
    assert state.current == Connecting(1)
    assert not state.has_stopped
    assert states == [Connecting(1)]


async def test_watchers_learn_of_states_and_of_the_mirror():
    """They are called before the callbacks of the state."""
    state, states = new_state()
    seen = []
    state.watch(lambda: seen.append((state.current, len(states))))
    state.enter(Connecting(1))
    state.wake()
    assert seen == [(Connecting(1), 0), (Connecting(1), 1)]


async def test_wait_returns_the_condition_value():
    state, _ = new_state()
    assert await state.wait_until(lambda: "value", "a value", None) == "value"


@on_virtual_clock
async def test_condition_is_checked_after_each_change():
    """A waiting task checks its condition when the state changes, and when it is woken."""
    state, _ = new_state()
    state.enter(Connecting(1))
    values = []
    waiting = asyncio.create_task(state.wait_until(lambda: len(values) == 2, "both", 10))
    for change in (lambda: state.enter(Syncing()), state.wake):
        await asyncio.sleep(1)
        assert not waiting.done()
        values.append(change)
        change()
        state.wake()  # a second wake-up before the task runs
    assert await waiting
    assert now() == 2


@on_virtual_clock
async def test_wait_times_out():
    state, _ = new_state()
    state.enter(Syncing())
    with pytest.raises(WaitTimeout, match=r"after 1\.5 s waiting for a miracle"):
        await state.wait_until(lambda: False, "a miracle", 1.5)
    assert now() == 1.5


@pytest.mark.parametrize("reason", [None, LoggedOut()])
async def test_wait_ends_when_the_client_stops(reason):
    state, _ = new_state()
    state.enter(Syncing())
    waiting = asyncio.create_task(state.wait_until(lambda: False, "a miracle", None))
    await asyncio.sleep(0)
    state.enter(Stopped(reason))
    with pytest.raises(ClientClosed if reason is None else LoggedOut):
        await waiting


async def test_wait_before_the_start_is_a_usage_error():
    state, _ = new_state()
    with pytest.raises(UsageError, match="the client is not running: use"):
        await state.wait_until(lambda: False, "a miracle", None)


@on_virtual_clock
async def test_condition_that_is_true_only_briefly_is_not_missed():
    """The condition is false again before the waiting task runs."""
    state, _ = new_state()
    state.enter(Syncing())
    values = []
    waiting = asyncio.create_task(state.wait_until(values.copy, "a value", 10))
    await asyncio.sleep(0)
    values.append(1)
    state.wake()
    values.clear()
    state.wake()
    assert await waiting == [1]


@on_virtual_clock
async def test_condition_met_in_the_moment_of_the_timeout_counts():
    state, _ = new_state()
    state.enter(Syncing())
    values = []

    def meet():
        values.append(1)
        state.wake()

    asyncio.get_running_loop().call_at(1, meet)
    waiting = asyncio.create_task(state.wait_until(values.copy, "a value", 1))
    assert await waiting == [1]


@on_virtual_clock
async def test_error_of_a_condition_is_raised_by_the_wait():
    """It does not reach whoever wakes the waiting task."""
    state, _ = new_state()
    state.enter(Syncing())
    values = []

    def fails():
        if values:
            raise StopIteration  # which a future would not accept

    waiting = asyncio.create_task(state.wait_until(fails, "a value", 10))
    await asyncio.sleep(0)
    values.append(1)
    state.wake()
    with pytest.raises(RuntimeError, match="StopIteration"):
        await waiting


@on_virtual_clock
async def test_wait_for_sees_every_state_of_the_mirror():
    """A user appears and disappears in one read from the socket."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        waiting = asyncio.create_task(client.wait_for(lambda mirror: mirror.users.get(1), 10))
        await asyncio.sleep(0)
        pbx.connections[0].pace = None
        pbx.set_user(1)
        pbx.remove_user(1)
        assert (await waiting).id == 1


@on_virtual_clock
async def test_wait_for_sees_every_event_that_arrives_during_the_quiet_time():
    """A user appears and disappears before the snapshot is complete."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        waiting = asyncio.create_task(client.wait_for(lambda mirror: mirror.users.get(1), 10))
        await asyncio.sleep(QUIET_TIME / 2)
        pbx.set_user(1)
        pbx.remove_user(1)
        assert (await waiting).id == 1


@on_virtual_clock
async def test_waiting_tasks_learn_that_the_client_was_closed():
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        uuid = "nobody"
        waiting = [
            asyncio.create_task(client.wait_for(lambda _: False)),
            asyncio.create_task(client.hangup(uuid, confirm=True)),
        ]
        await asyncio.sleep(0.1)
    waiting.append(asyncio.create_task(client.synced()))
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, ClientClosed)
        assert str(outcome) == "the client was closed: its `async with` block has ended"


async def test_condition_counts_even_if_the_client_has_stopped():
    state, _ = new_state()
    assert await state.wait_until(lambda: state.has_stopped, "the end", None)


async def test_final_error_that_is_a_timeout_error_is_raised_as_it_is():
    """It is no WaitTimeout: the wait did not time out."""
    state, _ = new_state()
    error = TimeoutError("final")
    state.enter(Stopped(error))
    with pytest.raises(TimeoutError) as caught:
        await state.wait_until(lambda: False, "a miracle", 10)
    assert caught.value is error
