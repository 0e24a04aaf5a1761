"""Publishers with a real Redis and a simulated PBX: takeover, faults of Redis, lost answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import Counter

import pytest
from support.busy_pbx import be_busy
from support.faulty_proxy import Proxy
from support.late_proxy import LateProxy
from support.sizes import NIGHTLY
from support.stream_checks import agrees, elements_of, read_stream
from support.waiting import eventually

from basix_ws_cti import Backoff, Client, Synced
from basix_ws_cti.fanout.entry_encoder import call_event_key
from basix_ws_cti.fanout.follower import Follower
from basix_ws_cti.fanout.publisher import Publisher
from basix_ws_cti.simulator.faults import Drop, Linger

pytestmark = [pytest.mark.redis, pytest.mark.slow]

LOST_ANSWERS = 100 if NIGHTLY else 10


@contextlib.asynccontextmanager
async def busy(pbx, pause=0.02):
    """Let calls go on for the duration of the block."""

    async def work():
        rng = random.Random(7)
        while True:
            be_busy(pbx, rng)
            await asyncio.sleep(pause)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def make_publisher(url, pbx, name="one", **options):
    return Publisher(
        url, lambda: Client(**pbx.connect_args, full_events=True), name=name, **options
    )


@contextlib.asynccontextmanager
async def running(*publishers):
    """Run publishers for the duration of the block, which none of them may end earlier."""
    tasks = [asyncio.create_task(one.run()) for one in publishers]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in results), results


async def becomes(publisher, role):
    await eventually(lambda: publisher.status.role == role)


async def leader_and_standby(server, publishers):
    """Wait for both roles; the standby must be able to go on without a gap."""
    await eventually(server.has_standby)
    await eventually(lambda: {"leader", "standby"} <= {one.status.role for one in publishers})
    [leader] = [one for one in publishers if one.status.role == "leader"]
    return leader, next(one for one in publishers if one.status.role == "standby")


def doubled(counter):
    return {key: number for key, number in counter.items() if number != 1}


async def test_stream_begins_with_a_snapshot_and_follows_the_pbx(redis_server, pbx):
    publisher = make_publisher(redis_server.url, pbx)
    async with running(publisher):
        await becomes(publisher, "leader")
        async with busy(pbx):
            await eventually(lambda: publisher.stats.entries > 300)
        facts = await agrees(redis_server, pbx, "end")
    assert facts.publishers == ["one"]
    assert facts.types["snapshot"] == facts.types["snapshot_end"] == 1
    assert facts.types["gap"] == 0
    assert doubled(facts.call_keys) == {}
    assert len(facts.call_keys) > 50


async def test_standby_continues_without_a_gap_when_the_leader_ends(redis_server, pbx):
    """Every call event is in the stream once, in whatever moment the leader ended."""
    publishers = [make_publisher(redis_server.url, pbx, name) for name in ("one", "two", "three")]
    heard = []
    # Publishers may use up the connections of their app_name.
    witness = Client(**{**pbx.connect_args, "app_name": "witness"}, full_events=True)
    witness.on_call(heard.append)
    async with witness, running(*publishers) as tasks:
        await leader_and_standby(redis_server, publishers)
        async with busy(pbx):
            await eventually(lambda: sum(one.stats.entries for one in publishers) > 200)
            leader, standby = await leader_and_standby(redis_server, publishers)
            tasks[publishers.index(leader)].cancel()
            await becomes(standby, "leader")
            entries = standby.stats.entries
            await eventually(lambda: standby.stats.entries > entries + 200)
            third = next(one for one in publishers if one not in {leader, standby})
            await becomes(third, "standby")
        pbx.msg("the last")
        await eventually(lambda: redis_server.has_message("the last"))
        heard = [*heard]
    facts = read_stream(redis_server.entries())
    assert facts.types["gap"] == 0
    assert {call_event_key(event) for event in heard} - set(facts.call_keys) == set()
    assert doubled(facts.call_keys) == {}
    assert len(facts.publishers) >= 2


async def test_append_whose_answer_is_lost_is_in_the_stream_once(redis_server, pbx):
    """The connection breaks after Redis has executed an append and before it has answered."""
    lost = Counter()
    publisher = None

    def lose_answers(link):
        def on_data(data):
            if b"XADD" in data and publisher.status.role == "leader" and rng.random() < 0.3:
                lost["answers"] += 1
                link.down.is_lost = True
                asyncio.get_running_loop().call_later(0.02, link.cut)

        link.up.on_data = on_data

    rng = random.Random(3)
    async with Proxy(redis_server.port) as proxy:
        proxy.on_link = lose_answers
        publisher = make_publisher(f"redis://127.0.0.1:{proxy.port}", pbx)
        async with running(publisher):
            await becomes(publisher, "leader")
            async with busy(pbx):
                await eventually(lambda: lost["answers"] >= LOST_ANSWERS, 240)
            proxy.on_link = lambda _: None
            rng.random = lambda: 1
            facts = await agrees(redis_server, pbx, "end")
    assert facts.types["gap"] == 0
    assert doubled(facts.call_keys) == {}
    assert set(facts.publishers) == {"one"}


async def test_end_during_the_first_snapshot_names_that_snapshot(redis_server, pbx):
    """Its last entry is in Redis, and the answer has not arrived when the publisher is stopped."""

    def lose_answer(link):
        def on_data(data):
            link.down.is_lost = link.down.is_lost or b"snapshot_end" in data

        link.up.on_data = on_data

    async with Proxy(redis_server.port) as proxy:
        proxy.on_link = lose_answer
        publisher = make_publisher(f"redis://127.0.0.1:{proxy.port}", pbx)
        async with running(publisher):
            await eventually(lambda: redis_server.data("snapshot_end"))
            proxy.on_link = lambda _: None
    [start] = [raw for raw, fields in redis_server.entries() if fields[b"type"] == b"snapshot"]
    _, newest = redis_server.entries()[-1]
    assert newest[b"type"] == b"state"
    assert newest[b"snapshot"] == start


async def test_append_that_arrives_after_the_takeover_is_refused(redis_server, pbx):
    """The leader's last append is on its way for longer than its lease lasts."""
    async with LateProxy(redis_server.port) as proxy:
        first = make_publisher(f"redis://127.0.0.1:{proxy.port}", pbx, "first")
        second = make_publisher(redis_server.url, pbx, "second")
        async with running(first):
            await becomes(first, "leader")
            async with running(second):
                await leader_and_standby(redis_server, [first, second])
                proxy.delay = 4.0
                pbx.msg("late")
                await becomes(second, "leader")
                await becomes(first, "standby")
                await eventually(lambda: proxy.late >= 4)
                facts = await agrees(redis_server, pbx, "end")
                proxy.delay = 0.0
    assert facts.publishers == ["first", "second"]
    assert facts.texts == ["late", "end"]
    assert facts.types["gap"] == 0


