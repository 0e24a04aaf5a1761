"""Feed loop: connections, snapshots, gaps, time slices and failures."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter

import pytest
from support.client_schedules import (
    entered,
)
from support.fake_pbx import FakeConnection, FakePbx, legs, state_of, users
from support.virtual_clock import IterationLog, VirtualUnixTime, now, on_virtual_clock

from basix_ws_cti import (
    Channel,
    ConnectFailed,
    ConnectionLost,
    DecodeError,
    FieldSpec,
    HandshakeError,
    InfoEvent,
    InitialInfo,
    Msg,
    ProtocolError,
    SystemMsg,
    User,
)
from basix_ws_cti._internal.time_slice import SLICE_SECONDS, SLICE_STEPS
from basix_ws_cti.calls import CallStarted
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.dispatch import Dispatcher
from basix_ws_cti.client.feed_loop import FeedLoop
from basix_ws_cti.client.reconnect import ReconnectPolicy
from basix_ws_cti.client.state_holder import StateHolder
from basix_ws_cti.client.statistics import Statistics
from basix_ws_cti.exceptions import (
    ClientClosed,
    LoggedOut,
    NotConnectedError,
    ResyncRequired,
    SyncTimeout,
)
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Removed
from basix_ws_cti.mirror.snapshot import LATE_KIND_WAIT, QUIET_TIME
from basix_ws_cti.session.session import Session
from basix_ws_cti.session.status import Connecting, Disconnected, Stopped, Synced, Syncing


@pytest.mark.parametrize("quiet_time", [0.25, 3])
@on_virtual_clock
async def test_quiet_time_completes_the_snapshot(quiet_time):
    """Without an event, the snapshot is complete after the quiet time, by default 250 ms."""
    pbx = FakePbx()
    options = {} if quiet_time == 0.25 else {"quiet_time": quiet_time}
    async with Client("fake", connector=pbx, **options) as client:
        await client.synced()
        assert now() == pytest.approx(quiet_time)


@on_virtual_clock
async def test_events_neither_complete_nor_delay_the_snapshot():
    """A busy PBX is synced at the end of the quiet time, with its events."""
    pbx = FakePbx()
    pbx.set_user(1)
    async with Client("fake", connector=pbx) as client:
        changes = client.changes()
        for number in range(24):
            await asyncio.sleep(0.01)
            pbx.set_user(number % 3)
            assert not client.is_synced
        await client.synced()
        assert now() == pytest.approx(QUIET_TIME)
        assert state_of(client.mirror) == pbx.state
        assert [(await anext(changes)).synthetic for _ in range(3)] == [True, False, False]


@on_virtual_clock
async def test_late_kind_after_a_reconnect_ends_no_call():
    """The calls of the previous connection go on, though their kind is late by seconds."""
    pbx = FakePbx()
    pbx.call()
    async with Client("fake", connector=pbx) as client:
        events = client.call_events()
        await client.synced()
        assert isinstance(await anext(events), CallStarted)
        pbx.plan.append({"late": 3})
        pbx.lose()
        await entered(client, Disconnected)
        await entered(client, Syncing)
        for number in range(29):
            await asyncio.sleep(0.1)
            pbx.set_user(number % 3)
        assert not client.is_synced
        await client.synced(0.5)
        assert events.waiting == 0
        assert state_of(client.mirror) == pbx.state


@on_virtual_clock
async def test_connection_that_dies_while_a_kind_is_late_completes_no_snapshot():
    """The keepalive notices the dead connection before the wait for the kind is over."""
    pbx = FakePbx()
    pbx.call()
    async with Client("fake", connector=pbx) as client:
        events = client.call_events()
        await client.synced()
        pbx.plan.append({"late": 1})
        pbx.lose()
        await entered(client, Disconnected)
        await entered(client, Syncing)
        await asyncio.sleep(0.5)
        pbx.connections[0].silent_since = now()
        await client.synced(60)
        assert client.stats.connects == 3
        assert [type(await anext(events)) for _ in range(events.waiting)] == [CallStarted]


@on_virtual_clock
async def test_kind_of_an_earlier_connection_delays_the_snapshot_for_a_bounded_time():
    """A short sync_timeout is no obstacle: what has arrived by then counts."""
    for sync_timeout, delay in ((60, LATE_KIND_WAIT), (2, 2)):
        pbx = FakePbx()
        async with Client("fake", connector=pbx, sync_timeout=sync_timeout) as client:
            await client.synced()
            pbx.send(InitialInfo("robot", {}))
            await asyncio.sleep(40)
            pbx.lose()
            await entered(client, Disconnected)
            await client.synced(20)
            assert now() - pbx.attempts[-1] == pytest.approx(delay, abs=0.01)


@on_virtual_clock
async def test_kind_that_is_announced_and_never_sent_delays_the_first_sync_only():
    """After one SyncTimeout, the client shows all other kinds."""
    pbx = FakePbx({"first": [FieldSpec("robot", ("id",))]})
    errors = []
    async with Client("fake", connector=pbx) as client:
        client.on_error(errors.append)
        await client.synced(90)
        assert [type(error) for error in errors] == [SyncTimeout]
        pbx.lose()
        await entered(client, Disconnected)
        await client.synced(20)


@on_virtual_clock
async def test_quiet_time_starts_with_the_last_initial_info():
    """A slow snapshot is read completely, though each frame takes longer than the quiet time."""
    pbx = FakePbx({"pace": 1})
    pbx.set_user(1)
    pbx.call()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        assert now() == pytest.approx(4.25)
        assert state_of(client.mirror) == pbx.state


@on_virtual_clock
async def test_time_out_while_reading_a_snapshot_completes_it():
    """A TimeoutError of the connection counts like the end of the quiet time.

    Unlike the timer it cancels no task; coverage on Python 3.11 loses track of a cancelled task.
    """
    pbx = FakePbx()
    pbx.set_user(1)
    async with Client("fake", connector=pbx, quiet_time=60) as client:
        await entered(client, Syncing)
        pbx.send(TimeoutError())
        await client.synced()
        assert now() == 0
        assert state_of(client.mirror) == pbx.state


@on_virtual_clock
async def test_snapshot_on_a_slow_link_restarts_the_sync_timeout():
    """Each frame takes 17 s; the bytes that arrive are progress."""
    pbx = FakePbx({"rate": FakeConnection.FRAME_BYTES / 17})
    async with Client("fake", connector=pbx, sync_timeout=10) as client:
        await client.synced()
        assert len(pbx.attempts) == 1
        assert now() > 10


@on_virtual_clock
async def test_missing_kind_is_a_sync_timeout():
    """A field_spec without its initial_info is a SyncTimeout after a minute; the client retries."""
    pbx = FakePbx({"frames": 3, "ending": SystemMsg("hello")})
    errors = []
    async with Client("fake", connector=pbx) as client:
        client.on_error(errors.append)
        await asyncio.sleep(60.1)
        (error,) = errors
        assert isinstance(error, SyncTimeout)
        assert error.seconds == 60
        assert client.state.retry_in <= 1


@pytest.mark.parametrize("sync_timeout", [0.1, 0.25, 2])
@on_virtual_clock
async def test_sync_timeout_is_a_parameter(sync_timeout):
    pbx = FakePbx({"frames": 0, "ending": Msg("x")})
    async with Client("fake", connector=pbx, sync_timeout=sync_timeout) as client:
        state = await entered(client, Disconnected)
        assert isinstance(state.reason, SyncTimeout)
        assert now() == pytest.approx(sync_timeout)
        assert len(pbx.attempts) == 1


@on_virtual_clock
async def test_quiet_time_and_sync_timeout_may_end_at_once():
    """Either may win, and the client keeps running."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx, quiet_time=0.25, sync_timeout=0.25) as client:
        await asyncio.sleep(5)
        assert client.stats.connects >= 1


