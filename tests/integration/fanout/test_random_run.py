"""Publishers, followers and Redis are killed, stopped and restarted at random."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import signal
import subprocess
import time
from collections import Counter

import pytest
from support.busy_pbx import be_busy
from support.cli_runner import start
from support.example_connections import connection_environment
from support.redis_server import RedisServer
from support.sizes import NIGHTLY
from support.stream_checks import elements_of
from support.waiting import eventually

from basix_ws_cti import Client, Gap
from basix_ws_cti.fanout.entry_encoder import call_event_key
from basix_ws_cti.fanout.follower import Follower
from basix_ws_cti.simulator import Simulator

pytestmark = [pytest.mark.redis, pytest.mark.slow]

PUBLISHER_FAULTS, REDIS_RESTARTS = (100, 10) if NIGHTLY else (4, 1)

# Calls between two faults; together 10,000 nightly.
CALLS = (70, 110) if NIGHTLY else (5, 20)

# Seconds around a gap: an event reaches the witness and the publisher at slightly other times. On a
# busy machine, the longest pause of the event loop is added.
MARGIN = 2.0


class Reader:
    """Follower, and what it has reported."""

    def __init__(self, url):
        self.follower = Follower(url)
        self.events = Counter()
        self.gaps = []
        self.texts = []
        self.follower.on_call(lambda event: self.events.update([call_event_key(event)]))
        self.follower.on_change(self._note)
        self.follower.on_msg(self.texts.append)

    def _note(self, change):
        if isinstance(change, Gap):
            self.gaps.append((change.started.timestamp(), change.ended.timestamp()))

    def covers(self, at, pause):
        margin = MARGIN + 2 * pause
        return any(begin - margin <= at <= end + margin for begin, end in self.gaps)


class Publishers:
    """Three processes; ``fault`` kills one of them or stops it for a time."""

    def __init__(self, url, pbx, folder, rng):
        self._start = lambda: start(
            *("publish", url, "--full-events"),
            env=connection_environment(pbx),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log = (folder / "publishers").open("wb")
        self._log = log
        self._rng = rng
        self._processes = [self._start() for _ in range(3)]

    async def fault(self):
        number = self._rng.randrange(3)
        process = self._processes[number]
        if self._rng.random() < 0.5:
            process.kill()
            await asyncio.to_thread(process.wait)
            self._processes[number] = self._start()
            return
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self._rng.uniform(0.5, 4))
        process.send_signal(signal.SIGCONT)

    def close(self):
        for process in self._processes:
            process.kill()
            process.wait()
        self._log.close()


class Pauses:
    """Watches for how long the event loop does not run; ``longest`` is in seconds."""

    def __init__(self):
        self.longest = 0.0
        self.task = asyncio.create_task(self._watch())

    async def _watch(self):
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now


async def is_followed(pbx, readers, text):
    """Send a message, again and again, until all readers have it: a gap may contain it."""
    for number in range(1000):
        pbx.msg(f"{text} {number}")
        with contextlib.suppress(TimeoutError):
            await eventually(
                lambda: all(f"{text} {number}" in one.texts for one in readers),  # noqa: B023
                seconds=2,
            )
            return
    raise AssertionError(f"{text!r} does not arrive")


async def test_every_follower_ends_with_the_current_state(tmp_path, server_program):
    """Each call event arrives once, or is covered by a gap."""
    seed = random.randrange(2**32) if NIGHTLY else 1
    print(f"seed {seed}")  # noqa: T201
    rng = random.Random(seed)
    heard = {}
    async with contextlib.AsyncExitStack() as stack:
        server = RedisServer(tmp_path, aof=True, program=server_program)
        stack.enter_context(server)
        pbx = stack.enter_context(Simulator(calls=False, speed=0.001, users=20, seed=seed))
        publishers = Publishers(server.url, pbx, tmp_path, rng)
        stack.callback(publishers.close)
        pauses = Pauses()
        stack.callback(pauses.task.cancel)
        witness = Client(**{**pbx.connect_args, "app_name": "witness"}, full_events=True)
        witness.on_call(lambda event: heard.setdefault(call_event_key(event), time.time()))
        await stack.enter_async_context(witness)
        readers = [Reader(server.url) for _ in range(3)]
        for reader in readers:
            await stack.enter_async_context(reader.follower)
            await reader.follower.synced()
        await is_followed(pbx, readers, "begin")
        heard.clear()
        faults = [publishers.fault] * PUBLISHER_FAULTS + [restart(server)] * REDIS_RESTARTS
        rng.shuffle(faults)
        faults.insert(len(faults) // 2, flush(server))
        faults.insert(len(faults) // 4, save(tmp_path))
        faults.append(go_back(server, tmp_path))
        for fault in faults:
            for _ in range(rng.randrange(*CALLS)):
                be_busy(pbx, rng)
                await asyncio.sleep(0.02)
            await fault()
        await is_followed(pbx, readers, "end")
        for _ in range(10):
            be_busy(pbx, rng)
        await is_followed(pbx, readers, "last")
        heard = dict(heard)
        expected = elements_of(witness.mirror)
        for reader in readers:
            assert elements_of(reader.follower.mirror) == expected, seed
            assert set(reader.follower.calls) == set(witness.calls), seed
            missing = [at for key, at in heard.items() if key not in reader.events]
            uncovered = [at for at in missing if not reader.covers(at, pauses.longest)]
            assert uncovered == [], (seed, pauses.longest, reader.gaps)
            doubled = {key for key, number in reader.events.items() if number > 1}
            assert doubled & set(heard) == set(), seed
        print(len(heard), [len(one.gaps) for one in readers])  # noqa: T201


def restart(server):
    async def run():
        server.kill()
        await asyncio.to_thread(server.start)

    return run


def flush(server):
    async def run():
        server.client.flushall()

    return run


def save(folder):
    async def run():
        shutil.copytree(folder / "appendonlydir", folder / "saved")

    return run


def go_back(server, folder):
    """Start the server with the data of an earlier moment, as from a backup."""

    async def run():
        server.kill()
        shutil.rmtree(folder / "appendonlydir")
        shutil.copytree(folder / "saved", folder / "appendonlydir")
        await asyncio.to_thread(server.start)

    return run
