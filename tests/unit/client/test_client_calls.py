"""Calls in the client: calls, call_events() and on_call(), over gaps and real sockets."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from support.fake_pbx import FakePbx
from support.random_pbx import shared_columns
from support.sizes import NIGHTLY
from support.virtual_clock import on_virtual_clock
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
from basix_ws_cti.states import Calling, Ivr, Ringing

# == on a virtual clock ===================================================================


def leg(uuid, **fields):
    return Channel(uuid=uuid, **{"state": Ivr(ts=1), "offer_timestamp": 1, **fields})


def set_channel(pbx, channel, event_name="added"):
    """Add, update or remove a channel."""
    channels = dict(pbx.state["channel"])
    channels.pop(channel.uuid, None)
    if event_name != "removed":
        channels[channel.uuid] = channel
    pbx.replace("channel", channels, (channel, event_name))


@on_virtual_clock
async def test_calls_are_tracked_from_the_first_use():
    """Calls that start after the first use of ``calls`` are complete."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as idle:
        await idle.synced(10)
        set_channel(pbx, leg("a"))
        await asyncio.sleep(1)
        assert [call.complete for call in idle.calls.values()] == [False]
        set_channel(pbx, leg("b"))
        await asyncio.sleep(1)
        assert {key: call.complete for key, call in idle.calls.items()} == {
            "a": False,
            "b": True,
        }


@on_virtual_clock
async def test_call_events_are_equal_for_iterators_and_callbacks():
    """An unregistered callback gets nothing."""
    pbx = FakePbx()
    client = Client("fake", connector=pbx)
    received, awaited, unregistered = [], [], []
    events = client.call_events()
    client.on_call(received.append)
    stop = client.on_call(unregistered.append)

    async def receive(event):
        await asyncio.sleep(0)
        awaited.append(event)

    client.on_call(receive)
    stop()
    async with client:
        await client.synced(10)
        set_channel(pbx, leg("a"))
        set_channel(pbx, leg("a", hangup_timestamp=5, last_event="CHANNEL_HANGUP"), "updated")
        first, last = await anext(events), await anext(events)
        await asyncio.sleep(1)
    assert (type(first), type(last)) == (CallStarted, CallEnded)
    assert received == awaited == [first, last]
    assert unregistered == []
    with pytest.raises(StopAsyncIteration):
        await anext(events)


def waiting_leg(uuid):
    return leg(uuid, state=Calling(ts=1, target_type="group", group_id=5))


@on_virtual_clock
async def test_queue_figures_recover_from_lost_events():
    """A call whose end was lost waits no more, and one whose start was lost waits."""
    pbx = FakePbx()
    client = Client("fake", connector=pbx)
    events = client.call_events(size=2)
    stats = QueueStats()

    async def follow(count):
        for _ in range(count):
            event = await anext(events)
            if isinstance(event, Lagged):
                stats.restart(client.calls.values())
            else:
                stats.apply([event])

    async with client:
        await client.synced(10)
        set_channel(pbx, waiting_leg("a"))
        set_channel(pbx, waiting_leg("b"))
        await follow(2)
        set_channel(pbx, waiting_leg("a"), "removed")
        for uuid in ("c", "d", "e"):
            set_channel(pbx, waiting_leg(uuid))
        await asyncio.sleep(1)
        await follow(3)
        assert stats.active_calls == len(client.calls) == 4
    figures = stats.group(5, 10)
    assert (figures.offered, figures.waiting, figures.unknown) == (5, 4, 1)


@on_virtual_clock
async def test_callbacks_find_the_calls_up_to_date():
    """A callback for a change or a call event finds the change in client.calls."""
    pbx = FakePbx()
    client = Client("fake", connector=pbx)
    found = []
    client.on_change(lambda change: found.append(list(client.calls)))
    client.on_call(lambda event: found.append(list(client.calls)))
    async with client:
        await client.synced(10)
        set_channel(pbx, leg("a"))
        await asyncio.sleep(1)
        set_channel(pbx, leg("a"), "removed")
        await asyncio.sleep(1)
    assert found == [["a"], ["a"], [], []]


