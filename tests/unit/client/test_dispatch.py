"""Dispatcher: delivery to subscribers and callbacks."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime

import pytest
from support.client_schedules import (
    connected,
    new_client,
)
from support.fake_pbx import FakePbx, legs, users
from support.virtual_clock import IterationLog, on_virtual_clock
from support.waiting import TIMEOUT, eventually

from basix_ws_cti import (
    InitialInfo,
    Msg,
    UsageError,
    User,
)
from basix_ws_cti._internal.time_slice import SLICE_STEPS
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.dispatch import ChangeWaiter, Dispatcher
from basix_ws_cti.client.subscriptions import Subscription
from basix_ws_cti.exceptions import (
    ClientClosed,
    ConnectionLost,
)
from basix_ws_cti.mirror.changes import Added, Gap
from basix_ws_cti.simulator import Simulator

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CHANGES = [Added("user", User(id=number)) for number in range(3)]
CALLS = ["a call", "another"]


def subscribe(subscribers):
    subscription = Subscription("drop_oldest", 8, None, subscribers.discard)
    subscribers.add(subscription)
    return subscription


def register_callbacks(dispatcher):
    """Return a list of the items that callbacks receive, in order."""
    log = []
    for event in ("change", "call", "Msg"):
        dispatcher.callbacks.add(event, log.append, subscribe(dispatcher.messages))
    return log


def publish_at_once(dispatcher, changes, events):
    bound = [*map(dispatcher.bind("call"), events)]
    for change in changes:
        dispatcher.publish_change(change)
    for publish in bound:
        publish()


def publish_later(dispatcher, changes, events):
    bound = [*map(dispatcher.bind("change"), changes), *map(dispatcher.bind("call"), events)]
    for publish in bound:
        publish()


PUBLISH = pytest.mark.parametrize("publish", [publish_at_once, publish_later])


@PUBLISH
async def test_changes_come_before_call_events(publish):
    """Subscribers and callbacks receive each change, and then the call events."""
    dispatcher = Dispatcher()
    log, changes, calls = (
        register_callbacks(dispatcher),
        subscribe(dispatcher.changes),
        subscribe(dispatcher.calls),
    )
    publish(dispatcher, CHANGES, CALLS)
    assert log == [*CHANGES, *CALLS]
    assert dispatcher.lag == 5
    assert [await anext(changes) for _ in CHANGES] == CHANGES
    assert [await anext(calls) for _ in CALLS] == CALLS
    assert dispatcher.lag == 0


async def test_message_is_delivered_to_callbacks_and_subscribers():
    dispatcher = Dispatcher()
    log, messages = register_callbacks(dispatcher), subscribe(dispatcher.messages)
    dispatcher.publish_message(Msg("hello"))
    assert log == [Msg("hello")]
    assert await anext(messages) == Msg("hello")


async def test_bound_item_skips_later_subscribers():
    """A subscriber that arrives after an item was bound does not receive it."""
    dispatcher = Dispatcher()
    early = [subscribe(dispatcher.changes), subscribe(dispatcher.calls)]
    bind_change, bind_call = dispatcher.bind("change"), dispatcher.bind("call")
    late = [subscribe(dispatcher.changes), subscribe(dispatcher.calls)]
    log = register_callbacks(dispatcher)
    bind_change(CHANGES[0])()
    bind_call(CALLS[0])()
    assert log == []
    publish_at_once(dispatcher, CHANGES[1:2], CALLS[1:])
    assert log == [CHANGES[1], CALLS[1]]
    assert [one.waiting for one in early] == [2, 2]
    assert [one.waiting for one in late] == [1, 1]


async def test_subscriber_from_a_change_callback_misses_the_bound_call_event():
    """A callback for a change sees the calls of that change already."""
    dispatcher, late = Dispatcher(), []
    queue = Subscription("drop_oldest", 8, None, lambda _: None)
    dispatcher.callbacks.add("change", lambda _: late.append(subscribe(dispatcher.calls)), queue)
    publish_at_once(dispatcher, CHANGES[:2], CALLS)
    publish_at_once(dispatcher, (), CALLS[1:])
    assert [one.waiting for one in late] == [1, 1]


@PUBLISH
async def test_waiter_ends_with_the_first_matching_change(publish):
    """A ChangeWaiter ends with the first matching change; a gap never matches."""
    dispatcher = Dispatcher()
    fitting, other = ChangeWaiter(lambda change: change.key == 1), ChangeWaiter(lambda _: False)
    dispatcher.waiters |= {fitting, other}
    publish(dispatcher, CHANGES[:1], ())
    publish_later(dispatcher, [Gap(NOON, NOON, None)], ())
    assert not fitting.seen.done()
    publish(dispatcher, [*CHANGES, *CHANGES], ())
    assert fitting.seen.done()
    assert not other.seen.done()


async def test_waiting_for_a_change_ends_with_the_block():
    dispatcher = Dispatcher()
    with dispatcher.waiting_for(lambda change: change.key == 1) as seen:
        for change in CHANGES:
            dispatcher.publish_change(change)
        assert seen.done()
    with dispatcher.waiting_for(lambda _: False) as seen:
        dispatcher.end(ClientClosed("left"))
        assert isinstance(seen.exception(), ClientClosed)
    with dispatcher.waiting_for(lambda _: False) as seen:
        pass
    assert not seen.done()
    assert not dispatcher.waiters


@pytest.mark.parametrize(
    ("reason", "error"), [(ConnectionLost(1006), ConnectionLost), (None, ClientClosed)]
)
async def test_end_ends_subscriptions_and_waiters(reason, error):
    """All iterations end with the error that stopped the client, and no waiter stays."""
    dispatcher = Dispatcher()
    subscriptions = [
        subscribe(subscribers)
        for subscribers in (dispatcher.changes, dispatcher.messages, dispatcher.calls)
    ]
    queue = Subscription("drop_oldest", 8, None, lambda _: None)
    dispatcher.callbacks.add("change", asyncio.sleep, queue)  # a coroutine function
    waiter, seen = ChangeWaiter(lambda _: True), ChangeWaiter(lambda _: True)
    seen.seen.set_result(None)
    dispatcher.waiters |= {waiter, seen}
    dispatcher.end(reason)
    for subscription in (*subscriptions, queue):
        with pytest.raises(ConnectionLost if reason else StopAsyncIteration):
            await anext(subscription)
    assert [*dispatcher.changes, *dispatcher.messages, *dispatcher.calls] == []
    assert isinstance(waiter.seen.exception(), error)
    assert seen.seen.result() is None
    await dispatcher.callbacks.finish()


# -- in a client ---


@on_virtual_clock
async def test_gap_passes_every_filter():
    """A subscriber to one kind, key or filter receives every gap."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        subscriptions = [
            client.changes(kind="channel"),
            client.changes(key="x"),
            client.changes(where=lambda _: False),
        ]
        pbx.set_user(1)
        pbx.lose()
        await asyncio.sleep(0.1)
        await client.synced(10)
        assert [type(await anext(one)) for one in subscriptions] == [Gap] * 3
        assert [one.waiting for one in subscriptions] == [0] * 3


