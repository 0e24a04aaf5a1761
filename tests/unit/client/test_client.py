"""Client: the public facade, over a fake PBX and over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import time
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from support.bare_server import server
from support.client_schedules import (
    apply_change,
    client_tasks,
    connected,
    is_current,
    new_client,
    run_schedule,
    stop_reason,
)
from support.fake_pbx import FakePbx, users
from support.secret_scanner import TOKEN, found_in, leaks_of, secret_holders
from support.sizes import NIGHTLY
from support.virtual_clock import on_virtual_clock
from support.waiting import TIMEOUT, eventually

from basix_ws_cti import (
    AuthenticationError,
    Basic,
    ClientClosed,
    ConnectFailed,
    DecodeError,
    InfoEvent,
    Msg,
    SystemMsg,
    UsageError,
    WaitTimeout,
    connect,
)
from basix_ws_cti.calls import CallStarted
from basix_ws_cti.client import client as client_module
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.client import Client
from basix_ws_cti.exceptions import (
    NotConnectedError,
    SubscriberLagged,
)
from basix_ws_cti.mirror.changes import Added, Gap, Lagged
from basix_ws_cti.session.status import Disconnected, Stopped, Synced, Syncing
from basix_ws_cti.simulator import Simulator, faults


@on_virtual_clock
async def test_headers_from_an_iterator_are_sent_with_each_attempt():
    pbx, headers = FakePbx(), []

    def connect(server, **options):
        headers.append(list(options["additional_headers"]))
        return pbx(server, **options)

    pbx.plan.append(ConnectFailed("x"))
    async with Client("fake", connector=connect, additional_headers=iter([("a", "b")])) as client:
        await client.synced(10)
    assert headers == [[("a", "b")]] * 3


class RepeatableHeaders(Mapping):
    """Headers like those of HTTP libraries: ``items`` repeats a name that has several values."""

    def __init__(self, pairs):
        self.pairs = pairs

    def __getitem__(self, name):
        return dict(self.pairs)[name]

    def __iter__(self):
        return iter(dict(self.pairs))

    def __len__(self):
        return len(dict(self.pairs))

    def items(self):
        return self.pairs


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        (MappingProxyType({"Cookie": "a=b", "TE": "trailers"}), ["a=b", "trailers"]),
        (RepeatableHeaders([("Cookie", "a=b"), ("TE", "x"), ("TE", "y")]), ["a=b", "x", "y"]),
    ],
    ids=["proxy", "repeatable"],
)
async def test_headers_in_any_mapping_are_sent_as_connect_sends_them(headers, sent):
    seen = []

    def record_request(connection, request):
        seen.append([value for name in ("Cookie", "TE") for value in request.headers.get_all(name)])

    async with (
        server(answer=record_request) as url,
        connect(url, app_name="a", additional_headers=headers),
        Client(url, app_name="a", additional_headers=headers),
    ):
        await eventually(lambda: len(seen) > 1)
    assert seen[:2] == [sent, sent]


@pytest.mark.parametrize("then", ["returns", "raises"])
async def test_credentials_function_that_ignores_cancellation_does_not_block_the_end(then):
    called, never = asyncio.Event(), asyncio.Event()

    async def fresh(_):
        again = called.is_set()
        called.set()
        try:
            await never.wait()
        except asyncio.CancelledError:
            if again:
                raise
        if then == "raises":
            raise ZeroDivisionError
        return Basic("demo", "simulated")

    async with Simulator(calls=False) as pbx, asyncio.timeout(TIMEOUT):
        async with Client(pbx.url, app_name="x", credentials=fresh) as client:
            await called.wait()
        assert client.state == Stopped(None)
        assert client_tasks() == []


@on_virtual_clock
async def test_unreadable_frame_leaves_the_client_synced_until_the_resync():
    """The second one within a minute: the first leads to a new snapshot at once."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        assert not client.resync_pending
        for _ in range(2):
            pbx.send(DecodeError(3, "x"))
            await asyncio.sleep(2)
        assert client.is_synced
        assert client.resync_pending


