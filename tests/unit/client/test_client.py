from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import itertools
import logging
import os
import random
import time
import traceback
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.client_schedules import (
    connected,
    entered,
    fold,
    is_true,
    make,
    one_schedule,
    patience_with,
    tasks_of_the_client,
)
from support.paths import DOCS
from support.secret_scanner import TOKEN, found_in, leaks_of
from support.sizes import NIGHTLY
from support.virtual_clock import Pbx, down_until, now, picture, run
from support.waiting import TIMEOUT, eventually
from websockets.asyncio.server import serve

from basix_ws_cti import (
    AuthenticationError,
    Basic,
    CertificateError,
    Channel,
    ConnectFailed,
    ConnectionLimitReached,
    ConnectionLost,
    ConnectionReplaced,
    DecodeError,
    FieldSpec,
    HandshakeError,
    InfoEvent,
    InitialInfo,
    Msg,
    ProtocolError,
    SystemMsg,
    UsageError,
    User,
)
from basix_ws_cti._internal.time_slice import SLICE_SECONDS, SLICE_STEPS
from basix_ws_cti.client import client as module
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.client import Client
from basix_ws_cti.exceptions import (
    CommandTimeout,
    LoggedOut,
    NotConnectedError,
    ResyncRequired,
    SubscriberLagged,
    SyncTimeout,
    WaitTimeout,
)
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Lagged, Removed
from basix_ws_cti.session.status import Connecting, Disconnected, Stopped, Synced, Syncing
from basix_ws_cti.simulator import Simulator, faults
from basix_ws_cti.states import Eavesdrop

# == on a virtual clock ===================================================================


class FakePbxFactory:
    """Makes PBXs without sockets; ``connect`` connects a client to the one made last."""

    pbx = None

    def __call__(self, *args, **options):
        self.pbx = Pbx(*args, **options)
        return self.pbx

    def connect(self, server, **options):
        return self.pbx(server, **options)


@pytest.fixture
def fake():
    return FakePbxFactory()


def test_the_states_in_their_order(fake):
    """A client goes through connecting, syncing, synced, and at its end is stopped."""

    async def main():
        states = []
        async with Client("fake", connector=fake.connect) as client:
            client.on_state(states.append)
            assert client.state == Connecting(1)
            mirror = await client.synced(10)
            assert mirror is client.mirror
            assert client.is_synced
        assert not client.is_synced
        return states

    fake()
    assert run(main()) == [Connecting(1), Syncing(), Synced(), Stopped(None)]


@pytest.mark.parametrize("quiet_time", [0.25, 3])
def test_synced_by_the_quiet_time(fake, quiet_time):
    """Without an event the picture is whole when nothing came for the quiet time, 250 ms."""

    async def main():
        options = {} if quiet_time == 0.25 else {"quiet_time": quiet_time}
        async with Client("fake", connector=fake.connect, **options) as client:
            await client.synced()
            return now()

    fake()
    assert run(main()) == pytest.approx(quiet_time)


def test_synced_by_the_first_event(fake):
    """The first event after the last initial_info makes the picture whole at once, and counts."""

    async def main():
        pbx = fake()
        pbx.set_user(1)
        async with Client("fake", connector=fake.connect) as client:
            changes = client.changes()
            await asyncio.sleep(0.1)
            assert not client.is_synced
            pbx.set_user(1)
            await client.synced()
            assert now() == pytest.approx(0.1)
            assert client.mirror.users[1].label == "2"
            first, second = await anext(changes), await anext(changes)
            assert first == Added("user", User(id=1, label="1"), synthetic=True)
            assert second == Changed("user", User(id=1, label="2"), User(id=1, label="1"))

    run(main())


def test_the_quiet_time_begins_with_the_last_initial_info(fake):
    """A picture that comes slowly, each frame after more than the quiet time, comes whole."""

    async def main():
        pbx = fake({"pace": 1})
        pbx.set_user(1)
        pbx.call()
        async with Client("fake", connector=fake.connect) as client:
            await client.synced()
            assert now() == pytest.approx(4.25)
            assert picture(client.mirror) == pbx.world

    run(main())


def test_a_kind_that_never_comes(fake):
    """A field_spec without its initial_info is a SyncTimeout after a minute, and tried again."""

    async def main():
        fake({"frames": 3, "ending": SystemMsg("hello")})
        errors = []
        async with Client("fake", connector=fake.connect) as client:
            client.on_error(errors.append)
            await asyncio.sleep(60.1)
            (error,) = errors
            assert isinstance(error, SyncTimeout)
            assert error.seconds == 60
            assert client.state.retry_in <= 1

    run(main())


@pytest.mark.parametrize("sync_timeout", [0.1, 0.25, 2])
def test_the_sync_timeout_is_a_parameter(fake, sync_timeout):
    """A PBX that says nothing is given up after sync_timeout seconds."""

    async def main():
        pbx = fake({"frames": 0, "ending": Msg("x")})
        async with Client("fake", connector=fake.connect, sync_timeout=sync_timeout) as client:
            state = await entered(client, Disconnected)
            assert isinstance(state.reason, SyncTimeout)
            assert now() == pytest.approx(sync_timeout)
            assert len(pbx.attempts) == 1

    run(main())


def test_the_quiet_time_and_the_sync_timeout_at_once(fake):
    """Where both end at the same moment one of them wins, and nothing breaks."""

    async def main():
        fake()
        async with Client(
            "fake", connector=fake.connect, quiet_time=0.25, sync_timeout=0.25
        ) as client:
            await asyncio.sleep(5)
            return client.stats.connects

    assert run(main()) >= 1


def test_the_quiet_time_of_a_line_that_has_ended(fake):
    """While a line that failed is being closed, its picture does not become the mirror."""

    async def main():
        pbx = fake()
        pbx.close_time = 0.5
        pbx.set_user(1)
        pbx.plan.append({"frames": 4, "ending": DecodeError(0, "x")})
        states = []
        async with Client("fake", connector=fake.connect) as client:
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

    run(main())


def test_a_server_that_accepts_and_closes(fake):
    """It sees at most 8 connections in the first 60 s, whatever chance brings."""

    async def main(seed):
        pbx = fake({"frames": 0, "ending": StopAsyncIteration()})
        async with Client("fake", connector=fake.connect, backoff=Backoff(rng=random.Random(seed))):
            await asyncio.sleep(60)
        return len(pbx.attempts)

    counts = [run(main(seed)) for seed in range(50)]
    assert min(counts) >= 4
    assert max(counts) <= 8


@pytest.mark.parametrize("synced_for", [0.0, 5.0, 29.0])
def test_a_server_that_closes_after_a_while(fake, synced_for):
    """Pictures that do not last for 30 s do not shorten the delays."""

    async def main():
        pbx = fake()
        delays = []
        async with Client("fake", connector=fake.connect) as client:
            for _ in range(9):
                await client.synced(100)
                await asyncio.sleep(synced_for)
                pbx.lose()
                delays.append((await entered(client, Disconnected, retry=True)).retry_in)
        for number, delay in enumerate(delays):
            ceiling = min(60, 2**number)
            assert ceiling / 2 <= delay <= ceiling

    run(main())


def test_thirty_seconds_begin_again(fake):
    """A picture that lasted for 30 s ends the series: the next delay is the first again."""

    async def main():
        pbx = fake()
        async with Client("fake", connector=fake.connect) as client:
            pbx.plan.extend([ConnectFailed("x")] * 6)
            await client.synced(1000)
            await asyncio.sleep(30.1)
            pbx.lose()
            assert (await entered(client, Disconnected, retry=True)).retry_in <= 1

    run(main())


def test_a_thousand_clients_after_an_outage():
    """When a thousand have lost the PBX for two minutes, no second has a fifth of the attempts."""
    pbxs = {str(seed): Pbx() for seed in range(1000)}

    def connect(server, **options):
        return pbxs[server](server, **options)

    async def main():
        async with contextlib.AsyncExitStack() as stack:
            for seed in pbxs:
                client = Client(seed, connector=connect, backoff=Backoff(rng=random.Random(seed)))
                await stack.enter_async_context(client)
            await asyncio.sleep(40)
            for pbx in pbxs.values():
                pbx.attempts.clear()
                pbx.always = down_until(160)
                pbx.lose()
            await asyncio.sleep(200)
        assert all(pbx.attempts[-1] > 160 for pbx in pbxs.values())
        return [attempt for pbx in pbxs.values() for attempt in pbx.attempts]

    attempts = run(main())
    for some in (attempts, [attempt for attempt in attempts if attempt >= 160]):
        assert len(some) >= 1000
        for shift in (0, 0.25, 0.5, 0.75):
            busiest = max(Counter(int(attempt + shift) for attempt in some).values())
            print(len(some), busiest / len(some))  # noqa: T201 - the figure, with -s
            assert busiest <= len(some) / 5