@on_virtual_clock
async def test_snapshot_of_a_failed_connection_is_not_used():
    """While a failed connection is being closed, its snapshot does not reach the mirror."""
    pbx = FakePbx()
    pbx.close_time = 0.5
    pbx.set_user(1)
    pbx.plan.append({"frames": 4, "ending": DecodeError(0, "x")})
    states = []
    async with Client("fake", connector=pbx) as client:
        client.on_state(states.append)
        await asyncio.sleep(0.45)
        assert not client.is_synced
        assert dict(client.mirror.users) == {}
        await client.synced(5)
    assert [type(state) for state in states] == [
        Connecting,
        Syncing,
        Disconnected,
        Connecting,
        Syncing,
        Synced,
        Stopped,
    ]


@on_virtual_clock
async def test_each_connection_announces_its_kinds_anew():
    """A kind that only an earlier connection announced is not waited for."""
    pbx = FakePbx()
    pbx.plan.append({"first": [FieldSpec("robot", ("id",))], "frames": 1})
    async with Client("fake", connector=pbx) as client:
        await client.synced(10)
        pbx.lose()
        await entered(client, Disconnected)
        await client.synced(10)


@on_virtual_clock
async def test_state_is_out_of_sync_before_the_connection_is_closed():
    """After an unreadable frame, is_synced is False at once, though closing takes time."""
    pbx = FakePbx()
    pbx.close_time = 0.4
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        pbx.send(DecodeError(0, "x"))
        await asyncio.sleep(0.1)
        assert pbx.connections
        assert not client.is_synced
        assert client.state.retry_in is None
        assert isinstance(client.state.reason, ResyncRequired)


