"""State machine of faults, edits and subscribers on a virtual clock."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.fake_pbx import FakePbx, state_of
from support.sizes import NIGHTLY
from support.virtual_clock import VirtualLoop, VirtualUnixTime, now

from basix_ws_cti import (
    AuthenticationError,
    CertificateError,
    ConnectFailed,
    ConnectionLimitReached,
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
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.client import Client
from basix_ws_cti.exceptions import (
    ClientClosed,
    CommandTimeout,
    NotConnectedError,
    SubscriberLagged,
    WaitTimeout,
)
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Lagged, Removed
from basix_ws_cti.session.resync import RESYNC_INTERVAL
from basix_ws_cti.session.status import Disconnected, Stopped, Synced, Syncing

KEYS = st.integers(1, 3)


def new(cls, *arguments):
    """Return a strategy of new exceptions: a raised one keeps its traceback's variables alive."""
    return st.builds(cls, *map(st.just, arguments))


BAD_TEXT = new(ProtocolError, "no text", None, "msg")  # does not concern the state
BAD_FRAME = st.one_of(new(DecodeError, 1, "x"), new(ProtocolError, "no field_spec", "user"))
LOSS = st.one_of(
    new(ConnectionLost, 1006),
    new(StopAsyncIteration),
    new(RuntimeError, "can't start new thread"),
    new(KeyError, "a defect"),
)
OUTCOMES = st.one_of(
    st.builds(dict, frames=st.integers(0, 4), ending=st.one_of(LOSS, BAD_FRAME)),
    st.builds(dict, frames=st.integers(0, 3), ending=st.just(Msg("the last message"))),
    st.builds(dict, pace=st.sampled_from([None, 0.01, 0.2, 0.3, 5])),
    # A slow link: frames take 0.1 to 90 s; at 100 bytes per second, it trickles.
    st.builds(dict, rate=st.sampled_from([1_000_000, 10_000, 1_500, 100])),
    # A kind is announced and sent after an event.
    st.builds(
        dict,
        first=st.sampled_from(
            [
                [FieldSpec("user", ("id",)), Msg("between"), FieldSpec("robot", ("id",))],
                [FieldSpec("robot", ("id",)), InitialInfo("robot", {}), Msg("between")],
            ]
        ),
    ),
    new(HandshakeError, 200),
    new(HandshakeError, 302),
    new(AuthenticationError, 403),
    new(CertificateError, "not valid yet"),
    st.builds(dict, first=st.lists(st.one_of(BAD_FRAME, BAD_TEXT), min_size=1, max_size=1)),
    st.just({"first": [FieldSpec("user", ("id",)), InfoEvent("user", User(id=1), "updated")]}),
    new(ConnectFailed, "x"),
    new(HandshakeError, 503),
    new(HandshakeError, 429, None, "5"),
    new(RuntimeError, "of a credentials function"),
)
# Filters of subscribers; each selects all changes of an element, or none.
FILTERS = st.sampled_from(
    [
        {},
        {"kind": "user"},
        {"kind": "channel"},
        {"key": 2},
        {"where": lambda change: change.key in {1, 3}},
    ]
)
SIZES = st.sampled_from([1, 2, 7, 1024])
PACES = st.sampled_from([0, 0.3, 20, None])  # seconds for an item; None: does not read for now


def is_wanted(item, *, kind=None, key=None, where=None):
    return isinstance(item, Gap) or (
        kind in {None, item.element_name} and key in {None, item.key} and (not where or where(item))
    )


def flat(state):
    return {(kind, key): one for kind, elements in state.items() for key, one in elements.items()}