def test_each_connection_has_kinds_of_its_own(fake):
    """A kind that a PBX announced, and its successor does not know, is not waited for."""

    async def main():
        pbx = fake()
        pbx.plan.append({"first": [FieldSpec("robot", ("id",))], "frames": 1})
        async with Client("fake", connector=fake.connect) as client:
            await client.synced(10)
            pbx.lose()
            await entered(client, Disconnected)
            await client.synced(10)

    run(main())


def test_doubt_begins_before_the_line_is_closed(fake):
    """From the first moment of doubt is_synced is false, though closing takes its time."""

    async def main():
        pbx = fake()
        pbx.close_time = 0.4
        async with Client("fake", connector=fake.connect) as client:
            await client.synced()
            pbx.say(DecodeError(0, "x"))
            await asyncio.sleep(0.1)
            assert pbx.lines
            assert not client.is_synced
            assert client.state.retry_in is None
            assert isinstance(client.state.reason, ResyncRequired)

    run(main())


def test_a_prompt_rebuild(fake):
    """A frame that can't be read leads to a new picture at once: three times a minute, no more."""

    async def main():
        pbx = fake()
        delays, errors = [], []
        async with Client("fake", connector=fake.connect) as client:
            client.on_error(errors.append)
            for _ in range(6):
                await client.synced(100)
                pbx.say(DecodeError(3, "x"))
                state = await entered(client, Disconnected, retry=True)
                assert isinstance(state.reason, ResyncRequired)
                delays.append(state.retry_in)
            assert delays[:3] == [0, 0, 0]
            assert all(delay >= 0.5 for delay in delays[3:])
            await client.synced(100)
            await asyncio.sleep(61)
            pbx.say(ProtocolError("x", "user"))
            assert (await entered(client, Disconnected, retry=True)).retry_in == 0
            assert client.stats.bad_frames == 7
        assert [type(one) for one in errors].count(DecodeError) == 1

    run(main())


def test_a_bad_word_is_no_reason_to_doubt(fake):
    """A system_msg or msg that can't be read is counted and reported once, and no more."""

    async def main():
        pbx = fake()
        errors = []
        async with Client("fake", connector=fake.connect) as client:
            client.on_error(errors.append)
            await client.synced()
            for _ in range(3):
                pbx.say(ProtocolError("no text", None, "msg"))
            await asyncio.sleep(1)
            assert client.is_synced
            assert [str(error) for error in errors] == ["msg: no text"]
            assert client.stats.bad_frames == 3

    run(main())


def test_no_more_than_a_hundred_sorts_are_reported(fake):
    """A peer that makes up errors without end fills neither the log nor memory."""

    async def main():
        pbx = fake()
        errors = []
        async with Client("fake", connector=fake.connect) as client:
            client.on_error(errors.append)
            await client.synced()
            pbx.say(*(ProtocolError(f"no {n}", None, "msg") for n in range(500)))
            await asyncio.sleep(1)
            assert len(errors) == len(client._session._reported) == 100
            assert client.stats.bad_frames == 500

    run(main())


def test_the_attempts_are_counted(fake):
    """Connecting says which attempt since the last picture it is."""

    async def main():
        pbx = fake()
        pbx.plan.extend([ConnectFailed("x"), {"frames": 1}, None, ConnectFailed("x")])
        states = []
        async with Client("fake", connector=fake.connect) as client:
            client.on_state(states.append)
            await client.synced(100)
            pbx.lose()
            await entered(client, Disconnected)
            await client.synced(100)
        return [state.attempt for state in states if isinstance(state, Connecting)]

    assert run(main()) == [1, 2, 3, 1, 2]


def test_retry_after_is_honoured(fake):
    """A server that asks for 90 s, beyond the longest delay, is left alone for so long."""

    async def main():
        pbx = fake()
        pbx.plan.append(HandshakeError(503, None, "90"))
        async with Client("fake", connector=fake.connect) as client:
            await client.synced(200)
        assert pbx.attempts[1] >= 90

    run(main())


def test_a_limit_after_a_picture_is_slow(fake):
    """The limit, met by a client that had a picture, is met again after the longest delay."""

    async def main():
        pbx = fake()
        async with Client("fake", connector=fake.connect) as client:
            await client.synced()
            pbx.plan.append({"frames": 0, "ending": ConnectionLimitReached()})
            pbx.lose()
            await entered(client, Disconnected)
            await client.synced(200)
            assert 60 <= pbx.attempts[2] - pbx.attempts[1] <= 63  # and the draw

    run(main())


def test_a_gap_is_what_the_client_did_not_see(fake):
    """One Gap for an interruption, before the changes that it brought, however many attempts."""

    async def main():
        pbx = fake()
        pbx.set_user(1)
        pbx.set_user(2)
        async with Client("fake", connector=fake.connect) as client:
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

    run(main())


def test_the_gap_is_told_of_whatever_is_asked_for(fake):
    """A subscriber to one kind, key or filter hears of every gap."""

    async def main():
        pbx = fake()
        async with Client("fake", connector=fake.connect) as client:
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


def test_an_old_line_can_say_what_it_likes(fake):
    """What an earlier connection still holds is never read once it is over."""

    async def main():
        pbx = fake()
        async with Client("fake", connector=fake.connect) as client:
            await client.synced()
            (old,) = pbx.lines
            pbx.lose()
            old.put(InfoEvent("user", User(id=66), "added"))
            await asyncio.sleep(0.01)
            await client.synced(10)
            old.put(InfoEvent("user", User(id=66), "added"))
            await asyncio.sleep(10)
            assert dict(client.mirror.users) == {}

    run(main())


def test_a_classify_that_raises(fake):
    """An error of the caller's own classify ends the client with it, and not in silence."""

    def classify(error, final):
        raise ZeroDivisionError

    async def main():
        pbx = fake()
        pbx.plan.append(ConnectFailed("x"))
        async with Client("fake", connector=fake.connect, classify=classify) as client:
            with pytest.raises(ZeroDivisionError):
                await client.synced()
            assert isinstance(client.state.reason, ZeroDivisionError)

    run(main())


def test_a_cancellation_that_is_not_the_clients(fake):
    """A CancelledError that nobody sent to the client, from an attempt, a callback or a filter,
    is an error as any other: it ends neither the client nor what else is called.
    """

    def cancelled(*_):
        raise asyncio.CancelledError

    async def cancelled_too(*_):
        raise asyncio.CancelledError

    async def main():
        pbx = fake()
        pbx.plan.append(asyncio.CancelledError())
        told, states, late = [], [], []

        async def later(change):
            late.append(change)
            if len(late) == 1:
                raise asyncio.CancelledError

        async with Client("fake", connector=fake.connect) as client:
            client.on_state(cancelled)
            client.on_change(cancelled)
            client.on_error(cancelled)
            client.on_change(cancelled_too)
            client.on_error(cancelled_too)
            client.on_change(later)
            client.changes(where=cancelled)
            kept = client.changes(where=cancelled)
            client.on_change(told.append)
            client.on_state(states.append)
            await client.synced(10)
            pbx.set_user(1)
            pbx.set_user(2)
            await asyncio.sleep(1)
            assert [change.key for change in told] == [change.key for change in late] == [1, 2]
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

    run(main())


def test_a_cancellation_of_all_tasks(fake):
    """Where somebody cancels all tasks, nobody waits on for a client that is no more."""

    async def main():
        fake()
        async with Client("fake", connector=fake.connect) as client:
            await client.synced()
            changes = client.changes()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            assert [change async for change in changes] == []
            assert client.state == Stopped(None)
            with pytest.raises(UsageError, match="is not running"):
                await client.synced()

    run(main())


