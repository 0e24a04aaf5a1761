"""Callbacks: calls, tasks, errors and the end of the client."""

from __future__ import annotations

import asyncio
import functools
import logging
import re

import pytest
from support.fake_pbx import FakePbx
from support.virtual_clock import now, on_virtual_clock, run

from basix_ws_cti.client.callbacks import (
    FINISH_TIMEOUT,
    SLOW_CALLBACK,
    Callbacks,
    is_cancelled,
)
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.subscriptions import Subscription
from basix_ws_cti.exceptions import ConnectionLost, SubscriberLagged, UsageError


def client_records(caplog):
    """Return the log records of this library."""
    return [record for record in caplog.records if record.name.startswith("basix_ws_cti")]


def queue(size=100):
    return Subscription("drop_oldest", size, None, lambda _: None)


async def let_callbacks_run():
    """Wait long enough for every callback of these tests."""
    await asyncio.sleep(1)


def raises(*_):
    raise ZeroDivisionError("of Mr Yamada's call")


def cancels(*_):
    raise asyncio.CancelledError


async def raises_later(_):
    await asyncio.sleep(0)
    raises()


async def cancels_later(_):
    await asyncio.sleep(0)
    cancels()


# -- functions ----------------------------------------------------------------------------


@on_virtual_clock
async def test_function_is_called_until_it_is_unregistered():
    callbacks, received = Callbacks(), []
    subscription = queue()
    end = callbacks.add("text", received.append, subscription)
    assert callbacks.has("text")
    assert not callbacks.has("other")
    assert not list(callbacks.queues)
    callbacks.call("text", 1)
    callbacks.call("other", 2)
    assert received == [1]
    assert end() is None
    assert end() is None
    assert not callbacks.has("text")
    callbacks.call("text", 3)
    assert received == [1]
    with pytest.raises(StopAsyncIteration):
        await anext(subscription)  # a function has no queue


@on_virtual_clock
async def test_filter_applies_to_functions():
    callbacks, received = Callbacks(), []
    callbacks.add("number", received.append, queue(), wants=lambda number: number > 2)
    for number in range(5):
        callbacks.call("number", number)
    assert received == [3, 4]


def test_event_without_callbacks_needs_no_event_loop():
    callbacks = Callbacks()
    callbacks.call("text", 1)
    callbacks.report(ConnectionLost(1006))


@on_virtual_clock
async def test_function_may_be_registered_twice():
    """Each registration is called and ends separately."""
    callbacks, received = Callbacks(), []
    end, _ = (callbacks.add("text", received.append, queue()) for _ in range(2))
    callbacks.call("text", 1)
    end()
    callbacks.call("text", 2)
    assert received == [1, 1, 2]


@on_virtual_clock
async def test_callbacks_of_a_forgotten_event_are_not_called():
    callbacks, received = Callbacks(), []
    callbacks.add("once", received.append, queue())
    callbacks.call("once", 1)
    callbacks.forget("once")
    callbacks.forget("once")
    callbacks.call("once", 2)
    assert received == [1]
    assert not callbacks.has("once")


@on_virtual_clock
async def test_callbacks_may_register_and_unregister_others():
    """A new callback starts with the next item; an unregistered one is not called any more."""
    callbacks, received = Callbacks(), []

    def replace_other(item):
        if ends:
            ends.pop()()
            callbacks.add("text", lambda item: received.append(("new", item)), queue())

    callbacks.add("text", replace_other, queue())
    ends = [callbacks.add("text", lambda item: received.append(("old", item)), queue())]
    callbacks.call("text", 1)
    assert received == []
    callbacks.call("text", 2)
    assert received == [("new", 2)]


# -- coroutine functions ------------------------------------------------------------------


