from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime

import pytest

from basix_ws_cti import Msg, User
from basix_ws_cti.audience import Audience, Watch
from basix_ws_cti.exceptions import ConnectionLost, NotConnectedError
from basix_ws_cti.mirror import Added
from basix_ws_cti.status import Gap
from basix_ws_cti.subscriptions import Subscription
from basix_ws_cti.turns import Turns

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


@pytest.mark.parametrize("in_turns", [False, True])
async def test_all_are_told_in_order(in_turns, monkeypatch):
    """Subscribers and callbacks are told of each change, and then of what happened to calls."""
    monkeypatch.setattr("basix_ws_cti.turns.STEPS", 2)
    audience = Audience()
    log, changes, calls = told(audience), subscribe(audience.changes), subscribe(audience.calls)
    if in_turns:
        await audience.tell_in_turns(deque(CHANGES), deque(CALLS), Turns())
    else:
        audience.tell(CHANGES, CALLS)
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


async def test_who_comes_between_two_turns(monkeypatch):
    """Who subscribes while much is told is told what comes after that, for they have seen it."""
    monkeypatch.setattr("basix_ws_cti.turns.STEPS", 1)
    audience = Audience()
    early = subscribe(audience.changes)
    telling = asyncio.create_task(audience.tell_in_turns(deque(CHANGES), deque(), Turns()))
    await asyncio.sleep(0)
    late = subscribe(audience.changes)
    await telling
    audience.tell(CHANGES[:1], ())
    assert (early.waiting, late.waiting) == (4, 1)


@pytest.mark.parametrize("in_turns", [False, True])
async def test_who_waits_for_a_change(in_turns):
    """A watch is over with the first change that fits; a gap is none."""
    audience = Audience()
    fitting, other = Watch(lambda change: change.key == 1), Watch(lambda _: False)
    audience.watches |= {fitting, other}
    if in_turns:
        await audience.tell_in_turns(deque([Gap(NOON, NOON, None)]), deque(), Turns())
        assert not fitting.seen.done()
        await audience.tell_in_turns(deque([*CHANGES, *CHANGES]), deque(), Turns())
    else:
        audience.tell([*CHANGES, *CHANGES], ())
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