async def test_invalid_arguments_are_usage_errors():
    """The error names the argument."""
    for arguments, text in [
        ({"app_name": "x", "tokn": "y"}, "tokn"),
        ({}, "app_name"),
        ({"app_name": "x", "domain": "y"}, "token"),
    ]:
        with pytest.raises(UsageError, match=text):
            Client("ws://127.0.0.1", **arguments)
    with pytest.raises(UsageError, match="callable"):
        Client("ws://127.0.0.1", app_name="x").on_change("x")
    with pytest.raises(UsageError, match="merged"):
        Client("ws://127.0.0.1", app_name="x").messages(policy="latest")


async def test_client_can_be_used_once_only():
    """A client works inside its block, and only once."""
    async with Simulator(calls=False) as pbx:
        client = new_client(pbx)
        with pytest.raises(UsageError, match="not running"):
            await client.synced()
        async with client:
            await client.synced(TIMEOUT)
        with pytest.raises(ClientClosed):
            await client.synced()
        assert [item async for item in client.changes()] == []
        with pytest.raises(UsageError, match="another"):
            await client.__aenter__()


@pytest.mark.slow
@pytest.mark.parametrize("group", range(40 if NIGHTLY else 4))
async def test_any_schedule_converges_over_sockets(group):
    """After any schedule of faults, the mirror and all subscribers hold the PBX's state.

    No callback sees an incomplete state.
    """
    gaps = await asyncio.gather(*(run_schedule(5 * group + n) for n in range(5)))
    assert sum(gaps) > 0


@pytest.mark.slow
async def test_flood_does_not_affect_other_subscribers():
    """In a flood, a slow and a failing callback keep no other subscriber from the current state."""
    events = 100_000 if NIGHTLY else 4000
    counts, errors = Counter(), []

    async def sleeper(_):
        counts["slept"] += 1
        await asyncio.sleep(3600)  # longer than the test, on any machine

    def raiser(_):
        raise KeyError("mine")

    async def async_raiser(_):
        raise LookupError("mine too")

    async def read(subscription):
        async for change in subscription:
            counts["read"] += 1
            if change.element.label == "the last":
                return

    async with Simulator(calls=False, users=20) as pbx, connected(pbx) as client:
        client.on_change(sleeper, policy="drop_oldest", size=7)
        client.on_change(raiser)
        client.on_change(async_raiser)
        client.on_error(errors.append)
        client.on_change(lambda _: counts.update(["received"]))
        held = {("user", user.key): user for user in client.mirror.users.values()}
        latest = client.changes(kind="user", size=3)
        dropping = client.changes(policy="drop_oldest", size=5)
        failing = client.changes(policy="fail", size=5)
        reader = asyncio.create_task(read(client.changes(policy="fail")))
        extension = next(iter(client.mirror.users.values())).main_extension
        pbx.inject(faults.Flood(events))
        await eventually(lambda: counts["received"] >= events, 10 * TIMEOUT)
        pbx.edit(extension, label="the last")
        await asyncio.wait_for(reader, 600)
        assert counts["read"] == counts["received"] == events + 1
        assert client.is_synced
        assert client.stats.gaps == 0
        assert is_current(client, pbx)

        lagged, *rest = [await anext(dropping) for _ in range(6)]
        assert lagged == Lagged(events + 1 - 5)
        assert rest[-1].element.label == "the last"
        with pytest.raises(SubscriberLagged):
            await anext(failing)
        while latest.waiting:
            apply_change(held, await anext(latest))
        assert held == {("user", user.key): user for user in client.mirror.users.values()}
        assert counts["slept"] == 1
        kinds = Counter(type(error) for error in errors)
        assert kinds[KeyError] == events + 1
        assert kinds[LookupError] > 0
        began = time.monotonic()
    assert time.monotonic() - began < TIMEOUT  # waiting would take an hour