@on_virtual_clock
async def test_coroutine_function_is_awaited_for_one_item_after_another():
    callbacks, received = Callbacks(), []

    async def slow(item):
        await asyncio.sleep(0.1)
        received.append((item, now()))

    end = callbacks.add("text", slow, queue(), wants=lambda item: item != 2)
    await asyncio.sleep(0)
    for item in (1, 2, 3):
        callbacks.call("text", item)
    assert received == []
    await asyncio.sleep(0)
    assert [subscription.waiting for subscription in callbacks.queues] == [1]
    await let_callbacks_run()
    assert received == [(1, pytest.approx(0.1)), (3, pytest.approx(0.2))]
    end()
    end()
    callbacks.call("text", 4)
    await let_callbacks_run()
    assert len(received) == 2
    assert not list(callbacks.queues)


@on_virtual_clock
async def test_fed_subscription_delivers_each_item_once():
    """A coroutine function whose subscription is fed elsewhere receives each item once."""
    callbacks, received, subscription = Callbacks(), [], queue()

    async def receive(item):
        received.append(item)

    callbacks.add("change", receive, subscription, is_fed=True)
    subscription.offer(1)
    callbacks.call("change", 1)
    await let_callbacks_run()
    assert received == [1]
    await callbacks.finish()


@on_virtual_clock
async def test_unregistering_cancels_a_running_coroutine():
    """Unregistering cancels the running call and drops the waiting items."""
    callbacks, received = Callbacks(), []

    async def patient(item):
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            received.append(item)
            raise

    end = callbacks.add("text", patient, queue())
    callbacks.call("text", 1)
    callbacks.call("text", 2)
    await let_callbacks_run()
    end()
    await let_callbacks_run()
    assert received == [1]
    assert not list(callbacks.queues)


@on_virtual_clock
async def test_coroutine_function_may_unregister_itself():
    """It finishes and is not called again."""
    callbacks, received = Callbacks(), []

    async def once(item):
        end()
        await asyncio.sleep(0.01)
        received.append(item)

    end = callbacks.add("text", once, queue())
    callbacks.call("text", 1)
    callbacks.call("text", 2)
    await let_callbacks_run()
    assert received == [1]


@pytest.mark.parametrize("reason", [None, ConnectionLost(1006)])
@on_virtual_clock
async def test_coroutine_function_gets_waiting_items_at_the_end(reason):
    """After the end of its subscription, a callback gets the waiting items, whatever the reason."""
    callbacks, received, subscription = Callbacks(), [], queue()

    async def receive(item):
        received.append(item)

    callbacks.add("text", receive, subscription)
    callbacks.call("text", 1)
    subscription.end(reason)
    await let_callbacks_run()
    assert received == [1]
    assert not list(callbacks.queues)


# -- invalid callbacks --------------------------------------------------------------------


async def async_generator(_):
    yield


@pytest.mark.parametrize(
    "callback", [None, "print", async_generator, functools.partial(async_generator, 1)]
)
def test_invalid_callback_is_a_usage_error(callback):
    callbacks = Callbacks()
    with pytest.raises(UsageError, match="a callback must (not )?be"):
        callbacks.add("text", callback, queue())
    callbacks.call("text", 1)  # a registered callback would need an event loop
    assert not list(callbacks.queues)


# -- errors -------------------------------------------------------------------------------


@pytest.mark.parametrize("callback", [raises, cancels, raises_later, cancels_later])
@on_virtual_clock
async def test_error_of_a_callback_is_reported_and_logged(callback, caplog):
    """The log has one line for both errors, which names the callback and does not quote the error.

    The callback and all others are called again.
    """
    callbacks, received, errors = Callbacks(), [], []
    callbacks.add("error", errors.append, queue())
    callbacks.add("text", callback, queue())
    callbacks.add("text", received.append, queue())
    for item in (1, 2):
        callbacks.call("text", item)
    await let_callbacks_run()
    assert received == [1, 2]
    assert {type(error) for error in errors} <= {ZeroDivisionError, asyncio.CancelledError}
    names = [type(error).__name__ for error in errors]
    assert len(names) == 2
    await callbacks.finish()
    first, count = [record.getMessage() for record in client_records(caplog)]
    name = callback.__name__
    line = re.escape(f"callback error: {name} raised {names[0]} at {__file__}:") + r"\d+"
    assert re.fullmatch(line, first)
    assert count == f"{first} (2 times)"
    assert "Yamada" not in "\n".join(record.getMessage() for record in client_records(caplog))