@pytest.mark.parametrize("ask", [Client.synced, lambda client: anext(client.changes())])
def test_who_asks_again_after_the_end(fake, ask):
    """However often it is asked for, what stopped the client holds on to nothing of who asked."""

    async def main():
        pbx = fake()
        async with Client("fake", connector=fake.connect) as client:
            await client.synced()
            pbx.say(SystemMsg("logout"))
            error = (await entered(client, Stopped)).reason
            frames = []
            for _ in range(3):
                with pytest.raises(LoggedOut) as caught:
                    await ask(client)
                assert caught.value is error
                frames.append(len([*traceback.walk_tb(error.__traceback__)]))
            assert len(set(frames)) == 1

    run(main())


def test_a_confirmation_by_the_next_picture(fake):
    """A command whose event was lost with the line is confirmed by the picture after it."""

    async def main():
        pbx = fake()
        pbx.call()
        (uuid,) = pbx.world["channel"]
        async with Client("fake", connector=fake.connect) as client:
            await client.synced()
            hanging = asyncio.create_task(client.hangup(uuid, confirm=True))
            await asyncio.sleep(0.1)
            assert pbx.lines[0].sent == [{"cmd": "hangup", "uuid": uuid}]
            pbx.hang_up()
            pbx.lose(cut=True)
            await hanging
            assert not any(line.sent for line in pbx.lines)  # never sent twice

    run(main())


def test_the_wire_of_each_command(fake):
    """Each command is one JSON object, of what was given alone."""

    async def main():
        pbx = fake()
        async with Client("fake", connector=fake.connect) as client:
            await client.synced()
            await client.hangup("u")
            await client.park("u")
            await client.park("u", 0)
            await client.transfer("u", user_id=0)
            await client.transfer("u", user_name="n", destination="d")
            await client.eavesdrop("plug", "u", "listen")
            assert pbx.lines[0].sent == [
                {"cmd": "hangup", "uuid": "u"},
                {"cmd": "park", "uuid": "u"},
                {"cmd": "park", "uuid": "u", "timeout": 0},
                {"cmd": "transfer", "uuid": "u", "user_id": 0},
                {"cmd": "transfer", "uuid": "u", "user_name": "n", "destination": "d"},
                {"cmd": "eavesdrop", "uuid": "plug", "target_uuid": "u", "subcommand": "listen"},
            ]

    run(main())


def test_a_burst_does_not_overrun_who_keeps_up(fake):
    """Of thousands of messages that have arrived at once, a prompt subscriber loses none."""
    seen, called = [], []

    async def callback(_, user, __):
        called.append(user.label)

    async def read(changes):
        async for change in changes:
            seen.append(change.element.label)

    async def main():
        pbx = fake()
        async with Client("fake", connector=fake.connect) as client:
            await client.synced()
            client.on_info_event(callback)
            reading = asyncio.create_task(read(client.changes(policy="fail")))
            pbx.lines[0].pace = None
            for _ in range(5000):
                pbx.set_user(1)
            await asyncio.sleep(1)
            assert client.stats.missed == 0
        await reading

    run(main())
    assert seen == called == [str(number) for number in range(1, 5001)]


def users(count, label="a"):
    return {number: User(id=number, label=label) for number in range(count)}


def legs(count):
    return {
        f"u{number}": Channel(uuid=f"u{number}", offer_timestamp=number) for number in range(count)
    }


class Told:
    """What is told, by turns of the loop; to take in one item takes so many seconds."""

    def __init__(self, seconds=0.0, look=None):
        self.turns = [[]]
        self._seconds = seconds
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._loop._run_once = functools.partial(self._turn, self._loop._run_once)

    def _turn(self, run_once):
        if self._look is not None:
            self._look(self)
        if self.turns[-1]:
            self.turns.append([])
        run_once()

    def take(self, item):
        self.turns[-1].append(item)
        self._loop.now += self._seconds

    @property
    def items(self):
        return [item for turn in self.turns for item in turn]


@pytest.mark.parametrize(
    ("seconds", "most"), [(0.0, SLICE_STEPS), (SLICE_SECONDS * 0.3, 4), (1.0, 1)]
)
def test_a_big_picture_is_told_in_turns(fake, seconds, most):
    """Others have their turn between changes, as many as take 5 ms and 256 at most, in order."""

    async def main():
        pbx = fake()
        pbx.world = {"user": users(1000), "channel": legs(1000)}
        async with Client("fake", connector=fake.connect) as client:
            told = Told(seconds)
            client.on_change(told.take)
            await client.wait_for(lambda _: len(told.items) == 2000)
            assert [change.key for change in told.items] == [*range(1000), *legs(1000)]
            assert max(map(len, told.turns)) <= most
            assert len(told.turns) >= 2000 // most

    run(main())


@pytest.mark.parametrize("by", ["the client", "others"])
def test_what_takes_time_here_is_no_silence(fake, by):
    """A kind that came while the loop was kept, by the client's own work or by others', belongs
    to the picture, where each is announced just before it comes.
    """
    here = [FieldSpec("user", ("id",)), InitialInfo("user", users(1000))]
    more = [FieldSpec("channel", ("uuid",)), InitialInfo("channel", legs(1))]

    async def main():
        pbx = fake({"pace": None, "first": here})
        loop = asyncio.get_running_loop()
        async with Client("fake", connector=fake.connect) as client:
            if by == "the client":

                def keep(_):
                    loop.now += 0.1

                Told(look=keep)
                pbx.world = {"channel": legs(1)}
            else:
                pbx.world = {}
                await asyncio.sleep(0.1)
                loop.call_soon(pbx.say, *more)
                loop.now += 1
            await client.synced()
            assert (len(client.mirror.users), len(client.mirror.channels)) == (1000, 1)

    run(main())


@pytest.mark.parametrize("way", ["reconnect", "initial_info"])
def test_what_is_seen_in_between(fake, way):
    """While much is told the picture is whole, the calls are as it is, and reading waits."""

    async def main():
        pbx, problems = fake(), []
        pbx.world = {"user": users(1000), "channel": legs(700)}

        def look(told):
            labels = Counter(user.label for user in client.mirror.users.values())
            if labels not in ({"a": 1000}, {"b": 1000}, {"b": 999, "c": 1}):
                problems.append(f"half a picture: {labels}")
            if client.is_synced and len(client.calls) != len(client.mirror.channels):
                problems.append(f"{len(client.calls)} calls")
            if told.items and "a" in labels:
                problems.append("told of what is not there yet")

        async with Client("fake", connector=fake.connect, backoff=Backoff(initial=0.1)) as client:
            client.calls  # noqa: B018 - to be followed
            await client.synced()
            await asyncio.sleep(0.1)
            told = Told(0.0001, look)
            client.on_change(told.take)
            pbx.world = {"user": users(1000, "b"), "channel": legs(700)}
            if way == "reconnect":
                pbx.world["channel"]["z"] = Channel(uuid="z")
                pbx.lose()
                await client.wait_for(lambda mirror: "z" in mirror.channels, 10)
            else:
                pbx.say(InitialInfo("user", users(1000, "b")))
            for label in "cb":
                pbx.say(InfoEvent("user", User(id=1, label=label), "updated"))
            await asyncio.sleep(1)
        assert problems == []
        changed = [one for one in told.items if isinstance(one, Changed)]
        assert [one.key for one in changed] == [*range(1000), 1, 1]
        assert [one.element.label for one in changed[-2:]] == ["c", "b"]
        assert isinstance(told.items[0], Gap) == (way == "reconnect")
        assert len(told.turns) > 4

    run(main())


def test_who_comes_in_the_middle_is_told_nothing_of_it(fake):
    """Who asks for changes when the picture is there is not told how it came to be."""
    seen, called = [], []

    async def main():
        pbx = fake()
        pbx.world = {"user": users(1000), "channel": {}}
        async with Client("fake", connector=fake.connect) as client:
            told = Told()
            client.on_change(told.take)
            await client.synced()
            assert len(told.items) < 1000
            client.on_change(called.append)
            changes = client.changes()
            await asyncio.sleep(0.1)
            assert len(told.items) == 1000
            pbx.set_user(1)
            seen.append((await anext(changes)).key)

    run(main())
    assert seen == [change.key for change in called] == [1]