async def test_leader_that_loses_the_pbx_hands_over_without_a_gap(redis_server, pbx):
    publishers = [make_publisher(redis_server.url, pbx, name) for name in ("one", "two")]
    async with running(*publishers), busy(pbx):
        leader, standby = await leader_and_standby(redis_server, publishers)
        while standby.status.role != "leader":
            await eventually(redis_server.has_standby)
            # The older one is the leader's, unless a busy machine has made it lose the lease.
            pbx.inject(Drop(), to=pbx.connections[0])
            with contextlib.suppress(TimeoutError):
                await eventually(lambda: standby.status.role == "leader", 5)
        await becomes(leader, "standby")
        await eventually(lambda: standby.stats.entries > 200)
        states = b"".join(redis_server.data("state"))
    facts = read_stream(redis_server.entries())
    assert facts.types["gap"] == 0
    assert b'"disconnected"' not in states
    assert doubled(facts.call_keys) == {}


async def test_next_standby_waits_while_the_pbx_counts_a_lost_connection(redis_server, pbx):
    pbx.inject(Linger(2))
    publishers = [
        Publisher(
            redis_server.url,
            lambda: Client(
                **pbx.connect_args,
                full_events=True,
                backoff=Backoff(0.1, 0.5),
                classify=lambda error, is_final: False,
            ),
            name=name,
        )
        for name in ("one", "two", "three")
    ]
    async with running(*publishers):
        leader, standby = await leader_and_standby(redis_server, publishers)
        third = next(one for one in publishers if one not in {leader, standby})
        pbx.inject(Drop(), to=pbx.connections[0])
        await becomes(standby, "leader")
        await eventually(lambda: "standby" in {leader.status.role, third.status.role})
        await leader_and_standby(redis_server, publishers)
    facts = read_stream(redis_server.entries())
    assert len(facts.publishers) == 2
    assert facts.types["gap"] == 0


async def test_leader_without_a_standby_reports_the_loss_of_the_pbx(redis_server, pbx):
    publisher = Publisher(
        redis_server.url,
        lambda: Client(**pbx.connect_args, full_events=True, backoff=Backoff(0.1, 0.5)),
        name="one",
    )
    async with running(publisher):
        await becomes(publisher, "leader")
        await eventually(lambda: redis_server.data("snapshot_end"))
        pbx.inject(Drop())
        await eventually(lambda: len(redis_server.data("snapshot_end")) == 2)
        facts = await agrees(redis_server, pbx, "end")
        states = [json.loads(data)["state"] for data in redis_server.data("state")]
        [gap] = [json.loads(data) for data in redis_server.data("gap")]
    assert facts.publishers == ["one"]
    assert states[:2] == ["synced", "disconnected"]
    assert states[-1] == "synced"
    assert gap["reason"]["error"] == "ConnectionLost"
    assert gap["started"] <= gap["ended"]


async def test_restart_of_the_only_publisher_is_a_gap(redis_server, pbx):
    """Nobody has heard what happened in between."""
    first, second = (make_publisher(redis_server.url, pbx, name) for name in ("one", "two"))
    async with running(first):
        await eventually(lambda: redis_server.data("snapshot_end"))
    missed_at = time.time() * 1e6
    pbx.call("0312341234", to="1001")
    async with running(second):
        await eventually(lambda: second.stats.snapshots)
        facts = await agrees(redis_server, pbx, "second")
    assert facts.publishers == ["one", "two"]
    [gap] = map(json.loads, redis_server.data("gap"))
    assert gap["started"] <= missed_at <= gap["ended"]