@on_virtual_clock
async def test_gap_of_a_resync_begins_with_the_unreadable_frame():
    """The frame counts from its arrival, not from the time at which the client began to wait."""
    pbx = FakePbx()
    pbx.unix_time = VirtualUnixTime()
    async with Client("fake", connector=pbx, unix_time=pbx.unix_time) as client:
        changes = client.changes()
        await client.synced()
        await asyncio.sleep(100)
        pbx.send(DecodeError(0, "x"))
        gap = await anext(changes)
        assert isinstance(gap, Gap)
        assert (gap.ended - gap.started).total_seconds() < 2


@on_virtual_clock
async def test_loss_is_reported_with_one_error():
    """The states and the ``"error"`` callback get the same object."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        states, errors = [], []
        client.on_state(states.append)
        client.on_error(errors.append)
        pbx.connections[0].die()
        await asyncio.sleep(0.5)
        reasons = [state.reason for state in states if isinstance(state, Disconnected)]
        assert len(reasons) == 2
        assert len(errors) == 1
        assert {id(one) for one in reasons} == {id(errors[0])}


@on_virtual_clock
async def test_unreadable_text_message_does_not_resync():
    """A malformed system_msg or msg is counted, reported once, and does not end the connection."""
    pbx = FakePbx()
    errors = []
    async with Client("fake", connector=pbx) as client:
        client.on_error(errors.append)
        await client.synced()
        for _ in range(3):
            pbx.send(ProtocolError("no text", None, "msg"))
        await asyncio.sleep(1)
        assert client.is_synced
        assert [str(error) for error in errors] == ["msg: no text"]
        assert client.stats.bad_frames == 3


@on_virtual_clock
async def test_at_most_a_hundred_kinds_of_bad_frames_are_reported():
    """A peer that sends ever new errors fills neither the log nor memory."""
    pbx = FakePbx()
    errors = []
    async with Client("fake", connector=pbx) as client:
        client.on_error(errors.append)
        await client.synced()
        pbx.send(*(ProtocolError(f"no {n}", None, "msg") for n in range(500)))
        await asyncio.sleep(1)
        assert len(errors) == 100
        assert client.stats.bad_frames == 500


@on_virtual_clock
async def test_connecting_counts_attempts_since_the_last_sync():
    pbx = FakePbx()
    pbx.plan.extend([ConnectFailed("x"), {"frames": 1}, None, ConnectFailed("x")])
    states = []
    async with Client("fake", connector=pbx) as client:
        client.on_state(states.append)
        await client.synced(100)
        pbx.lose()
        await entered(client, Disconnected)
        await client.synced(100)
    attempts = [state.attempt for state in states if isinstance(state, Connecting)]
    assert attempts == [1, 2, 3, 1, 2]


@on_virtual_clock
async def test_interruption_is_one_gap_before_its_changes():
    """An interruption is one Gap, whatever the number of attempts; its changes follow."""
    pbx = FakePbx()
    pbx.set_user(1)
    pbx.set_user(2)
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        changes = client.changes()
        old = client.mirror.users[1]
        reason = ConnectionLost(1006)
        pbx.plan.extend([ConnectFailed("x"), {"frames": 3}, HandshakeError(503)])
        pbx.lose(reason)
        await entered(client, Disconnected)
        assert not client.is_synced
        pbx.set_user(1)
        pbx.remove_user(2)
        pbx.call()
        assert dict(client.mirror.users) == {1: old, 2: User(id=2, label="2")}
        await client.synced(100)
        seen = [await anext(changes) for _ in range(4)]
        gap, *rest = seen
        assert isinstance(gap, Gap)
        assert gap.reason is reason
        assert gap.started.tzinfo is not None
        assert gap.started <= gap.ended
        assert {type(one) for one in rest} == {Changed, Removed, Added}
        assert all(one.synthetic for one in rest)
        pbx.set_user(3)
        assert not (await anext(changes)).synthetic
        assert changes.waiting == 0
        assert client.stats.gaps == 1
        assert client.stats.reconnects == 2


@on_virtual_clock
async def test_old_connection_is_not_read_any_more():
    """Messages that an earlier connection still holds are never read."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        (old,) = pbx.connections
        pbx.lose()
        old.put(InfoEvent("user", User(id=66), "added"))
        await asyncio.sleep(0.01)
        await client.synced(10)
        old.put(InfoEvent("user", User(id=66), "added"))
        await asyncio.sleep(10)
        assert dict(client.mirror.users) == {}