@pytest.mark.parametrize("way", ["reconnect", "initial_info"])
def test_whenever_somebody_comes(fake, way):
    """Who looks and asks for more, at any moment, is told what leads from what they saw to what
    is: of elements, and of calls.
    """

    async def main():
        pbx, wrong = fake(), []
        pbx.world = {"user": users(1000), "channel": legs(1000)}

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

        async with Client("fake", connector=fake.connect, backoff=Backoff(initial=0.1)) as client:
            client.calls  # noqa: B018 - to be followed
            await client.synced()
            await asyncio.sleep(0.1)
            pending_pickups = []
            Told(look=lambda _: pending_pickups.append(Guest()))
            client.on_state(lambda _: pending_pickups.append(Guest()))
            pbx.world = {"user": users(1000, "b"), "channel": {}}
            if way == "reconnect":
                pbx.lose()
            else:
                pbx.say(*(InitialInfo(*one) for one in pbx.world.items()))
            await client.wait_for(lambda mirror: not mirror.channels)
            await asyncio.sleep(0.1)
            assert wrong == []
            assert all(
                (guest.users, guest.calls) == (users(1000, "b"), set()) for guest in pending_pickups
            )
            assert len(pending_pickups) > 2000 // SLICE_STEPS

    run(main())


def test_who_goes_in_the_middle_is_told_no_more(fake):
    """A callback that is taken back while much is told is not called any more."""
    called = []

    async def main():
        pbx = fake()
        pbx.world = {"user": users(1000), "channel": {}}
        async with Client("fake", connector=fake.connect) as client:
            client.on_change(lambda _: None)
            end = client.on_change(called.append)
            await client.synced()
            end()
            count = len(called)
            await asyncio.sleep(0.1)
        return count

    assert 0 < run(main()) == len(called) < 1000


def test_a_pong_that_is_late(fake):
    """What is read while a pong is waited for is sign of life enough."""

    async def main():
        pbx = fake()
        async with Client("fake", connector=fake.connect) as client:
            await client.synced()
            line = pbx.lines[0]
            line.silent = now()
            await asyncio.sleep(10)  # it is pinged after 8 s, and given up after 13
            line.silent = None
            pbx.set_user(1)
            await asyncio.sleep(4)
            assert client.is_synced
            assert client.stats.connects == 1

    run(main())


def test_calls_are_told(fake):
    """What happens to a call goes to who iterates and who is called; it cannot be merged."""

    async def main():
        pbx, called = fake(), []
        async with Client("fake", connector=fake.connect) as client:
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


def test_leaving_in_the_middle(fake):
    """The block can be left while much is told."""

    async def main():
        pbx = fake()
        pbx.world = {"user": users(1000), "channel": {}}
        async with Client("fake", connector=fake.connect) as client:
            told = Told()
            client.on_change(told.take)
            changes = client.changes()
            await client.synced()
        assert 0 < len(told.items) < 1000
        assert 0 < len([change async for change in changes]) < 1000

    run(main())


def test_half_a_picture_is_given_up_in_turns(fake):
    """What had come of a picture that never was whole is let go of in slices, too."""
    turns = []

    async def main():
        pbx = fake()
        pbx.world = {"user": users(1000), "channel": {}}
        pbx.plan.append({"frames": 3})
        async with Client("fake", connector=fake.connect, backoff=Backoff(initial=0.1)) as client:

            def look(_):
                if client._session._builder is not None:
                    turns.append((len(pbx.attempts), len(client._session._builder.mirror.users)))

            Told(look=look)
            await client.synced()
            assert client.stats.connects == 2
            assert len(client.mirror.users) == 1000

    run(main())
    assert turns.count((1, 1000)) > 0
    assert turns.count((1, 0)) > 2000 // SLICE_STEPS  # it came in as many, and went


def test_the_wait_for_a_predicate_of_its_own_time_out(fake):
    """A TimeoutError that the predicate raises is the predicate's."""

    def ask(_):
        raise TimeoutError("mine")

    async def main():
        fake()
        async with Client("fake", connector=fake.connect) as client:
            with pytest.raises(TimeoutError, match="mine") as caught:
                await client.wait_for(ask, 10)
            assert not isinstance(caught.value, WaitTimeout)

    run(main())


def test_headers_are_read_for_each_attempt(fake):
    """Headers that can be iterated over once alone go out with each attempt."""
    pbx, given = fake(), []

    def connect(server, **options):
        given.append(list(options["additional_headers"]))
        return pbx(server, **options)

    async def main():
        pbx.plan.append(ConnectFailed("x"))
        async with Client(
            "fake", connector=connect, additional_headers=iter([("a", "b")])
        ) as client:
            await client.synced(10)

    run(main())
    assert given == [[("a", "b")]] * 3


# == over real sockets ====================================================================


async def stopped(client):
    """Why a client stops, which it is about to."""
    await eventually(lambda: isinstance(client.state, Stopped))
    return client.state.reason


TRANSIENT_STATUSES = [408, 429, 500, 502, 503]


@pytest.mark.parametrize("status", TRANSIENT_STATUSES)
async def test_an_answer_that_passes(status):
    """408, 429 and 5xx are tried again, and the client is told of each on on_error."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Refuse(status, times=2))
        client, errors = make(pbx), []
        client.on_error(errors.append)
        async with client:
            await client.synced(TIMEOUT)
        assert [(type(error), error.status) for error in errors] == [(HandshakeError, status)] * 2


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_over_a_socket(status):
    """Retry-After is what the next delay is, at least."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Refuse(status, retry_after=77))
        async with make(pbx) as client:
            state = await asyncio.wait_for(entered(client, Disconnected), TIMEOUT)
            assert 77 < state.retry_in <= 77.1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 301, 302])
async def test_an_answer_that_is_final(status):
    """401, 403, 404 and redirects stop the client with their error, at the first attempt."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Refuse(status, location="http://127.0.0.1/", times=9))
        async with make(pbx) as client:
            changes, messages = client.changes(), client.messages()
            with pytest.raises(HandshakeError) as caught:
                await client.synced(TIMEOUT)
            assert caught.value.status == status
            assert isinstance(caught.value, AuthenticationError) is (status in {401, 403})
            assert client.state == Stopped(caught.value)
            for waiting in (changes, messages, client.changes()):
                with pytest.raises(HandshakeError):
                    await anext(waiting)
            with pytest.raises(HandshakeError):
                await client.wait_for(lambda _: True)
            with pytest.raises(NotConnectedError):
                await client.hangup("x")
        assert client.state == Stopped(caught.value)
        assert len(pbx._client_handler.armed_faults) == 1
        assert pbx._client_handler.armed_faults[0][1] == 8


async def test_a_certificate_is_final():
    """A certificate that is not trusted stops the client."""
    async with Simulator(calls=False, tls=True) as pbx:
        async with make(pbx, ssl=None) as client:
            assert isinstance(await stopped(client), CertificateError)
        async with connected(pbx) as client:
            assert client.is_synced


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("logout", LoggedOut),
        ("connection_replaced", ConnectionReplaced),
    ],
)
@pytest.mark.parametrize("when", ["syncing", "synced"])
async def test_a_word_that_is_final(text, error, when):
    """logout and connection_replaced stop the client, who passes the word on first."""
    async with Simulator(calls=False) as pbx:
        words = []
        async with make(pbx, quiet_time=0 if when == "synced" else 60) as client:
            client.on_system_msg(words.append)
            await eventually(lambda: type(client.state).__name__.lower() == when)
            pbx.system_msg(text)
            if text == "connection_replaced":
                pbx.inject(faults.Drop(), after=0.1)
            assert isinstance(await stopped(client), error)
        assert words == [text]
        assert client.stats.connects == 1


async def test_the_limit_on_the_first_connect():
    """A client that finds no place, and never had one, stops and says so."""
    async with Simulator(calls=False, max_connections=1) as pbx, connected(pbx) as first:
        async with make(pbx) as second:
            assert isinstance(await stopped(second), ConnectionLimitReached)
        assert first.is_synced


async def test_the_limit_after_a_picture():
    """A client that meets its own dead connection at the limit goes on until it is forgotten."""
    async with Simulator(calls=False, max_connections=1) as pbx:
        pbx.inject(faults.Linger(60))
        errors = []
        async with connected(pbx) as client:
            client.on_error(errors.append)
            pbx.inject(faults.Drop())
            await eventually(lambda: len(errors) > 1)
            pbx.inject(faults.Linger(0))
            await eventually(lambda: client.stats.gaps)
        assert [type(error) for error in errors[:2]] == [ConnectionLost, ConnectionLimitReached]


async def end_of_the_line(pbx, ending):
    if ending == "close":
        (feed,) = pbx.connections
        await feed.client.close()
    elif ending == "nobody there":
        pbx.inject(faults.Restart(down_for=0.1))
    else:
        pbx.inject(ending)


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (faults.Drop(), ConnectionLost),
        (faults.Reset(), ConnectionLost),
        (faults.HalfClose(), ConnectionLost),
        (faults.Silence(), ConnectionLost),
        ("close", ConnectionLost),
        ("nobody there", ConnectionLost),
        (faults.SendFrame(), ResyncRequired),
        (faults.SendFrame("text"), ResyncRequired),
        (faults.UnspecifiedKind(), ResyncRequired),
    ],
    ids=str,
)
async def test_an_end_that_passes(ending, reason):
    """However a connection ends, the client comes back, with a Gap that says why."""
    async with (
        Simulator(calls=False) as pbx,
        connected(pbx, **patience_with(ending)) as client,
    ):
        changes = client.changes()
        await end_of_the_line(pbx, ending)
        gap = await asyncio.wait_for(anext(changes), TIMEOUT)
        assert isinstance(gap, Gap)
        assert isinstance(gap.reason, reason)
        if ending == "close":
            assert gap.reason.code == 1000
        assert is_true(client, pbx)
        assert changes.waiting == 0
        assert client.stats.gaps == 1


async def test_nobody_listens():
    """A refused TCP connection, and a name without an address, are tried again."""
    async with Simulator() as pbx:
        arguments = pbx.connect_args
    for server in (arguments["server"], "wss://no.such.host.invalid"):
        async with Client(**{**arguments, "server": server}, backoff=Backoff(0.01, 0.02)) as client:
            errors = []
            client.on_error(errors.append)
            await eventually(lambda errors=errors: len(errors) >= 3)
        assert {type(error) for error in errors} == {ConnectFailed}


async def test_an_answer_that_does_not_come():
    """A handshake that is not answered in time is tried again."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.DelayHandshake(30))
        client, errors = make(pbx, open_timeout=0.1), []
        client.on_error(errors.append)
        async with client:
            await client.synced(TIMEOUT)
        # On a busy machine an attempt or two more may have no answer in time.
        assert {str(error) for error in errors} == {"cannot connect: no answer within 0.1 s"}