@on_virtual_clock
async def test_late_subscriber_gets_no_snapshot_changes():
    """A subscriber that arrives during the delivery of a snapshot does not get its changes."""
    seen, called = [], []

    pbx = FakePbx()
    pbx.state = {"user": users(1000), "channel": {}}
    async with Client("fake", connector=pbx) as client:
        log = IterationLog()
        client.on_change(log.append)
        await client.synced()
        assert len(log.items) < 1000
        client.on_change(called.append)
        changes = client.changes()
        await asyncio.sleep(0.1)
        assert len(log.items) == 1000
        pbx.set_user(1)
        seen.append((await anext(changes)).key)
    assert seen == [change.key for change in called] == [1]


@pytest.mark.slow
@pytest.mark.parametrize("cause", ["reconnect", "initial_info"])
@on_virtual_clock
async def test_changes_continue_the_state_seen_at_any_moment(cause):
    """A subscriber gets the changes from the state that it saw to the current one."""
    pbx, wrong = FakePbx(), []
    pbx.state = {"user": users(1000), "channel": legs(1000)}

    class Observer:
        def __init__(self, *_):
            self.users = dict(client.mirror.users)
            self.calls = set(client.calls)
            client.on_change(self.changed)
            client.on_call(self.called)

        def changed(self, change):
            if getattr(change, "element_name", None) == "user":
                wrong.extend([change] if self.users.get(change.key) != change.old else ())
                self.users[change.key] = change.element

        def called(self, event):
            wrong.extend([event] if event.call.id not in self.calls else ())
            self.calls.discard(event.call.id)

    async with Client("fake", connector=pbx, backoff=Backoff(initial=0.1)) as client:
        client.calls  # noqa: B018 - start to track calls
        await client.synced()
        await asyncio.sleep(0.1)
        observers = []
        IterationLog(observe=lambda _: observers.append(Observer()))
        client.on_state(lambda _: observers.append(Observer()))
        pbx.state = {"user": users(1000, "b"), "channel": {}}
        if cause == "reconnect":
            pbx.lose()
        else:
            pbx.send(*(InitialInfo(*one) for one in pbx.state.items()))
        await client.wait_for(lambda mirror: not mirror.channels)
        await asyncio.sleep(0.1)
        assert wrong == []
        assert all(
            (observer.users, observer.calls) == (users(1000, "b"), set()) for observer in observers
        )
        assert len(observers) > 2000 // SLICE_STEPS