@on_virtual_clock
async def test_foreign_cancelled_error_does_not_stop_the_client():
    """A CancelledError from an attempt, a callback or a filter is handled like any other error."""

    def cancelled(*_):
        raise asyncio.CancelledError

    async def cancelled_later(*_):
        raise asyncio.CancelledError

    pbx = FakePbx()
    pbx.plan.append(asyncio.CancelledError())
    received, states, late = [], [], []

    async def later(change):
        late.append(change)
        if len(late) == 1:
            raise asyncio.CancelledError

    async with Client("fake", connector=pbx) as client:
        client.on_state(cancelled)
        client.on_change(cancelled)
        client.on_error(cancelled)
        client.on_change(cancelled_later)
        client.on_error(cancelled_later)
        client.on_change(later)
        client.changes(where=cancelled)
        kept = client.changes(where=cancelled)
        client.on_change(received.append)
        client.on_state(states.append)
        await client.synced(10)
        pbx.set_user(1)
        pbx.set_user(2)
        await asyncio.sleep(1)
        assert [change.key for change in received] == [change.key for change in late] == [1, 2]
        assert kept.waiting == 0
        assert client.is_synced
    assert [type(state).__name__ for state in states] == [
        "Connecting",
        "Disconnected",
        "Connecting",
        "Syncing",
        "Synced",
        "Stopped",
    ]


