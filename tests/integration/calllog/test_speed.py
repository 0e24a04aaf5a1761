"""Speed of the call log, and its effect on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import sys
import time
from types import SimpleNamespace

import attrs
import pytest
from sqlalchemy import create_engine, event
from support.call_builders import call, leg
from support.sizes import NIGHTLY
from support.waiting import TIMEOUT

from basix_ws_cti import CallRecord, Participation, QueueWait
from basix_ws_cti.calllog import CallLog, pauses
from basix_ws_cti.calllog.migrations import migrate
from basix_ws_cti.calllog.schema import CALLS, PARTICIPATIONS, WAITS

pytestmark = [pytest.mark.slow, pytest.mark.timing, pytest.mark.timeout(600)]

COUNT = 10_000 if NIGHTLY else 1500

# Most repetitions of a measurement.
ROUNDS = 10

# Seconds by which a gap may exceed that of an idle loop: 10 ms on an idle machine.
GAP = 0.030

TALK = call(
    "0 ivr, 5 queued g1, 20 talking u7",
    50,
    by="caller",
    legs=(leg("0312341234", 0, 50, role="placed"), leg("u7", 5, 50, talks=[(20, 50)], rings=1)),
)


def calls():
    return [attrs.evolve(TALK, id=f"call{n:05}") for n in range(COUNT)]


def insert_plainly(path):
    """Insert the rows of the calls with plain SQLAlchemy."""
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", lambda one, _: one.execute("PRAGMA journal_mode = WAL"))
    migrate(engine)
    some = calls()
    for start in range(0, COUNT, 500):
        part = some[start : start + 500]
        with engine.begin() as connection:
            rows = [
                {**CallRecord.of(one).to_dict(), "change": start + n} for n, one in enumerate(part)
            ]
            connection.execute(CALLS.insert(), rows)
            for table, kind in ((WAITS, QueueWait), (PARTICIPATIONS, Participation)):
                rows = [
                    {**row.to_dict(), "position": position}
                    for one in part
                    for position, row in enumerate(kind.of(one))
                ]
                connection.execute(table.insert(), rows)
    engine.dispose()


@contextlib.contextmanager
def stopwatch():
    """Measure the block; yields a list that becomes the seconds of the clock and of the CPU.

    CPU time is that of all threads. Other programs have little effect on it.
    """
    seconds = []
    began = time.perf_counter(), time.process_time()
    yield seconds
    ended = time.perf_counter(), time.process_time()
    seconds += [b - a for a, b in zip(began, ended, strict=True)]


async def test_logger_writes_500_calls_a_second(tmp_path):
    """Per second of CPU time, in at most three times as much of it as plain inserts take."""
    with stopwatch() as plain:
        insert_plainly(tmp_path / "plain.db")
    async with CallLog(tmp_path / "calls.db") as log:
        with stopwatch() as logged:
            for one in calls():
                log.add(one)
            assert await log.flush(TIMEOUT)
    for name, seconds in (("plain", plain), ("log", logged)):
        rates = [COUNT / one for one in seconds]
        sys.stdout.write(f"{name}: {rates[0]:.0f} calls/s, {rates[1]:.0f} calls/s of CPU time\n")
    assert logged[1] < 3 * plain[1]
    assert logged[1] < COUNT / 500


async def test_thread_pauses_after_each_short_step(database, monkeypatch):
    """The event loop runs meanwhile. Without pauses, a batch would take 100 ms of CPU time."""
    paused_at = []

    def sleep(seconds):
        paused_at.append(time.thread_time())
        time.sleep(seconds)

    functions = SimpleNamespace(monotonic=time.monotonic, sleep=sleep)
    monkeypatch.setattr(pauses, "time", functions)
    async with CallLog(database) as log:
        first, *others = calls()
        log.add(first)
        assert await log.flush(TIMEOUT)  # SQLAlchemy has compiled the statements
        paused_at.clear()
        gc.disable()
        try:
            for one in others:
                log.add(one)
            assert await log.flush(TIMEOUT)
        finally:
            gc.enable()
    longest = max(after - before for before, after in itertools.pairwise(paused_at))
    sys.stdout.write(f"longest computation without a pause: {longest * 1e3:.1f} ms\n")
    assert len(paused_at) > COUNT / 25
    assert longest < 0.030


async def longest_gap(until):
    """Return the longest time between two iterations of the event loop, until a task ends."""
    longest, last = 0.0, time.perf_counter()
    while not until.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest


async def test_logger_leaves_the_event_loop_responsive(database):
    """The gaps are compared with those of a loop whose neighbour thread does nothing.

    Other programs make single measurements worse, but rarely all of them.
    """
    some = iter(calls())
    results = []

    async def add():
        for one in itertools.islice(some, COUNT // ROUNDS):
            log.add(one)
            await asyncio.sleep(0)
        assert await log.flush(TIMEOUT)

    async with CallLog(database) as log:
        for _ in range(ROUNDS):
            idle = await longest_gap(asyncio.create_task(asyncio.sleep(0.2)))
            busy = await longest_gap(asyncio.create_task(add()))
            results.append(f"{idle * 1e3:.1f} ms idle, {busy * 1e3:.1f} ms writing")
            if busy < idle + GAP:
                break
    sys.stdout.write(f"longest gaps: {results}\n")
    assert busy < idle + GAP, results
