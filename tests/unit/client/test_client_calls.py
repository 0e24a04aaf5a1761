"""Calls in the client: client.calls, call_events() and on_call(), over gaps and real sockets."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import attrs
import pytest
from support.fake_pbx import FakePbx
from support.sizes import NIGHTLY
from support.virtual_clock import run
from support.waiting import TIMEOUT, eventually

from basix_ws_cti import Channel, InfoEvent, UsageError, to_dict
from basix_ws_cti.calls import (
    CallAnswered,
    CallEnded,
    CallParked,
    CallRecord,
    CallRinging,
    CallStarted,
    QueueStats,
)
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.subscriptions import Lagged
from basix_ws_cti.exceptions import NotConnectedError, SubscriberLagged
from basix_ws_cti.simulator import Simulator, faults
from basix_ws_cti.simulator.call_ledger import Row
from basix_ws_cti.states import Ivr, Ringing

COLUMNS = [one.name for one in attrs.fields(Row) if one.name != "parks"]


def columns(item):
    """The columns that a CallRecord and a row of the PBX's own book both have."""
    return {name: getattr(item, name) for name in COLUMNS}


# == on a virtual clock ===================================================================


def leg(uuid, **fields):
    return Channel(uuid=uuid, **{"state": Ivr(ts=1), "offer_timestamp": 1, **fields})


def tell(pbx, channel, event_name="added"):
    """A channel is there, or another now, or gone."""
    channels = dict(pbx.state["channel"])
    channels.pop(channel.uuid, None)
    if event_name != "removed":
        channels[channel.uuid] = channel
    pbx.replace("channel", channels, (channel, event_name))


def test_calls_are_followed_from_the_first_asking():
    """Who asks before the block sees calls whole; nobody asks, and nothing is followed."""

    async def main():
        pbx = FakePbx()
        async with Client("fake", connector=pbx) as idle:
            await idle.synced(10)
            tell(pbx, leg("a"))
            await asyncio.sleep(1)
            assert idle._session._tracker is None
            assert [call.complete for call in idle.calls.values()] == [False]
            tell(pbx, leg("b"))
            await asyncio.sleep(1)
            assert {key: call.complete for key, call in idle.calls.items()} == {
                "a": False,
                "b": True,
            }

    run(main())


def test_events_by_iterator_and_callback():
    """call_events() and on_call() give the same, and an unsubscribed callback nothing."""

    async def main():
        pbx = FakePbx()
        client = Client("fake", connector=pbx)
        seen, heard, stopped = [], [], []
        events = client.call_events()
        client.on_call(seen.append)
        stop = client.on_call(stopped.append)

        async def hear(event):
            await asyncio.sleep(0)
            heard.append(event)

        client.on_call(hear)
        stop()
        async with client:
            await client.synced(10)
            tell(pbx, leg("a"))
            tell(pbx, leg("a", hangup_timestamp=5, last_event="CHANNEL_HANGUP"), "updated")
            first, last = await anext(events), await anext(events)
            await asyncio.sleep(1)
        assert (type(first), type(last)) == (CallStarted, CallEnded)
        assert seen == heard == [first, last]
        assert stopped == []
        with pytest.raises(StopAsyncIteration):
            await anext(events)

    run(main())


def test_who_is_told_finds_the_call_as_it_is():
    """A callback for a change, or for a call, finds the change in client.calls already."""

    async def main():
        pbx = FakePbx()
        client = Client("fake", connector=pbx)
        found = []
        client.on_change(lambda change: found.append(list(client.calls)))
        client.on_call(lambda event: found.append(list(client.calls)))
        async with client:
            await client.synced(10)
            tell(pbx, leg("a"))
            await asyncio.sleep(1)
            tell(pbx, leg("a"), "removed")
            await asyncio.sleep(1)
        assert found == [["a"], ["a"], [], []]

    run(main())