async def test_state_of_the_pbx_may_be_late_at_a_takeover(redis_server, pbx):
    """The stream has events that the standby receives from the PBX long after the takeover."""
    async with Proxy(int(pbx.url.rpartition(":")[2])) as proxy:
        late = {**pbx.connect_args, "server": f"ws://127.0.0.1:{proxy.port}"}
        leader = make_publisher(redis_server.url, pbx, "leader")
        standby = Publisher(redis_server.url, lambda: Client(**late, full_events=True), name="late")
        async with contextlib.AsyncExitStack() as stack:
            leading = asyncio.create_task(leader.run())
            stack.callback(leading.cancel)
            await becomes(leader, "leader")
            async with running(standby):
                await leader_and_standby(redis_server, [leader, standby])
                [link] = proxy.links
                link.down.delay = 1.5
                pbx.call("0312341234", to="1001")
                await eventually(lambda: redis_server.data("call"))
                leading.cancel()
                await becomes(standby, "leader")
                facts = await agrees(redis_server, pbx, "end")
    assert facts.types["gap"] == 0
    assert doubled(facts.call_keys) == {}


async def test_stalled_leader_does_not_vouch_for_what_a_new_standby_has_missed(redis_server, pbx):
    """Nobody appends a message that came before the standby: the states do not show that."""
    async with Proxy(redis_server.port) as proxy:
        first = make_publisher(f"redis://127.0.0.1:{proxy.port}", pbx, "first")
        second = make_publisher(redis_server.url, pbx, "second")
        async with running(first):
            await becomes(first, "leader")
            await eventually(lambda: redis_server.data("snapshot_end"))
            proxy.on_link = lambda link: link.inject("black hole")
            for link in [*proxy.links]:
                link.inject("black hole")
            pbx.msg("missed")
            async with running(second):
                await eventually(lambda: second.stats.snapshots)
                facts = await agrees(redis_server, pbx, "end")
    assert facts.publishers == ["first", "second"]
    assert facts.texts == ["end"]
    assert facts.types["gap"] == 1


async def test_entries_that_are_gone_are_a_gap_though_the_states_are_equal(redis_server, pbx):
    publisher = make_publisher(redis_server.url, pbx)
    async with running(publisher):
        await becomes(publisher, "leader")
        await eventually(lambda: redis_server.data("snapshot_end"))
        dump = redis_server.client.dump("basix")
        missed_at = time.time() * 1e6
        pbx.msg("gone")
        await eventually(lambda: redis_server.has_message("gone"))
        redis_server.client.restore("basix", 0, dump, replace=True)
        facts = await agrees(redis_server, pbx, "end")
    [gap] = map(json.loads, redis_server.data("gap"))
    assert facts.texts == ["end"]
    assert gap["started"] <= missed_at <= gap["ended"]
    types = [fields[b"type"] for _, fields in redis_server.entries()]
    marker = len(types) - types[::-1].index(b"epoch")
    assert types[marker] == b"gap"  # nobody takes the state before it for the current one


async def test_leader_resumes_after_an_outage_of_redis_before_a_standby_that_missed_something(
    redis_server, pbx
):
    first, second = (make_publisher(redis_server.url, pbx, name) for name in ("first", "second"))
    async with running(first):
        await becomes(first, "leader")
        async with running(second):
            await eventually(lambda: second.status.role == "standby" and is_synced(second))
            assert not redis_server.has_standby()
            redis_server.suspend()
            await eventually(lambda: second.status.problem and first.status.role == "standby")
            redis_server.resume()
            await eventually(lambda: "leader" in {first.status.role, second.status.role})
            facts = await agrees(redis_server, pbx, "end")
    assert facts.publishers == ["first", "first"]
    assert facts.types["gap"] == 0


async def test_stream_is_trimmed_and_a_late_follower_finds_everything(redis_server, pbx):
    """A new snapshot follows each tenth of the entries that the stream keeps."""
    publisher = make_publisher(redis_server.url, pbx, max_entries=1000)
    async with running(publisher):
        await eventually(lambda: publisher.stats.snapshots == 1)
        first, _ = redis_server.entries()[0]
        call = pbx.call("0312341234", to="1001")
        while publisher.stats.entries < 3000:
            pbx.flood(50)
            await asyncio.sleep(0.02)
        pbx.msg("end")
        await eventually(lambda: redis_server.has_message("end"))
        assert redis_server.entries()[0][0] != first
        assert redis_server.client.xlen("basix") < 1500  # Redis trims approximately
        assert publisher.stats.snapshots > 10
        reference = Client(**{**pbx.connect_args, "app_name": "reference"}, full_events=True)
        async with Follower(redis_server.url) as follower, reference as client:
            await follower.synced()
            await client.synced()
            assert elements_of(follower.mirror) == elements_of(client.mirror)
            assert set(follower.calls) == {call}


def is_synced(publisher):
    return isinstance(publisher.status.feed, Synced)