@on_virtual_clock
async def test_cancelling_all_tasks_stops_the_client():
    """If all tasks are cancelled, subscriptions and waiting tasks end."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        changes = client.changes()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        assert [change async for change in changes] == []
        assert client.state == Stopped(None)
        with pytest.raises(ClientClosed):
            await client.synced()


@pytest.mark.parametrize(
    ("seconds", "limit"), [(0.0, SLICE_STEPS), (SLICE_SECONDS * 0.3, 4), (1.0, 1)]
)
@on_virtual_clock
async def test_large_snapshot_is_delivered_in_time_slices(seconds, limit):
    """A slice takes at limit 5 ms and 256 changes; the order of the changes is kept."""
    pbx = FakePbx()
    pbx.state = {"user": users(1000), "channel": legs(1000)}
    async with Client("fake", connector=pbx) as client:
        log = IterationLog(seconds)
        client.on_change(log.append)
        await client.wait_for(lambda _: len(log.items) == 2000)
        assert [change.key for change in log.items] == [*range(1000), *legs(1000)]
        assert max(map(len, log.iterations)) <= limit
        assert len(log.iterations) >= 2000 // limit


@pytest.mark.parametrize("blocked_by", ["client", "other task"])
@on_virtual_clock
async def test_blocked_event_loop_is_not_quiet_time(blocked_by):
    """A kind that arrives while the event loop is blocked belongs to the snapshot."""
    first_kind = [FieldSpec("user", ("id",)), InitialInfo("user", users(1000))]
    second_kind = [FieldSpec("channel", ("uuid",)), InitialInfo("channel", legs(1))]

    pbx = FakePbx({"pace": None, "first": first_kind})
    loop = asyncio.get_running_loop()
    async with Client("fake", connector=pbx) as client:
        if blocked_by == "client":

            def block(_):
                loop.now += 0.1

            IterationLog(observe=block)
            pbx.state = {"channel": legs(1)}
        else:
            pbx.state = {}
            await asyncio.sleep(0.1)
            loop.call_soon(pbx.send, *second_kind)
            loop.now += 1
        await client.synced()
        assert (len(client.mirror.users), len(client.mirror.channels)) == (1000, 1)


@pytest.mark.parametrize("cause", ["reconnect", "initial_info"])
@on_virtual_clock
async def test_mirror_and_calls_are_consistent_between_slices(cause):
    """While changes are delivered, the mirror is complete, calls match it, and reading waits."""
    pbx, problems = FakePbx(), []
    pbx.state = {"user": users(1000), "channel": legs(700)}

    def check(log):
        labels = Counter(user.label for user in client.mirror.users.values())
        if labels not in ({"a": 1000}, {"b": 1000}, {"b": 999, "c": 1}):
            problems.append(f"incomplete state: {labels}")
        if client.is_synced and len(client.calls) != len(client.mirror.channels):
            problems.append(f"{len(client.calls)} calls")
        if log.items and "a" in labels:
            problems.append("a change came before the mirror was replaced")

    async with Client("fake", connector=pbx, backoff=Backoff(initial=0.1)) as client:
        client.calls  # noqa: B018 - start to track calls
        await client.synced()
        await asyncio.sleep(0.1)
        log = IterationLog(0.0001, check)
        client.on_change(log.append)
        pbx.state = {"user": users(1000, "b"), "channel": legs(700)}
        if cause == "reconnect":
            pbx.state["channel"]["z"] = Channel(uuid="z")
            pbx.lose()
            await client.wait_for(lambda mirror: "z" in mirror.channels, 10)
        else:
            pbx.send(InitialInfo("user", users(1000, "b")))
        for label in "cb":
            pbx.send(InfoEvent("user", User(id=1, label=label), "updated"))
        await asyncio.sleep(1)
    assert problems == []
    changed = [one for one in log.items if isinstance(one, Changed)]
    assert [one.key for one in changed] == [*range(1000), 1, 1]
    assert [one.element.label for one in changed[-2:]] == ["c", "b"]
    assert isinstance(log.items[0], Gap) == (cause == "reconnect")
    assert len(log.iterations) > 4


@on_virtual_clock
async def test_block_may_be_left_during_a_delivery():
    """The client's block can be left while the changes of a snapshot are being delivered."""
    pbx = FakePbx()
    pbx.state = {"user": users(1000), "channel": {}}
    async with Client("fake", connector=pbx) as client:
        log = IterationLog()
        client.on_change(log.append)
        changes = client.changes()
        await client.synced()
    assert 0 < len(log.items) < 1000
    assert 0 < len([change async for change in changes]) < 1000


@on_virtual_clock
async def test_incomplete_snapshot_is_freed_in_time_slices():
    """An incomplete snapshot is freed in as many slices as it arrived in."""
    observed = []

    pbx = FakePbx()
    pbx.state = {"user": users(1000), "channel": {}}
    pbx.plan.append({"frames": 3})
    async with Client("fake", connector=pbx, backoff=Backoff(initial=0.1)) as client:

        def check(_):
            builder = client._core.session._builder  # noqa: SLF001 - nobody else sees this state
            if builder is not None:
                observed.append((len(pbx.attempts), len(builder.mirror.users)))

        IterationLog(observe=check)
        await client.synced()
        assert client.stats.connects == 2
        assert len(client.mirror.users) == 1000
    assert observed.count((1, 1000)) > 0
    assert (
        observed.count((1, 0)) > 2000 // SLICE_STEPS
    )  # it arrived, and was freed, in as many slices