@on_virtual_clock
async def test_call_that_ended_in_a_gap_ends_synthetically():
    """A call that ended in a gap has one synthetic end; one that continues keeps its id."""
    pbx = FakePbx()
    client = Client("fake", connector=pbx, backoff=Backoff(initial=5, maximum=5))
    events = []
    client.on_call(events.append)
    async with client:
        await client.synced(10)
        set_channel(pbx, leg("a"))
        set_channel(pbx, leg("b", state=Ringing(ts=2)))
        await asyncio.sleep(1)
        pbx.lose()
        await asyncio.sleep(0.5)
        set_channel(pbx, leg("a"), "removed")
        set_channel(pbx, leg("c"))
        assert set(client.calls) == {"a", "b"}
        await client.wait_for(lambda mirror: "c" in mirror.channels)
        assert {key: call.complete for key, call in client.calls.items()} == {
            "b": False,
            "c": False,
        }
        set_channel(pbx, leg("d"))
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
    assert ended.call.ended > 1_700_000_000_000_000  # when the connection was lost


@on_virtual_clock
async def test_call_events_are_dropped_or_fail_but_never_merge():
    """A slow reader gets a Lagged, or fails."""
    pbx = FakePbx()
    client = Client("fake", connector=pbx)
    with pytest.raises(UsageError, match="cannot be merged"):
        client.call_events(policy="latest")
    oldest = client.call_events(size=2)
    fails = client.call_events(policy="fail", size=2)
    async with client:
        await client.synced(10)
        for number in range(5):
            set_channel(pbx, leg(f"u{number}"))
        await asyncio.sleep(1)
        first, *rest = [await anext(oldest) for _ in range(3)]
        assert first == Lagged(3)
        assert [event.call.id for event in rest] == ["u3", "u4"]
        with pytest.raises(SubscriberLagged):
            await anext(fails)
        assert client.stats.missed >= 3


@on_virtual_clock
async def test_call_events_end_with_the_client():
    """A subscription ends with the client and its error, and a later one ends at once."""
    pbx = FakePbx()
    client = Client("fake", connector=pbx, classify=lambda error, final: True)
    events = client.call_events()
    async with client:
        await client.synced(10)
        set_channel(pbx, leg("a"))
        await asyncio.sleep(1)
        assert client.stats.lag == 1
        pbx.lose(NotConnectedError())
        assert isinstance(await anext(events), CallStarted)
        for waiting in (events, client.call_events()):
            with pytest.raises(NotConnectedError):
                await anext(waiting)


@on_virtual_clock
async def test_other_kinds_cause_no_call_events():
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


# == over real sockets ====================================================================


def new_client(pbx, **options):
    defaults = {
        **pbx.connect_args,
        "backoff": Backoff(initial=0.02, maximum=0.1),
        "quiet_time": 0.05,
        "close_timeout": 0.1,
        "full_events": True,
    }
    return Client(**{**defaults, **options})


async def test_answered_and_parked_call_over_a_socket():
    """A call rings, is answered, parked and hung up."""
    async with Simulator(calls=False) as pbx:
        client = new_client(pbx)
        events = client.call_events()
        async with client:
            await client.synced(TIMEOUT)
            line = pbx.call("0312341234", to="1001")
            pbx.answer(line)
            slot = pbx.park(line)
            pbx.hangup(line)
            kinds = [CallStarted, CallRinging, CallAnswered, CallParked, CallEnded]
            received = [await anext(events) for _ in kinds]
        assert [type(event) for event in received] == kinds
        assert {event.call.id for event in received} == {line}
        assert received[1].party.user_id == 10001001
        assert received[1].call.caller.name == "山田 太郎"
        assert received[3].slot == slot
        (row,) = pbx.pbx.ledger
        assert shared_columns(CallRecord.of(received[4].call)) == shared_columns(row)