async def test_a_server_that_speaks_no_tls():
    """TLS that does not come about, for another reason than the certificate, is tried again."""
    async with Simulator(calls=False) as pbx:
        client, errors = make(pbx, server=pbx.url.replace("ws://", "wss://")), []
        client.on_error(errors.append)
        async with client:
            await eventually(lambda: len(errors) >= 3)
        assert {type(error) for error in errors} == {ConnectFailed}
        assert all(error.reason for error in errors)


async def test_a_pbx_that_says_nothing():
    """A connection on which nothing is said is a SyncTimeout, and tried again."""

    async def mute(websocket):
        await websocket.wait_closed()

    async with serve(mute, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        client, errors = (
            Client(
                f"ws://127.0.0.1:{port}",
                app_name="x",
                sync_timeout=0.05,
                backoff=Backoff(0.01, 0.02),
            ),
            [],
        )
        client.on_error(errors.append)
        async with client:
            await eventually(lambda: len(errors) >= 3)
        assert {type(error) for error in errors} == {SyncTimeout}
        assert not client.is_synced


async def test_credentials_that_are_none():
    """A credentials function that returns something else can't work, and is final."""
    async with Simulator(calls=False) as pbx:
        arguments = pbx.connect_args
        del arguments["domain"], arguments["token"]

        async def credentials(_):
            return "secret"

        async with Client(**arguments, credentials=credentials) as client:
            assert isinstance(await stopped(client), UsageError)


@pytest.mark.parametrize("refusals", [2, 3])
async def test_fresh_credentials(refusals):
    """Each attempt has new credentials; of those, three in a row are refused, and no more."""
    async with Simulator(calls=False) as pbx:
        arguments = pbx.connect_args
        domain, token = arguments.pop("domain"), arguments.pop("token")
        asked = []

        async def credentials(target):
            asked.append(target)
            return Basic(domain, token)

        pbx.inject(faults.Refuse(401, times=refusals))
        async with Client(
            **arguments, credentials=credentials, backoff=Backoff(0.01, 0.02)
        ) as client:
            if refusals == 3:
                assert isinstance(await stopped(client), AuthenticationError)
            else:
                await client.synced(TIMEOUT)
        assert len(asked) == 3


async def test_refusals_in_a_row():
    """Two refusals, another failure and two refusals more are not three in a row."""
    async with Simulator(calls=False) as pbx:
        arguments = pbx.connect_args
        domain, token = arguments.pop("domain"), arguments.pop("token")

        async def credentials(_):
            return Basic(domain, token)

        for status in (401, 401, 503, 401, 401):
            pbx.inject(faults.Refuse(status))
        async with Client(
            **arguments, credentials=credentials, backoff=Backoff(0.01, 0.02)
        ) as client:
            await client.synced(TIMEOUT)


@pytest.mark.parametrize("way", ["returns", "raises"])
async def test_credentials_that_keep_a_cancellation(way):
    """Leaving the block ends a client whose credentials function goes on though it is cancelled."""
    asked, never = asyncio.Event(), asyncio.Event()

    async def fresh(_):
        again = asked.is_set()
        asked.set()
        try:
            await never.wait()
        except asyncio.CancelledError:
            if again:
                raise
        if way == "raises":
            raise ZeroDivisionError
        return Basic("demo", "simulated")

    async with Simulator(calls=False) as pbx, asyncio.timeout(TIMEOUT):
        async with Client(pbx.url, app_name="x", credentials=fresh) as client:
            await asked.wait()
        assert client.state == Stopped(None)
        assert tasks_of_the_client() == []


async def test_credentials_that_fail():
    """What the credentials function raises is a failed attempt, and reported as it is."""
    async with Simulator(calls=False) as pbx:
        arguments = pbx.connect_args
        domain, token = arguments.pop("domain"), arguments.pop("token")
        failures = [OSError("the ticket office"), LookupError("x")]
        errors = []

        async def credentials(_):
            if len(errors) < len(failures):
                raise failures[len(errors)]
            return Basic(domain, token)

        async with Client(
            **arguments, credentials=credentials, backoff=Backoff(0.01, 0.02)
        ) as client:
            client.on_error(errors.append)
            await client.synced(TIMEOUT)
        assert errors == failures


# What the documentation says of each failure, and what shows it over a socket.
TABLE = {
    "DNS, TCP, TLS, time-out (`ConnectFailed`)": (
        test_nobody_listens,
        test_a_server_that_speaks_no_tls,
        test_an_answer_that_does_not_come,
    ),
    "the connection broke or was closed (`ConnectionLost`)": (test_an_end_that_passes,),
    "silence: nothing for 4 s, and no answer to a ping within 5 s": (test_an_end_that_passes,),
    "the PBX does not say within 60 s what there is (`SyncTimeout`)": (
        test_a_pbx_that_says_nothing,
    ),
    "408, 429, 5xx": (test_an_answer_that_passes, test_retry_after_over_a_socket),
    "a frame that can't be read (`ResyncRequired`)": (test_an_end_that_passes,),
    "your credentials function raises": (test_credentials_that_fail,),
    "401 with credentials from a function": (test_fresh_credentials, test_refusals_in_a_row),
    "`connection_limit_reached` after a picture was whole": (test_the_limit_after_a_picture,),
    "`connection_limit_reached` before": (test_the_limit_on_the_first_connect,),
    "401 with fixed credentials": (test_an_answer_that_is_final,),
    "403, 404, any other 4xx, a redirect": (test_an_answer_that_is_final,),
    "the certificate (`CertificateError`)": (test_a_certificate_is_final,),
    "`connection_replaced`, `logout`": (test_a_word_that_is_final,),
    "arguments that can't work (`UsageError`)": (test_credentials_that_are_none,),
}


def test_each_failure_has_a_test():
    """Each row of the documentation's table of failures is one that a test above shows."""
    page = DOCS / "explanation" / "mirror.md"
    text = page.read_text(encoding="utf-8")
    table = text.partition("| failure | then |\n|---|---|\n")[2].partition("\n\n")[0]
    assert [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines()] == [*TABLE]


async def test_classify():
    """The caller may say otherwise: what is final is tried again, what may pass ends it."""
    async with Simulator(calls=False) as pbx:
        asked = []

        def classify(error, final):
            asked.append((type(error), final))
            return not final

        pbx.inject(faults.Refuse(403))
        async with connected(pbx, classify=classify) as client:
            pbx.inject(faults.Drop())
            assert isinstance(await stopped(client), ConnectionLost)
        assert asked == [(AuthenticationError, True), (ConnectionLost, False)]


async def test_what_can_not_work():
    """Arguments that can't work are a UsageError at once, which names what is wrong."""
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


async def test_the_block_is_entered_once():
    """A client works inside its block, once."""
    async with Simulator(calls=False) as pbx:
        client = make(pbx)
        with pytest.raises(UsageError, match="not running"):
            await client.synced()
        async with client:
            await client.synced(TIMEOUT)
        with pytest.raises(UsageError, match="not running"):
            await client.synced()
        assert [item async for item in client.changes()] == []
        with pytest.raises(UsageError, match="another"):
            await client.__aenter__()


# -- convergence --------------------------------------------------------------------------


@pytest.mark.parametrize("group", range(40 if NIGHTLY else 4))
async def test_any_schedule_converges_over_sockets(group):
    """After any schedule of the simulator's faults the mirror is pbx.snapshot(), and who
    subscribed, at once or slowly, knows it; no callback ever saw half a picture.
    """
    gaps = await asyncio.gather(*(one_schedule(5 * group + n) for n in range(5)))
    assert sum(gaps) > 0


# -- silence ------------------------------------------------------------------------------


async def test_silence_is_found():
    """A peer that falls silent at any moment is found, each time, by the client's own pings."""
    ratios = []

    def feeds(pbx, name):
        return [feed for feed in pbx.connections if feed.app_name == name]

    async def one(pbx, name, chance):
        options = {"app_name": name, "ping_interval": 0.1, "ping_timeout": 0.1}
        async with connected(pbx, **options) as client:
            await asyncio.sleep(chance.uniform(0, 0.3))
            # On a busy machine a peer may have seemed silent already.
            await eventually(lambda: client.is_synced and len(feeds(pbx, name)) == 1)
            pbx.inject(faults.Silence(), to=feeds(pbx, name)[0])
            began = time.monotonic()
            state = await entered(client, Disconnected)
            ratios.append((time.monotonic() - began) / 0.3)
            assert "no answer to a ping within 0.1 s" in str(state.reason)
            await eventually(lambda: client.is_synced)

    async with Simulator(speed=20) as pbx:
        await asyncio.gather(*(one(pbx, f"app{n}", random.Random(n)) for n in range(50)))
    print(f"\nsilence, over two intervals + timeout: at most {max(ratios):.2f}")  # noqa: T201
    assert len(ratios) == 50


def test_silence_is_found_within_fifteen_seconds_by_default():
    """The defaults for pings (two intervals at worst) and closing add up to less than 15 s."""
    assert module.LIVENESS["ping_interval"] + sum(module.LIVENESS.values()) < 15
    assert set(module.LIVENESS) == {"ping_interval", "ping_timeout", "close_timeout"}


# -- subscribers and callbacks ------------------------------------------------------------


async def test_a_flood_harms_nobody():
    """Under a flood a callback that sleeps and one that raises keep nobody else from the truth."""
    events = 100_000 if NIGHTLY else 4000
    counts, errors = Counter(), []

    async def sleeper(_):
        counts["slept"] += 1
        await asyncio.sleep(3600)  # longer than the test, on any machine

    def raiser(_):
        raise KeyError("mine")

    async def raiser_too(_):
        raise LookupError("mine too")

    async def read(subscription):
        async for change in subscription:
            counts["read"] += 1
            if change.element.label == "the last":
                return

    async with Simulator(calls=False, users=20) as pbx, connected(pbx) as client:
        client.on_change(sleeper, policy="drop_oldest", size=7)
        client.on_change(raiser)
        client.on_change(raiser_too)
        client.on_error(errors.append)
        client.on_change(lambda _: counts.update(["told"]))
        held = {("user", user.key): user for user in client.mirror.users.values()}
        latest = client.changes(kind="user", size=3)
        dropping = client.changes(policy="drop_oldest", size=5)
        failing = client.changes(policy="fail", size=5)
        reader = asyncio.create_task(read(client.changes(policy="fail")))
        extension = next(iter(client.mirror.users.values())).main_extension
        pbx.inject(faults.Flood(events))
        await eventually(lambda: counts["told"] >= events, 10 * TIMEOUT)
        pbx.edit(extension, label="the last")
        await asyncio.wait_for(reader, 600)
        assert counts["read"] == counts["told"] == events + 1
        assert client.is_synced
        assert client.stats.gaps == 0
        assert is_true(client, pbx)

        lagged, *rest = [await anext(dropping) for _ in range(6)]
        assert lagged == Lagged(events + 1 - 5)
        assert rest[-1].element.label == "the last"
        with pytest.raises(SubscriberLagged):
            await anext(failing)
        while latest.waiting:
            fold(held, await anext(latest))
        assert held == {("user", user.key): user for user in client.mirror.users.values()}
        assert counts["slept"] == 1
        kinds = Counter(type(error) for error in errors)
        assert kinds[KeyError] == events + 1
        assert kinds[LookupError] > 0
        began = time.monotonic()
    assert time.monotonic() - began < TIMEOUT  # an hour, if it waited


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
        client = make(pbx)
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


async def test_a_subscription_that_is_dropped_is_forgotten():
    """What nobody iterates over any more needs no closing."""
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        pbx.call()
        async for _ in client.changes():
            break
        client.messages()
        gc.collect()
        assert [*client._dispatcher.changes, *client._dispatcher.messages] == []


async def test_a_reader_that_nobody_holds_goes_on():
    """A task that waits for changes, and that nothing else refers to, is not collected."""
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        seen = []

        async def read():
            async for change in client.changes():
                seen.append(change)

        asyncio.create_task(read())  # noqa: RUF006 - the point of it
        await asyncio.sleep(0.01)
        for count in (1, 2):
            gc.collect()
            pbx.call()
            await eventually(lambda count=count: len(seen) > count)
    gc.collect()


# -- commands -----------------------------------------------------------------------------


async def test_commands():
    """Each command has its effect on the PBX."""
    async with Simulator(calls=False, api=False) as pbx, connected(pbx) as client:
        uuid = pbx.call(to="1001")
        leg = pbx.answer(uuid)
        await client.wait_for(lambda mirror: leg in mirror.channels, TIMEOUT)
        await client.park(uuid, 60, confirm=True)
        assert pbx.snapshot()["channel"][uuid]["state"]["name"] == "park"
        await client.hangup(uuid, confirm=True)
        assert uuid not in pbx.snapshot()["channel"]
        assert uuid not in client.mirror.channels

        uuid = pbx.call(to="1001")
        pbx.answer(uuid)
        await client.transfer(uuid, destination="1002")
        user = await client.wait_for(lambda mirror: mirror.user_by_extension("1002"), TIMEOUT)
        await client.wait_for(lambda mirror: mirror.channels_of_user(user.id), TIMEOUT)
        plug = pbx.originate("1003")
        await client.eavesdrop(plug, uuid, "listen")
        await client.wait_for(
            lambda mirror: (
                isinstance(mirror.channels[plug].state, Eavesdrop)
                if plug in mirror.channels
                else None
            ),
            TIMEOUT,
        )
        await client.hangup(uuid)
        await client.wait_for(lambda mirror: uuid not in mirror.channels, TIMEOUT)
        with pytest.raises(UsageError, match="destination"):
            await client.transfer(uuid)


async def test_a_command_without_effect():
    """A command whose effect is not seen is a CommandTimeout, which is a TimeoutError."""
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        with pytest.raises(CommandTimeout, match="unknown") as caught:
            await client.hangup("nobody", confirm=True, confirm_timeout=0.05)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.command == "hangup"
        assert client._dispatcher.waiters == set()


async def test_the_wait_around_a_command_is_the_users_own():
    """A time-out around a command that waits ends it as such, and leaves nothing behind."""
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.05):
                await client.hangup("nobody", confirm=True)
        assert not isinstance(caught.value, CommandTimeout)
        assert client._dispatcher.waiters == set()


