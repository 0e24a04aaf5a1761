"""Soak run: clients of a busy PBX behind a faulty network.

Run it in ``tests`` as ``python -m support.soak_run SECONDS [SEED]``. It prints a report as JSON,
or ends with an exception.

Six clients connect, each through its own faulty proxy: three to a simulator without TLS, three to
another one with TLS. Storms of faults alternate with calms. In each calm every client must
converge: its mirror must equal ``pbx.snapshot()``, and so must the changes that its subscribers
received, added up. There are three subscribers: a callback, an iterator, and a callback that is
too slow for its queue.

Changed bytes: neither WebSocket frames nor the feed have a checksum. On a connection without TLS
a changed byte can leave a well-formed frame with a wrong name or state, and no client can notice.
Each calm therefore cuts the links without TLS whose bytes were changed, and no others. The states
compared come either from a link without changed bytes, which survived all other faults, or from a
new connection. TLS detects changed bytes, so links with TLS are never cut here. A changed byte in
a handshake may look like a final refusal; ``classify`` makes the clients retry in that case too.

Clocks: the machine's clock is set at each storm, forward and back; no gap may be negative.
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

CLIENTS = 3  # per simulator
PAUSE = 0.12  # mean seconds between two faults of one client
STORM = 8  # seconds of faults before each calm, at most
CONVERGENCE_TIMEOUT = 60  # seconds in which all clients must have the current state
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


def memory():
    """Return the resident memory of the process in bytes, after a garbage collection."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_SIZE


def descriptors():
    """Return the number of open file descriptors."""
    return len([*Path("/proc/self/fd").iterdir()])


class ProblemLog(logging.Handler):
    """Collects unhandled exceptions, warnings, and log records that report a defect."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.found = []
        logging.getLogger("asyncio").addHandler(self)
        logging.getLogger("basix_ws_cti").addHandler(self)
        sys.unraisablehook = lambda error: self.found.append(f"unraisable: {error}")
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.found.append(f"unhandled: {context}")
        )
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: self.found.append(f"warning: {message!r}")

    def emit(self, record):
        if record.name == "asyncio":
            stack = traceback.extract_stack()
            # The simulator writes to a connection whose end asyncio has not reported yet.
            if any(frame.filename.endswith("simulator/faulty_transport.py") for frame in stack):
                return
        elif record.levelno <= logging.WARNING:
            return  # clients log why they are disconnected
        self.found.append(f"{record.name}: {record.getMessage()}")


def apply_change(state, item):
    """Apply a change to a subscriber's state; the change must fit that state."""
    if isinstance(item, Gap):
        assert item.started <= item.ended
        return
    assert not isinstance(item, Lagged)
    place = (item.element_name, item.key)
    assert (place in state) is not isinstance(item, Added), item
    if isinstance(item, Removed):
        del state[place]
    else:
        state[place] = item.element


class SoakClient:
    """Client behind its own proxy, with its subscribers."""

    def __init__(self, pbx, number, seed):
        self.pbx = pbx
        self.rng = random.Random(seed)
        self.is_secure = pbx.url.startswith("wss")
        self.proxy = Proxy(int(pbx.url.rpartition(":")[2]), seed)
        self.name = f"client {number}"
        self.from_callback, self.from_iterator, self.from_slow_callback = {}, {}, {}
        self.errors = Counter()
        self.final = Counter()
        self.counts = Counter()
        self.clock_shift = 0.0

    def unix_time(self):
        """Return what the machine's clock shows."""
        return time.time() + self.clock_shift

    @contextlib.asynccontextmanager
    async def running(self):
        async with self.proxy as proxy:
            options = self.pbx.connect_args
            server = options.pop("server").rpartition(":")[0]
            async with Client(
                f"{server}:{proxy.port}",
                **{**options, "app_name": self.name},
                force=True,  # the PBX may still count connections that a fault has broken
                backoff=Backoff(0.02, 0.5, rng=self.rng),
                classify=self._classify,
                quiet_time=0.1,
                sync_timeout=5,
                open_timeout=2,
                ping_interval=0.5,
                ping_timeout=1.5,
                close_timeout=0.2,
                unix_time=self.unix_time,
            ) as self.client:
                self.client.on_change(functools.partial(apply_change, self.from_callback))
                self.client.on_change(self._apply_slowly, size=4)
                self.client.on_error(self._count_error)
                iterating = asyncio.create_task(self._iterate(), name="soak reader")
                commanding = asyncio.create_task(self._send_commands(), name="soak commands")
                yield self
                commanding.cancel()
            await asyncio.wait([iterating, commanding])
            iterating.result()
            if not commanding.cancelled():
                commanding.result()
            self.stats = self.client.stats

    def _classify(self, error, is_final):
        self.final[type(error).__name__] += is_final
        return False

    def _count_error(self, error):
        self.errors[type(error).__name__] += 1
        if not isinstance(error, Exception) or isinstance(error, AssertionError | KeyError):
            raise error

    async def _apply_slowly(self, change):
        await asyncio.sleep(0.001)
        apply_change(self.from_slow_callback, change)

    async def _iterate(self):
        async for change in self.client.changes():
            apply_change(self.from_iterator, change)

    async def _send_commands(self):
        """Hang up a random channel about twice a second."""
        while True:
            await asyncio.sleep(self.rng.expovariate(2))
            channels = [*self.client.mirror.channels]
            try:
                await self.client.hangup(self.rng.choice(channels or ["nobody"]))
                self.counts["commands"] += 1
            except FeedError as error:
                self.counts[f"commands: {type(error).__name__}"] += 1

    def is_current(self):
        """Return True if the mirror and all subscribers have the state of the PBX."""
        mirror = self.client.mirror
        if not self.client.is_synced:
            return False
        snapshot = self.pbx.snapshot()
        mirrored = {
            kind: {str(key): to_dict(element) for key, element in mirror[kind].items()}
            for kind in mirror
        }
        expected = {
            kind: {str(key): one for key, one in elements.items()}
            for kind, elements in snapshot.items()
            if elements
        }
        if mirrored != expected:
            return False
        return all(state == self.mirror_state() for state in self.subscriber_states())

    def mirror_state(self):
        """Return the elements of the mirror by kind and key."""
        mirror = self.client.mirror
        return {(kind, key): one for kind in mirror for key, one in mirror[kind].items()}

    def subscriber_states(self):
        return self.from_callback, self.from_iterator, self.from_slow_callback

    def describe(self):
        """Return a text that shows how the client differs from the PBX."""
        snapshot, mirror = self.pbx.snapshot(), self.client.mirror
        counts = {kind: (len(snapshot[kind]), len(mirror[kind])) for kind in snapshot}
        current = [state == self.mirror_state() for state in self.subscriber_states()]
        links = [vars(one) for link in self.proxy.links for one in (link.up, link.down)]
        return (
            f"{self.name}: {self.client.state}, elements in the PBX and the mirror: {counts}, "
            f"subscribers current: {current}, {links}, {self.errors}"
        )

    async def converge(self):
        """Cut the links without TLS whose bytes were changed; wait for the current state."""
        for link in self.proxy.links:
            if link.is_corrupted and not self.is_secure:
                link.cut(reset=True)
        connects = self.client.stats.connects
        try:
            async with asyncio.timeout(CONVERGENCE_TIMEOUT):
                while not self.is_current():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(self.describe()) from None
        self.counts["comparisons"] += 1
        self.counts["comparisons without reconnect"] += self.client.stats.connects == connects


