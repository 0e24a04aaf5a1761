"""Speed of the call log, and its effect on the event loop."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time

import attrs
import pytest
from sqlalchemy import create_engine, event
from support.call_builders import call, leg
from support.sizes import NIGHTLY
from support.waiting import TIMEOUT

from basix_ws_cti import CallRecord, Participation, QueueWait
from basix_ws_cti.calllog import CallLog
from basix_ws_cti.calllog.migrations import migrate
from basix_ws_cti.calllog.schema import CALLS, PARTICIPATIONS, WAITS

pytestmark = [pytest.mark.slow, pytest.mark.timing, pytest.mark.timeout(600)]

COUNT = 10_000 if NIGHTLY else 2000

# Most repetitions of a measurement.
ROUNDS = 5

TALK = call(
    "0 ivr, 5 queued g1, 20 talking u7",
    50,
    by="caller",
    legs=(leg("0312341234", 0, 50, role="placed"), leg("u7", 5, 50, talks=[(20, 50)], rings=1)),
)


def calls():
    return [attrs.evolve(TALK, id=f"call{n:05}") for n in range(COUNT)]


def insert_plainly(path):
    """Insert the rows of the calls with plain SQLAlchemy; return the seconds that takes."""
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", lambda one, _: one.execute("PRAGMA journal_mode = WAL"))
    migrate(engine)
    began = time.perf_counter()
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
    seconds = time.perf_counter() - began
    engine.dispose()
    return seconds


async def longest_gap(until):
    """Return the longest time between two iterations of the event loop, until a task ends."""
    longest, last = 0.0, time.perf_counter()
    while not until.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest


async def best_of(measure):
    """Repeat a measurement until its limits are met; fail if they never are.

    Other programs only ever make a measurement worse, and rarely all of them.
    """
    results = []
    for _ in range(ROUNDS):
        is_met, text = await measure()
        results.append(text)
        if is_met:
            break
    sys.stdout.write("\n".join(results) + "\n")
    assert is_met, results


async def test_logger_writes_500_calls_a_second(tmp_path):
    numbers = itertools.count()

    async def measure():
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        plain = insert_plainly(folder / "plain.db")
        async with CallLog(folder / "calls.db") as log:
            began = time.perf_counter()
            for one in calls():
                log.add(one)
            assert await log.flush(TIMEOUT)
            seconds = time.perf_counter() - began
        is_met = seconds < 3 * plain and seconds < COUNT / 500
        return is_met, f"{COUNT / seconds:.0f} calls/s, plain {COUNT / plain:.0f} calls/s"

    await best_of(measure)


async def test_logger_leaves_the_event_loop_responsive(database):
    """The gaps are compared with those of a loop whose neighbour thread computes nothing."""
    some = iter(calls())

    async def add():
        for one in itertools.islice(some, COUNT // ROUNDS):
            log.add(one)
            await asyncio.sleep(0)
        assert await log.flush(TIMEOUT)

    async def measure():
        idle = await longest_gap(asyncio.create_task(asyncio.sleep(0.5)))
        busy = await longest_gap(asyncio.create_task(add()))
        text = f"longest gap {idle * 1e3:.1f} ms idle, {busy * 1e3:.1f} ms writing"
        return busy < idle + 0.010, text

    async with CallLog(database) as log:
        await best_of(measure)