class AppliedChanges:
    """Copy of the state that a subscriber keeps by applying changes.

    Per key it goes through states of the PBX in their order, and may skip some.
    """

    def __init__(self, machine, **filters):
        self.history, self.start, self.filters = machine.pbx.history, machine.at, filters
        self.received, self.first = machine.received, len(machine.received)
        self.held = self.wanted(state_of(machine.client.mirror))
        self.moments, self.gaps = {}, []

    def wanted(self, state):
        return {
            (kind, key): one
            for (kind, key), one in flat(state).items()
            if is_wanted(Added(kind, one), **self.filters)
        }

    def take(self, item):
        if isinstance(item, Gap):
            self.gaps.append(item)
            return
        assert is_wanted(item, **self.filters)
        place = kind, key = item.element_name, item.key
        old = self.held.pop(place, None)
        assert (old is None) is isinstance(item, Added)
        if isinstance(item, Changed):
            assert item.old == old
        element = None if isinstance(item, Removed) else item.element
        if element is not None:
            self.held[place] = element
        at = self.moments.get(place, self.start)
        while self.history[at][kind].get(key) != element:
            at += 1
            assert at < len(self.history), "no such state, or only before"
        self.moments[place] = at

    def finish(self, state):
        assert self.held == self.wanted(state)
        gaps = [item for item in self.received[self.first :] if isinstance(item, Gap)]
        assert bool(self.gaps) is bool(gaps)
        if gaps:  # merged gaps cover all of the time
            assert (self.gaps[0].started, self.gaps[-1].ended) == (gaps[0].started, gaps[-1].ended)


class Received:
    """Items of a subscriber that gets all of them in order, or the number of those it missed."""

    def __init__(self, expected, **filters):
        self.expected, self.filters, self.at = expected, filters, len(expected())

    def ahead(self):
        return [
            at
            for at, item in enumerate(self.expected()[self.at :], self.at)
            if not self.filters or is_wanted(item, **self.filters)
        ]

    def take(self, item):
        ahead = self.ahead()
        if isinstance(item, Lagged):
            self.at = ahead[item.missed]
        else:
            assert self.expected()[ahead[0]] == item
            self.at = ahead[0] + 1

    def finish(self, state):
        assert self.ahead() == []


class Reader:
    """Subscriber that takes an item at its own pace; ``judge`` checks the items."""

    def __init__(self, machine, judge, form, pace, size):
        self.machine, self.judge, self.form = machine, judge, form
        self.pace, self.size = pace, size
        self.unsubscribed = self.failed = self.may_fail = False

    def take(self, item):
        with self.machine.checked():
            assert not self.unsubscribed
            self.judge.take(item)

    async def take_slowly(self, item):
        self.take(item)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.pace):
                await self.machine.hurry.wait()

    def start(self, subscription):
        self.end = subscription.close
        self.machine.loop.create_task(self.read(subscription))

    async def read(self, subscription):
        try:
            async for item in subscription:
                await self.take_slowly(item)
        except SubscriberLagged:
            self.failed = True

    def finish(self, state):
        if self.unsubscribed:
            return
        if self.may_fail and (left := self.judge.ahead()):
            assert len(left) > self.size
            assert self.failed or self.form == "async"
        else:
            self.judge.finish(state)