@on_virtual_clock
async def test_silent_connection_is_lost_after_a_missing_pong():
    pbx = FakePbx()
    async with Client("fake", connector=pbx, ping_interval=1, ping_timeout=2) as client:
        await client.synced()
        pbx.connections[0].silent_since = now()
        state = await entered(client, Disconnected)
        assert str(state.reason) == str(ConnectionLost(1006, "no answer to a ping within 2 s"))


@on_virtual_clock
async def test_end_of_the_feed_is_a_normal_closure():
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        pbx.lose(StopAsyncIteration())
        state = await entered(client, Disconnected)
        assert state.reason.code == 1000


@on_virtual_clock
async def test_messages_do_not_delay_the_sync_timeout():
    pbx = FakePbx({"frames": 3, "ending": Msg("x")})
    async with Client("fake", connector=pbx, sync_timeout=1) as client:
        await entered(client, Syncing)
        (connection,) = pbx.connections
        for _ in range(20):
            connection.items.append(Msg("x"))
            connection.ready.set()
            await asyncio.sleep(0.125)
            if isinstance(client.state, Disconnected):
                break
        assert isinstance(client.state.reason, SyncTimeout)
        assert now() == pytest.approx(1, abs=0.125)


@on_virtual_clock
async def test_blocked_event_loop_counts_towards_the_sync_timeout():
    pbx = FakePbx({"pace": None, "frames": 3, "ending": Msg("x")})
    loop = asyncio.get_running_loop()

    def block(_):
        loop.now += 2

    client = Client("fake", connector=pbx, sync_timeout=1)
    client.on_msg(block)
    async with client:
        state = await entered(client, Disconnected)
        assert isinstance(state.reason, SyncTimeout)


@on_virtual_clock
async def test_long_frame_is_progress_though_the_event_loop_was_blocked():
    pbx = FakePbx({"pace": None, "frames": 3, "ending": Msg("x")})
    loop = asyncio.get_running_loop()

    def block(_):
        loop.now += 2
        (connection,) = pbx.connections
        connection.bytes_received = connection.partial_bytes = 100_000

    client = Client("fake", connector=pbx, sync_timeout=1)
    client.on_msg(block)
    async with client:
        state = await entered(client, Disconnected)
        assert isinstance(state.reason, SyncTimeout)
        assert now() == pytest.approx(3)


@on_virtual_clock
async def test_logout_stops_the_client(caplog):
    pbx = FakePbx()
    messages = []
    async with Client("fake", connector=pbx) as client:
        client.on_system_msg(messages.append)
        await client.synced()
        pbx.send(SystemMsg("logout"))
        state = await entered(client, Stopped)
        assert isinstance(state.reason, LoggedOut)
    assert messages == ["logout"]
    assert len(pbx.attempts) == 1
    assert any("the client of fake stops" in record.getMessage() for record in caplog.records)


@on_virtual_clock
async def test_final_error_stops_the_client():
    pbx = FakePbx()
    error = HandshakeError(404)
    pbx.plan.append(error)
    async with Client("fake", connector=pbx) as client:
        state = await entered(client, Stopped)
        assert state.reason is error


@on_virtual_clock
async def test_error_of_classify_is_reported_and_the_client_decides(caplog):
    """An error of classify is that of a callback; the client's own decision counts."""

    def classify(error, is_final):
        raise ZeroDivisionError

    pbx, errors = FakePbx(), []
    pbx.plan.extend([ConnectFailed("x"), HandshakeError(404)])
    async with Client("fake", connector=pbx, classify=classify) as client:
        client.on_error(errors.append)
        state = await entered(client, Stopped)
        assert isinstance(state.reason, HandshakeError)
    assert [type(error) for error in errors].count(ZeroDivisionError) == 2
    lines = [one.getMessage() for one in caplog.records if "callback error" in one.getMessage()]
    assert ".classify raised ZeroDivisionError at " in lines[0]
    assert lines[1:] == [f"{lines[0]} (2 times)"]


