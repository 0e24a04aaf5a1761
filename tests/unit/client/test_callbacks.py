from __future__ import annotations

import asyncio
import functools
import logging

import pytest
from support.fake_pbx import FakePbx
from support.virtual_clock import now, run

from basix_ws_cti.client import callbacks as module
from basix_ws_cti.client.callbacks import (
    FINISH_TIMEOUT,
    SLOW_CALLBACK,
    Callbacks,
    is_cancelled,
    name_of,
)
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.subscriptions import Subscription
from basix_ws_cti.exceptions import ConnectionLost, SubscriberLagged, UsageError


def ours(caplog):
    """What our own loggers said: the test run listens to all others too."""
    return [record for record in caplog.records if record.name.startswith("basix_ws_cti")]


def queue(wants=None, size=100):
    return Subscription("drop_oldest", size, wants, lambda _: None)


async def dinner():
    """Long enough for whoever has something to do."""
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


# -- synchronous ones ---------------------------------------------------------------------


def test_a_function_is_called_at_once():
    """A function is called with each item of its event, until what adding it returned is called."""

    async def main():
        callbacks, told = Callbacks(), []
        subscription = queue()
        end = callbacks.add("text", told.append, subscription)
        assert not list(callbacks.queues)
        callbacks.call("text", 1)
        callbacks.call("other", 2)
        assert told == [1]
        assert end() is None
        assert end() is None
        callbacks.call("text", 3)
        assert told == [1]
        with pytest.raises(StopAsyncIteration):
            await anext(subscription)  # a function needs no queue

    run(main())


def test_a_function_is_told_what_it_wants():
    """Of its subscription a function has the filter."""

    async def main():
        callbacks, told = Callbacks(), []
        callbacks.add("number", told.append, queue(lambda number: number > 2))
        for number in range(5):
            callbacks.call("number", number)
        assert told == [3, 4]

    run(main())


def test_nobody_to_call():
    """An event that nobody asked for costs no look at the clock, and needs no event loop."""
    callbacks = Callbacks()
    callbacks.call("text", 1)
    callbacks.report(ConnectionLost(1006))


def test_the_same_function_twice():
    """A function that was added twice is called twice, and each ends for itself."""

    async def main():
        callbacks, told = Callbacks(), []
        end, _ = (callbacks.add("text", told.append, queue()) for _ in range(2))
        callbacks.call("text", 1)
        end()
        callbacks.call("text", 2)
        assert told == [1, 1, 2]

    run(main())


def test_callbacks_may_add_and_end_others():
    """Who is added while others are called waits for the next item; who is ended is still told
    of this one.
    """

    async def main():
        callbacks, told = Callbacks(), []

        def meddles(item):
            ends.pop()()
            ends.append(callbacks.add("text", lambda item: told.append(("new", item)), queue()))

        callbacks.add("text", meddles, queue())
        ends = [callbacks.add("text", lambda item: told.append(("old", item)), queue())]
        callbacks.call("text", 1)
        assert told == [("old", 1)]
        callbacks.call("text", 2)
        assert told == [("old", 1), ("new", 2)]

    run(main())


# -- asynchronous ones --------------------------------------------------------------------


def test_a_coroutine_function_is_awaited():
    """A coroutine function is awaited for one item after another; what waits meanwhile shows."""

    async def main():
        callbacks, told = Callbacks(), []

        async def slow(item):
            await asyncio.sleep(0.1)
            told.append((item, now()))

        end = callbacks.add("text", slow, queue(lambda item: item != 2))
        await asyncio.sleep(0)
        for item in (1, 2, 3):
            callbacks.call("text", item)
        assert told == []
        await asyncio.sleep(0)
        assert [subscription.waiting for subscription in callbacks.queues] == [1]
        await dinner()
        assert told == [(1, pytest.approx(0.1)), (3, pytest.approx(0.2))]
        end()
        end()
        callbacks.call("text", 4)
        await dinner()
        assert len(told) == 2
        assert not list(callbacks.queues)

    run(main())


