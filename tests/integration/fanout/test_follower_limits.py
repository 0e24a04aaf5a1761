"""Followers that are cancelled at any moment, and many followers of one stream."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import pytest
from support.faulty_proxy import Proxy
from support.sizes import NIGHTLY
from support.stream_source import StreamSource
from support.waiting import eventually

from basix_ws_cti import Backoff, Gap
from basix_ws_cti.fanout import Follower
from basix_ws_cti.fanout.redis_address import RedisAddress
from basix_ws_cti.fanout.redis_connection import RedisConnection

pytestmark = [pytest.mark.redis, pytest.mark.slow]

FOLLOWERS = 20
CHANGES = 10_000 if NIGHTLY else 200
# Iterations of the event loop after which a task is cancelled. A follower that starts, reads a
# snapshot and some entries takes fewer.
ITERATIONS = 200 if NIGHTLY else 60


def connections(server):
    return len(server.client.client_list())


async def test_a_follower_that_is_cancelled_at_any_moment_leaves_no_connection(redis_server):
    source = StreamSource(redis_server.client)
    source.begin()
    before = connections(redis_server)

    async def follow():
        async with Follower(redis_server.url) as follower:
            await follower.synced()
            await asyncio.Event().wait()

    was_synced = 0
    for iterations in range(ITERATIONS):
        task = asyncio.create_task(follow())
        for _ in range(iterations):
            await asyncio.sleep(0.0002)
        was_synced += connections(redis_server) > before
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert was_synced
    await eventually(lambda: connections(redis_server) == before)
    gc.collect()  # a connection that was not closed would raise a ResourceWarning


async def test_a_command_that_is_cancelled_at_any_moment_leaves_no_answer_behind(redis_server):
    connection = RedisConnection(RedisAddress.parse(redis_server.url))
    outcomes = set()
    try:
        for iterations in range(ITERATIONS):
            task = asyncio.create_task(connection.execute("ECHO", f"first {iterations}"))
            for _ in range(iterations % 20):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            outcomes.add(task.cancelled())
            expected = f"second {iterations}"
            assert await connection.execute("ECHO", expected) == expected.encode()
    finally:
        await connection.close()
    assert True in outcomes


async def test_twenty_followers_show_the_same(redis_server):
    """Also if the links of some are cut again and again."""
    source = StreamSource(redis_server.client)
    source.begin()
    async with Proxy(redis_server.port) as proxy, contextlib.AsyncExitStack() as stack:
        followers, seen = [], []
        for number in range(FOLLOWERS):
            port = proxy.port if number % 4 == 0 else redis_server.port
            backoff = Backoff(initial=0.01, maximum=0.05)
            follower = Follower(f"redis://127.0.0.1:{port}", backoff=backoff)
            changes = []
            follower.on_change(changes.append)
            await stack.enter_async_context(follower)
            followers.append(follower)
            seen.append(changes)
        for follower in followers:
            await follower.synced()
        for changes in seen:
            changes.clear()
        for number in range(CHANGES):
            source.relabel(f"b{number}")
            if number % 50 == 0:
                for link in [*proxy.links]:
                    link.cut(reset=True)
                await asyncio.sleep(0)
            if number % 200 == 0:
                source.append_snapshot()
        last = f"b{CHANGES - 1}"
        for follower in followers:
            await eventually(lambda mirror=follower.mirror: mirror.users[1].label == last)
        expected = [f"b{number}" for number in range(CHANGES)]
        for changes in seen:
            assert not any(isinstance(one, Gap) for one in changes)
            assert [one.element.label for one in changes] == expected
        assert sum(one.stats.reconnects for one in followers) > 0