@pytest.mark.parametrize(
    "peer",
    [
        None,
        faults.Silence(),
        pytest.param(faults.Stall(30), marks=pytest.mark.slow),
        "connecting",
        "waiting",
    ],
    ids=str,
)
async def test_leaving_the_block_takes_at_most_a_second(peer):
    """Leaving is quick whatever the peer does, and leaves no task."""
    async with Simulator(calls=False) as pbx:
        if peer == "connecting":
            pbx.inject(faults.DelayHandshake(30))
        elif peer == "waiting":
            pbx.inject(faults.Refuse(503, retry_after=60))
        async with Client(**pbx.connect_args) as client:
            client.on_state(asyncio.sleep)  # a coroutine function; cancelled at the end
            if peer in {"connecting", "waiting"}:
                await asyncio.sleep(0.1)
            else:
                await client.synced(TIMEOUT)
                if peer is not None:
                    pbx.inject(peer)
            changes = client.changes()
            began = time.monotonic()
        took = time.monotonic() - began
        assert client.state == Stopped(None)
        assert [item async for item in changes] == []
        assert client_tasks() == []
        assert client_module.LIVENESS["close_timeout"] <= 1
        assert took < 20  # the peer's 30 s would exceed this; the machine may be busy


async def test_cancelled_leaving_still_ends_subscriptions():
    async with Simulator(calls=False) as pbx:
        client = Client(**pbx.connect_args)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as timed:
                async with client:
                    await client.synced(TIMEOUT)
                    changes = client.changes()
                    pbx.inject(faults.Silence())
                    timed.reschedule(asyncio.get_running_loop().time() + 0.05)
        assert client.state == Stopped(None)
        assert [item async for item in changes] == []
        await eventually(lambda: not client_tasks())


async def test_error_in_the_block_is_raised_and_closes_the_client():
    async with Simulator(calls=False) as pbx:
        with pytest.raises(ZeroDivisionError):
            async with connected(pbx):
                raise ZeroDivisionError
        assert client_tasks() == []


async def test_clients_in_one_loop_are_independent():
    async with (
        Simulator(users=3, seed=1) as one,
        Simulator(users=9, seed=2, speed=50) as other,
        connected(one) as first,
        connected(other) as second,
    ):
        other.inject(faults.Drop())
        await eventually(lambda: second.stats.gaps)
        await eventually(lambda: is_current(first, one) and is_current(second, other))
        assert (len(first.mirror.users), len(second.mirror.users)) == (3, 9)
        assert first.stats.gaps == 0


@pytest.fixture
def traced():
    """Return a function: bytes that Python has allocated since its last call."""
    tracemalloc.start()

    def grown(before=[0]):  # noqa: B006
        gc.collect()
        now = tracemalloc.get_traced_memory()[0]
        before[0], result = now, now - before[0]
        return result

    yield grown
    tracemalloc.stop()


@pytest.fixture
def resident():
    """Return a function: bytes by which the process has grown since its last call."""

    def grown(before=[0]):  # noqa: B006
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        now = pages * os.sysconf("SC_PAGE_SIZE")
        before[0], result = now, now - before[0]
        return result

    return grown