def test_what_is_offered_elsewhere():
    """A coroutine function whose subscription somebody else fills is told each item once."""

    async def main():
        callbacks, told, subscription = Callbacks(), [], queue()

        async def tell(item):
            told.append(item)

        callbacks.add("change", tell, subscription, is_fed=True)
        subscription.offer(1)
        callbacks.call("change", 1)
        await dinner()
        assert told == [1]
        await callbacks.finish()

    run(main())


def test_ending_cancels():
    """Ending a coroutine function that waits cancels it, and drops what waits for it."""

    async def main():
        callbacks, told = Callbacks(), []

        async def patient(item):
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                told.append(item)
                raise

        end = callbacks.add("text", patient, queue())
        callbacks.call("text", 1)
        callbacks.call("text", 2)
        await dinner()
        end()
        await dinner()
        assert told == [1]
        assert not list(callbacks.queues)

    run(main())


def test_a_callback_that_ends_itself():
    """A coroutine function may end itself: it finishes, and is not called again."""

    async def main():
        callbacks, told = Callbacks(), []

        async def once(item):
            end()
            await asyncio.sleep(0.01)
            told.append(item)

        end = callbacks.add("text", once, queue())
        callbacks.call("text", 1)
        callbacks.call("text", 2)
        await dinner()
        assert told == [1]

    run(main())


@pytest.mark.parametrize("reason", [None, ConnectionLost(1006)])
def test_the_end_of_the_items(reason):
    """When its items end, a coroutine function gets what waits and then no more, whatever the
    reason: that is told elsewhere.
    """

    async def main():
        callbacks, told, subscription = Callbacks(), [], queue()

        async def tell(item):
            told.append(item)

        callbacks.add("text", tell, subscription)
        callbacks.call("text", 1)
        subscription.end(reason)
        await dinner()
        assert told == [1]
        assert not list(callbacks.queues)

    run(main())


# -- what can't be called back ------------------------------------------------------------


async def iterates(_):
    yield


@pytest.mark.parametrize("callback", [None, "print", iterates, functools.partial(iterates, 1)])
def test_what_can_not_be_a_callback(callback):
    """What is not callable, or an async generator, is refused, and leaves nothing behind."""
    callbacks = Callbacks()
    with pytest.raises(UsageError, match="a callback must (not )?be"):
        callbacks.add("text", callback, queue())
    callbacks.call("text", 1)  # which would need an event loop if it was there
    assert not list(callbacks.queues)


# -- what they raise ----------------------------------------------------------------------


@pytest.mark.parametrize("callback", [raises, cancels, raises_later, cancels_later])
def test_an_error_harms_nobody(callback, caplog):
    """What a callback raises is an error event and a line in the log that does not quote it; the
    others are told, and it is called again.
    """

    async def main():
        callbacks, told, errors = Callbacks(), [], []
        callbacks.add("error", errors.append, queue())
        callbacks.add("text", callback, queue())
        callbacks.add("text", told.append, queue())
        for item in (1, 2):
            callbacks.call("text", item)
        await dinner()
        assert told == [1, 2]
        assert {type(error) for error in errors} <= {ZeroDivisionError, asyncio.CancelledError}
        names = [type(error).__name__ for error in errors]
        assert [record.getMessage() for record in ours(caplog)] == [
            f"a callback raised {name}" for name in names
        ]
        assert len(names) == 2
        await callbacks.finish()

    run(main())
    assert "Yamada" not in "\n".join(record.getMessage() for record in ours(caplog))