@on_virtual_clock
async def test_unregistered_callback_is_not_called_during_a_delivery():
    called = []

    pbx = FakePbx()
    pbx.state = {"user": users(1000), "channel": {}}
    async with Client("fake", connector=pbx) as client:
        client.on_change(lambda _: None)
        end = client.on_change(called.append)
        await client.synced()
        end()
        count = len(called)
        await asyncio.sleep(0.1)
    assert 0 < count == len(called) < 1000


@on_virtual_clock
async def test_call_events_reach_iterators_and_callbacks():
    """Call events reach iterators and callbacks and cannot be merged."""
    pbx, called = FakePbx(), []
    async with Client("fake", connector=pbx) as client:
        with pytest.raises(UsageError, match="merged"):
            client.call_events(policy="latest")
        events = client.call_events()
        client.on_call(called.append)
        await client.synced()
        pbx.call()
        event = await anext(events)
        assert [event] == called
        assert client.calls[event.call.id] == event.call


@pytest.mark.parametrize("form", ["sync", "async"])
async def test_each_callback_is_called_until_it_is_unregistered(form):
    """Each on_… method takes functions and coroutine functions."""
    seen = Counter()

    def callback(name):
        def called(*arguments):
            seen[name, len(arguments)] += 1
            if name == "raiser":
                raise ZeroDivisionError

        async def awaited(*arguments):
            await asyncio.sleep(0)
            called(*arguments)

        return awaited if form == "async" else called

    async with Simulator(calls=False) as pbx:
        client = new_client(pbx)
        names = ["change", "state", "error", "initial_info", "info_event", "system_msg", "msg"]
        ends = [getattr(client, f"on_{name}")(callback(name)) for name in names]
        ends.append(client.on_msg(callback("raiser")))
        async with client:
            await client.synced(TIMEOUT)
            uuid = pbx.call()
            pbx.hangup(uuid)
            pbx.system_msg("hello")
            pbx.msg("hello")
            await eventually(lambda: seen["error", 1])
            await eventually(lambda: seen["msg", 1])
            for name, count in zip(names, (1, 1, 1, 2, 3, 1, 1), strict=True):
                assert seen[name, count] >= 1, name
            assert (seen["state", 1], seen["error", 1]) == (3, 1)
            for end in ends:
                end()
                end()
            before = Counter(seen)
            pbx.msg("hello")
            pbx.call()
            done = client.messages()
            pbx.msg("done")
            async for message in done:
                if message == Msg("done"):
                    break
            await asyncio.sleep(0.01)
            assert seen == before


async def test_error_of_a_filter_is_reported():
    """An error of a filter is reported and affects no other subscriber."""
    errors, received = [], []
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        client.on_error(errors.append)
        client.changes(where=lambda change: change.no_such_thing)
        kept = client.changes(where=lambda change: change.no_such_thing)
        client.on_change(received.append, kind="channel")
        pbx.call()
        await eventually(lambda: received)
        assert kept.waiting == 0
        assert {type(error) for error in errors} == {AttributeError}
