"""Publishers, Redis and followers under random faults: nothing is lost, doubled or reordered."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from functools import partial

import pytest
from redis.exceptions import RedisError
from support.busy_pbx import be_busy
from support.faulty_proxy import Proxy
from support.redis_server import RedisServer
from support.sizes import NIGHTLY
from support.waiting import eventually

from basix_ws_cti import Backoff, Client
from basix_ws_cti.calls import CallEnded
from basix_ws_cti.fanout import Follower, Publisher
from basix_ws_cti.fanout.entry_encoder import call_event_key
from basix_ws_cti.fanout.lease import READY
from basix_ws_cti.fanout.stream import leader_key, standby_key
from basix_ws_cti.simulator import Simulator

pytestmark = [pytest.mark.redis, pytest.mark.slow]

FAULTS = 100 if NIGHTLY else 6
FOLLOWERS = 3


class Watcher:
    """A feed, and what it has reported."""

    def __init__(self, feed):
        self.feed = feed
        self.keys = Counter()
        self.ended = Counter()
        self.gaps = []
        self.texts = []
        feed.on_msg(self.texts.append)
        feed.on_call(self._note_call)
        feed.on_change(self.gaps.append, where=lambda _: False)

    def _note_call(self, event):
        self.keys[call_event_key(event)] += 1
        if isinstance(event, CallEnded):
            self.ended[event.call.id] += 1

    def has_state_of(self, other):
        ours, theirs = self.feed.mirror, other.feed.mirror
        return {kind: dict(ours[kind].items()) for kind in ours} == {
            kind: dict(theirs[kind].items()) for kind in theirs
        }


def is_standby_ready(server):
    """Return True if a standby can go on without a gap."""
    with contextlib.suppress(RedisError):
        holder = server.client.get(standby_key("basix")) or b""
        return bool(server.client.exists(leader_key("basix"))) and holder.endswith(READY.encode())
    return False


@contextlib.asynccontextmanager
async def published(server, pbx):
    """Run a leader and a standby; yields a function that ends the older one and starts another."""
    names, tasks = iter(range(10_000)), []

    def start():
        publisher = Publisher(
            server.url,
            lambda: Client(**pbx.connect_args, full_events=True),
            name=f"p{next(names)}",
        )
        tasks.append(asyncio.create_task(publisher.run()))

    async def replace():
        await eventually(lambda: is_standby_ready(server))
        task = tasks.pop(0)
        task.cancel()
        await asyncio.wait([task])
        start()

    start()
    start()
    yield replace
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@contextlib.asynccontextmanager
async def working(pbx, rng):
    """Let calls begin, go on and end for the duration of the block."""

    async def work():
        while True:
            be_busy(pbx, rng)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(work())
    yield
    task.cancel()
    await asyncio.wait([task])


async def inject_faults(rng, server, proxy, replace):
    """Cut links of followers, replace publishers, and restart Redis, at random."""
    for _ in range(FAULTS):
        await asyncio.sleep(rng.uniform(0.2, 1))
        match rng.choice(["link", "link", "link", "publisher", "publisher", "redis"]):
            case "link":
                for link in [*proxy.links]:
                    link.cut(reset=True)
            case "publisher":
                await replace()
            case "redis":
                server.kill()
                await asyncio.sleep(rng.uniform(0, 0.5))
                await asyncio.to_thread(server.start)


async def have_read_everything(pbx, watchers):
    """Wait until all feeds are current and have a message that follows everything else."""
    for number in range(100):
        text = f"end {number}"
        pbx.msg(text)
        have_it = partial(all_have, watchers, text)
        with contextlib.suppress(TimeoutError):  # a gap may contain the message
            await eventually(have_it, seconds=5)
            return
    raise AssertionError("the last message does not arrive")


def all_have(watchers, text):
    return all(one.feed.is_synced and text in one.texts for one in watchers)


def check(watcher, reference, *, has_gap):
    """Check that a follower has reported each call event once, apart from those in its gap."""
    assert bool(watcher.gaps) is has_gap
    assert {key: n for key, n in watcher.keys.items() if n > 1} == {}
    assert {call: n for call, n in watcher.ended.items() if n > 1} == {}
    assert not watcher.feed.calls
    assert watcher.feed.stats.bad_frames == 0
    if not has_gap:
        assert watcher.keys == reference.keys
        assert watcher.ended == reference.ended


@pytest.mark.timeout(280 if not NIGHTLY else 3600)
@pytest.mark.parametrize("flushed", [False, pytest.param(True, marks=pytest.mark.nightly)])
async def test_followers_end_with_the_state_and_each_call_event(tmp_path, server_program, flushed):
    rng = random.Random(4)
    async with contextlib.AsyncExitStack() as stack:
        server = RedisServer(tmp_path, aof=True, program=server_program)
        stack.enter_context(server)
        pbx = await stack.enter_async_context(Simulator(calls=False, speed=0.001, users=20, seed=5))
        proxy = await stack.enter_async_context(Proxy(server.port))
        replace = await stack.enter_async_context(published(server, pbx))
        arguments = {**pbx.connect_args, "app_name": "reference"}
        feeds = [Client(**arguments, full_events=True)]
        feeds += [
            Follower(f"redis://127.0.0.1:{proxy.port}", backoff=Backoff(initial=0.05, maximum=0.2))
            for _ in range(FOLLOWERS)
        ]
        reference, *followers = watchers = [Watcher(feed) for feed in feeds]
        for feed in feeds:
            await stack.enter_async_context(feed)
        for feed in feeds:
            await feed.synced()
        async with working(pbx, rng):
            await inject_faults(rng, server, proxy, replace)
            if flushed:
                server.client.flushall()
                await eventually(lambda: all(one.gaps for one in followers))
        for _ in range(100):  # all calls end
            if not reference.feed.mirror.channels:
                break
            pbx.advance(600)
            await asyncio.sleep(0.05)
        await have_read_everything(pbx, watchers)
        for one in followers:
            assert one.has_state_of(reference)
            check(one, reference, has_gap=flushed)
        assert reference.ended