@pytest.mark.parametrize("callback", [raises, cancels, raises_later, cancels_later])
def test_an_error_about_an_error(callback):
    """What an ``"error"`` callback raises is told to nobody, or it would go round for ever."""

    async def main():
        callbacks, errors = Callbacks(), []
        callbacks.add("error", callback, queue())
        callbacks.add("error", errors.append, queue())
        first, second = ConnectionLost(1006), ConnectionLost(1000)
        callbacks.report(first)
        callbacks.report(second)
        await dinner()
        assert errors == [first, second]
        await callbacks.finish()

    run(main())


def test_an_error_that_no_callback_raised(caplog):
    """What is reported without a callback is told, and not logged as if one had raised it."""

    async def main():
        callbacks, errors = Callbacks(), []
        callbacks.add("error", errors.append, queue())
        lost = ConnectionLost(1006)
        callbacks.report(lost)
        assert errors == [lost]

    run(main())
    assert ours(caplog) == []


@pytest.mark.parametrize(("seconds", "lines"), [(SLOW_CALLBACK, 0), (SLOW_CALLBACK + 0.1, 1)])
def test_a_callback_that_takes_long_is_named(seconds, lines, caplog):
    """A function that keeps the loop for over a second is named in a warning, with its event."""

    async def main():
        callbacks = Callbacks()

        def dawdles(_):
            asyncio.get_running_loop().now += seconds

        callbacks.add("text", dawdles, queue())
        callbacks.add("text", lambda _: None, queue())
        callbacks.call("text", 1)

    run(main())
    warnings = [one for one in ours(caplog) if one.levelno == logging.WARNING]
    assert len(warnings) == len(ours(caplog)) == lines
    for record in warnings:
        text = record.getMessage()
        assert "dawdles for text blocked the client for 1.1 s" in text


# -- the end ------------------------------------------------------------------------------


def test_finishing_without_any():
    """Where nobody is at anything, finishing takes no time."""

    async def main():
        callbacks = Callbacks()
        callbacks.add("text", raises, queue())
        await callbacks.finish()
        assert now() == 0

    run(main())


def finishing(callback, caplog):
    """How long it takes to finish while the callback is at its item."""

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
        await asyncio.sleep(10)  # it ends by itself, if it was not cancelled
        assert not list(callbacks.queues)
        return took

    return run(main()), [record.getMessage() for record in ours(caplog)]


def test_an_asynchronous_callback_that_misses_some():
    """What a slow callback misses is an error that is told of, not an item that it can't know."""
    told = []

    async def slow(item):
        told.append(item)
        await asyncio.sleep(1)

    async def main():
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

    run(main())
    assert told == [3, 4]


def test_errors_that_are_missed():
    """Who is told of errors, and is too slow for them, is not told of that, and so for ever."""
    told = []

    async def slow(error):
        told.append(error)
        await asyncio.sleep(1)

    async def main():
        callbacks = Callbacks()
        callbacks.add("error", slow, queue(size=1))
        for number in range(5):
            callbacks.call("error", number)
        await asyncio.sleep(9)
        for one in callbacks.queues:
            one.end(None)
        await asyncio.sleep(1)

    run(main())
    assert told == [4]


def test_an_asynchronous_callback_that_lags():
    """One whose queue overruns under "fail" is ended, and that is an error that is told of."""

    async def slow(_):
        await asyncio.sleep(1)

    async def main():
        callbacks, errors = Callbacks(), []
        callbacks.add("error", errors.append, queue())
        callbacks.add("text", slow, Subscription("fail", 1, None, lambda _: None))
        for item in range(5):
            callbacks.call("text", item)
        await asyncio.sleep(5)
        assert [type(error) for error in errors] == [SubscriberLagged]
        assert [*callbacks.queues] == []

    run(main())


def test_finishing_waits(caplog):
    """A callback that needs a moment gets it, and no more than that is waited for."""
    done = []

    async def quick(item):
        await asyncio.sleep(0.01)
        done.append(item)

    assert finishing(quick, caplog) == (pytest.approx(0.01), [])
    assert done == [1]