async def test_not_connected():
    """Without a connection each command fails at once, and is not sent later."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Refuse(503))
        async with make(pbx, backoff=Backoff(0.3, 0.3)) as client:
            await entered(client, Disconnected)
            for command in (
                client.hangup("x"),
                client.hangup("x", confirm=True),
                client.park("x"),
                client.transfer("x", user_id=1),
                client.eavesdrop("x", "y", "listen"),
            ):
                with pytest.raises(NotConnectedError):
                    await command
        with pytest.raises(NotConnectedError):
            await client.hangup("x")


async def test_waiting_for_what_does_not_come():
    """wait_for and synced end with a WaitTimeout, which is a TimeoutError; the predicate's own
    errors are passed on.
    """
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        with pytest.raises(WaitTimeout) as caught:
            await client.wait_for(lambda mirror: mirror.channels, 0.05)
        assert isinstance(caught.value, TimeoutError)
        with pytest.raises(ZeroDivisionError):
            await client.wait_for(lambda _: 1 / 0, 1)
        with pytest.raises(TimeoutError) as other:
            async with asyncio.timeout(0.05):
                await client.wait_for(lambda _: False)
        assert not isinstance(other.value, WaitTimeout)
        pbx.inject(faults.DelayHandshake(5))
        pbx.inject(faults.Drop())
        await entered(client, Disconnected)
        with pytest.raises(WaitTimeout, match=r"0\.05 s"):
            await client.synced(0.05)


async def test_the_figures():
    """stats counts what came."""
    async with Simulator(calls=False) as pbx:
        client = make(pbx)
        assert client.stats.last_frame_age is None
        async with client:
            await client.synced(TIMEOUT)
            pbx.inject(faults.Drop())
            await eventually(lambda: client.stats.gaps)
            pbx.msg("x")
            await eventually(lambda: client.stats.messages.get("Msg"))
            stats = client.stats
            assert (stats.connects, stats.reconnects, stats.gaps, stats.bad_frames) == (2, 1, 1, 0)
            assert stats.messages["InitialInfo"] == stats.messages["FieldSpec"] > 2
            assert stats.frames == sum(stats.messages.values())
            assert stats.bytes > 1000
            assert 0 <= stats.last_frame_age < 10
        assert client.stats.frames == stats.frames


# -- the end ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "peer", [None, faults.Silence(), faults.Stall(30), "connecting", "waiting"], ids=str
)
async def test_leaving_takes_no_longer_than_a_second(peer):
    """Leaving the block closes within a second, whatever the peer does, and leaves no task."""
    async with Simulator(calls=False) as pbx:
        if peer == "connecting":
            pbx.inject(faults.DelayHandshake(30))
        elif peer == "waiting":
            pbx.inject(faults.Refuse(503, retry_after=60))
        async with Client(**pbx.connect_args) as client:
            client.on_state(asyncio.sleep)  # not awaited long; it is cancelled
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
        assert tasks_of_the_client() == []
        assert module.LIVENESS["close_timeout"] <= 1
        assert took < 20  # and not the 30 s of the peer's; the machine may be busy


async def test_leaving_may_be_cancelled():
    """A time-out that strikes while the block is being left still ends the subscriptions."""
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
        await eventually(lambda: not tasks_of_the_client())


async def test_an_error_in_the_block_is_the_users():
    """What the block raises comes out of it, and the client is closed."""
    async with Simulator(calls=False) as pbx:
        with pytest.raises(ZeroDivisionError):
            async with connected(pbx):
                raise ZeroDivisionError
        assert tasks_of_the_client() == []


async def test_three_with_force_do_not_fight():
    """Of three clients with force on one app_name one is out, and knows why; two stay."""
    async with Simulator(calls=False) as pbx, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(pbx, force=True)) for _ in range(3)]
        first, *others = clients
        error = await stopped(first)
        assert isinstance(error, ConnectionReplaced)
        with pytest.raises(ConnectionReplaced):
            await first.synced()
        await asyncio.sleep(0.5)
        assert [client.state for client in others] == [Synced(), Synced()]
        assert [client.stats.connects for client in clients] == [1, 1, 1]


async def test_several_clients_in_one_loop():
    """Clients of two PBXs in one loop know each their own."""
    async with (
        Simulator(users=3, seed=1) as one,
        Simulator(users=9, seed=2, speed=50) as other,
        connected(one) as first,
        connected(other) as second,
    ):
        other.inject(faults.Drop())
        await eventually(lambda: second.stats.gaps)
        await eventually(lambda: is_true(first, one) and is_true(second, other))
        assert (len(first.mirror.users), len(second.mirror.users)) == (3, 9)
        assert first.stats.gaps == 0


@pytest.fixture
def traced():
    """Bytes allocated by Python since it was called last."""
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
    """Bytes of memory that the process holds more than when it was called last."""

    def grown(before=[0]):  # noqa: B006
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        now = pages * os.sysconf("SC_PAGE_SIZE")
        before[0], result = now, now - before[0]
        return result

    return grown


# Python's own allocations, and what the process holds, of which the allocator keeps some.
@pytest.mark.parametrize(("measure", "most"), [("traced", 2**18), ("resident", 2**22)])
async def test_connect_and_kill(quiet_log, request, measure, most):
    """However often connections come and go, no task, descriptor or memory stays behind."""
    memory = request.getfixturevalue(measure)
    deaths = itertools.cycle(
        [faults.Drop(), faults.Reset(), faults.HalfClose(), faults.SendFrame()]
    )
    cycles = 2000 if NIGHTLY else 200

    def descriptors():
        return len([*Path("/proc/self/fd").iterdir()])

    async def killed(client):
        await client.synced(TIMEOUT)
        pbx.inject(next(deaths))
        gaps = client.stats.gaps
        await eventually(lambda: client.stats.gaps > gaps)

    async def once():
        async with make(pbx, quiet_time=0) as client:
            await client.synced(TIMEOUT)

    async with Simulator(calls=False, users=2) as pbx:
        before = descriptors(), len(asyncio.all_tasks())
        async with make(pbx, backoff=Backoff(0.001, 0.001), quiet_time=0) as client:
            for _ in range(cycles // 4):
                await killed(client)
                await once()
            memory()
            for _ in range(cycles * 3 // 4):
                await killed(client)
            for _ in range(cycles * 3 // 4):
                await once()
            grown = memory()
        print(f"\n{measure}: {grown} bytes more")  # noqa: T201 - the figure, with -s
        assert grown < most, f"{grown} bytes more after {cycles * 3 // 4} cycles of each sort"
        await eventually(lambda: not pbx.connections)
        gc.collect()
        await eventually(lambda: (descriptors(), len(asyncio.all_tasks())) == before)


async def test_a_flood_does_not_fill_memory(quiet_log, traced):
    """While one callback sleeps and one raises, a flood leaves less than 32 MiB behind."""
    events = 100_000 if NIGHTLY else 10_000
    told = itertools.count()

    async def sleeper(_):
        await asyncio.sleep(60)

    def raiser(_):
        raise LookupError

    async with Simulator(calls=False, users=50) as pbx, connected(pbx) as client:
        for policy in ("latest", "drop_oldest"):
            client.on_change(sleeper, policy=policy)
        client.on_change(raiser)
        client.on_info_event(lambda *_: next(told))
        latest = client.changes()
        traced()
        pbx.inject(faults.Flood(events))
        await eventually(lambda: client.stats.messages.get("InfoEvent", 0) >= events, 5 * TIMEOUT)
        grown = traced()
        assert next(told) == events
        assert latest.waiting <= 1024
        assert grown < 2**25, f"{grown} bytes more"


@pytest.mark.parametrize("name", ["token", "credentials"])
async def test_no_secret_comes_out(caplog, name):
    """Through reconnects and failures the token shows in no log, no repr and no error."""
    caplog.set_level(logging.DEBUG, logger="websockets.client")
    shown = []
    async with Simulator(domain="acme", token=TOKEN, calls=False) as pbx:
        options = {}
        if name == "credentials":

            async def credentials(_):
                return Basic("acme", TOKEN)

            options = {"domain": None, "token": None, "credentials": credentials}
        client = make(pbx, ping_interval=0.1, ping_timeout=0.1, **options)
        client.on_error(shown.append)
        client.on_state(shown.append)
        async with client:
            await client.synced(TIMEOUT)
            for fault in (faults.Drop(), faults.SendFrame(), faults.Silence(), faults.Refuse(403)):
                shown.append(client)
                pbx.inject(fault)
                if isinstance(fault, faults.Refuse):
                    pbx.inject(faults.Reset())
                await eventually(lambda: not client.is_synced)
                await eventually(lambda: client.is_synced or isinstance(client.state, Stopped))
            error = await stopped(client)
            assert isinstance(error, AuthenticationError)
        shown += [
            error,
            error.__context__,
            error.__cause__,
            client,
            client.stats,
            client._feed_loop._open_connection,
        ]
    text = " ".join(f"{one!r} {one}" for one in shown)
    text += " ".join(
        f"{record.getMessage()} {record.args} {record.exc_text}"
        for record in caplog.records
        if record.name != "websockets.server"  # the other side knows it, of course
    )
    assert len(text) > 5000
    assert not found_in(text)
    assert not [leak for one in shown if isinstance(one, Exception) for leak in leaks_of(one)]


def test_leaving_tells_the_end(fake):
    """Asynchronous callbacks get what waits for them, the end too, when the block is left."""

    async def main():
        fake()
        states = []

        async def note(state):
            await asyncio.sleep(0.01)
            states.append(type(state))

        async with Client("fake", connector=fake.connect) as client:
            client.on_state(note)
            await client.synced()
        assert states[-2:] == [Synced, Stopped]
        assert client.on_state(note)() is None  # too late to be told anything

    run(main())


def test_a_confirmation_that_never_comes(fake):
    """A command that waits for its confirmation when the client ends is told so at once."""

    async def main():
        fake()
        async with Client("fake", connector=fake.connect) as client:
            await client.synced()
            waiting = asyncio.create_task(client.hangup("x", confirm=True, confirm_timeout=100))
            await asyncio.sleep(0.1)
            began = now()
        with pytest.raises(NotConnectedError):
            await waiting
        assert now() - began < 1

    run(main())


def test_a_confirmation_with_the_end_behind_it(fake):
    """A command that was confirmed in the client's last moment is: its end is told to others."""

    async def main():
        pbx = fake()
        pbx.call()
        (uuid,) = pbx.world["channel"]
        async with Client("fake", connector=fake.connect, classify=lambda *_: True) as client:
            await client.synced()
            hanging = asyncio.create_task(client.hangup(uuid, confirm=True))
            other = asyncio.create_task(client.hangup("x", confirm=True))
            await asyncio.sleep(0.1)
            pbx.lines[0].pace = pbx.close_time = None  # all in one step
            pbx.hang_up()
            pbx.lose()
            await hanging
            with pytest.raises(ConnectionLost):
                await other
            assert isinstance(client.state, Stopped)

    run(main())


