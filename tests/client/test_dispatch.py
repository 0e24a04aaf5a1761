from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from basix_ws_cti import Msg, User
from basix_ws_cti.client.dispatch import Audience, Watch
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


def told(audience):
    """What is told in the order of its telling, by the callbacks."""
    log = []
    for event in ("change", "call", "Msg"):
        audience.callbacks.add(event, log.append, subscribe(audience.messages))
    return log


def tell_later(audience, changes, events):
    tell_of_change, tell_of_call = audience.tell_of_change(), audience.tell_of_call()
    for change in changes:
        tell_of_change(change)
    for event in events:
        tell_of_call(event)


TELL = pytest.mark.parametrize("tell", [Audience.tell, tell_later])


@TELL
async def test_all_are_told_in_order(tell):
    """Subscribers and callbacks are told of each change, and then of what happened to calls."""
    audience = Audience()
    log, changes, calls = told(audience), subscribe(audience.changes), subscribe(audience.calls)
    tell(audience, CHANGES, CALLS)
    assert log == [*CHANGES, *CALLS]
    assert audience.lag == 5
    assert [await anext(changes) for _ in CHANGES] == CHANGES
    assert [await anext(calls) for _ in CALLS] == CALLS
    assert audience.lag == 0


async def test_messages():
    """A message is told to those who wait for its sort, and to who wants them all."""
    audience = Audience()
    log, messages = told(audience), subscribe(audience.messages)
    audience.tell_message(Msg("hello"))
    assert log == [Msg("hello")]
    assert await anext(messages) == Msg("hello")


async def test_who_comes_before_it_is_told():
    """Who subscribes when something is so already is not told of it, for they have seen it."""
    audience = Audience()
    early = [subscribe(audience.changes), subscribe(audience.calls)]
    tell_of_change, tell_of_call = audience.tell_of_change(), audience.tell_of_call()
    late = [subscribe(audience.changes), subscribe(audience.calls)]
    log = told(audience)
    tell_of_change(CHANGES[0])
    tell_of_call(CALLS[0])
    assert log == []
    audience.tell(CHANGES[1:2], CALLS[1:])
    assert log == [CHANGES[1], CALLS[1]]
    assert [one.waiting for one in early] == [2, 2]
    assert [one.waiting for one in late] == [1, 1]


async def test_who_comes_when_told_of_a_change():
    """Who subscribes to calls in a callback for a change has seen what it means for them."""
    audience, late = Audience(), []
    queue = Subscription("drop_oldest", 8, None, lambda _: None)
    audience.callbacks.add("change", lambda _: late.append(subscribe(audience.calls)), queue)
    audience.tell(CHANGES[:2], CALLS)
    audience.tell((), CALLS[1:])
    assert [one.waiting for one in late] == [1, 1]


@TELL
async def test_who_waits_for_a_change(tell):
    """A watch is over with the first change that fits; a gap is none."""
    audience = Audience()
    fitting, other = Watch(lambda change: change.key == 1), Watch(lambda _: False)
    audience.watches |= {fitting, other}
    tell(audience, CHANGES[:1], ())
    tell_later(audience, [Gap(NOON, NOON, None)], ())
    assert not fitting.seen.done()
    tell(audience, [*CHANGES, *CHANGES], ())
    assert fitting.seen.done()
    assert not other.seen.done()


@pytest.mark.parametrize(
    ("reason", "error"), [(ConnectionLost(1006), ConnectionLost), (None, NotConnectedError)]
)
async def test_the_end(reason, error):
    """At the end all iterations end, with what stopped the client, and no watch waits on."""
    audience = Audience()
    subscriptions = [
        subscribe(those) for those in (audience.changes, audience.messages, audience.calls)
    ]
    queue = Subscription("drop_oldest", 8, None, lambda _: None)
    audience.callbacks.add("change", asyncio.sleep, queue)  # which is awaited
    watch, seen = Watch(lambda _: True), Watch(lambda _: True)
    seen.seen.set_result(None)
    audience.watches |= {watch, seen}
    audience.end(reason)
    for subscription in (*subscriptions, queue):
        with pytest.raises(ConnectionLost if reason else StopAsyncIteration):
            await anext(subscription)
    assert [*audience.changes, *audience.messages, *audience.calls] == []
    assert isinstance(watch.seen.exception(), error)
    assert seen.seen.result() is None
    await audience.callbacks.finish()