def test_a_gap_and_the_end_in_it():
    """A call that ended in a gap ends as synthetic, once; one that lasted goes on, with its id."""

    async def main():
        pbx = FakePbx()
        client = Client("fake", connector=pbx, backoff=Backoff(initial=5, maximum=5))
        events = []
        client.on_call(events.append)
        async with client:
            await client.synced(10)
            tell(pbx, leg("a"))
            tell(pbx, leg("b", state=Ringing(ts=2)))
            await asyncio.sleep(1)
            pbx.lose()
            await asyncio.sleep(0.5)
            tell(pbx, leg("a"), "removed")
            tell(pbx, leg("c"))
            assert set(client.calls) == {"a", "b"}
            await client.wait_for(lambda mirror: "c" in mirror.channels)
            assert {key: call.complete for key, call in client.calls.items()} == {
                "b": False,
                "c": False,
            }
            tell(pbx, leg("d"))
            await asyncio.sleep(1)
            assert client.calls["d"].complete
        shown = [(type(event).__name__, event.call.id) for event in events]
        assert shown == [
            ("CallStarted", "a"),
            ("CallStarted", "b"),
            ("CallRinging", "b"),
            ("CallStarted", "c"),
            ("CallEnded", "a"),
            ("CallStarted", "d"),
        ]
        ended = events[4]
        assert ended.synthetic
        assert (ended.call.disposition, ended.call.complete) == ("unknown", False)
        assert ended.call.ended > 1_700_000_000_000_000  # when the client went blind

    run(main())


def test_policies():
    """A slow reader loses the oldest and is told how many, or fails; events are never merged."""

    async def main():
        pbx = FakePbx()
        client = Client("fake", connector=pbx)
        with pytest.raises(UsageError, match="cannot be merged"):
            client.call_events(policy="latest")
        oldest = client.call_events(size=2)
        fails = client.call_events(policy="fail", size=2)
        async with client:
            await client.synced(10)
            for number in range(5):
                tell(pbx, leg(f"u{number}"))
            await asyncio.sleep(1)
            first, *rest = [await anext(oldest) for _ in range(3)]
            assert first == Lagged(3)
            assert [event.call.id for event in rest] == ["u3", "u4"]
            with pytest.raises(SubscriberLagged):
                await anext(fails)
            assert client.stats.missed >= 3

    run(main())


def test_the_events_end_with_the_client():
    """A subscription ends with the client, with its error if there is one; a later one at once."""

    async def main():
        pbx = FakePbx()
        client = Client("fake", connector=pbx, classify=lambda error, final: True)
        events = client.call_events()
        async with client:
            await client.synced(10)
            tell(pbx, leg("a"))
            await asyncio.sleep(1)
            assert client.stats.lag == 1
            pbx.lose(NotConnectedError())
            assert isinstance(await anext(events), CallStarted)
            for waiting in (events, client.call_events()):
                with pytest.raises(NotConnectedError):
                    await anext(waiting)

    run(main())


def test_messages_of_other_kinds_are_no_events():
    """Users come and go, and no call event is given."""

    async def main():
        pbx = FakePbx()
        client = Client("fake", connector=pbx)
        events = []
        client.on_call(events.append)
        async with client:
            await client.synced(10)
            pbx.set_user(7)
            pbx.send(InfoEvent("channel_waiting", leg("q"), "added"))
            await asyncio.sleep(1)
        assert events == []

    run(main())


# == over real sockets ====================================================================


def make(pbx, **options):
    defaults = {
        **pbx.connect_args,
        "backoff": Backoff(initial=0.02, maximum=0.1),
        "quiet_time": 0.05,
        "close_timeout": 0.1,
        "full_events": True,
    }
    return Client(**{**defaults, **options})


async def test_a_call_by_hand():
    """A customer rings, is answered, parked and gone: the events as they are used."""
    async with Simulator(calls=False) as pbx:
        client = make(pbx)
        events = client.call_events()
        async with client:
            await client.synced(TIMEOUT)
            line = pbx.call("0312341234", to="1001")
            pbx.answer(line)
            slot = pbx.park(line)
            pbx.hangup(line)
            kinds = [CallStarted, CallRinging, CallAnswered, CallParked, CallEnded]
            told = [await anext(events) for _ in kinds]
        assert [type(event) for event in told] == kinds
        assert {event.call.id for event in told} == {line}
        assert told[1].party.user_id == 10001001
        assert told[1].call.caller.name == "山田 太郎"
        assert told[3].slot == slot
        (row,) = pbx.pbx.ledger
        assert columns(CallRecord.of(told[4].call)) == columns(row)