async def inject_faults(clients, seconds):
    """Run a storm of faults on the proxy of each client."""
    for one in clients:
        one.clock_shift += one.rng.choice([-3600, -2, 0, 2, 8 * 3600])
    storms = [asyncio.create_task(one.proxy.storm(PAUSE), name="storm") for one in clients]
    await asyncio.sleep(seconds)
    for storm in storms:
        storm.cancel()
    await asyncio.wait(storms)
    for storm in storms:
        if not storm.cancelled():
            storm.result()


async def soak(seconds, seed):
    """Alternate storms and calms for ``seconds``; return the report."""
    began = time.monotonic()
    problems = ProblemLog()
    before = descriptors()
    sizes = []
    async with contextlib.AsyncExitStack() as stack:
        clients, simulators = [], []
        for tls in (False, True):
            pbx = Simulator(speed=20, users=12, seed=seed, tls=tls, max_connections=2)
            simulators.append(await stack.enter_async_context(pbx))
            for number in range(CLIENTS):
                one = SoakClient(pbx, number, seed * 100 + number + 10 * tls)
                clients.append(await stack.enter_async_context(one.running()))
        while (left := seconds - (time.monotonic() - began)) > 0:
            await inject_faults(clients, min(STORM, left, seconds / 2))
            await asyncio.gather(*(one.converge() for one in clients))
            sizes.append(memory())
            for pbx in simulators:
                pbx.inject(SendFrame())  # malformed; some of the corrupted frames are not
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert not tasks, f"left behind: {tasks}"
    gc.collect()
    await asyncio.sleep(0.1)
    assert descriptors() == before, f"{descriptors() - before} descriptors more"
    assert not problems.found, "\n".join(map(str, problems.found[:20]))
    warm = max(sizes[: max(1, len(sizes) // 3)])
    return report(clients, sizes) | {
        "seconds": round(time.monotonic() - began),
        "cpu": round(time.process_time()),
        "warm": warm,
        "grown": max(sizes) - warm,
    }


def report(clients, sizes):
    """Return the sums over all clients."""
    stats = [one.stats for one in clients]
    faults = Counter()
    for one in clients:
        faults += one.proxy.counts
    links = faults.pop("links")
    return {
        "faults": dict(sorted(faults.items())),
        "links": links,
        "calms": len(sizes),
        **{
            name: sum(getattr(one, name) for one in stats)
            for name in ("connects", "reconnects", "gaps", "bad_frames", "frames")
        },
        "events": sum(one.messages.get("InfoEvent", 0) for one in stats),
        "errors": dict(sum((one.errors for one in clients), Counter())),
        "final": dict(sum((one.final for one in clients), Counter())),
        **sum((one.counts for one in clients), Counter()),
    }


if __name__ == "__main__":
    seconds, seed = float(sys.argv[1]), int((sys.argv[2:] or "0")[0])
    print(json.dumps(asyncio.run(soak(seconds, seed))))  # noqa: T201