async def test_ledger_can_be_read_from_another_thread():
    with Simulator(calls=False) as pbx:
        line = pbx.call()
        pbx.hangup(line)
        (row,) = await asyncio.to_thread(lambda: pbx.ledger)
        assert (row.id, row.disposition) == (line, "abandoned")


def channels_are_current(client, pbx):
    """Return True if the client has all channels as the PBX has them."""
    shown = {key: to_dict(one) for key, one in client.mirror.channels.items()}
    return shown == pbx.snapshot()["channel"]


async def follow_calls(pbx, calls, kinds=(), **options):
    """Follow a PBX until its ledger has this many calls, then stop its clock.

    On the way, faults of all ``kinds`` are injected in random order, each at least once. A fault
    is injected only while the client is synced, so that a lost connection makes a gap of its own.
    Returns the ledger's rows and the client's records, by id, and the client's statistics.
    """
    client = new_client(pbx, **options)
    started, records, stats = Counter(), {}, QueueStats()
    rng, round_of_faults, injected = random.Random(3), [], 0

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
            if len(pbx.ledger) >= calls and injected >= len(kinds):
                break
            if kinds and number % 8 == 7 and client.is_synced:
                round_of_faults = round_of_faults or rng.sample(kinds, len(kinds))
                pbx.inject(round_of_faults.pop())
                injected += 1
            await asyncio.sleep(0.05)
        pbx.speed = 1e-9  # its clock stops
        pbx.disarm_faults()
        await asyncio.sleep(1)  # time to detect a silence
        await eventually(
            lambda: (
                client.is_synced
                and channels_are_current(client, pbx)
                and set(records) | set(client.calls) == set(started)  # all is delivered
            )
        )
        rows = {row.id: row for row in pbx.ledger}  # includes calls that ended just then
        assert max(started.values()) == 1
        assert stats.active_calls == len(client.calls)
        return rows, records, client.stats


@pytest.mark.slow
async def test_simulated_day_over_a_socket(capsys):
    """Each call record of a busy day equals the row of the PBX's ledger."""
    calls = 10_000 if NIGHTLY else 250
    async with Simulator(speed=1500, users=30, seed=5) as pbx:
        rows, records, stats = await follow_calls(pbx, calls)
        assert len(rows) >= calls
        assert {key: shared_columns(record) for key, record in records.items()} == {
            key: shared_columns(row) for key, row in rows.items()
        }
        assert all(record.complete for record in records.values())
    with capsys.disabled():
        print(f"\n{len(rows)} calls over a socket, {stats.frames} frames: all as in the ledger")  # noqa: T201


@pytest.mark.slow
async def test_simulated_day_with_faults(capsys):
    """With connections that fail, each record is correct or marked as incomplete."""
    calls = 5000 if NIGHTLY else 300
    kinds = [
        *(faults.Drop(), faults.Reset(), faults.HalfClose(), faults.Silence()),
        *(faults.Split(40), faults.Coalesce(0.02), faults.SendFrame(), faults.Truncate()),
        *(faults.Repeat(), faults.UpdateAfterRemoval(), faults.DropDuringSnapshot(4)),
        faults.EventFirst(),
    ]
    async with Simulator(speed=60, rate=60, users=60, seed=6, max_connections=50) as pbx:
        timing = {"ping_interval": 0.2, "ping_timeout": 0.3}
        rows, records, stats = await follow_calls(pbx, calls, kinds, **timing)
    complete = [record for record in records.values() if record.complete]
    for record in complete:
        assert shared_columns(record) == shared_columns(rows[record.id])
    assert complete
    assert stats.gaps > 2
    unseen = len(rows.keys() - records.keys())
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{len(rows)} calls, {stats.gaps} gaps: {len(complete)} complete and correct; "
            f"{len(records) - len(complete)} marked incomplete, {unseen} began and ended in a gap"
        )
