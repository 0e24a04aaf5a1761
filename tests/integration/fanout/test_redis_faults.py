"""Publisher and a Redis that loses data, refuses writes, stops, or comes back with old data."""

from __future__ import annotations

import asyncio
import time

import pytest
from support.redis_server import RedisServer
from support.stream_checks import agrees, elements_of, read_stream
from support.waiting import eventually

from basix_ws_cti import Backoff, Client
from basix_ws_cti.fanout.publisher import Publisher
from basix_ws_cti.simulator.faults import Drop

pytestmark = [pytest.mark.redis, pytest.mark.slow]

# Seconds: three times the limit for a new epoch after the stream was lost.
NEW_EPOCH = 3 * 3

# More than the publisher of that test keeps.
EVENTS = 3000


class Run:
    """Publisher that runs beside the test."""

    def __init__(self, url, pbx, **options):
        self.pbx = pbx
        self._clients = []
        self.publisher = Publisher(url, self._make_client, **options)

    def _make_client(self):
        self._clients.append(Client(**self.pbx.connect_args, full_events=True))
        return self._clients[-1]

    async def __aenter__(self):
        self._task = asyncio.create_task(self.publisher.run())
        await self.leads()
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.wait([self._task])
        assert self._task.cancelled()

    async def leads(self):
        await eventually(lambda: self.publisher.status.role == "leader")

    async def has_problem(self, cause):
        await eventually(lambda: getattr(self.publisher.status.problem, "cause", None) == cause)

    async def is_well(self):
        await eventually(
            lambda: self.publisher.status.problem is None and self.publisher.status.role == "leader"
        )

    @property
    def events(self):
        """Number of events that the PBX has sent to the publisher."""
        return sum(client.stats.messages.get("InfoEvent", 0) for client in self._clients)

    @property
    def connects(self):
        """Number of connections that the PBX has had from the publisher."""
        return sum(client.stats.connects for client in self._clients)


def older_copy(server):
    """Return a function that replaces the stream by its present contents."""
    dump = server.client.dump("basix")
    return lambda: server.client.restore("basix", 0, dump, replace=True)


LOSSES = {
    "FLUSHALL": lambda server: server.client.flushall,
    "deleted stream": lambda server: lambda: server.client.delete("basix"),
    "older copy": older_copy,
    "lower ids": lambda server: (
        lambda: (
            server.client.delete("basix"),
            server.client.xadd("basix", {"a": "b"}, id="5-0"),
        )
    ),
}


@pytest.mark.timing
@pytest.mark.parametrize("name", LOSSES)
async def test_lost_stream_is_replaced_by_a_new_epoch_with_a_snapshot(redis_server, pbx, name):
    async with Run(redis_server.url, pbx) as run:
        await eventually(lambda: redis_server.data("snapshot_end"))
        lose = LOSSES[name](redis_server)
        pbx.call("0312341234", to="1001")
        await eventually(lambda: redis_server.data("call"))
        before = redis_server.entries()[-1][0]
        lose()
        lost_at = time.monotonic()
        await eventually(lambda: new_snapshot_after(redis_server, before))
        assert time.monotonic() - lost_at < NEW_EPOCH
        redis_server.client.xdel("basix", "5-0")
        pbx.msg("end")
        await eventually(lambda: redis_server.data("msg"))
        elements = read_epochs(redis_server.entries())
        async with Client(
            **{**pbx.connect_args, "app_name": "reference"}, full_events=True
        ) as client:
            await client.synced()
            assert elements == elements_of(client.mirror)
        assert run.connects == 1


def new_snapshot_after(server, last):
    """Return True once a snapshot is complete whose id is higher than ``last``."""
    return any(
        parsed(entry_id) > parsed(last) and fields.get(b"type") == b"snapshot_end"
        for entry_id, fields in server.entries()
    )


def parsed(entry_id):
    return tuple(map(int, entry_id.split(b"-")))


def read_epochs(entries):
    """Return the elements after the last epoch, which is complete."""
    [*_, first] = [at for at, (_, fields) in enumerate(entries) if fields[b"type"] == b"epoch"]
    entries = entries[first:]
    entries[0][1][b"prev"] = b"0-0"
    return read_stream(entries).elements


def out_of_memory(server):
    server.client.config_set("maxmemory", 1)
    return lambda: server.client.config_set("maxmemory", 0)


def read_only(server):
    server.client.replicaof("127.0.0.1", 1)  # nothing listens there
    return lambda: server.client.replicaof("NO", "ONE")


def forbidden(server):
    server.client.acl_setuser("default", enabled=True, categories=["+@all"], commands=["-xadd"])
    return lambda: server.client.acl_setuser("default", enabled=True, commands=["+xadd"])


REFUSALS = {
    "out_of_memory": out_of_memory,
    "read_only": read_only,
    "no_permission": forbidden,
}