def test_finishing_cancels(caplog):
    """A callback that does not finish in time is cancelled."""

    async def slow(_):
        await asyncio.sleep(100)

    assert finishing(slow, caplog) == (pytest.approx(FINISH_TIMEOUT), [])


def test_finishing_may_be_cancelled():
    """Who is cancelled while callbacks have time to finish leaves none of them behind."""
    ended = []

    async def slow(item):
        try:
            await asyncio.sleep(100)
        finally:
            ended.append(item)

    async def main():
        callbacks = Callbacks()
        callbacks.add("text", slow, queue())
        callbacks.call("text", 1)
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(FINISH_TIMEOUT / 2):
                await callbacks.finish()
        await asyncio.sleep(0.01)
        assert ended == [1]

    run(main())


def test_finishing_gives_up(caplog):
    """A callback that keeps its cancellation to itself has as long again, and is then left, with
    a warning.
    """

    async def stubborn(_):
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await asyncio.sleep(3)

    took, lines = finishing(stubborn, caplog)
    assert took == pytest.approx(2 * FINISH_TIMEOUT)
    assert lines == ["a cancelled callback does not end"]


def test_a_cancelled_callback_gets_nothing_more():
    """A callback that keeps its cancellation to itself is not called for what waits."""

    async def main():
        callbacks, told = Callbacks(), []

        async def stubborn(item):
            told.append(item)
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                told.append("cancelled")

        callbacks.add("text", stubborn, queue())
        callbacks.call("text", 1)
        callbacks.call("text", 2)
        await dinner()
        await callbacks.finish()
        await dinner()
        assert told == [1, "cancelled"]

    run(main())


def test_a_callback_may_finish(caplog):
    """A callback that finishes them all does not wait for itself, nor is it warned of."""

    async def main():
        callbacks, told = Callbacks(), []

        async def leaves(item):
            await callbacks.finish()
            told.append(item)

        subscription = queue()
        callbacks.add("text", leaves, subscription)
        callbacks.call("text", 1)
        await dinner()
        assert told == [1]
        subscription.end(None)
        await dinner()

    run(main())
    assert ours(caplog) == []


# -- small things -------------------------------------------------------------------------


def test_whose_cancellation_it_is():
    """A task is cancelled when somebody asked it to end, not when a CancelledError is raised."""

    async def main():
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

    run(main())


def test_names_in_the_log():
    """A function goes by its own name, an object by its class's; what wraps it keeps it."""
    assert name_of(raises) == "raises"
    assert name_of(Callbacks().report) == "Callbacks.report"
    assert name_of(functools.partial(raises)) == "partial"
    assert name_of(module._filtered(raises, None)) == "raises"


def test_those_of_now():
    """Who is registered now is called, until that ends; who comes later is not."""

    async def main():
        callbacks, told = Callbacks(), []
        callbacks.add("text", lambda item: told.append(("first", item)), queue())
        end = callbacks.add("text", lambda item: told.append(("second", item)), queue())
        call = callbacks.frozen("text")
        nobody = callbacks.frozen("other")
        callbacks.add("text", lambda item: told.append(("later", item)), queue())
        callbacks.add("other", lambda item: told.append(("later", item)), queue())
        nobody(0)
        call(1)
        end()
        call(2)
        assert told == [("first", 1), ("second", 1), ("first", 2)]

    run(main())


def test_a_callback_that_lags_with_fail():
    """An asynchronous callback whose policy is "fail" is not ended without a word to on_error."""

    async def main():
        pbx, errors = FakePbx(), []
        async with Client("fake", connector=pbx) as client:
            await client.synced()
            client.on_error(errors.append)
            told = []

            async def slow(change):
                told.append(change)
                await asyncio.sleep(1)

            client.on_change(slow, policy="fail", size=2)
            for number in range(9):
                pbx.set_user(number)
            await asyncio.sleep(30)
        assert len(told) < 9
        assert [type(error) for error in errors] == [SubscriberLagged]

    run(main())
