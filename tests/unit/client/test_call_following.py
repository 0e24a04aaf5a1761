"""Selected call events, and following one call to its end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc

import attrs
import pytest
from support.model_feed import ModelPbx
from support.virtual_clock import on_virtual_clock

from basix_ws_cti import Client, Lagged, NotConnectedError, UsageError
from basix_ws_cti.calls import (
    Call,
    CallAnswered,
    CallEnded,
    CallStarted,
    CallUpdated,
    Leg,
    Party,
    Phase,
)
from basix_ws_cti.client.call_following import LegFollower
from basix_ws_cti.exceptions import SubscriberLagged


@contextlib.asynccontextmanager
async def office(**options):
    """Yield an office and a client that follows it."""
    pbx = ModelPbx()
    async with Client("fake", connector=pbx, **options) as client:
        await client.synced(10)
        assert not client.calls
        yield pbx, client


def is_ending(event):
    return isinstance(event, CallEnded)


def kinds_of(events):
    return [type(event).__name__ for event in events]


async def read(events, count):
    return [await anext(events) for _ in range(count)]


async def read_all(events):
    return [event async for event in events]


# == call_events and on_call ==============================================================


@on_virtual_clock
async def test_where_selects_the_events_of_loops_and_callbacks():
    called, awaited = [], []

    async def await_event(event):
        awaited.append(event)

    async with office() as (pbx, client):
        events = client.call_events(where=is_ending)
        client.on_call(called.append, where=is_ending)
        client.on_call(await_event, where=is_ending)
        legs = [pbx.talk(number)[0] for number in (0, 1)]
        for leg in legs:
            pbx.model.hang_up(leg)
        await pbx.wait()
        received = await read(events, 2)
    assert [event.call.id for event in received] == [leg.uuid for leg in legs]
    assert received == called == awaited
    assert await read_all(events) == []


@pytest.mark.parametrize("receive", ["loop", "callback", "async callback"])
@on_virtual_clock
async def test_error_of_where_is_reported_and_affects_nobody_else(receive, caplog):
    """The event for which it is raised is not delivered; the next one is."""
    received, others, errors = [], [], []

    async def await_event(event):
        received.append(event)

    def where(event):
        if type(event) is CallStarted:
            raise LookupError(event.call.caller.number)
        return True

    async with office() as (pbx, client):
        client.on_error(errors.append)
        if receive == "loop":
            events = client.call_events(where=where)
        else:
            client.on_call(received.append if receive == "callback" else await_event, where=where)
        client.on_call(others.append)
        pbx.ring()
        await pbx.wait()
        if receive == "loop":
            received.append(await anext(events))
    assert kinds_of(received) == ["CallRinging"]
    assert kinds_of(others) == ["CallStarted", "CallRinging"]
    assert kinds_of(errors) == ["LookupError"]
    (line,) = [text for text in caplog.messages if text.startswith("callback error")]
    assert ".where raised LookupError at " in line


@on_virtual_clock
async def test_lagged_and_the_final_error_pass_where():
    async with office(classify=lambda *_: True) as (pbx, client):
        events = client.call_events(where=is_ending, size=1)
        for _ in range(3):
            pbx.model.hang_up(pbx.ring()[0])
        await pbx.wait()
        pbx.lose(NotConnectedError())
        assert await anext(events) == Lagged(2)
        assert is_ending(await anext(events))
        with pytest.raises(NotConnectedError):
            await anext(events)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (5, "where must be callable, got int"),
        (lambda: True, "where must accept 1 positional argument(s): (event)"),
    ],
)
def test_where_that_cannot_work_is_a_usage_error(where, text):
    client = Client("fake", connector=ModelPbx())
    for subscribe in (client.call_events, functools.partial(client.on_call, print)):
        with pytest.raises(UsageError) as raised:
            subscribe(where=where)
        assert str(raised.value) == text


# == follow ===============================================================================


@on_virtual_clock
async def test_followed_call_begins_with_its_state_and_ends_with_its_end():
    """Events of other calls are left out. The first event holds the call as ``calls`` has it."""
    async with office() as (pbx, client):
        lead, leg = pbx.ring()
        pbx.talk(1)
        await pbx.wait()
        present = client.calls[lead.uuid]
        events = client.follow(lead.uuid)
        pbx.model.connect(leg)
        await pbx.wait(5)
        pbx.model.hang_up(leg)
        pbx.talk(2)
        started, answered, ended = await read_all(events)
    assert started == CallStarted(present)
    assert isinstance(answered, CallAnswered)
    assert (answered.call.id, answered.party.user_id) == (lead.uuid, pbx.users[0].id)
    assert isinstance(ended, CallEnded)
    assert (ended.call.disposition, ended.call.ended_by) == ("answered", "callee")
    with pytest.raises(StopAsyncIteration):
        await anext(events)


@on_virtual_clock
async def test_follower_that_a_callback_creates_misses_and_repeats_nothing():
    """The callback is called while the event is delivered that has begun the call."""
    followers = []

    async with office() as (pbx, client):
        client.on_call(
            lambda event: followers.append(client.follow(event.call.id)),
            where=lambda event: isinstance(event, CallStarted),
        )
        lead, leg = pbx.ring()
        pbx.model.connect(leg)
        pbx.model.hang_up(lead)
        await pbx.wait()
        (follower,) = followers
        assert kinds_of(await read_all(follower)) == [
            *("CallStarted", "CallRinging", "CallAnswered", "CallEnded"),
        ]


async def follow_transfer(followed):
    """Let an agent with two calls connect their peers; return the events of one of the calls.

    ``followed``: ``"customer"`` or ``"consult"``. Events are shown as kind, call and the call that
    it has joined.
    """
    async with office() as (pbx, client):
        customer, _ = pbx.talk(0)
        await pbx.wait()
        consult, consulted = pbx.talk(1, caller=pbx.users[0])
        await pbx.wait()
        names = {customer.uuid: "customer", consult.uuid: "consult", None: None}
        (uuid,) = (key for key, name in names.items() if name == followed)
        events = client.follow(uuid)
        pbx.model.attended_transfer(customer, consulted)
        await pbx.wait()
        pbx.model.hang_up(customer)
        return [
            (type(event).__name__, names[event.call.id], names[event.call.joined])
            async for event in events
        ]


@on_virtual_clock
async def test_joined_call_is_followed_in_the_call_that_it_joins():
    assert await follow_transfer("consult") == [
        ("CallStarted", "consult", None),
        ("CallEnded", "consult", "customer"),
        ("CallTransferred", "customer", None),
        ("CallEnded", "customer", None),
    ]


@on_virtual_clock
async def test_call_that_another_one_joins_is_followed_to_its_own_end():
    assert await follow_transfer("customer") == [
        ("CallStarted", "customer", None),
        ("CallTransferred", "customer", None),
        ("CallEnded", "customer", None),
    ]


@on_virtual_clock
async def test_end_within_a_gap_ends_the_iteration():
    """The last event is synthetic; a call that goes on is followed on."""
    async with office() as (pbx, client):
        (gone, _), (kept, leg) = pbx.ring(0), pbx.ring(1)
        await pbx.wait()
        gone_events, kept_events = client.follow(gone.uuid), client.follow(kept.uuid)
        pbx.lose(cut=True)
        pbx.model.hang_up(gone)
        *_, ended = await read_all(gone_events)
        assert ended.synthetic
        assert (ended.call.id, ended.call.disposition) == (gone.uuid, "unknown")
        pbx.model.connect(leg)
        pbx.model.hang_up(leg)
        received = await read_all(kept_events)
    assert kinds_of(received) == ["CallStarted", "CallAnswered", "CallEnded"]
    assert not received[-1].synthetic


@on_virtual_clock
async def test_call_found_in_the_snapshot_is_followed():
    """The client has followed no calls before."""
    pbx = ModelPbx()
    lead, _ = pbx.talk()
    async with Client("fake", connector=pbx) as client:
        await client.synced(10)
        events = client.follow(lead.uuid)
        pbx.model.hang_up(lead)
        started, ended = await read_all(events)
    assert not started.call.complete
    assert ended.call.id == lead.uuid


@pytest.mark.parametrize(
    ("call_id", "text"),
    [
        ("ended", "no active call has the id 'ENDED': it has ended, or the feed never showed it"),
        ("unknown", "no active call has the id 'unknown': it has ended, or the feed never"),
        (7, "call_id must be a str, got int"),
        ("", "call_id must not be empty"),
    ],
)
@on_virtual_clock
async def test_call_that_is_not_active_is_a_usage_error(call_id, text):
    async with office() as (pbx, client):
        lead, _ = pbx.talk()
        await pbx.wait()
        pbx.model.hang_up(lead)
        await pbx.wait()
        if call_id == "ended":
            call_id, text = lead.uuid, text.replace("ENDED", lead.uuid)
        with pytest.raises(UsageError) as raised:
            client.follow(call_id)
    assert str(raised.value).startswith(text)


@on_virtual_clock
async def test_follower_follows_the_policies_of_call_events():
    async with office() as (pbx, client):
        lead, leg = pbx.ring()
        await pbx.wait()
        with pytest.raises(UsageError, match="call events cannot be merged"):
            client.follow(lead.uuid, policy="latest")
        short = client.follow(lead.uuid, size=1)
        fails = client.follow(lead.uuid, policy="fail", size=2)
        pbx.model.connect(leg)
        pbx.model.hang_up(lead)
        await pbx.wait()
        lagged, ended = await read_all(short)
        assert (lagged, is_ending(ended)) == (Lagged(2), True)
        with pytest.raises(SubscriberLagged):
            await anext(fails)


@on_virtual_clock
async def test_closed_follower_ends_at_once():
    async with office() as (pbx, client):
        lead, _ = pbx.ring()
        await pbx.wait()
        with client.follow(lead.uuid) as events:
            assert isinstance(await anext(events), CallStarted)
        pbx.model.hang_up(lead)
        await pbx.wait()
        assert await read_all(events) == []


@on_virtual_clock
async def test_follower_ends_with_the_client_and_its_error():
    async with office(classify=lambda *_: True) as (pbx, client):
        lead, _ = pbx.ring()
        await pbx.wait()
        events = client.follow(lead.uuid)
        pbx.lose(NotConnectedError())
        assert isinstance(await anext(events), CallStarted)
        with pytest.raises(NotConnectedError):
            await anext(events)


@on_virtual_clock
async def test_ended_and_dropped_followers_are_not_kept():
    """The client refers to neither."""
    async with office() as (pbx, client):
        lead, _ = pbx.ring()
        await pbx.wait()
        kept = client.follow(lead.uuid)
        client.follow(lead.uuid)
        gc.collect()
        await pbx.wait()
        assert client.stats.lag == 1  # its first event
        pbx.model.hang_up(lead)
        await pbx.wait()
        assert client.stats.lag == 0
        assert kept.waiting == 2


@on_virtual_clock
async def test_reader_that_waits_is_woken_by_each_event():
    async with office() as (pbx, client):
        lead, leg = pbx.ring()
        await pbx.wait()
        reading = asyncio.create_task(read_all(client.follow(lead.uuid)))
        await pbx.wait()
        pbx.model.connect(leg)
        await pbx.wait()
        assert not reading.done()
        pbx.model.hang_up(lead)
        assert kinds_of(await reading) == ["CallStarted", "CallAnswered", "CallEnded"]


# == legs =================================================================================


def call_of(call_id, *uuids, **fields):
    legs = tuple(Leg(uuid=uuid, party=Party()) for uuid in uuids)
    return Call(
        id=call_id,
        direction="internal",
        caller=Party(),
        called_number=None,
        started=1,
        legs=legs,
        **fields,
    )


def new_leg_follower(active=()):
    calls = {call.id: call for call in active}
    return LegFollower(calls, "drop_oldest", 100, None, lambda _: None)


@on_virtual_clock
async def test_legs_of_one_call_are_followed_to_its_end():
    follower = new_leg_follower()
    events = [
        CallStarted(call_of("a", "a")),
        CallStarted(call_of("other", "other")),
        CallUpdated(call_of("a", "a", "b")),
        CallEnded(call_of("a", "a", "b", ended=9)),
    ]
    follower.begin(["a", "b"])
    for event in events:
        assert not follower.is_over
        follower.offer(event)
    assert follower.is_over
    assert await read_all(follower) == [events[0], events[2], events[3]]


@on_virtual_clock
async def test_legs_of_several_calls_are_followed_to_the_last_end():
    follower = new_leg_follower()
    events = [
        CallStarted(call_of("a", "a")),
        CallStarted(call_of("b", "b")),
        CallEnded(call_of("b", "b", ended=9)),
        CallEnded(call_of("a", "a", ended=9)),
    ]
    follower.begin(["a", "b"])
    for event in events:
        assert not follower.is_over
        follower.offer(event)
    assert follower.is_over
    assert await read_all(follower) == events


@on_virtual_clock
async def test_legs_that_are_given_up_do_not_end_a_call_that_goes_on():
    follower = new_leg_follower()
    follower.begin(["a", "b"])
    follower.offer(CallStarted(call_of("a", "a")))
    follower.give_up_unseen()
    assert not follower.is_over
    follower.offer(CallEnded(call_of("a", "a", ended=9)))
    assert follower.is_over


@on_virtual_clock
async def test_call_that_was_joined_is_followed_even_without_the_legs():
    """The leg has ended before the calls become one; the state of the other call is recorded."""
    older = call_of("older", "x", answered=5, phases=(Phase(kind="talking", started=5),))
    follower = new_leg_follower([older])
    follower.begin(["a"])
    follower.offer(CallStarted(call_of("a", "a")))
    follower.offer(CallEnded(call_of("a", "a", joined="older", ended=9)))
    assert not follower.is_over
    assert follower.answered_call == older
    assert follower.shown["older"] == older
    follower.offer(CallEnded(call_of("older", "x", ended=10, phases=older.phases)))
    assert follower.is_over


@on_virtual_clock
async def test_answer_before_a_join_is_not_the_answer_of_the_destination():
    """A user completes a transfer while the destination rings; somebody answered that call long
    before.
    """
    rings = call_of("older", "x", answered=5, phases=(Phase(kind="ringing", started=8),))
    talks = call_of("older", "x", answered=5, phases=(Phase(kind="talking", started=9),))
    follower = new_leg_follower([rings])
    follower.begin(["a"])
    follower.offer(CallStarted(call_of("a", "a")))
    follower.offer(CallEnded(call_of("a", "a", joined="older", ended=8)))
    follower.offer(CallUpdated(rings))
    assert follower.answered_call is None
    follower.offer(CallUpdated(talks))
    assert follower.answered_call == talks


@on_virtual_clock
async def test_newest_state_before_the_uuids_are_known_comes_first():
    follower = new_leg_follower()
    a, b, c = call_of("a", "a"), call_of("b", "b"), call_of("c", "c", ended=9)
    for event in (
        CallStarted(a),
        CallStarted(call_of("b", "b", transfers=7)),
        CallUpdated(b),
        CallStarted(call_of("c", "c")),
        CallEnded(c),
        CallStarted(call_of("d", "d")),
    ):
        follower.offer(event)
    assert follower.waiting == 0
    follower.begin(["a", "b", "c"])
    assert [await anext(follower) for _ in range(3)] == [
        CallStarted(a),
        CallStarted(b),
        CallEnded(c),
    ]
    assert follower.unseen == set()


@on_virtual_clock
async def test_call_that_ended_before_the_uuids_are_known_is_the_only_event():
    follower, ended = new_leg_follower(), CallEnded(call_of("a", "a", ended=9))
    follower.offer(CallStarted(call_of("a", "a")))
    follower.offer(ended)
    follower.begin(["a"])
    assert await read_all(follower) == [ended]


@on_virtual_clock
async def test_giving_up_legs_that_no_event_has_shown_ends_the_iteration():
    follower = new_leg_follower()
    follower.begin(["a", "b"])
    follower.give_up_unseen()
    assert await read_all(follower) == []


@on_virtual_clock
async def test_legs_are_not_waited_for_once_one_is_answered():
    answered = (Leg(uuid="a", party=Party(), answered=5),)
    events = [
        CallStarted(call_of("a", "a")),
        CallUpdated(attrs.evolve(call_of("a"), legs=answered)),
        CallEnded(attrs.evolve(call_of("a", ended=9), legs=answered)),
    ]
    follower = new_leg_follower()
    follower.begin(["a", "b"])
    for event, unseen in zip(events, [{"b"}, set(), set()], strict=True):
        follower.offer(event)
        assert follower.unseen == unseen
    assert await read_all(follower) == events


@on_virtual_clock
async def test_joined_call_that_is_not_active_is_followed_to_its_end():
    follower, phases = new_leg_follower(), (Phase(kind="ringing", started=5),)
    ends = [
        CallEnded(call_of("a", "a", joined="older", ended=9)),
        CallEnded(call_of("older", "x", ended=10, phases=phases)),
    ]
    follower.begin(["a"])
    follower.offer(ends[0])
    assert set(follower.shown) == {"a"}
    follower.offer(ends[1])
    assert await read_all(follower) == ends