def test_a_confirmation_ended_by_another_time_out(fake):
    """A client that ends by somebody's TimeoutError ends commands with that, not as if their own
    time was up.
    """

    def is_final(error, _):
        return isinstance(error, TimeoutError)

    async def main():
        pbx = fake()
        async with Client("fake", connector=fake.connect, classify=is_final) as client:
            await client.synced()
            hanging = asyncio.create_task(client.hangup("x", confirm=True, confirm_timeout=100))
            await asyncio.sleep(0.1)
            pbx.plan.append(TimeoutError("at the ticket office"))
            pbx.lose()
            with pytest.raises(TimeoutError, match="ticket office") as caught:
                await hanging
            assert not isinstance(caught.value, CommandTimeout)

    run(main())


@pytest.mark.parametrize(("says", "blind"), [((), 9), ((Msg("hello"),), 11.5)])
def test_a_gap_begins_with_the_silence(fake, says, blind):
    """The client is blind from the last sign of life on, not from when it finds that out."""
    gaps, began = [], datetime.now(UTC)

    async def main():
        pbx = fake()
        async with Client(
            "fake", connector=fake.connect, ping_interval=5, ping_timeout=4
        ) as client:
            await client.synced()
            client.on_change(gaps.append)
            await asyncio.sleep(22)  # the last pong came after 20
            pbx.say(*says)
            await asyncio.sleep(1)
            pbx.lines[0].silent = now()
            await asyncio.sleep(60)

    run(main())
    (gap,) = gaps
    # That is in the loop's time; what passed on the clock comes on top.
    elapsed = datetime.now(UTC) - began
    assert timedelta(seconds=blind) <= gap.ended - gap.started
    assert gap.ended - gap.started - elapsed < timedelta(seconds=blind + 1)