# Python's allocations, and the memory of the process, of which the allocator keeps some.
@pytest.mark.slow
@pytest.mark.parametrize(("measure", "limit"), [("traced", 2**18), ("resident", 2**22)])
async def test_killed_connections_leave_nothing_behind(quiet_log, request, measure, limit):
    """Repeated connections leave no task, descriptor or memory behind."""
    memory = request.getfixturevalue(measure)
    # An unreadable frame is not among them: it leads to one new snapshot in 30 s.
    fault_cycle = itertools.cycle([faults.Drop(), faults.Reset(), faults.HalfClose()])
    cycles = 2000 if NIGHTLY else 200

    def descriptors():
        return len([*Path("/proc/self/fd").iterdir()])

    async def kill(client):
        await client.synced(TIMEOUT)
        pbx.inject(next(fault_cycle))
        gaps = client.stats.gaps
        await eventually(lambda: client.stats.gaps > gaps)

    async def once():
        async with new_client(pbx, quiet_time=0) as client:
            await client.synced(TIMEOUT)

    async with Simulator(calls=False, users=2) as pbx:
        before = descriptors(), len(asyncio.all_tasks())
        async with new_client(pbx, backoff=Backoff(0.001, 0.001), quiet_time=0) as client:
            for _ in range(cycles // 4):
                await kill(client)
                await once()
            memory()
            for _ in range(cycles * 3 // 4):
                await kill(client)
            for _ in range(cycles * 3 // 4):
                await once()
            grown = memory()
        print(f"\n{measure}: {grown} bytes more")  # noqa: T201 - the figure, with -s
        assert grown < limit, f"{grown} bytes more after {cycles * 3 // 4} cycles of each kind"
        await eventually(lambda: not pbx.connections)
        gc.collect()
        await eventually(lambda: (descriptors(), len(asyncio.all_tasks())) == before)


@pytest.mark.slow
async def test_flood_does_not_fill_memory(quiet_log, traced):
    """With a sleeping and a failing callback, a flood leaves less than 32 MiB behind."""
    events = 100_000 if NIGHTLY else 10_000
    received = itertools.count()

    async def sleeper(_):
        await asyncio.sleep(60)

    def raiser(_):
        raise LookupError

    async with Simulator(calls=False, users=50) as pbx, connected(pbx) as client:
        for policy in ("latest", "drop_oldest"):
            client.on_change(sleeper, policy=policy)
        client.on_change(raiser)
        client.on_info_event(lambda *_: next(received))
        latest = client.changes()
        traced()
        pbx.inject(faults.Flood(events))
        await eventually(lambda: client.stats.messages.get("InfoEvent", 0) >= events, 5 * TIMEOUT)
        grown = traced()
        assert next(received) == events
        # Full, and behind by an entry for each changed user in each shared batch. There are at
        # most as many batches as subscribers that are behind, and one that others merge into.
        assert latest.waiting <= 1024 + 3 * 50
        assert grown < 2**25, f"{grown} bytes more"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["token", "credentials"])
async def test_no_secret_is_logged_or_shown(caplog, name):
    """Through reconnects and failures, no log line, repr or error shows the token."""
    caplog.set_level(logging.DEBUG, logger="websockets.client")
    outputs = []
    async with Simulator(domain="acme", token=TOKEN, calls=False) as pbx:
        options = {}
        if name == "credentials":

            async def credentials(_):
                return Basic("acme", TOKEN)

            options = {"domain": None, "token": None, "credentials": credentials}
        refuse = faults.Refuse(401, times=3)  # fresh credentials are tried three times
        client = new_client(pbx, ping_interval=0.1, ping_timeout=0.1, **options)
        client.on_error(outputs.append)
        client.on_state(outputs.append)
        async with client:
            await client.synced(TIMEOUT)
            for fault in (faults.Drop(), faults.SendFrame(), faults.Silence(), refuse):
                outputs.append(client)
                pbx.inject(fault)
                if isinstance(fault, faults.Refuse):
                    pbx.inject(faults.Reset())
                await eventually(lambda: not client.is_synced)
                await eventually(lambda: client.is_synced or isinstance(client.state, Stopped))
            error = await stop_reason(client)
            assert isinstance(error, AuthenticationError)
        outputs += [
            error,
            error.__context__,
            error.__cause__,
            client,
            client.stats,
            *secret_holders(client),
        ]
    text = " ".join(f"{one!r} {one}" for one in outputs)
    text += " ".join(
        f"{record.getMessage()} {record.args} {record.exc_text}"
        for record in caplog.records
        if record.name != "websockets.server"  # the server knows the token
    )
    assert len(text) > 5000
    assert not found_in(text)
    assert not [leak for one in outputs if isinstance(one, Exception) for leak in leaks_of(one)]


@on_virtual_clock
async def test_asynchronous_callbacks_receive_the_stopped_state():
    """Callbacks get their waiting items, the last state included, when the block is left."""
    pbx = FakePbx()
    states = []

    async def note(state):
        await asyncio.sleep(0.01)
        states.append(type(state))

    async with Client("fake", connector=pbx) as client:
        client.on_state(note)
        await client.synced()
    assert states[-2:] == [Synced, Stopped]
    assert client.on_state(note)() is None  # the client has stopped


@on_virtual_clock
async def test_leaving_a_client_that_was_not_entered_does_nothing():
    """The client can be entered afterwards."""
    pbx = FakePbx()
    client = Client("fake", connector=pbx)
    await client.__aexit__(None, None, None)
    async with client:
        await client.synced()


@pytest.mark.slow
async def test_on_frame_gets_frames_after_the_syncing_state():
    """on_frame gets all frames of a connection, after the state Syncing of that connection."""
    received = []
    async with Simulator(calls=False) as pbx:
        client = Client(**pbx.connect_args, on_frame=received.append, backoff=Backoff(initial=0.01))
        client.on_state(received.append)
        async with client:
            await client.synced()
            pbx.inject(faults.Drop())
            await eventually(lambda: client.stats.gaps)
            frames = client.stats.frames
    types = [type(one) for one in received]
    connections = [at for at, type_ in enumerate(types) if type_ is Syncing]
    losses = [at for at, type_ in enumerate(types) if type_ is Disconnected]
    assert len(connections) == 2
    assert types.index(bytes) == connections[0] + 1
    assert types[connections[1] + 1] is bytes
    assert bytes not in types[losses[0] : connections[1]]
    assert types.count(bytes) == frames


async def test_error_of_on_frame_is_reported():
    """The error goes to on_error and does not disturb the snapshot."""
    errors = []

    def fail(frame):
        raise OSError(28, "No space left on device")

    async with Simulator(calls=False) as pbx:
        client = Client(**pbx.connect_args, on_frame=fail)
        client.on_error(errors.append)
        async with client:
            mirror = await client.synced()
            assert mirror.users
            assert len(errors) == client.stats.frames
    assert {type(error) for error in errors} == {OSError}


def test_on_frame_must_be_a_synchronous_function():
    with pytest.raises(UsageError, match="got a coroutine function"):
        Client("bcs.example.com", app_name="tests", on_frame=asyncio.sleep)


@pytest.mark.parametrize("form", ["sync", "async"])
@on_virtual_clock
async def test_callbacks_receive_the_arguments_of_the_message_parser(form):
    pbx, received = FakePbx(), []

    def register(method, name):
        def callback(*arguments):
            received.append((name, *arguments))

        async def async_callback(*arguments):
            callback(*arguments)

        return method(callback if form == "sync" else async_callback)

    pbx.state = {"user": users(1)}
    client = Client("fake", connector=pbx)
    ends = [
        register(client.on_initial_info, "initial_info"),
        register(client.on_info_event, "info_event"),
        register(client.on_system_msg, "system_msg"),
        register(client.on_msg, "msg"),
    ]
    user = users(1, "b")[0]
    async with client:
        await client.synced()
        pbx.send(InfoEvent("user", user, "updated"), SystemMsg("hello"), Msg("text"))
        await asyncio.sleep(1)
        for end in ends:
            end()
        pbx.send(Msg("too late"))
        await asyncio.sleep(1)
    assert received == [
        ("initial_info", "user", users(1)),
        ("info_event", "user", user, "updated"),
        ("system_msg", "hello"),
        ("msg", "text"),
    ]


@on_virtual_clock
async def test_subscriptions_select_changes_by_kind_key_and_filter():
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        selected = {
            "kind": client.changes(kind="channel"),
            "key": client.changes(key=2),
            "where": client.changes(where=lambda change: isinstance(change, Added)),
        }
        pbx.set_user(2)
        pbx.set_user(2)
        pbx.call()
        await asyncio.sleep(1)
        assert {name: one.waiting for name, one in selected.items()} == {
            "kind": 1,
            "key": 2,
            "where": 2,
        }
        pbx.lose()
        await client.wait_for(lambda _: client.stats.gaps)
        assert isinstance([await anext(selected["kind"]) for _ in range(2)][-1], Gap)


@on_virtual_clock
async def test_messages_and_call_events_are_delivered():
    pbx, called, changed = FakePbx(), [], []
    async with Client("fake", connector=pbx) as client:
        messages, events = client.messages(), client.call_events()
        client.on_call(called.append)
        client.on_change(changed.append)
        await client.synced()
        pbx.call()
        event = await anext(events)
        assert isinstance(event, CallStarted)
        assert called == [event]
        assert list(client.calls) == [change.key for change in changed] == [event.call.id]
        assert (await anext(messages)).element_name == "user"


@pytest.mark.parametrize("name", ["messages", "call_events"])
def test_messages_and_call_events_cannot_be_merged(name):
    client = Client("fake", connector=FakePbx())
    with pytest.raises(UsageError, match="cannot be merged"):
        getattr(client, name)(policy="latest")


@on_virtual_clock
async def test_commands_are_sent_and_confirmed():
    pbx = FakePbx()
    pbx.call()
    (uuid,) = pbx.state["channel"]
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        await client.park(uuid, 5)
        await client.transfer(uuid, "1002")
        await client.eavesdrop_with_plug("plug", uuid, "listen")
        hanging_up = asyncio.create_task(client.hangup(uuid, confirm=True))
        await asyncio.sleep(1)
        assert not hanging_up.done()
        pbx.hang_up()
        await hanging_up
        sent = [command["cmd"] for command in pbx.connections[0].sent]
        assert sent == ["park", "transfer", "eavesdrop", "hangup"]


def test_connector_must_be_callable():
    with pytest.raises(UsageError, match="connector must be callable, got int"):
        Client("fake", connector=5)


@on_virtual_clock
async def test_classify_that_returns_a_coroutine_is_reported_and_ignored():
    async def later():
        return True

    errors = []
    pbx = FakePbx(default=ConnectFailed("x"))
    client = Client("fake", connector=pbx, classify=lambda error, is_final: later())
    client.on_error(errors.append)
    async with client:
        with pytest.raises(WaitTimeout):
            await client.synced(30)
    assert [str(error) for error in errors if isinstance(error, UsageError)] == [
        "classify returned a coroutine: pass a plain function (def)"
    ]


@on_virtual_clock
async def test_call_is_followed_to_its_end():
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        with pytest.raises(UsageError, match="no active call has the id 'unknown'"):
            client.follow("unknown")
        pbx.call()
        await asyncio.sleep(1)
        (call_id,) = client.calls
        events = client.follow(call_id)
        pbx.hang_up()
        assert [event.call.id async for event in events] == [call_id] * 2


class RefusingApi:
    """HTTP API that refuses each request."""

    async def call_user(self, *arguments, **options):
        raise NotConnectedError


@on_virtual_clock
async def test_errors_of_the_http_api_are_raised():
    pbx = FakePbx()
    pbx.call()
    (uuid,) = pbx.state["channel"]
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        with pytest.raises(NotConnectedError):
            await client.call_user(RefusingApi(), "0398765432", user_id=1)
        with pytest.raises(NotConnectedError):
            await client.eavesdrop(uuid, api=RefusingApi(), user_id=1)


class ReplyingApi:
    """HTTP API that starts a call and returns the uuids of its legs."""

    async def call_user(self, *arguments, **options):
        return ("a", "b")


@on_virtual_clock
async def test_click_to_call_returns_once_the_api_has_replied():
    async with Client("fake", connector=FakePbx()) as client:
        await client.synced()
        call = await client.call_user(ReplyingApi(), "0398765432", user_id=1)
        assert call.uuids == ("a", "b")
