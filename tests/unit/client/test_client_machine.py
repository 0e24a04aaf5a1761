"""Any schedule of faults, edits and subscribers, on a clock that jumps: what must always hold."""

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
from support.virtual_clock import VirtualLoop, now

from basix_ws_cti import (
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
    UsageError,
    User,
)
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.client import Client
from basix_ws_cti.exceptions import CommandTimeout, NotConnectedError, SubscriberLagged, WaitTimeout
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Lagged, Removed
from basix_ws_cti.session.status import Disconnected, Stopped, Synced, Syncing

KEYS = st.integers(1, 3)


def new(cls, *arguments):
    """Errors made afresh: one that is raised again holds on to all it went through."""
    return st.builds(cls, *map(st.just, arguments))


BAD_WORD = new(ProtocolError, "no text", None, "msg")  # takes nothing from the picture
BAD_FRAME = st.one_of(new(DecodeError, 1, "x"), new(ProtocolError, "no field_spec", "user"))
LOSS = st.one_of(new(ConnectionLost, 1006), new(StopAsyncIteration))
FATES = st.one_of(
    st.builds(dict, frames=st.integers(0, 4), ending=st.one_of(LOSS, BAD_FRAME)),
    st.builds(dict, frames=st.integers(0, 3), ending=st.just(Msg("and nothing more"))),
    st.builds(dict, pace=st.sampled_from([None, 0.01, 0.2, 0.3, 5])),
    st.builds(dict, first=st.lists(st.one_of(BAD_FRAME, BAD_WORD), min_size=1, max_size=1)),
    st.just({"first": [FieldSpec("user", ("id",)), InfoEvent("user", User(id=1), "updated")]}),
    new(ConnectFailed, "x"),
    new(HandshakeError, 503),
    new(HandshakeError, 429, None, "5"),
    new(RuntimeError, "what a credentials function raises"),
)
# Who is told, and of what; one element's changes are all wanted or none.
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
PACES = st.sampled_from([0, 0.3, 20, None])  # seconds for an item; None: reads none for now


def is_wanted(item, *, kind=None, key=None, where=None):
    return isinstance(item, Gap) or (
        kind in {None, item.element_name} and key in {None, item.key} and (not where or where(item))
    )


def flat(world):
    return {(kind, key): one for kind, elements in world.items() for key, one in elements.items()}


