"""Live feed: the shared part of client and follower, with a runner without a connection."""

import asyncio

import pytest
from support.virtual_clock import on_virtual_clock

from basix_ws_cti import (
    ClientClosed,
    InfoEvent,
    InitialInfo,
    Msg,
    Stopped,
    Synced,
    Syncing,
    SystemMsg,
    UsageError,
    WaitTimeout,
)
from basix_ws_cti.calls import CallEnded, CallStarted, CallUpdated
from basix_ws_cti.client.live_feed import FeedCore, LiveFeed
from basix_ws_cti.elements import Channel, User
from basix_ws_cti.mirror.changes import Added, Changed, Removed


class Runner:
    """Applies the messages that a test passes to ``receive``."""

    traffic = None

    def __init__(self, core):
        self._core = core
        self._deliver = {
            **core.dispatcher.deliveries(),
            Syncing: core.state.enter,
            Synced: core.state.enter,
        }

    async def run(self):
        self._process(self._core.session.connected())
        self.receive(InitialInfo("user", {1: User(id=1)}))
        self._process(self._core.session.idle(1))
        await asyncio.Event().wait()

    def receive(self, message):
        self._process(self._core.session.receive(message, 0))

    def _process(self, notifications):
        for item in notifications:
            if item is not None:
                self._deliver[type(item)](item)
            self._core.state.wake()

    def stop(self, reason):
        self._core.state.enter(Stopped(reason))
        self._core.dispatcher.end(reason)


def make_feed():
    core = FeedCore("feed", "async with feed:")
    runner = Runner(core)
    return LiveFeed(core, runner), runner


def leg(state, **values):
    return InfoEvent("channel", Channel(uuid="u", direction="inbound", **values), state)


@on_virtual_clock
async def test_subscriptions_and_callbacks_receive_the_same():
    feed, runner = make_feed()
    seen = {"change": [], "call": [], "msg": [], "system_msg": [], "initial": [], "info": []}
    async with feed:
        assert await feed.synced() is feed.mirror
        assert feed.is_synced
        assert not feed.resync_pending
        feed.on_change(seen["change"].append, kind="user")
        feed.on_call(seen["call"].append)
        feed.on_msg(seen["msg"].append)
        remove = feed.on_system_msg(seen["system_msg"].append)
        feed.on_initial_info(lambda kind, elements: seen["initial"].append((kind, elements)))

        async def on_info_event(element_name, element, event_name):
            seen["info"].append((element_name, element, event_name))

        feed.on_info_event(on_info_event)
        changes, messages = feed.changes(kind="user"), feed.messages()
        events = feed.call_events(where=lambda event: not isinstance(event, CallUpdated))
        sent = [
            InfoEvent("user", User(id=1, label="b"), "updated"),
            leg("added", offer_timestamp=1),
            Msg("hello"),
            SystemMsg("maintenance"),
            InitialInfo("group", {}),
        ]
        for message in sent:
            runner.receive(message)
        followed = feed.follow("u")
        remove()
        runner.receive(SystemMsg("again"))
        runner.receive(leg("removed", offer_timestamp=1))
        assert feed.stats.lag > 0
        assert [type(one) async for one in followed] == [CallStarted, CallEnded]
    assert seen["change"] == [one async for one in changes]
    assert [type(one) for one in seen["change"]] == [Changed]
    assert [type(one) async for one in events] == [CallStarted, CallEnded]
    assert [one for one in seen["call"] if not isinstance(one, CallUpdated)]
    assert [one async for one in messages][: len(sent)] == sent
    assert (seen["msg"], seen["system_msg"]) == (["hello"], ["maintenance"])
    assert seen["initial"] == [("group", {})]
    assert [event for _, _, event in seen["info"]] == ["updated", "added", "removed"]
    assert Removed not in {type(one) for one in seen["change"]}


@on_virtual_clock
async def test_asynchronous_callbacks_have_a_queue():
    feed, _ = make_feed()
    seen = []

    async def on_change(change):
        seen.append(type(change))

    async def on_state(state):
        seen.append(type(state))

    feed.on_change(on_change)
    feed.on_state(on_state)
    feed.on_error(seen.append)
    async with feed:
        await feed.synced()
    assert {Added, Syncing, Synced} <= {*seen}


@on_virtual_clock
async def test_wait_for_and_its_time_limit():
    feed, runner = make_feed()
    async with feed:
        waiting = asyncio.create_task(feed.wait_for(lambda mirror: mirror.users[1].label))
        await feed.synced()
        runner.receive(InfoEvent("user", User(id=1, label="b"), "updated"))
        assert await waiting == "b"
        with pytest.raises(WaitTimeout):
            await feed.wait_for(lambda mirror: mirror.users.get(2), timeout=1)


@on_virtual_clock
async def test_use_before_and_after_the_block():
    feed, _ = make_feed()
    with pytest.raises(UsageError, match="the feed is not running: use `async with feed:`"):
        await feed.synced()
    assert feed.stats.last_frame_age is None
    async with feed:
        await feed.synced()
        with pytest.raises(UsageError, match="messages cannot be merged"):
            feed.messages(policy="latest")
        with pytest.raises(UsageError, match="call events cannot be merged"):
            feed.call_events(policy="latest")
        with pytest.raises(UsageError, match="no active call has the id 'u'"):
            feed.follow("u")
    assert feed.state == Stopped(None)
    assert [one async for one in feed.changes()] == []
    assert feed.on_state(print)() is None
    with pytest.raises(ClientClosed):
        await feed.synced()
    with pytest.raises(UsageError, match="this feed has been used already"):
        await feed.__aenter__()


@on_virtual_clock
async def test_a_block_that_was_not_entered_can_be_left():
    feed, _ = make_feed()
    await feed.__aexit__(None, None, None)
    assert feed.state == Stopped(None)
