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
from support.virtual_clock import IterationLog, run
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
    ConnectionLost,
    NotConnectedError,
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


def told(dispatcher):
    """What is told in the order of its telling, by the callbacks."""
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
async def test_all_are_told_in_order(publish):
    """Subscribers and callbacks are told of each change, and then of what happened to calls."""
    dispatcher = Dispatcher()
    log, changes, calls = (
        told(dispatcher),
        subscribe(dispatcher.changes),
        subscribe(dispatcher.calls),
    )
    publish(dispatcher, CHANGES, CALLS)
    assert log == [*CHANGES, *CALLS]
    assert dispatcher.lag == 5
    assert [await anext(changes) for _ in CHANGES] == CHANGES
    assert [await anext(calls) for _ in CALLS] == CALLS
    assert dispatcher.lag == 0


async def test_messages():
    """A message is told to those who wait for its sort, and to who wants them all."""
    dispatcher = Dispatcher()
    log, messages = told(dispatcher), subscribe(dispatcher.messages)
    dispatcher.publish_message(Msg("hello"))
    assert log == [Msg("hello")]
    assert await anext(messages) == Msg("hello")


async def test_who_comes_before_it_is_told():
    """Who subscribes when something is so already is not told of it, for they have seen it."""
    dispatcher = Dispatcher()
    early = [subscribe(dispatcher.changes), subscribe(dispatcher.calls)]
    bind_change, bind_call = dispatcher.bind("change"), dispatcher.bind("call")
    late = [subscribe(dispatcher.changes), subscribe(dispatcher.calls)]
    log = told(dispatcher)
    bind_change(CHANGES[0])()
    bind_call(CALLS[0])()
    assert log == []
    publish_at_once(dispatcher, CHANGES[1:2], CALLS[1:])
    assert log == [CHANGES[1], CALLS[1]]
    assert [one.waiting for one in early] == [2, 2]
    assert [one.waiting for one in late] == [1, 1]


async def test_who_comes_when_told_of_a_change():
    """Who subscribes to calls in a callback for a change has seen what it means for them."""
    dispatcher, late = Dispatcher(), []
    queue = Subscription("drop_oldest", 8, None, lambda _: None)
    dispatcher.callbacks.add("change", lambda _: late.append(subscribe(dispatcher.calls)), queue)
    publish_at_once(dispatcher, CHANGES[:2], CALLS)
    publish_at_once(dispatcher, (), CALLS[1:])
    assert [one.waiting for one in late] == [1, 1]


@PUBLISH
async def test_who_waits_for_a_change(publish):
    """A watch is over with the first change that fits; a gap is none."""
    dispatcher = Dispatcher()
    fitting, other = ChangeWaiter(lambda change: change.key == 1), ChangeWaiter(lambda _: False)
    dispatcher.waiters |= {fitting, other}
    publish(dispatcher, CHANGES[:1], ())
    publish_later(dispatcher, [Gap(NOON, NOON, None)], ())
    assert not fitting.seen.done()
    publish(dispatcher, [*CHANGES, *CHANGES], ())
    assert fitting.seen.done()
    assert not other.seen.done()


@pytest.mark.parametrize(
    ("reason", "error"), [(ConnectionLost(1006), ConnectionLost), (None, NotConnectedError)]
)
async def test_the_end(reason, error):
    """At the end all iterations end, with what stopped the client, and no watch waits on."""
    dispatcher = Dispatcher()
    subscriptions = [
        subscribe(those) for those in (dispatcher.changes, dispatcher.messages, dispatcher.calls)
    ]
    queue = Subscription("drop_oldest", 8, None, lambda _: None)
    dispatcher.callbacks.add("change", asyncio.sleep, queue)  # which is awaited
    watch, seen = ChangeWaiter(lambda _: True), ChangeWaiter(lambda _: True)
    seen.seen.set_result(None)
    dispatcher.waiters |= {watch, seen}
    dispatcher.end(reason)
    for subscription in (*subscriptions, queue):
        with pytest.raises(ConnectionLost if reason else StopAsyncIteration):
            await anext(subscription)
    assert [*dispatcher.changes, *dispatcher.messages, *dispatcher.calls] == []
    assert isinstance(watch.seen.exception(), error)
    assert seen.seen.result() is None
    await dispatcher.callbacks.finish()