async def test_the_book_of_a_simulator_in_a_thread():
    """The PBX's own book can be read from any thread."""
    with Simulator(calls=False) as pbx:
        line = pbx.call()
        pbx.hangup(line)
        (row,) = await asyncio.to_thread(lambda: pbx.ledger)
        assert (row.id, row.disposition) == (line, "abandoned")


def is_true(client, pbx):
    """Whether the client has all channels as the PBX has them."""
    shown = {key: to_dict(one) for key, one in client.mirror.channels.items()}
    return shown == pbx.snapshot()["channel"]


async def follow(pbx, calls, trouble=None, **options):
    """Follow a PBX until so many calls are in its book, then stop its clock.

    Returns the book's rows and the client's records, by id, and what happened to the client.
    """
    client = make(pbx, **options)
    started, records, stats = Counter(), {}, QueueStats()

    def note(event):
        stats.apply([event])
        if isinstance(event, CallStarted):
            started[event.call.id] += 1
        elif isinstance(event, CallEnded):
            assert event.call.id not in records
            records[event.call.id] = CallRecord.of(event.call)

    client.on_call(note)
    async with client:
        await client.synced(TIMEOUT)
        for number in range(10**6):
            if len(pbx.ledger) >= calls:
                break
            if trouble is not None and number % 8 == 7:
                trouble()
            await asyncio.sleep(0.05)
        pbx.speed = 1e-9  # its time stands still
        pbx._client_handler.armed_faults.clear()
        await asyncio.sleep(1)  # a silence is found out
        await eventually(lambda: client.is_synced and is_true(client, pbx))
        rows = {row.id: row for row in pbx.ledger}  # what was due at that moment is in there too
        assert set(records) | set(client.calls) == set(started)
        assert max(started.values()) == 1
        assert len(stats._calls) == len(client.calls)
        return rows, records, client.stats


@pytest.mark.slow
async def test_a_day_over_a_socket(capsys):
    """A day at high speed: each call in the PBX's book is in the client's, and is the same."""
    calls = 10_000 if NIGHTLY else 250
    async with Simulator(speed=1500, users=30, seed=5) as pbx:
        rows, records, stats = await follow(pbx, calls)
        assert len(rows) >= calls
        assert {key: columns(record) for key, record in records.items()} == {
            key: columns(row) for key, row in rows.items()
        }
        assert all(record.complete for record in records.values())
    with capsys.disabled():
        print(f"\n{len(rows)} calls over a socket, {stats.frames} frames: all as in the book")  # noqa: T201


@pytest.mark.slow
async def test_a_day_with_faults(capsys):
    """With connections that break, fall silent and limp, a record is right or marked incomplete."""
    calls = 5000 if NIGHTLY else 300
    chance = random.Random(3)

    def trouble():
        what = [
            *(faults.Drop(), faults.Reset(), faults.HalfClose(), faults.Silence()),
            *(faults.Split(40), faults.Coalesce(0.02), faults.SendFrame(), faults.Truncate()),
            *(
                faults.Repeat(),
                faults.UpdateAfterRemoval(),
                faults.DropDuringSnapshot(4),
                faults.EventFirst(),
            ),
        ]
        pbx.inject(chance.choice(what))

    async with Simulator(speed=60, rate=60, users=60, seed=6, max_connections=50) as pbx:
        timing = {"ping_interval": 0.2, "ping_timeout": 0.3}
        rows, records, stats = await follow(pbx, calls, trouble, **timing)
    complete = [record for record in records.values() if record.complete]
    for record in complete:
        assert columns(record) == columns(rows[record.id])
    assert complete
    assert stats.gaps > 2
    unseen = len(rows.keys() - records.keys())
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{len(rows)} calls, {stats.gaps} gaps: {len(complete)} records whole, all right; "
            f"{len(records) - len(complete)} marked incomplete, {unseen} began and ended in a gap"
        )