@pytest.mark.parametrize("cause", REFUSALS)
async def test_status_names_why_redis_refuses_and_all_is_published_later(redis_server, pbx, cause):
    async with Run(redis_server.url, pbx) as run:
        await eventually(lambda: redis_server.data("snapshot_end"))
        end = REFUSALS[cause](redis_server)
        call = pbx.call("0312341234", to="1001")
        pbx.msg("meanwhile")
        await run.has_problem(cause)
        pbx.hangup(call)
        await asyncio.sleep(0.1)
        end()
        await run.is_well()
        facts = await agrees(redis_server, pbx, "end")
        assert run.connects == 1
    assert facts.texts == ["meanwhile", "end"]
    assert facts.types["gap"] == 0
    started, ended = (
        sum(f":{event}:" in key for key in facts.call_keys) for event in ("started", "ended")
    )
    assert (started, ended) == (1, 1)


async def test_loading_redis_is_waited_for(tmp_path, server_program, pbx):
    with RedisServer(tmp_path, aof=True, program=server_program) as server:
        async with Run(server.url, pbx) as run:
            server.client.set("others", "x")
            for number in range(300):
                server.client.set(f"others{number}", "x")
            server.client.bgrewriteaof()
            await eventually(lambda: not server.client.info()["aof_rewrite_in_progress"])
            server.kill()
            pbx.msg("meanwhile")
            await run.has_problem("unreachable")
            # Microseconds per key: the server is loading for some seconds.
            server.start(wait=False, key_load_delay=10_000)
            await run.has_problem("loading")
            await run.is_well()
            facts = await agrees(server, pbx, "end")
            assert run.connects == 1
        assert facts.texts == ["meanwhile", "end"]
        assert facts.types["gap"] == 0


async def test_stopped_redis_leaves_one_leader_and_loses_nothing(redis_server, pbx):
    """The leases expire while Redis is stopped; both publishers stay connected to the PBX."""
    async with Run(redis_server.url, pbx, name="one") as one:
        two = Publisher(
            redis_server.url, lambda: Client(**pbx.connect_args, full_events=True), name="two"
        )
        task = asyncio.create_task(two.run())
        try:
            await eventually(lambda: two.status.role == "standby" and two.status.feed is not None)
            await eventually(lambda: type(two.status.feed).__name__ == "Synced")
            await eventually(redis_server.has_standby)
            redis_server.suspend()
            pbx.msg("meanwhile")
            await asyncio.sleep(5)
            redis_server.resume()
            await eventually(
                lambda: (
                    sorted([two.status.role, one.publisher.status.role]) == ["leader", "standby"]
                )
            )
            facts = await agrees(redis_server, pbx, "end")
            assert one.connects == 1
        finally:
            task.cancel()
            await asyncio.wait([task])
    assert facts.texts == ["meanwhile", "end"]
    assert facts.types["gap"] == 0
    assert len(facts.publishers) == 2  # no flapping


async def test_gap_of_the_pbx_is_reported_though_the_lease_expires_before_it_is_appended(
    redis_server, pbx
):
    """The PBX is lost and comes back while Redis is stopped. The states are equal afterwards."""
    clients = []

    def make_client():
        clients.append(Client(**pbx.connect_args, full_events=True, backoff=Backoff(0.1, 0.2)))
        return clients[-1]

    two = Publisher(redis_server.url, make_client, name="two")
    async with Run(redis_server.url, pbx, name="one"):
        task = asyncio.create_task(two.run())
        await eventually(redis_server.has_standby)
        pbx.msg("first")  # the standby finds it in the stream
        await eventually(lambda: redis_server.has_message("first"))
        await eventually(lambda: two.pending == 0)
    try:
        await eventually(lambda: two.status.role == "leader" and two.stats.snapshots)
        redis_server.suspend()
        pbx.inject(Drop())
        pbx.msg("missed")
        await eventually(lambda: clients[-1].stats.gaps == 1)
        await eventually(lambda: two.status.role == "standby")
        redis_server.resume()
        facts = await agrees(redis_server, pbx, "end")
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert facts.publishers[-1] == "two"
    assert facts.texts == ["first", "end"]
    assert facts.types["gap"] == 1


async def test_journal_that_overflows_is_replaced_by_a_gap_and_a_snapshot(redis_server, pbx):
    async with Run(redis_server.url, pbx, max_pending=1000) as run:
        await eventually(lambda: redis_server.data("snapshot_end"))
        end = out_of_memory(redis_server)
        pbx.msg("first")
        await run.has_problem("out_of_memory")
        pbx.flood(EVENTS)
        await eventually(lambda: run.events >= EVENTS)
        assert run.publisher.pending <= 1000
        end()
        await run.is_well()
        facts = await agrees(redis_server, pbx, "end")
        assert run.connects == 1
    assert facts.types["gap"] == 1
    assert facts.types["snapshot_end"] == 2
    # A leader that loses its lease puts the first message back, and the overflow drops it.
    assert [text for text in facts.texts if text != "first"] == ["end"]