@on_virtual_clock
async def test_defect_stops_the_client_and_is_logged(caplog):
    class BrokenPolicy(ReconnectPolicy):
        def is_final(self, reason, *, was_synced):
            raise ZeroDivisionError

    pbx, dispatcher = FakePbx(), Dispatcher()
    pbx.plan.append(ConnectFailed("x"))
    state = StateHolder(dispatcher.callbacks)
    loop = FeedLoop(
        "fake",
        pbx,
        session=Session(),
        dispatcher=dispatcher,
        state=state,
        statistics=Statistics(),
        reconnect=BrokenPolicy(Backoff(), None, fresh_credentials=False),
        ping_interval=None,
        ping_timeout=None,
        sync_timeout=None,
    )
    await loop.run()
    assert isinstance(state.current.reason, ZeroDivisionError)
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert messages[0] == "the client has a defect"
    assert re.fullmatch(
        r"the client of fake stops: ZeroDivisionError at test_feed_loop\.py:\d+", messages[1]
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("can't start new thread"), RuntimeError),
        (KeyError("u1"), KeyError),
        (MemoryError(), MemoryError),
        (OSError(24, "Too many open files"), OSError),
        (asyncio.CancelledError(), ConnectionLost),
        (ConnectionLost(1011, "x"), ConnectionLost),
        (StopAsyncIteration(), ConnectionLost),
        (DecodeError(0, "x"), ResyncRequired),
    ],
    ids=repr,
)
@on_virtual_clock
async def test_any_end_of_a_connection_is_followed_by_a_gap(error, reason):
    """However reading ends, the state is stale at once, and a Gap follows."""
    pbx = FakePbx()
    pbx.close_time = 0.3
    states, gaps = [], []
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        client.on_state(states.append)
        client.on_change(gaps.append)
        pbx.send(error)
        await asyncio.sleep(0.1)
        assert pbx.connections, "the connection is still being closed"
        assert not client.is_synced
        await client.synced(100)
        await asyncio.sleep(0.1)
        pbx.set_user(1)
        await client.wait_for(lambda mirror: mirror.users)
    assert isinstance(states[0], Disconnected)
    assert isinstance(states[0].reason, reason)
    assert isinstance(gaps[0], Gap)
    assert gaps[0].reason is states[0].reason
    assert client.stats.gaps == 1


class Unclosable:
    """Connection attempt; closing the connection of the first one fails."""

    def __init__(self, pbx):
        self.pbx = pbx
        self.attempt = pbx()

    async def __aenter__(self):
        return await self.attempt.__aenter__()

    async def __aexit__(self, *arguments):
        await self.attempt.__aexit__(*arguments)
        if len(self.pbx.attempts) == 1:
            raise OSError("x")

    def __repr__(self):
        return "<connect fake>"


@on_virtual_clock
async def test_failure_to_close_a_connection_keeps_its_gap():
    """An error while the connection is being closed does not hide why it was closed."""
    pbx = FakePbx()
    gaps = []
    async with Client("fake", connector=lambda *_, **__: Unclosable(pbx)) as client:
        await client.synced()
        client.on_change(gaps.append)
        pbx.lose()
        state = await entered(client, Disconnected, retry=True)
        assert str(state.reason) == str(ConnectionLost(1006))
        await client.synced(100)
    assert [str(gap.reason) for gap in gaps] == [str(ConnectionLost(1006))]


@on_virtual_clock
async def test_failure_to_close_a_connection_does_not_hide_a_final_error():
    pbx = FakePbx()
    async with Client("fake", connector=lambda *_, **__: Unclosable(pbx)) as client:
        await client.synced()
        pbx.send(SystemMsg("logout"))
        state = await entered(client, Stopped)
    assert isinstance(state.reason, LoggedOut)