class Fold:
    """What a subscriber holds who folds changes: per key it goes the way of the world."""

    def __init__(self, machine, **filters):
        self.history, self.start, self.filters = machine.pbx.history, machine.at, filters
        self.told, self.begun = machine.told, len(machine.told)
        self.held = self.wanted(state_of(machine.client.mirror))
        self.moments, self.gaps = {}, []

    def wanted(self, world):
        return {
            (kind, key): one
            for (kind, key), one in flat(world).items()
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
            assert at < len(self.history), "never so, or not since"
        self.moments[place] = at

    def finish(self, world):
        assert self.held == self.wanted(world)
        gaps = [item for item in self.told[self.begun :] if isinstance(item, Gap)]
        assert bool(self.gaps) is bool(gaps)
        if gaps:  # none of the time that was not seen is forgotten
            assert (self.gaps[0].started, self.gaps[-1].ended) == (gaps[0].started, gaps[-1].ended)


class Copy:
    """What a subscriber holds who is told all, in its order, or else how much he was not told."""

    def __init__(self, truth, **filters):
        self.truth, self.filters, self.at = truth, filters, len(truth())

    def ahead(self):
        return [
            at
            for at, item in enumerate(self.truth()[self.at :], self.at)
            if not self.filters or is_wanted(item, **self.filters)
        ]

    def take(self, item):
        ahead = self.ahead()
        if isinstance(item, Lagged):
            self.at = ahead[item.missed]
        else:
            assert self.truth()[ahead[0]] == item
            self.at = ahead[0] + 1

    def finish(self, world):
        assert self.ahead() == []


class Reader:
    """Takes an item at its own pace; ``judge`` says whether it is the right one."""

    def __init__(self, machine, judge, form, pace, size):
        self.machine, self.judge, self.form = machine, judge, form
        self.pace, self.size = pace, size
        self.gone = self.failed = self.may_fail = False

    def take(self, item):
        with self.machine.judged():
            assert not self.gone
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

    def finish(self, world):
        if self.gone:
            return
        if self.may_fail and (left := self.judge.ahead()):
            assert len(left) > self.size
            assert self.failed or self.form == "async"
        else:
            self.judge.finish(world)


class ClientMachine(RuleBasedStateMachine):
    """A client, its PBX without sockets, and all that may happen to both, in any order.

    The loop stands still between steps. ``told`` is all that the first callback was told.
    """

    readers = Bundle("readers")
    waiting = Bundle("waiting")

    @initialize(
        seed=st.integers(0, 1000),
        close_time=st.sampled_from([0, 0.4]),
        is_left_early=st.sampled_from([False, False, False, True]),
        fates=st.lists(FATES, max_size=2),
    )
    def begin(self, seed, close_time, is_left_early, fates):
        self.is_left_early = is_left_early
        self.loop = VirtualLoop()
        self.tasks = []
        self.loop.set_task_factory(self.make_task)
        self.pbx = FakePbx()
        self.pbx.close_time = close_time
        self.pbx.plan.extend(fates)
        self.hurry = asyncio.Event()
        self.at, self.syncs, self.shown = 0, 0, self.pbx.state
        self.told, self.doubts, self.wrong, self.held = [], [], [], []
        self.told_at = []  # when each of them was
        self.sent = 0
        self.client = Client("fake", connector=self.pbx, backoff=Backoff(rng=random.Random(seed)))
        self.fold = Fold(self)
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
    def judged(self):
        """A callback that raises harms nobody: what is wrong is kept."""
        try:
            yield
        except Exception as error:
            self.wrong.append(error)
            raise

    def on_state(self, state):
        with self.judged():
            self.moved_at = now()
            self.syncs += isinstance(state, Synced)
            if isinstance(state, Disconnected) and self.was_synced:
                self.doubts.append(state.reason)
            self.was_synced = isinstance(state, Synced)
            self.look()

    was_synced = False
    moved_at = None  # when the client's state or picture last changed

    def on_change(self, item):
        self.told.append(item)
        self.told_at.append(now())
        self.moved_at = now()
        with self.judged():
            self.look()
            self.fold.take(item)

    def on_error(self, error):
        if isinstance(error, AssertionError):  # the PBX's: two sockets
            self.wrong.append(error)

    def raise_(self, item):
        raise LookupError

    def messages(self):
        """All that was read."""
        return [
            item for line in self.pbx.past_connections for item in line.read if not is_error(item)
        ]

    # -- what holds at every moment -----------------------------------------------------

    @invariant()
    def nothing_is_wrong(self):
        """What sync callbacks know is what the mirror shows, and that is no half a picture."""
        if self.wrong:
            raise self.wrong[0]
        self.look()
        assert self.fold.held == flat(self.shown)
        for reader in self.held:
            if reader.form == "sync":
                reader.finish(None)
        assert self.loop.defects == []

    def look(self):
        """The mirror shows the world as it was at one moment, and never goes back.

        It is synced on a line that has told all, that nothing is wrong with, and that is not
        silent for long; without it, nothing changes.
        """
        shown = state_of(self.client.mirror)
        if self.client.is_synced:
            (line,) = self.pbx.connections
            assert not [item for item in line.read if is_doubtful(item)]
            assert sum(isinstance(item, InitialInfo) for item in line.read) >= 2
            assert line.silent_since is None or self.loop.time() - line.silent_since < 15
            self.at, self.shown = max(self.at, line.start), shown
            while self.pbx.history[self.at] != shown:
                self.at += 1
                assert self.at < len(self.pbx.history), "half a picture, or an old one"
        else:
            assert shown == self.shown

    # -- what happens to the world ------------------------------------------------------

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
    def say_again(self, key, name):
        """What is known already, and what is over: as if it were news."""
        if key in self.pbx.state["user"]:
            self.pbx.send(InfoEvent("user", self.pbx.state["user"][key], "updated"))
        leg, moment = self.ended
        for line in self.pbx.connections:
            if line.start < moment:  # else it knows nothing of that call
                line.put(InfoEvent("channel", leg, name))

    ended = None, 0

    # -- what happens to the link -------------------------------------------------------

    @rule(error=LOSS, how=st.sampled_from(["lose", "cut", "silence", "restart"]))
    def lose(self, error, how):
        if how == "silence":
            for line in self.pbx.connections:
                line.silent_since = (
                    self.loop.time() if line.silent_since is None else line.silent_since
                )
            return
        self.pbx.lose(error, cut=how != "lose")
        if how == "restart":  # with other contents, that nobody is told of
            lines, self.pbx.connections = self.pbx.connections, []
            for key in (1, 2):
                self.pbx.set_user(key)
                self.pbx.remove_user(key + 1)
            self.pbx.connections = lines

    @rule(item=st.one_of(BAD_FRAME, BAD_WORD, st.just(Msg("x")), st.just(SystemMsg("x"))))
    def say(self, item):
        self.pbx.send(item)

    @rule(fate=FATES)
    def next_attempt(self, fate):
        self.pbx.plan.append(fate)

    @rule()
    @precondition(lambda self: self.syncs)  # else it ends all
    def next_attempt_is_one_too_many(self):
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

    @rule(turns=st.integers(1, 9))
    def wait_for_turns(self, turns):
        """Stop wherever the client just is."""
        for _ in range(turns):
            self.run(asyncio.sleep(0))

    # -- what users do ------------------------------------------------------------------

    def is_over(self):
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
        what = {"policy": policy, "size": size, **filters}

        async def subscribed():
            # Here, as the client must do nothing in between.
            is_folded = policy == "latest" and form != "sync"
            judge = Fold(self, **filters) if is_folded else Copy(lambda: self.told, **filters)
            reader = Reader(self, judge, form, pace, size)
            reader.may_fail = policy == "fail" and form != "sync"
            if form == "iterator":
                reader.start(self.client.changes(**what))
            else:
                callback = reader.take if form == "sync" else reader.take_slowly
                reader.end = self.client.on_change(callback, **what)
            return reader

        self.held.append(self.run(subscribed()))
        return self.held[-1]

    @rule(target=readers, policy=st.sampled_from(["drop_oldest", "fail"]), size=SIZES, pace=PACES)
    def subscribe_to_messages(self, policy, size, pace):
        reader = Reader(self, Copy(self.messages), "iterator", pace, size)
        reader.may_fail = policy == "fail"
        reader.start(self.client.messages(policy=policy, size=size))
        self.held.append(reader)
        return reader

    @rule(reader=consumes(readers))
    def unsubscribe(self, reader):
        async def ended():
            reader.gone = True
            reader.end()

        self.run(ended())

    @rule(
        target=waiting,
        wait=st.sampled_from([None, 0.1, 5, 100]),
        is_known=st.sampled_from([True, True, False]),
        obeyed_after=st.sampled_from([None, 0, 3]),
    )
    def command(self, wait, is_known, obeyed_after):
        if is_known and not self.pbx.state["channel"]:
            self.pbx.call()
        uuid = next(iter(self.pbx.state["channel"])) if is_known else "nobody"
        if obeyed_after is not None:
            self.loop.call_later(obeyed_after, self.pbx.hang_up, uuid)
        return self.loop.create_task(self.hang_up_by_command(uuid, wait))

    async def hang_up_by_command(self, uuid, wait):
        """Sent once, or refused at once; confirmed by what was told, or else not."""
        began, told = now(), len(self.told)
        is_connected = isinstance(self.client.state, Syncing | Synced)
        self.sent += is_connected
        outcome = None
        try:
            if wait is None:
                await self.client.hangup(uuid)
            else:
                await self.client.hangup(uuid, confirm=True, confirm_timeout=wait)
        except (NotConnectedError, CommandTimeout) as error:
            outcome = error
        gone_at = [
            at
            for item, at in zip(self.told[told:], self.told_at[told:], strict=True)
            if isinstance(item, Removed) and item.key == uuid
        ]
        if isinstance(outcome, NotConnectedError):
            assert self.is_over() or (now() == began and not is_connected)
        elif isinstance(outcome, CommandTimeout):
            assert now() == pytest.approx(began + wait)
            assert all(at == now() for at in gone_at)  # at this moment either may be first
        else:
            assert is_connected
            assert wait is None or gone_at

    @rule(target=waiting, key=KEYS, seconds=st.sampled_from([None, 0.1, 5, 60]))
    def wait_for_a_user(self, key, seconds):
        return self.loop.create_task(self.see(key, seconds))

    async def see(self, key, seconds):
        """Who waits is told when it is so, and only then."""
        began = now()
        try:
            await self.client.wait_for(lambda mirror: key in mirror.users, seconds)
        except WaitTimeout:
            assert now() == pytest.approx(began + seconds)
            is_so = self.client.is_synced and key in self.client.mirror.users
            assert not is_so or self.moved_at == now()  # then either may be first
        except UsageError:
            assert self.is_over()
            assert self.is_left_early or key not in self.client.mirror.users
        else:
            assert self.client.is_synced
            assert key in self.client.mirror.users

    @rule(task=consumes(waiting))
    def cancel(self, task):
        task.cancel()

    # -- the end ------------------------------------------------------------------------

    def teardown(self):
        if not hasattr(self, "client"):
            return
        try:
            if not self.is_left_early:
                self.run(self.restore())
                self.nothing_is_wrong()
                self.check_the_truth()
            self.hurry.set()
            self.run(self.leave())
            self.nothing_is_left()
        finally:
            for task in self.tasks:
                task.cancel()
            self.run(asyncio.sleep(1))
            self.loop.close()

    async def restore(self):
        self.pbx.plan.clear()
        for line in self.pbx.connections:
            line.pace = 0
        await asyncio.sleep(15)  # a line that is lost, or silent, is found
        await self.client.synced(300)
        self.hurry.set()
        await asyncio.sleep(1)

    def check_the_truth(self):
        """Everybody knows what is; each interruption is one Gap; what was counted was."""
        assert self.shown == self.pbx.state
        for reader in self.held:
            reader.finish(self.pbx.state)
        gaps = [item for item in self.told if isinstance(item, Gap)]
        assert [gap.reason for gap in gaps] == self.doubts
        stats = self.client.stats
        assert (stats.gaps, stats.connects) == (len(gaps), len(self.pbx.past_connections))
        assert stats.frames == sum(stats.messages.values()) == len(self.messages())
        read = [item for line in self.pbx.past_connections for item in line.read]
        assert stats.bad_frames == sum(
            isinstance(item, DecodeError | ProtocolError) for item in read
        )
        assert self.sent == sum(len(line.sent) for line in self.pbx.past_connections)

    async def leave(self):
        began = now()
        await self.client.__aexit__(None, None, None)
        assert now() - began <= 1
        assert not self.pbx.connections
        await asyncio.sleep(0.01)

    def nothing_is_left(self):
        """No task, no error that nobody saw."""
        assert [task for task in self.tasks if not task.done()] == []
        for task in self.tasks:
            if not task.cancelled():
                task.result()
        assert self.loop.defects == []


def is_error(item):
    return isinstance(item, BaseException)


def is_doubtful(item):
    return is_error(item) and getattr(item, "field", None) != "msg"


@pytest.mark.slow
def test_any_schedule_converges(quiet_log):
    """Whatever happens in whatever order, nobody sees half a picture, and all end at the truth."""
    run_state_machine_as_test(
        ClientMachine,
        settings=settings(
            max_examples=10_000 if NIGHTLY else 300,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