@pytest.mark.parametrize("callback", [raises, cancels, raises_later, cancels_later])
@on_virtual_clock
async def test_error_of_an_error_callback_is_not_reported(callback, caplog):
    """Reporting it could go on forever."""
    callbacks, errors = Callbacks(), []
    callbacks.add("error", callback, queue())
    callbacks.add("error", errors.append, queue())
    first, second = ConnectionLost(1006), ConnectionLost(1000)
    callbacks.report(first)
    callbacks.report(second)
    await let_callbacks_run()
    assert errors == [first, second]
    await callbacks.finish()
    assert "2 times" in client_records(caplog)[-1].getMessage()  # it is logged all the same


@pytest.mark.parametrize("callback", [lambda _: None, raises_later], ids=["sync", "async"])
@on_virtual_clock
async def test_error_of_a_filter_is_logged_with_its_name(callback, caplog):
    def wants(_):
        raise LookupError

    callbacks, errors = Callbacks(), []
    callbacks.add("error", errors.append, queue())
    end = callbacks.add("text", callback, queue(), wants=wants)
    callbacks.call("text", 1)
    assert [type(error) for error in errors] == [LookupError]
    (record,) = client_records(caplog)
    assert ".wants raised LookupError at " in record.getMessage()
    end()


def test_reported_error_without_a_callback_is_not_logged(caplog):
    async def main():
        callbacks, errors = Callbacks(), []
        callbacks.add("error", errors.append, queue())
        lost = ConnectionLost(1006)
        callbacks.report(lost)
        assert errors == [lost]

    run(main())
    assert client_records(caplog) == []


@pytest.mark.parametrize(("seconds", "lines"), [(SLOW_CALLBACK, 0), (SLOW_CALLBACK + 0.1, 1)])
def test_slow_function_is_logged_by_name(seconds, lines, caplog):
    """A function that blocks the event loop for over a second is named in a warning."""
    now = 0.0
    callbacks = Callbacks(clock=lambda: now)

    def block(_):
        nonlocal now
        now += seconds

    callbacks.add("text", block, queue())
    callbacks.add("text", lambda _: None, queue())
    callbacks.call("text", 1)
    warnings = [one for one in client_records(caplog) if one.levelno == logging.WARNING]
    assert len(warnings) == len(client_records(caplog)) == lines
    for record in warnings:
        text = record.getMessage()
        assert "block for text blocked the client for 1.1 s" in text


# -- finish -------------------------------------------------------------------------------


@on_virtual_clock
async def test_finish_without_running_callbacks_takes_no_time():
    callbacks = Callbacks()
    callbacks.add("text", raises, queue())
    await callbacks.finish()
    assert now() == 0


