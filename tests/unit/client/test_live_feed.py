"""Live feed: the shared part of client and follower, with a runner without a connection."""

import asyncio

import pytest
from support.offline_feed import make_feed
from support.virtual_clock import on_virtual_clock

from basix_ws_cti import (
    AlertRule,
    ClientClosed,
    InfoEvent,
    InitialInfo,
    Msg,
    Stopped,
    Synced,
    Syncing,
    SystemMsg,
    UnknownMessage,
    UsageError,
    WaitTimeout,
)
from basix_ws_cti.calls import CallEnded, CallStarted, CallUpdated
from basix_ws_cti.elements import Channel, User
from basix_ws_cti.mirror.changes import Added, Changed, Removed


def leg(state, **values):
    return InfoEvent("channel", Channel(uuid="u", direction="inbound", **values), state)


@on_virtual_clock
async def test_feed_is_not_settled_during_the_events_that_lead_to_a_snapshot():
    feed, runner = make_feed()
    seen = []
    feed.on_call(lambda event: seen.append((type(event), feed.is_settled)))
    async with feed:
        await feed.synced()
        runner.receive(InitialInfo("channel", {"u": Channel(uuid="u", direction="inbound")}))
        runner.receive(leg("removed"))
        assert feed.is_settled
    assert seen == [(CallStarted, False), (CallEnded, True)]


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


@on_virtual_clock
async def test_alert_callback_of_an_ended_feed_is_only_checked():
    feed, _ = make_feed()
    async with feed:
        await feed.synced()
        remove = feed.on_alert("feed-lost>30", lambda _: None)
        remove()
    feed.on_alert(AlertRule.parse("feed-lost>30"), lambda _: None)
    with pytest.raises(UsageError, match="callback must be"):
        feed.on_alert("feed-lost>30", None)


@on_virtual_clock
async def test_unknown_messages_have_their_own_callback():
    feed, runner = make_feed()
    received = []
    async with feed:
        await feed.synced()
        feed.on_unknown_message(received.append)
        runner.receive(UnknownMessage("news", ("news", 1)))
    assert received == [UnknownMessage("news", ("news", 1))]
