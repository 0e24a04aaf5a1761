"""One suite for everything with the interface of a client: a ``Client`` and a ``Follower``."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from support.waiting import eventually

from basix_ws_cti import (
    Added,
    Backoff,
    Client,
    ClientClosed,
    Disconnected,
    Gap,
    InfoEvent,
    Msg,
    Stopped,
    Synced,
    Syncing,
    UsageError,
    WaitTimeout,
)
from basix_ws_cti.calls import CallEnded, CallStarted
from basix_ws_cti.fanout import Follower, Publisher
from basix_ws_cti.simulator import NotPossibleError, Simulator
from basix_ws_cti.simulator.faults import Drop
from basix_ws_cti.simulator.scenarios import SCENARIOS

pytestmark = [pytest.mark.redis, pytest.mark.slow]


class Stage:
    """Simulated PBX in which nothing happens by itself, and the feeds of it."""

    def __init__(self, pbx, make_feed, is_published):
        self.pbx = pbx
        self.make_feed = make_feed
        self._is_published = is_published

    def client(self, app_name="reference"):
        """Return a client of the PBX."""
        arguments = {**self.pbx.connect_args, "app_name": app_name}
        return Client(**arguments, full_events=True, backoff=Backoff(initial=0.1))

    async def work(self, steps, rng):
        """Let calls begin, go on and end."""
        for _ in range(steps):
            with contextlib.suppress(NotPossibleError):  # when no user is free
                self.pbx.play(rng.choice(list(SCENARIOS)))
            self.pbx.advance(rng.uniform(1, 20))
            await asyncio.sleep(0.005)

    def drop(self):
        """Drop the oldest connection of the feed to the PBX."""
        app_name = "publisher" if self._is_published else "feed"
        self.pbx.inject(
            Drop(), to=next(one for one in self.pbx.connections if one.app_name == app_name)
        )

    async def settled(self, *feeds):
        """Wait until the feeds have shown everything that the PBX has sent so far."""
        text = f"settled {random.random()}"
        received = [asyncio.create_task(has_received(feed, text)) for feed in feeds]
        await asyncio.sleep(0)
        self.pbx.msg(text)
        await asyncio.gather(*received)


async def has_received(feed, text):
    async for message in feed.messages():
        if message == Msg(text):
            return


@pytest.fixture(params=["client", "follower"])
async def stage(request, redis_server):
    async with Simulator(calls=False, speed=0.001, users=20, seed=5) as pbx:
        if request.param == "client":
            stage = Stage(pbx, lambda: stage.client("feed"), is_published=False)
            yield stage
            return
        stage = Stage(pbx, lambda: Follower(redis_server.url), is_published=True)
        publisher = Publisher(redis_server.url, lambda: stage.client("publisher"), name="one")
        task = asyncio.create_task(publisher.run())
        await eventually(lambda: publisher.stats.snapshots)
        yield stage
        task.cancel()
        await asyncio.wait([task])


def state_of(feed):
    return {kind: dict(feed.mirror[kind].items()) for kind in feed.mirror}


async def test_alerts_begin_and_end_with_the_calls_that_wait(stage):
    feed = stage.make_feed()
    alerts = []
    feed.on_alert("waiting>0", alerts.append)
    async with feed:
        mirror = await feed.synced()
        group = next(one for one in mirror.groups.values() if one.main_extension)
        caller = stage.pbx.call("0312341234", to=group.main_extension)
        await eventually(lambda: alerts)
        late = []
        feed.on_alert(f"waiting>0@{group.id}", late.append)
        await eventually(lambda: late)
        stage.pbx.hangup(caller)
        await eventually(lambda: len(alerts) == len(late) == 2)
    for found, group_id in ((alerts, None), (late, group.id)):
        assert [one.state for one in found] == ["raised", "ended"]
        assert [one.value for one in found] == [1, 0]
        assert {one.group_id for one in found} == {group_id}
        assert found[1].raised_at == found[0].at


async def test_the_mirror_is_complete_once_the_feed_is_synced(stage):
    async with stage.make_feed() as feed, stage.client() as reference:
        mirror = await feed.synced()
        await reference.synced()
        assert mirror is feed.mirror
        assert state_of(feed) == state_of(reference)
        assert len(mirror.users) == 20
        assert feed.is_synced
        assert not feed.resync_pending


async def test_everything_that_a_client_reports_is_reported(stage):
    """Changes, call events, mirror and calls are equal to those of a client, also after a gap."""
    rng = random.Random(3)
    async with stage.client() as reference:
        await reference.synced()
        async with stage.make_feed() as feed:
            await feed.synced()
            pairs = [
                (feed.changes(policy="fail", size=100_000), reference.changes(size=100_000)),
                (feed.call_events(size=100_000), reference.call_events(size=100_000)),
            ]
            await stage.work(40, rng)
            await stage.settled(feed, reference)
            assert state_of(feed) == state_of(reference)
            assert dict(feed.calls.items()) == dict(reference.calls.items())
    for ours, theirs in pairs:
        items = [item async for item in ours]
        assert items == [item async for item in theirs]
        assert len(items) > 100


async def test_callbacks_receive_what_subscriptions_receive(stage):
    changes, events, infos, messages = [], [], [], []
    async with stage.make_feed() as feed:
        await feed.synced()
        feed.on_change(changes.append)
        feed.on_call(events.append)
        feed.on_info_event(lambda *parts: infos.append(parts))
        remove = feed.on_msg(messages.append)
        subscription = feed.changes(policy="fail")
        calls = feed.call_events()
        raw = feed.messages()
        stage.pbx.play("direct_call")
        stage.pbx.advance(120)
        await stage.settled(feed)
        remove()
        stage.pbx.msg("after")
        await stage.settled(feed)
    assert changes == [one async for one in subscription]
    assert events == [one async for one in calls]
    assert {type(one) for one in events} >= {CallStarted, CallEnded}
    received = [one async for one in raw]
    assert infos == [
        (one.element_name, one.element, one.event_name)
        for one in received
        if isinstance(one, InfoEvent)
    ]
    assert infos
    assert len(messages) == 1


async def test_a_late_subscriber_gets_no_change_of_the_snapshot(stage):
    async with stage.make_feed() as feed:
        early = feed.changes()
        await feed.synced()
        late = feed.changes()
        await stage.settled(feed)
    assert {type(one) for one in [one async for one in early]} == {Added}
    assert [one async for one in late] == []


async def test_wait_for_returns_the_value_of_its_predicate(stage):
    async with stage.make_feed() as feed:
        await feed.synced()
        waiting = asyncio.create_task(feed.wait_for(lambda mirror: list(mirror.channels)))
        await asyncio.sleep(0)
        stage.pbx.play("direct_call")
        stage.pbx.advance(5)
        assert await waiting
        with pytest.raises(WaitTimeout):
            await feed.wait_for(lambda mirror: mirror.users.get(-1), timeout=0.01)


async def test_a_lost_pbx_causes_one_gap_with_all_differences(stage):
    states, seen = [], []
    async with stage.client() as reference, stage.make_feed() as feed:
        await reference.synced()
        await feed.synced()
        stage.pbx.play("direct_call")
        stage.pbx.advance(30)
        await stage.settled(feed)
        feed.on_state(states.append)
        feed.on_change(seen.append)
        stage.drop()
        await eventually(lambda: not feed.is_synced)
        assert isinstance(feed.state, Disconnected)
        await feed.synced(30)
        await stage.work(5, random.Random(1))
        await stage.settled(feed, reference)
        assert state_of(feed) == state_of(reference)
        assert {*feed.calls} == {*reference.calls}
        assert feed.stats.gaps == 1
    kinds = [type(state) for state in states]
    assert kinds[0] is Disconnected
    assert states[0].last_heard is not None
    assert kinds[kinds.index(Syncing) : kinds.index(Synced) + 1] == [Syncing, Synced]
    gaps = [one for one in seen if isinstance(one, Gap)]
    assert len(gaps) == 1
    assert gaps[0].started == states[0].last_heard
    assert gaps[0].started <= gaps[0].ended
    assert seen[0] is gaps[0]


async def test_follow_ends_with_the_end_of_the_call(stage):
    async with stage.make_feed() as feed:
        await feed.synced()
        assert not feed.calls
        stage.pbx.play("direct_call")
        stage.pbx.advance(5)
        await stage.settled(feed)
        [call_id] = feed.calls
        events = feed.follow(call_id)
        stage.pbx.advance(600)
        seen = [event async for event in events]
        assert isinstance(seen[0], CallStarted)
        assert isinstance(seen[-1], CallEnded)
        with pytest.raises(UsageError, match="no active call has the id"):
            feed.follow(call_id)


async def test_leaving_the_block_ends_everything(stage):
    async with stage.make_feed() as feed:
        await feed.synced()
        changes = feed.changes()
        waiting = asyncio.create_task(feed.wait_for(lambda mirror: mirror.users.get(-1)))
        await asyncio.sleep(0)
    assert feed.state == Stopped(None)
    assert [one async for one in changes] == []
    with pytest.raises(ClientClosed):
        await waiting
    with pytest.raises(ClientClosed):
        await feed.synced()
    with pytest.raises(UsageError, match="has been used already"):
        await feed.__aenter__()


async def test_errors_of_callbacks_affect_nobody_else(stage):
    def broken(_):
        raise LookupError("broken")

    errors, changes = [], []
    async with stage.make_feed() as feed:
        await feed.synced()
        feed.on_error(errors.append)
        feed.on_change(broken)
        feed.on_change(changes.append)
        stage.pbx.play("direct_call")
        stage.pbx.advance(5)
        await stage.settled(feed)
    assert changes
    assert {type(error) for error in errors} == {LookupError}


async def test_a_feed_that_does_not_run_says_so(stage):
    feed = stage.make_feed()
    with pytest.raises(UsageError, match="is not running: use `async with "):
        await feed.synced()
    assert feed.state == Stopped(None)
    with pytest.raises(UsageError, match="kind must be a str"):
        feed.changes(kind=5)
    with pytest.raises(UsageError, match="cannot be merged"):
        feed.call_events(policy="latest")


async def test_statistics(stage):
    async with stage.make_feed() as feed:
        assert feed.stats.connects == 0
        await feed.synced()
        stage.pbx.play("direct_call")
        stage.pbx.advance(5)
        await stage.settled(feed)
        stats = feed.stats
    assert (stats.connects, stats.reconnects, stats.gaps, stats.bad_frames) == (1, 0, 0, 0)
    assert stats.messages["InfoEvent"] >= 2
    assert stats.messages["InitialInfo"] >= 5
    assert stats.frames >= sum(stats.messages.values()) - stats.messages["InitialInfo"]
    assert stats.bytes > 1000
    assert stats.last_frame_age >= 0