def finish_with(callback, caplog):
    """Return the seconds that ``finish`` takes with this running callback, and the log lines."""

    async def main():
        callbacks, subscription = Callbacks(), queue()
        callbacks.add("text", callback, subscription)
        callbacks.call("text", 1)
        subscription.end(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        began = now()
        await callbacks.finish()
        took = now() - began
        await asyncio.sleep(10)  # a callback that was not cancelled ends
        assert not list(callbacks.queues)
        return took

    return run(main()), [record.getMessage() for record in client_records(caplog)]


@on_virtual_clock
async def test_missed_items_of_a_slow_callback_are_reported():
    """Missed items are an error event, and no item that the callback receives."""
    received = []

    async def slow(item):
        received.append(item)
        await asyncio.sleep(1)

    callbacks, errors = Callbacks(), []
    callbacks.add("error", errors.append, queue())
    callbacks.add("text", slow, queue(size=2))
    for item in range(5):
        callbacks.call("text", item)
    await asyncio.sleep(9)
    for one in callbacks.queues:
        one.end(None)
    await asyncio.sleep(1)
    (error,) = errors
    assert str(error) == ("a subscriber was too slow: more than 2 items waited in its queue")
    assert received == [3, 4]


@on_virtual_clock
async def test_missed_errors_are_not_reported():
    """A slow error callback is not received that it missed errors, which would repeat forever."""
    received = []

    async def slow(error):
        received.append(error)
        await asyncio.sleep(1)

    callbacks = Callbacks()
    callbacks.add("error", slow, queue(size=1))
    for number in range(5):
        callbacks.call("error", number)
    await asyncio.sleep(9)
    for one in callbacks.queues:
        one.end(None)
    await asyncio.sleep(1)
    assert received == [4]


@on_virtual_clock
async def test_overflow_under_fail_ends_a_callback():
    """An overflow under the policy fail ends the callback and is reported."""

    async def slow(_):
        await asyncio.sleep(1)

    callbacks, errors = Callbacks(), []
    callbacks.add("error", errors.append, queue())
    callbacks.add("text", slow, Subscription("fail", 1, None, lambda _: None))
    for item in range(5):
        callbacks.call("text", item)
    await asyncio.sleep(5)
    assert [type(error) for error in errors] == [SubscriberLagged]
    assert [*callbacks.queues] == []


def test_finish_waits_for_a_running_callback(caplog):
    """It waits no longer than the callback takes."""
    done = []

    async def quick(item):
        await asyncio.sleep(0.01)
        done.append(item)

    assert finish_with(quick, caplog) == (pytest.approx(0.01), [])
    assert done == [1]


def test_finish_cancels_a_slow_callback(caplog):
    async def slow(_):
        await asyncio.sleep(100)

    assert finish_with(slow, caplog) == (pytest.approx(FINISH_TIMEOUT), [])


@on_virtual_clock
async def test_cancelled_finish_leaves_no_callback_running():
    ended = []

    async def slow(item):
        try:
            await asyncio.sleep(100)
        finally:
            ended.append(item)

    callbacks = Callbacks()
    callbacks.add("text", slow, queue())
    callbacks.call("text", 1)
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(FINISH_TIMEOUT / 2):
            await callbacks.finish()
    await asyncio.sleep(0.01)
    assert ended == [1]


def test_finish_abandons_a_callback_that_ignores_cancellation(caplog):
    """The callback has the same time once more; then a warning is logged."""

    async def stubborn(_):
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await asyncio.sleep(3)

    took, lines = finish_with(stubborn, caplog)
    assert took == pytest.approx(2 * FINISH_TIMEOUT)
    (line,) = lines
    assert re.fullmatch("callback does not end after its cancellation: .*stubborn", line)


@on_virtual_clock
async def test_callback_that_ignores_cancellation_gets_no_more_items():
    callbacks, received = Callbacks(), []

    async def stubborn(item):
        received.append(item)
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            received.append("cancelled")

    callbacks.add("text", stubborn, queue())
    callbacks.call("text", 1)
    callbacks.call("text", 2)
    await let_callbacks_run()
    await callbacks.finish()
    await let_callbacks_run()
    assert received == [1, "cancelled"]


def test_callback_may_call_finish(caplog):
    """Such a callback does not wait for itself and causes no warning."""

    async def main():
        callbacks, received = Callbacks(), []

        async def finish(item):
            await callbacks.finish()
            received.append(item)

        subscription = queue()
        callbacks.add("text", finish, subscription)
        callbacks.call("text", 1)
        await let_callbacks_run()
        assert received == [1]
        subscription.end(None)
        await let_callbacks_run()

    run(main())
    assert client_records(caplog) == []


# -- details ------------------------------------------------------------------------------


@on_virtual_clock
async def test_is_cancelled_distinguishes_requests_from_raised_errors():
    """A task is cancelled if its end was requested, not if a CancelledError was raised."""
    seen = []

    async def watched():
        seen.append((is_cancelled(), is_cancelled(asyncio.CancelledError())))
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError as error:
            seen.append((is_cancelled(), is_cancelled(error), is_cancelled(KeyError())))

    task = asyncio.create_task(watched())
    await asyncio.sleep(0)
    task.cancel()
    await task
    assert seen == [(False, False), (True, True, False)]


@on_virtual_clock
async def test_frozen_callbacks_are_those_of_their_moment():
    """Frozen callbacks are called until they are unregistered; later ones are not."""
    callbacks, received = Callbacks(), []
    callbacks.add("text", lambda item: received.append(("first", item)), queue())
    end = callbacks.add("text", lambda item: received.append(("second", item)), queue())
    call = callbacks.frozen("text")
    no_callbacks = callbacks.frozen("other")
    callbacks.add("text", lambda item: received.append(("later", item)), queue())
    callbacks.add("other", lambda item: received.append(("later", item)), queue())
    no_callbacks(0)
    call(1)
    end()
    call(2)
    assert received == [("first", 1), ("second", 1), ("first", 2)]


@on_virtual_clock
async def test_overflow_of_an_asynchronous_callback_reaches_on_error():
    pbx, errors = FakePbx(), []
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        client.on_error(errors.append)
        received = []

        async def slow(change):
            received.append(change)
            await asyncio.sleep(1)

        client.on_change(slow, policy="fail", size=2)
        for number in range(9):
            pbx.set_user(number)
        await asyncio.sleep(30)
    assert len(received) < 9
    assert [type(error) for error in errors] == [SubscriberLagged]


# -- before the client runs, and misuse ----------------------------------------------------


def test_held_async_callback_starts_with_the_event_loop():
    """It can be registered without a loop, and its queue collects items until then."""
    callbacks, received, dropped = Callbacks(), [], []
    callbacks.hold()

    async def receive(item):
        received.append(item)

    async def drop(item):
        dropped.append(item)

    end, end_early = (
        callbacks.add("text", receive, queue()),
        callbacks.add("text", drop, queue()),
    )
    assert len(list(callbacks.queues)) == 2
    end_early()

    async def main():
        callbacks.start()
        callbacks.call("text", 1)
        await let_callbacks_run()
        end()
        await let_callbacks_run()
        end()

    run(main())
    assert (received, dropped) == ([1], [])


def test_async_callback_may_be_unregistered_in_another_thread():
    callbacks, received = Callbacks(), []

    async def receive(item):
        received.append(item)

    async def main():
        end = callbacks.add("text", receive, queue())
        callbacks.call("text", 1)
        await asyncio.sleep(0.01)
        await asyncio.to_thread(end)
        await asyncio.sleep(0.01)
        callbacks.call("text", 2)
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert received == [1]


@on_virtual_clock
async def test_function_that_returns_a_coroutine_is_reported_once(caplog):
    callbacks, errors = Callbacks(), []
    callbacks.add("error", errors.append, queue())

    async def receive(item):
        raise AssertionError

    callbacks.add("text", lambda item: receive(item), queue())  # noqa: PLW0108
    callbacks.call("text", 1)
    callbacks.call("text", 2)
    (error,) = errors
    assert isinstance(error, UsageError)
    assert str(error).endswith("<lambda> returned a coroutine: pass the async function itself")
    (record,) = client_records(caplog)
    assert record.getMessage().endswith(f"<lambda> raised UsageError: {error}")


@on_virtual_clock
async def test_result_of_a_function_is_ignored():
    callbacks, received = Callbacks(), []

    def receive(item):
        received.append(item)
        return item

    callbacks.add("text", receive, queue())
    callbacks.call("text", 1)
    callbacks.call("text", 2)
    assert received == [1, 2]
