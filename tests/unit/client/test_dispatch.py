from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from basix_ws_cti import Msg, User
from basix_ws_cti.client.dispatch import ChangeWaiter, Dispatcher
from basix_ws_cti.client.subscriptions import Subscription
from basix_ws_cti.exceptions import ConnectionLost, NotConnectedError
from basix_ws_cti.mirror.changes import Added, Gap

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