class ClientMachine(RuleBasedStateMachine):
    """Client and fake PBX, and everything that may happen to both, in any order.

    The event loop is stopped between steps. ``received`` holds the items of the first callback.
    """

    readers = Bundle("readers")
    waiting = Bundle("waiting")

    @initialize(
        seed=st.integers(0, 1000),
        close_time=st.sampled_from([0, 0.4]),
        is_left_early=st.sampled_from([False, False, False, True]),
        outcomes=st.lists(OUTCOMES, max_size=2),
    )
    def begin(self, seed, close_time, is_left_early, outcomes):
        self.is_left_early = is_left_early
        self.loop = VirtualLoop()
        self.tasks = []
        self.loop.set_task_factory(self.make_task)
        self.pbx = FakePbx()
        self.pbx.close_time = close_time
        self.pbx.plan.extend(one for one in outcomes if not stops_at_first(one))
        self.pbx.unix_time = VirtualUnixTime()
        self.hurry = asyncio.Event()
        self.at, self.syncs, self.shown = 0, 0, self.pbx.state
        self.received, self.losses, self.failures, self.held = [], [], [], []
        self.received_at = []  # their times
        self.sent = 0
        self.client = Client(
            "fake",
            connector=self.pbx,
            backoff=Backoff(rng=random.Random(seed)),
            unix_time=self.pbx.unix_time,
        )
        self.copy = AppliedChanges(self)
        self.client.on_state(self.on_state)
        self.client.on_change(self.on_change)
        self.client.on_change(self.raise_)
        self.client.on_error(self.on_error)
        self.run(self.client.__aenter__())

    def make_task(self, loop, coroutine, **options):
        task = asyncio.Task(coroutine, loop=loop, **options)
        self.tasks.append(task)
        return task

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    @contextlib.contextmanager
    def checked(self):
        """Keep a failed check: the client does not pass on what a callback raises."""
        try:
            yield
        except Exception as error:
            self.failures.append(error)
            raise

    def on_state(self, state):
        with self.checked():
            self.moved_at = now()
            self.syncs += isinstance(state, Synced)
            if isinstance(state, Disconnected) and self.was_synced:
                self.losses.append(state.reason)
            self.was_synced = isinstance(state, Synced)
            self.check_mirror()

    was_synced = False
    moved_at = None  # when the client's state or mirror last changed

    def on_change(self, item):
        self.received.append(item)
        self.received_at.append(now())
        self.moved_at = now()
        with self.checked():
            self.check_mirror()
            self.copy.take(item)

    def on_error(self, error):
        if isinstance(error, AssertionError):  # the PBX's: two sockets
            self.failures.append(error)

    def raise_(self, item):
        raise LookupError

    def messages(self):
        """Return all messages that were read."""
        return [
            item
            for connection in self.pbx.past_connections
            for item in connection.read
            if not is_error(item)
        ]

    # -- invariants ---------------------------------------------------------------------

    @invariant()
    def all_checks_pass(self):
        """Check that the mirror is complete and that synchronous callbacks know the same state."""
        if self.failures:
            raise self.failures[0]
        self.check_mirror()
        assert self.copy.held == flat(self.shown)
        for reader in self.held:
            if reader.form == "sync":
                reader.finish(None)
        assert self.loop.defects == []

    def check_mirror(self):
        """Check that the mirror equals one state of the PBX, and never an earlier one than before.

        The client is synced on a connection that has sent its snapshot and is not silent for long.
        Without it, the mirror does not change. It lacks the kinds that an unreadable frame may have
        held, and those that the PBX has announced before and never sent.
        """
        shown = state_of(self.client.mirror)
        if self.client.is_synced:
            (connection,) = self.pbx.connections
            assert self.client.resync_pending is any(map(causes_resync, connection.read))
            lacking = {"user", "channel"} - kinds_of(InitialInfo, connection)
            assert lacking <= self.kinds_that_may_be_lacking(connection)
            assert (
                connection.silent_since is None or self.loop.time() - connection.silent_since < 15
            )
            self.at, self.shown = max(self.at, connection.start), shown
            while self.pbx.history[self.at] | {kind: {} for kind in lacking} != shown:
                self.at += 1
                assert self.at < len(self.pbx.history), "an incomplete state, or an old one"
        else:
            assert shown == self.shown

    def kinds_that_may_be_lacking(self, connection):
        """Return the kinds without which a snapshot of this connection may be complete."""
        if any(map(causes_resync, connection.read)):
            return {"user", "channel"}
        return set().union(
            *(
                kinds_of(FieldSpec, earlier) - kinds_of(InitialInfo, earlier)
                for earlier in self.pbx.past_connections
                if earlier is not connection
            )
        )

    # -- edits --------------------------------------------------------------------------

    @rule(
        edit=st.one_of(
            st.tuples(st.sampled_from(["set_user", "remove_user"]), KEYS),
            st.tuples(st.sampled_from(["call", "hang_up"])),
        )
    )
    def edit(self, edit):
        name, *arguments = edit
        calls = self.pbx.state["channel"]
        getattr(self.pbx, name)(*arguments)
        if name == "hang_up" and calls:
            self.ended = next(iter(calls.values())), len(self.pbx.history) - 1

    @rule(count=st.integers(3, 15))
    @precondition(lambda self: len(self.pbx.history) < 100)
    def burst(self, count):
        for number in range(count):
            self.pbx.set_user(1 + number % 3)

    @rule(key=KEYS, name=st.sampled_from(["added", "updated", "removed"]))
    def repeat_events(self, key, name):
        """Repeat events of a user, and of a call that has ended."""
        if key in self.pbx.state["user"]:
            self.pbx.send(InfoEvent("user", self.pbx.state["user"][key], "updated"))
        leg, moment = self.ended
        for connection in self.pbx.connections:
            if connection.start < moment:  # else its snapshot lacks that call
                connection.put(InfoEvent("channel", leg, name))

    ended = None, 0

    # -- faults -------------------------------------------------------------------------

    @rule(error=LOSS, how=st.sampled_from(["lose", "cut", "silence", "restart"]))
    def lose(self, error, how):
        if how == "silence":
            for connection in self.pbx.connections:
                connection.silent_since = (
                    self.loop.time() if connection.silent_since is None else connection.silent_since
                )
            return
        self.pbx.lose(error, cut=how != "lose")
        if how == "restart":  # with other users, and without events
            connections, self.pbx.connections = self.pbx.connections, []
            for key in (1, 2):
                self.pbx.set_user(key)
                self.pbx.remove_user(key + 1)
            self.pbx.connections = connections

    @rule(item=st.one_of(BAD_FRAME, BAD_TEXT, st.just(Msg("x")), st.just(SystemMsg("x"))))
    def send(self, item):
        self.pbx.send(item)

    @rule(outcome=OUTCOMES)
    def next_attempt(self, outcome):
        if self.syncs or not stops_at_first(outcome):
            self.pbx.plan.append(outcome)

    @rule(rate=st.sampled_from([None, 1_000_000, 10_000, 1_500, 100]))
    def change_the_rate_of_the_link(self, rate):
        for connection in self.pbx.connections:
            connection.rate = rate

    @rule(seconds=st.sampled_from([-3600, -3, 3, 8 * 3600]))
    def set_the_clock(self, seconds):
        """Set the machine's clock, or suspend the machine: both look the same."""
        self.pbx.unix_time.shift += seconds

    @rule(seconds=st.sampled_from([0, 0.2, 0.3, 1, 4]), events=st.integers(0, 3))
    @precondition(lambda self: self.syncs)  # else the client can't know that a kind is missing
    def next_attempt_has_a_late_kind(self, seconds, events):
        """The calls of a snapshot arrive late, and events come between the kinds."""
        self.pbx.plan.append({"late": seconds})
        for number in range(events):
            self.loop.call_later(seconds * number / 3, self.pbx.set_user, 1 + number)

    @rule()
    @precondition(lambda self: self.syncs)  # else the client stops
    def next_attempt_meets_the_connection_limit(self):
        self.pbx.plan.append({"frames": 0, "ending": ConnectionLimitReached()})

    @rule(seconds=st.sampled_from([0.01, 0.2, 0.25, 0.3, 1, 7, 40]))
    def wait(self, seconds):
        self.run(asyncio.sleep(seconds))

    @rule()
    def catch_up(self):
        async def caught_up():
            with contextlib.suppress(WaitTimeout):
                await self.client.synced(50)

        self.run(caught_up())

    @rule(count=st.integers(1, 9))
    def run_iterations(self, count):
        """Stop the client after some iterations of the event loop."""
        for _ in range(count):
            self.run(asyncio.sleep(0))

    # -- subscribers and commands -------------------------------------------------------

    def has_stopped(self):
        return isinstance(self.client.state, Stopped)

    @rule(
        target=readers,
        form=st.sampled_from(["sync", "async", "iterator"]),
        policy=st.sampled_from(["latest", "drop_oldest", "fail"]),
        size=SIZES,
        pace=PACES,
        filters=FILTERS,
    )
    def subscribe(self, form, policy, size, pace, filters):
        options = {"policy": policy, "size": size, **filters}

        async def subscribed():
            # Within the loop: the client must not run between these steps.
            applies_changes = policy == "latest" and form != "sync"
            judge = (
                AppliedChanges(self, **filters)
                if applies_changes
                else Received(lambda: self.received, **filters)
            )
            reader = Reader(self, judge, form, pace, size)
            reader.may_fail = policy == "fail" and form != "sync"
            if form == "iterator":
                reader.start(self.client.changes(**options))
            else:
                callback = reader.take if form == "sync" else reader.take_slowly
                reader.end = self.client.on_change(callback, **options)
            return reader

        self.held.append(self.run(subscribed()))
        return self.held[-1]

    @rule(target=readers, policy=st.sampled_from(["drop_oldest", "fail"]), size=SIZES, pace=PACES)
    def subscribe_to_messages(self, policy, size, pace):
        reader = Reader(self, Received(self.messages), "iterator", pace, size)
        reader.may_fail = policy == "fail"
        reader.start(self.client.messages(policy=policy, size=size))
        self.held.append(reader)
        return reader

    @rule(reader=consumes(readers))
    def unsubscribe(self, reader):
        async def ended():
            reader.unsubscribed = True
            reader.end()

        self.run(ended())

    @rule(
        target=waiting,
        wait=st.sampled_from([None, 0.1, 5, 100]),
        is_known=st.sampled_from([True, True, False]),
        effect_after=st.sampled_from([None, 0, 3]),
    )
    def command(self, wait, is_known, effect_after):
        if is_known and not self.pbx.state["channel"]:
            self.pbx.call()
        uuid = next(iter(self.pbx.state["channel"])) if is_known else "nobody"
        if effect_after is not None:
            self.loop.call_later(effect_after, self.pbx.hang_up, uuid)
        return self.loop.create_task(self.hang_up_by_command(uuid, wait))

    async def hang_up_by_command(self, uuid, wait):
        """Send a command, and check its outcome against the changes received."""
        began, count = now(), len(self.received)
        was_synced = self.client.is_synced
        is_connected = isinstance(self.client.state, Syncing | Synced)
        self.sent += is_connected
        outcome = None
        try:
            if wait is None:
                await self.client.hangup(uuid)
            else:
                await self.client.hangup(uuid, confirm=True, confirm_timeout=wait)
        except (NotConnectedError, ClientClosed, CommandTimeout) as error:
            outcome = error
        gone_at = [
            at
            for item, at in zip(self.received[count:], self.received_at[count:], strict=True)
            if isinstance(item, Removed) and item.key == uuid
        ]
        if isinstance(outcome, ClientClosed):
            assert self.has_stopped()
        elif isinstance(outcome, NotConnectedError):
            assert now() == began
            assert not was_synced
            self.sent -= is_connected  # the connection was lost before its snapshot was complete
        elif isinstance(outcome, CommandTimeout):
            assert now() == pytest.approx(began + wait)
            assert all(at == now() for at in gone_at)  # both may happen at the same moment
        else:
            assert is_connected
            assert wait is None or gone_at

    @rule(target=waiting, key=KEYS, seconds=st.sampled_from([None, 0.1, 5, 60]))
    def wait_for_a_user(self, key, seconds):
        return self.loop.create_task(self.check_wait_for(key, seconds))

    async def check_wait_for(self, key, seconds):
        """Wait for a user, and check the outcome."""
        began, met_at = now(), []

        def is_present(mirror):
            if key in mirror.users and self.client.is_synced:
                met_at.append(now())
            return key in mirror.users

        try:
            await self.client.wait_for(is_present, seconds)
        except WaitTimeout:
            assert now() == pytest.approx(began + seconds)
            assert met_at == []
            is_met = self.client.is_synced and key in self.client.mirror.users
            assert not is_met or self.moved_at == now()  # both may happen at the same moment
        except ClientClosed:
            assert self.has_stopped()
            assert met_at == []
        else:
            assert met_at == [now()]

    @rule(task=consumes(waiting))
    def cancel(self, task):
        task.cancel()

    # -- end ----------------------------------------------------------------------------

    def teardown(self):
        if not hasattr(self, "client"):
            return
        try:
            if not self.is_left_early:
                self.run(self.restore())
                self.all_checks_pass()
                self.check_final_state()
            self.hurry.set()
            self.run(self.leave())
            self.check_nothing_is_left()
        finally:
            for task in self.tasks:
                task.cancel()
            self.run(asyncio.sleep(1))
            self.loop.close()

    async def restore(self):
        self.pbx.plan.clear()
        for connection in self.pbx.connections:
            connection.pace = 0
            connection.rate = None
            if connection.is_cut:
                connection.lose(ConnectionLost(1006))
        await asyncio.sleep(15)  # time to detect a lost or silent connection
        await asyncio.sleep(RESYNC_INTERVAL if self.client.resync_pending else 0)
        await self.client.synced(300)
        self.hurry.set()
        await asyncio.sleep(1)

    def check_final_state(self):
        """Check readers, gaps and statistics after everything has settled."""
        assert self.shown == self.pbx.state
        for reader in self.held:
            reader.finish(self.pbx.state)
        gaps = [item for item in self.received if isinstance(item, Gap)]
        assert [gap.reason for gap in gaps] == self.losses
        assert all(gap.started <= gap.ended for gap in gaps)
        stats = self.client.stats
        assert (stats.gaps, stats.connects) == (len(gaps), len(self.pbx.past_connections))
        assert stats.frames == sum(stats.messages.values()) == len(self.messages())
        read = [item for connection in self.pbx.past_connections for item in connection.read]
        assert stats.bad_frames == sum(
            isinstance(item, DecodeError | ProtocolError) for item in read
        )
        assert self.sent == sum(len(connection.sent) for connection in self.pbx.past_connections)

    async def leave(self):
        began = now()
        await self.client.__aexit__(None, None, None)
        assert now() - began <= 1
        assert not self.pbx.connections
        await asyncio.sleep(0.01)

    def check_nothing_is_left(self):
        """Check that no task runs and no error was lost."""
        assert [task for task in self.tasks if not task.done()] == []
        for task in self.tasks:
            if not task.cancelled():
                task.result()
        assert self.loop.defects == []


def kinds_of(message_type, connection):
    """Return the kinds of the messages of a type that were read from a connection."""
    return {item.element_name for item in connection.read if isinstance(item, message_type)}


def is_error(item):
    return isinstance(item, BaseException)


def stops_at_first(outcome):
    """Return True if this outcome stops a client that was never synced."""
    return isinstance(outcome, CertificateError | HandshakeError) and (
        isinstance(outcome, CertificateError) or outcome.status in {200, 302, 403}
    )


def causes_resync(item):
    return is_error(item) and getattr(item, "field", None) != "msg"


@pytest.mark.slow
def test_any_schedule_converges(quiet_log):
    """After any schedule, no subscriber saw an incomplete state, and all hold the current one."""
    run_state_machine_as_test(
        ClientMachine,
        settings=settings(
            max_examples=10_000 if NIGHTLY else 300,
            suppress_health_check=list(HealthCheck),
        ),
    )
