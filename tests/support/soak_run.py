"""Clients of a running day, through a network as bad as can be: ``soak.py SECONDS [SEED]``.

Six clients, each through a proxy of its own: three speak plainly to one simulator, three over
TLS to another. Storms of faults blow on all of them, with a calm every so often, in which each
must come to the truth: its mirror is ``pbx.snapshot()``, and what its subscribers were told adds
up to that, whether they are told at once, iterate, or are too slow for their queues.

What a changed byte may do. WebSocket frames have no checksum, nor has the feed: a byte that is
changed on a plain connection can leave a frame that reads well and is wrong, a name or a state
that nobody sent, and no client can know. So at a calm those connections that were tampered with
are cut, and no others: what is compared is either a picture from a connection that nobody
touched, which came through all else that blew on it, or one that was made anew after the
faults. Over TLS a changed byte is found, and nothing is cut: there the client is on its own.
A changed byte in a handshake may read as a refusal, which is final by right; the clients here
are told (``classify``) to try again all the same.

It ends with a report, as JSON on the last line, or with an exception.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import logging
import os
import random
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

from basix_ws_cti import to_dict
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.subscriptions import Gap, Lagged
from basix_ws_cti.exceptions import FeedError
from basix_ws_cti.mirror.changes import Added, Removed
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.simulator.faults import SendFrame

from .faulty_proxy import Proxy

CLIENTS = 3  # of each simulator
PAUSE = 0.12  # seconds between two faults of one client, in the middle
STORM = 8  # seconds from one calm to the next
PATIENCE = 60  # seconds in which everybody must have come to the truth
PAGE = os.sysconf("SC_PAGE_SIZE")


def memory():
    """Bytes that the process has in memory, after a collection."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def descriptors():
    return len([*Path("/proc/self/fd").iterdir()])


class Complaints(logging.Handler):
    """What nobody may say while it blows: unhandled, never retrieved, unraisable, defects."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.found = []
        logging.getLogger("asyncio").addHandler(self)
        logging.getLogger("basix_ws_cti").addHandler(self)
        sys.unraisablehook = lambda what: self.found.append(f"unraisable: {what}")
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.found.append(f"unhandled: {context}")
        )
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: self.found.append(f"warning: {message!r}")

    def emit(self, record):
        if record.name == "asyncio":
            stack = traceback.extract_stack()
            # The simulator's burst to a connection whose end asyncio has not told it of yet.
            if any(frame.filename.endswith("simulator/pipe.py") for frame in stack):
                return
        elif record.levelno <= logging.WARNING:
            return  # the clients say why there is no feed, as they should
        self.found.append(f"{record.name}: {record.getMessage()}")


def fold(held, item):
    """What somebody knows who was told ``item``; it must fit what they knew."""
    if isinstance(item, Gap):
        return
    assert not isinstance(item, Lagged)
    place = (item.element_name, item.key)
    assert (place in held) is not isinstance(item, Added), item
    if isinstance(item, Removed):
        del held[place]
    else:
        held[place] = item.element


class Watched:
    """A client behind its proxy, with its subscribers."""

    def __init__(self, pbx, number, seed):
        self.pbx = pbx
        self.chance = random.Random(seed)
        self.is_secure = pbx.url.startswith("wss")
        self.proxy = Proxy(int(pbx.url.rpartition(":")[2]), seed)
        self.name = f"client {number}"
        self.told, self.read, self.slow = {}, {}, {}
        self.errors = Counter()
        self.final = Counter()
        self.counts = Counter()

    @contextlib.asynccontextmanager
    async def running(self):
        async with self.proxy as proxy:
            arguments = self.pbx.connect_args
            server = arguments.pop("server").rpartition(":")[0]
            async with Client(
                f"{server}:{proxy.port}",
                **{**arguments, "app_name": self.name},
                force=True,  # the PBX may still hold those that a fault took from us
                backoff=Backoff(0.02, 0.5, rng=self.chance),
                classify=self._classify,
                quiet_time=0.1,
                sync_timeout=5,
                open_timeout=2,
                ping_interval=0.5,
                ping_timeout=1.5,
                close_timeout=0.2,
            ) as self.client:
                self.client.on_change(functools.partial(fold, self.told))
                self.client.on_change(self._be_slow, size=4)
                self.client.on_error(self._note)
                reading = asyncio.create_task(self._iterate(), name="soak reader")
                asking = asyncio.create_task(self._ask(), name="soak commands")
                yield self
                asking.cancel()
            await asyncio.wait([reading, asking])
            reading.result()
            if not asking.cancelled():
                asking.result()
            self.stats = self.client.stats

    def _classify(self, error, is_final):
        self.final[type(error).__name__] += is_final
        return False

    def _note(self, error):
        self.errors[type(error).__name__] += 1
        if not isinstance(error, Exception) or isinstance(error, AssertionError | KeyError):
            raise error

    async def _be_slow(self, change):
        await asyncio.sleep(0.001)
        fold(self.slow, change)

    async def _iterate(self):
        async for change in self.client.changes():
            fold(self.read, change)

    async def _ask(self):
        """Hang up somebody's call now and then."""
        while True:
            await asyncio.sleep(self.chance.expovariate(2))
            channels = [*self.client.mirror.channels]
            try:
                await self.client.hangup(self.chance.choice(channels or ["nobody"]))
                self.counts["commands"] += 1
            except FeedError as error:
                self.counts[f"commands: {type(error).__name__}"] += 1

    def is_true(self):
        """Whether the mirror, and everybody who was told of it, is at the truth."""
        mirror = self.client.mirror
        if not self.client.is_synced:
            return False
        truth = self.pbx.snapshot()
        shown = {
            kind: {str(key): to_dict(element) for key, element in mirror[kind].items()}
            for kind in mirror
        }
        expected = {
            kind: {str(key): one for key, one in elements.items()}
            for kind, elements in truth.items()
            if elements
        }
        if shown != expected:
            return False
        held = {(kind, key): one for kind in mirror for key, one in mirror[kind].items()}
        return self.told == self.read == self.slow == held

    def where_it_stands(self):
        """What keeps it from the truth, in words."""
        truth, mirror = self.pbx.snapshot(), self.client.mirror
        counts = {kind: (len(truth[kind]), len(mirror[kind])) for kind in truth}
        held = {(kind, key): one for kind in mirror for key, one in mirror[kind].items()}
        told = [one == held for one in (self.told, self.read, self.slow)]
        links = [vars(way) for link in self.proxy.links for way in (link.up, link.down)]
        return f"{self.name}: {self.client.state}, {counts}, told {told}, {links}, {self.errors}"

    async def come_to_the_truth(self):
        """The faults are over: those links go that were tampered with, and nothing else helps."""
        for link in self.proxy.links:
            if link.is_corrupted and not self.is_secure:
                link.cut(reset=True)
        connects = self.client.stats.connects
        try:
            async with asyncio.timeout(PATIENCE):
                while not self.is_true():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(self.where_it_stands()) from None
        self.counts["pictures"] += 1
        self.counts["pictures as they stood"] += self.client.stats.connects == connects