def test_a_pong_that_nobody_lets_in(fake):
    """While the client is too busy to let anything in, that nothing comes says nothing."""

    async def main():
        pbx = fake()
        async with Client("fake", connector=fake.connect) as client:
            await client.synced()
            (line,) = pbx.lines
            line.silent, line.is_paused = now(), True
            await asyncio.sleep(60)
            assert client.stats.connects == 1
            line.is_paused = False
            await asyncio.sleep(15)
            assert client.stats.connects == 2

    run(main())


def test_a_ping_on_a_line_that_is_lost(fake):
    """That a line is lost is for who reads to say: a ping that finds it first ends nothing."""
    pings = []

    async def ping():
        pings.append(now())
        raise ConnectionLost(1006)

    async def main():
        pbx = fake()
        async with Client("fake", connector=fake.connect, ping_interval=1) as client:
            await client.synced()
            pbx.lines[0].ping = ping
            pbx.lines[0].abort = pings.clear
            await asyncio.sleep(10)
            assert client.is_synced
            pbx.lose()
            await asyncio.sleep(0.1)
            assert isinstance(client.state, Disconnected)
        assert len(pings) == 1

    run(main())


def test_leaving_what_was_not_entered(fake):
    """Leaving a client that was not entered does nothing, and it can be entered afterwards."""

    async def main():
        fake()
        client = Client("fake", connector=fake.connect)
        await client.__aexit__(None, None, None)
        async with client:
            await client.synced()

    run(main())


def test_figures_outside_the_loop(fake):
    """The figures can be read after the loop has ended, and count what was missed and waits."""
    kept = []

    async def main():
        pbx = fake()
        async with Client("fake", connector=fake.connect) as client:
            await client.synced()
            slow = client.changes(policy="drop_oldest", size=2)
            for number in range(5):
                pbx.set_user(number)
            await asyncio.sleep(1)
            assert (client.stats.missed, client.stats.lag) == (3, 2)
            assert slow.waiting == 2
            kept.append(client)

    run(main())
    assert kept[0].stats.frames > 0


def test_data_is_sign_of_life_enough(fake):
    """A pong that does not come ends no connection on which messages do."""

    async def ping():
        await asyncio.sleep(60)

    async def main():
        pbx = fake()
        async with Client(
            "fake", connector=fake.connect, ping_interval=0.05, ping_timeout=0.1
        ) as client:
            await client.synced()
            pbx.lines[0].ping = ping
            for number in range(20):
                pbx.set_user(number)
                await asyncio.sleep(0.08)  # time for a ping, and not for its time-out
            assert client.is_synced
            assert client.stats.gaps == 0
            await asyncio.sleep(10)
            assert client.stats.gaps > 0

    run(main())


async def test_no_pings_at_all():
    """Without an interval nobody asks: a silent connection stays."""
    async with Simulator(calls=False) as pbx, connected(pbx, ping_interval=None) as client:
        pbx.inject(faults.Silence())
        await asyncio.sleep(0.3)
        assert client.is_synced


async def test_frames_come_after_the_connection():
    """``on_frame`` is given a connection's frames after the state ``Syncing``, all of them, and
    those of the next connection after the next.
    """
    told = []
    async with Simulator(calls=False) as pbx:
        client = Client(**pbx.connect_args, on_frame=told.append, backoff=Backoff(initial=0.01))
        client.on_state(told.append)
        async with client:
            await client.synced()
            pbx.inject(faults.Drop())
            await eventually(lambda: client.stats.gaps)
            frames = client.stats.frames
    sorts = [type(one) for one in told]
    connections = [at for at, sort in enumerate(sorts) if sort is Syncing]
    losses = [at for at, sort in enumerate(sorts) if sort is Disconnected]
    assert len(connections) == 2
    assert sorts.index(bytes) == connections[0] + 1
    assert sorts[connections[1] + 1] is bytes
    assert bytes not in sorts[losses[0] : connections[1]]
    assert sorts.count(bytes) == frames


async def test_what_on_frame_raises_is_an_error():
    """What ``on_frame`` raises goes to ``on_error``, and the picture is none the worse for it."""
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


def test_on_frame_of_a_client_is_a_synchronous_function():
    """``on_frame`` that a client could not call is refused as ``connect`` does."""
    with pytest.raises(UsageError, match="got a coroutine function"):
        Client("bcs.example.com", app_name="tests", on_frame=asyncio.sleep)