@on_virtual_clock
async def test_log_names_the_place_of_a_foreign_error(caplog):
    """The text of a foreign error may quote a secret: its class and place are logged."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        pbx.send(KeyError("secret"))
        await entered(client, Disconnected, retry=True)
    messages = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len(messages) == 1
    assert re.fullmatch(r"no feed from fake: KeyError at fake_pbx\.py:\d+", messages[0])


# -- loss of the connection during a delivery -----------------------------------------------


@on_virtual_clock
async def test_loss_is_noticed_while_earlier_changes_are_delivered():
    """The state changes and commands fail at once; what arrived before is delivered in order."""
    pbx, items = FakePbx(), []
    pbx.state = {"user": users(1000), "channel": {}}
    async with Client("fake", connector=pbx, backoff=Backoff(initial=1)) as client:
        log = IterationLog(SLICE_SECONDS)  # each change takes a time slice
        client.on_change(log.append)
        client.on_change(items.append)
        client.on_state(items.append)
        await client.synced()
        pbx.set_user(1)
        pbx.connections[0].die()
        assert isinstance(client.state, Disconnected)
        with pytest.raises(NotConnectedError):
            await client.hangup("u1")
        assert len(items) < 100
        lost_at = client.state.last_heard
        await client.wait_for(lambda mirror: len(mirror.users) == 1000, 60)
    states = [item for item in items if not isinstance(item, Added | Changed | Gap)]
    assert [type(state) for state in states] == [
        *(Connecting, Syncing, Synced, Disconnected, Disconnected),
        *(Connecting, Syncing, Synced, Stopped),
    ]
    changes = [item for item in items if isinstance(item, Added | Changed | Gap)]
    assert [one.key for one in changes[:1001]] == [*range(1000), 1]
    (gap,) = changes[1001:]
    assert gap.started == lost_at


@on_virtual_clock
async def test_end_behind_unread_messages_is_noticed_while_changes_are_delivered():
    """The state changes before the messages are read; the gap starts with that moment."""
    pbx, items = FakePbx(), []
    pbx.state = {"user": users(1000), "channel": {}}
    async with Client("fake", connector=pbx, backoff=Backoff(initial=1)) as client:
        await client.synced()
        log = IterationLog(SLICE_SECONDS)  # each change takes a time slice
        client.on_change(log.append)
        client.on_change(items.append)
        (connection,) = pbx.connections
        for key in range(1, 1000):
            pbx.set_user(key)
        connection.has_unread_end = True
        state = await entered(client, Disconnected)
        assert len(items) < 10
        assert isinstance(state.reason, ConnectionLost)
        lost_at = state.last_heard
        await asyncio.sleep(1)
        connection.has_unread_end = False
        connection.die()  # the messages before the end have been read
        await client.synced(100)
    changes = [*map(type, items[: items.index(next(i for i in items if type(i) is Gap))])]
    assert changes == [Changed] * 999
    (gap,) = [item for item in items if isinstance(item, Gap)]
    assert gap.started == lost_at


@on_virtual_clock
async def test_loss_while_a_snapshot_becomes_current_is_no_current_state():
    """A snapshot that is complete only after the loss is current for no moment."""
    pbx = FakePbx({"pace": None})
    pbx.state = {"user": users(2000), "channel": {}}
    async with Client("fake", connector=pbx, backoff=Backoff(initial=1)) as client:
        visible = asyncio.Event()
        IterationLog(observe=lambda _: client.mirror.users and visible.set())
        await visible.wait()
        assert not client.is_synced, "the differences are being collected"
        pbx.connections[0].die()
        was_synced = []
        IterationLog(observe=lambda _: was_synced.append(client.is_synced))
        await entered(client, Disconnected)
        assert not any(was_synced)
        assert client.stats.gaps == 0
        await client.synced()
        assert client.stats.gaps == 1


@on_virtual_clock
async def test_loss_before_the_snapshot_is_complete_is_no_gap():
    """A connection that is lost before its snapshot is complete was never current."""
    pbx, states = FakePbx({"pace": None}), []
    async with Client("fake", connector=pbx, backoff=Backoff(initial=1)) as client:
        client.on_state(states.append)
        await entered(client, Syncing)
        pbx.connections[0].die()
        await client.synced()
        assert client.stats.gaps == 0
    kinds = [type(state) for state in states]
    assert kinds.count(Synced) == 1
    assert kinds.index(Disconnected) < kinds.index(Synced)


@on_virtual_clock
async def test_leaving_the_block_is_no_loss():
    pbx, states = FakePbx(), []
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        client.on_state(states.append)
        (connection,) = pbx.connections
    assert states == [Stopped(None)]
    assert connection.on_lost is None
