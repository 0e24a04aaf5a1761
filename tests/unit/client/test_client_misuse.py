"""Client in another event loop or thread, and functions of the wrong kind."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading

import pytest
from support.client_schedules import entered
from support.fake_pbx import FakePbx
from support.virtual_clock import on_virtual_clock

from basix_ws_cti import (
    Basic,
    Client,
    ClientClosed,
    ConnectFailed,
    Disconnected,
    Stopped,
    UsageError,
    WaitTimeout,
)


def in_thread(function):
    """Call a function in a new thread; return its result, or the exception that it raises."""
    results = []

    def run():
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001 - the result
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


@contextlib.asynccontextmanager
async def running_client(**options):
    pbx = FakePbx()
    async with Client("fake", connector=pbx, **options) as client:
        await client.synced()
        yield client, pbx


async def never(*_):
    return False


class Api:
    """HTTP API whose calls the feed does not show."""

    async def call_user(self, destination):
        return ["u"]


# -- event loops and threads ---------------------------------------------------------------


USES = {
    "synced": lambda client: client.synced(5),
    "wait_for": lambda client: client.wait_for(lambda mirror: True, 5),
    "hangup": lambda client: client.hangup("u"),
    "park": lambda client: client.park("u"),
    "transfer": lambda client: client.transfer("u", "1001"),
    "call_user": lambda client: client.call_user(Api(), "1001"),
    "eavesdrop": lambda client: client.eavesdrop_with_plug("plug", "u"),
    "leaving": lambda client: client.__aexit__(None, None, None),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_use_from_another_event_loop_is_a_usage_error(use):
    """The client itself keeps working."""

    async def main():
        async with running_client() as (client, pbx):
            error = in_thread(lambda: asyncio.run(use(client)))
            assert isinstance(error, UsageError)
            assert str(error).startswith("the client runs in another event loop: await this")
            assert client.is_synced
            pbx.set_user(1)
            await client.wait_for(lambda mirror: 1 in mirror.users, 5)
            await client.hangup("u")

    asyncio.run(main())


@pytest.mark.parametrize("waiting", [0, 1])
def test_iteration_in_another_event_loop_is_a_usage_error(waiting):
    """Neither the client nor a later iteration in its own loop is harmed."""

    async def main():
        async with running_client() as (client, pbx):
            for changes in (client.changes(), client.messages(), client.call_events()):
                for key in range(waiting):
                    pbx.set_user(key)
                await asyncio.sleep(0.01)
                error = in_thread(lambda changes=changes: asyncio.run(anext(changes)))
                assert isinstance(error, UsageError)
            changes = client.changes()
            pbx.set_user(99)
            assert (await anext(changes)).key == 99

    asyncio.run(main())


def test_click_to_call_awaited_in_another_event_loop_is_a_usage_error():
    async def main():
        async with running_client() as (client, _):
            call = await client.call_user(Api(), "1001")
            for use in (call.answered, call.ended, call.__anext__):
                error = in_thread(lambda use=use: asyncio.run(use()))
                assert str(error).startswith("the client runs in another event loop: await this")

    asyncio.run(main())


def test_iteration_that_moves_to_another_event_loop_is_a_usage_error():
    async def main():
        async with running_client() as (client, pbx):
            changes = client.changes()
            pbx.set_user(1)
            assert (await anext(changes)).key == 1
            assert isinstance(in_thread(lambda: asyncio.run(anext(changes))), UsageError)

    asyncio.run(main())


SUBSCRIPTIONS = {
    "changes": lambda client: client.changes(),
    "messages": lambda client: client.messages(),
    "call_events": lambda client: client.call_events(),
    "follow": lambda client: client.follow("u"),
    "on_change": lambda client: client.on_change(print),
    "on_call": lambda client: client.on_call(never),
    "on_state": lambda client: client.on_state(print),
    "on_error": lambda client: client.on_error(print),
    "on_msg": lambda client: client.on_msg(never),
}


@pytest.mark.parametrize("subscribe", SUBSCRIPTIONS.values(), ids=SUBSCRIPTIONS)
def test_subscribing_from_another_thread_is_a_usage_error(subscribe):
    async def main():
        async with running_client() as (client, _):
            error = in_thread(lambda: subscribe(client))
            assert str(error).startswith("the client runs in another thread: call this in its")

    asyncio.run(main())


def test_client_that_has_ended_belongs_to_no_event_loop():
    """The usual error is raised: the client was closed."""

    async def main():
        async with running_client() as (client, _):
            changes = client.changes()
        return client, changes

    client, changes = asyncio.run(main())
    with pytest.raises(ClientClosed):
        asyncio.run(client.synced())
    with pytest.raises(StopAsyncIteration):
        asyncio.run(anext(changes))
    assert in_thread(client.changes).waiting == 0


@pytest.mark.parametrize("place", ["no loop", "another loop", "another thread"])
def test_async_callback_registered_before_the_client_runs_is_called(place):
    received, states = [], []

    async def callback(change):
        received.append(change.key)

    async def on_state(state):
        states.append(type(state).__name__)

    def register(client):
        client.on_change(callback, kind="user")
        client.on_state(on_state)

    async def register_in_loop(client):
        register(client)

    async def main():
        async with client:
            await client.synced()
            pbx.set_user(7)
            await asyncio.sleep(0.01)

    pbx = FakePbx()
    client = Client("fake", connector=pbx)
    if place == "another loop":
        asyncio.run(register_in_loop(client))
    elif place == "another thread":
        in_thread(lambda: register(client))
    else:
        register(client)
    asyncio.run(main())
    assert received == [7]
    assert states[:3] == ["Connecting", "Syncing", "Synced"]


def test_async_callback_may_be_unregistered_before_the_client_runs():
    received = []

    async def callback(change):
        received.append(change)

    async def main():
        async with client:
            await client.synced()
            pbx.set_user(7)
            await asyncio.sleep(0.01)

    pbx = FakePbx()
    client = Client("fake", connector=pbx)
    unregister = client.on_change(callback)
    unregister()
    unregister()
    asyncio.run(main())
    assert received == []
    unregister()


def test_async_callback_may_be_unregistered_from_another_thread():
    received = []

    async def callback(change):
        received.append(change.key)

    async def main():
        async with running_client() as (client, pbx):
            unregister = client.on_change(callback)
            pbx.set_user(1)
            await asyncio.sleep(0.01)
            assert in_thread(unregister) is None
            await asyncio.sleep(0.01)
            pbx.set_user(2)
            await asyncio.sleep(0.01)

    asyncio.run(main())
    assert received == [1]


# -- functions of the wrong kind -----------------------------------------------------------


class AsyncObject:
    async def __call__(self, *_):
        return False


ASYNC_FUNCTIONS = {
    "function": never,
    "partial": functools.partial(never),
    "object": AsyncObject(),
    "partial of an object": functools.partial(AsyncObject()),
}


@pytest.mark.parametrize("function", ASYNC_FUNCTIONS.values(), ids=ASYNC_FUNCTIONS)
@on_virtual_clock
async def test_async_function_is_refused_where_a_plain_one_is_needed(function):
    message = "must be a plain function \\(def\\), got a coroutine function"
    with pytest.raises(UsageError, match=f"^classify {message}"):
        Client("fake", connector=FakePbx(), classify=function)
    async with running_client() as (client, _):
        for select in (
            client.changes,
            client.call_events,
            functools.partial(client.on_change, print),
            functools.partial(client.on_call, print),
        ):
            with pytest.raises(UsageError, match=f"^where {message}"):
                select(where=function)
        with pytest.raises(UsageError, match=f"^predicate {message}"):
            await client.wait_for(function, 1)


@on_virtual_clock
async def test_lambda_that_returns_a_coroutine_is_reported_once(caplog):
    """Nothing is delivered, since the answer is not known; the iteration ends with the error."""
    errors = []
    async with running_client() as (client, pbx):
        client.on_error(errors.append)
        changes = client.changes(where=lambda change: never(change))  # noqa: PLW0108
        client.on_change(lambda change: never(change))  # noqa: PLW0108
        client.on_change(errors.append, where=lambda change: never(change))  # noqa: PLW0108
        events = client.call_events(where=lambda event: never(event))  # noqa: PLW0108
        client.on_call(errors.append, where=lambda event: never(event))  # noqa: PLW0108
        client.on_call(never, where=lambda event: never(event))  # noqa: PLW0108
        for key in range(3):
            pbx.set_user(key)
            pbx.call()
        await asyncio.sleep(1)
        for subscription in (changes, events):
            with pytest.raises(UsageError, match="^where returned a coroutine: pass a plain"):
                await anext(subscription)
        with pytest.raises(UsageError, match="^predicate returned a coroutine: pass a plain"):
            await client.wait_for(lambda mirror: never(mirror), 1)  # noqa: PLW0108
    texts = sorted(str(error) for error in errors)
    assert len(texts) == 6
    assert texts[0].startswith("the callback test_lambda_that")
    assert texts[0].endswith("<lambda> returned a coroutine: pass the async function itself")
    assert texts[1:] == ["where returned a coroutine: pass a plain function (def)"] * 5
    logged = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
    for text in texts:
        assert any(f" raised UsageError: {text}" in line for line in logged)


@on_virtual_clock
async def test_classify_that_returns_a_coroutine_is_reported_once_and_ignored():
    errors = []
    pbx = FakePbx(default=ConnectFailed("x"))
    client = Client("fake", connector=pbx, classify=lambda error, is_final: never())
    client.on_error(errors.append)
    async with client:
        with pytest.raises(WaitTimeout):
            await client.synced(30)
        assert isinstance(client.state, Disconnected)
    misuse = [str(error) for error in errors if isinstance(error, UsageError)]
    assert misuse == ["classify returned a coroutine: pass a plain function (def)"]
    assert len(errors) > 3


def test_on_frame_that_returns_a_coroutine_is_reported_once():
    from basix_ws_cti.simulator import Simulator

    async def main():
        errors = []
        async with Simulator(calls=False) as pbx:
            client = Client(**pbx.connect_args, on_frame=lambda frame: never(frame))  # noqa: PLW0108
            client.on_error(errors.append)
            async with client:
                await client.synced(5)
        return [str(error) for error in errors]

    assert asyncio.run(main()) == ["on_frame returned a coroutine: pass a plain function (def)"]


def test_credentials_function_that_is_not_async_stops_the_client():
    from basix_ws_cti.simulator import Simulator

    async def main():
        async with Simulator(calls=False) as pbx:
            arguments = {**pbx.connect_args, "domain": None, "token": None}
            client = Client(**arguments, credentials=lambda target: Basic("demo", "simulated"))
            async with client:
                state = await entered(client, Stopped)
        return state.reason

    reason = asyncio.run(main())
    assert isinstance(reason, UsageError)
    assert str(reason) == (
        "credentials must be an async function (async def), but it returned a Basic"
    )


@pytest.mark.parametrize(
    ("register", "signature"),
    [
        (lambda client: client.on_change(lambda: None), "(change)"),
        (lambda client: client.on_call(lambda: None), "(event)"),
        (lambda client: client.on_state(lambda: None), "(state)"),
        (lambda client: client.on_error(lambda: None), "(error)"),
        (lambda client: client.on_initial_info(lambda a: None), "(element_name, elements)"),
        (
            lambda client: client.on_info_event(lambda a: None),
            "(element_name, element, event_name)",
        ),
        (lambda client: client.on_msg(lambda a, b: None), "(text)"),
        (lambda client: client.on_system_msg(lambda: None), "(text)"),
    ],
)
def test_callback_with_other_parameters_is_a_usage_error(register, signature):
    client = Client("fake", connector=FakePbx())
    with pytest.raises(UsageError, match=r"^a callback must accept \d positional") as caught:
        register(client)
    assert signature in str(caught.value)