async def blow(watched, seconds):
    """Storms on everybody for so many seconds."""
    storms = [asyncio.create_task(one.proxy.storm(PAUSE), name="storm") for one in watched]
    await asyncio.sleep(seconds)
    for storm in storms:
        storm.cancel()
    await asyncio.wait(storms)
    for storm in storms:
        if not storm.cancelled():
            storm.result()


async def soak(seconds, seed):
    """Storm and calm by turns; the report."""
    began = time.monotonic()
    complaints = Complaints()
    before = descriptors()
    sizes = []
    async with contextlib.AsyncExitStack() as stack:
        watched, simulators = [], []
        for tls in (False, True):
            pbx = Simulator(speed=20, users=12, seed=seed, tls=tls, max_connections=2)
            simulators.append(await stack.enter_async_context(pbx))
            for number in range(CLIENTS):
                one = Watched(pbx, number, seed * 100 + number + 10 * tls)
                watched.append(await stack.enter_async_context(one.running()))
        while (left := seconds - (time.monotonic() - began)) > 0:
            await blow(watched, min(STORM, left))
            await asyncio.gather(*(one.come_to_the_truth() for one in watched))
            sizes.append(memory())
            for pbx in simulators:
                pbx.inject(
                    SendFrame()
                )  # nobody can read it; of those that are tampered with some can be
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert not tasks, f"left behind: {tasks}"
    gc.collect()
    await asyncio.sleep(0.1)
    assert descriptors() == before, f"{descriptors() - before} descriptors more"
    assert not complaints.found, "\n".join(map(str, complaints.found[:20]))
    warm = max(sizes[: max(1, len(sizes) // 3)])
    return report(watched, sizes) | {
        "seconds": round(time.monotonic() - began),
        "cpu": round(time.process_time()),
        "warm": warm,
        "grown": max(sizes) - warm,
    }


def report(watched, sizes):
    """What was survived."""
    stats = [one.stats for one in watched]
    blown = Counter()
    for one in watched:
        blown += one.proxy.counts
    links = blown.pop("links")
    return {
        "faults": dict(sorted(blown.items())),
        "links": links,
        "calms": len(sizes),
        **{
            name: sum(getattr(one, name) for one in stats)
            for name in ("connects", "reconnects", "gaps", "bad_frames", "frames")
        },
        "events": sum(one.messages.get("InfoEvent", 0) for one in stats),
        "errors": dict(sum((one.errors for one in watched), Counter())),
        "final": dict(sum((one.final for one in watched), Counter())),
        **sum((one.counts for one in watched), Counter()),
    }


if __name__ == "__main__":
    seconds, seed = float(sys.argv[1]), int((sys.argv[2:] or "0")[0])
    print(json.dumps(asyncio.run(soak(seconds, seed))))  # noqa: T201