# -- in a client ---


def test_the_gap_is_told_of_whatever_is_asked_for():
    """A subscriber to one kind, key or filter hears of every gap."""

    async def main():
        pbx = FakePbx()
        async with Client("fake", connector=pbx) as client:
            await client.synced()
            some = [
                client.changes(kind="channel"),
                client.changes(key="x"),
                client.changes(where=lambda _: False),
            ]
            pbx.set_user(1)
            pbx.lose()
            await asyncio.sleep(0.1)
            await client.synced(10)
            assert [type(await anext(one)) for one in some] == [Gap] * 3
            assert [one.waiting for one in some] == [0] * 3

    run(main())


def test_who_comes_in_the_middle_is_told_nothing_of_it():
    """Who asks for changes when the picture is there is not told how it came to be."""
    seen, called = [], []

    async def main():
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

    run(main())
    assert seen == [change.key for change in called] == [1]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["reconnect", "initial_info"])
def test_whenever_somebody_comes(way):
    """Who looks and asks for more, at any moment, is told what leads from what they saw to what
    is: of elements, and of calls.
    """

    async def main():
        pbx, wrong = FakePbx(), []
        pbx.state = {"user": users(1000), "channel": legs(1000)}

        class Guest:
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
            client.calls  # noqa: B018 - to be followed
            await client.synced()
            await asyncio.sleep(0.1)
            pending_pickups = []
            IterationLog(observe=lambda _: pending_pickups.append(Guest()))
            client.on_state(lambda _: pending_pickups.append(Guest()))
            pbx.state = {"user": users(1000, "b"), "channel": {}}
            if way == "reconnect":
                pbx.lose()
            else:
                pbx.send(*(InitialInfo(*one) for one in pbx.state.items()))
            await client.wait_for(lambda mirror: not mirror.channels)
            await asyncio.sleep(0.1)
            assert wrong == []
            assert all(
                (guest.users, guest.calls) == (users(1000, "b"), set()) for guest in pending_pickups
            )
            assert len(pending_pickups) > 2000 // SLICE_STEPS

    run(main())


def test_who_goes_in_the_middle_is_told_no_more():
    """A callback that is taken back while much is told is not called any more."""
    called = []

    async def main():
        pbx = FakePbx()
        pbx.state = {"user": users(1000), "channel": {}}
        async with Client("fake", connector=pbx) as client:
            client.on_change(lambda _: None)
            end = client.on_change(called.append)
            await client.synced()
            end()
            count = len(called)
            await asyncio.sleep(0.1)
        return count

    assert 0 < run(main()) == len(called) < 1000


def test_calls_are_told():
    """What happens to a call goes to who iterates and who is called; it cannot be merged."""

    async def main():
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

    run(main())


@pytest.mark.parametrize("sort", ["sync", "async"])
async def test_all_callbacks(sort):
    """Each on_… calls a function, or awaits a coroutine function, until it is unsubscribed."""
    seen = Counter()

    def callback(name):
        def called(*arguments):
            seen[name, len(arguments)] += 1
            if name == "raiser":
                raise ZeroDivisionError

        async def awaited(*arguments):
            await asyncio.sleep(0)
            called(*arguments)

        return awaited if sort == "async" else called

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


async def test_a_filter_that_raises():
    """A filter that raises is reported, and keeps nobody else from being told."""
    errors, told = [], []
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        client.on_error(errors.append)
        client.changes(where=lambda change: change.no_such_thing)
        kept = client.changes(where=lambda change: change.no_such_thing)
        client.on_change(told.append, kind="channel")
        pbx.call()
        await eventually(lambda: told)
        assert kept.waiting == 0
        assert {type(error) for error in errors} == {AttributeError}
