"""Retention of a large call log, while calls are written."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import time

import attrs
import pytest
from support.call_builders import call, leg
from support.sizes import NIGHTLY
from support.waiting import TIMEOUT

from basix_ws_cti import Party
from basix_ws_cti.calllog import CallLog, CallLogReader
from basix_ws_cti.calllog.migrations import VERSION

pytestmark = [pytest.mark.slow, pytest.mark.timing, pytest.mark.timeout(3600 if NIGHTLY else 300)]

ROWS = 1_000_000 if NIGHTLY else 20_000

DAY = 86_400
NUMBER = "0312349876"

TALK = call(
    "0 ivr, 5 queued g1, 20 talking u7",
    50,
    by="caller",
    caller=Party(number=NUMBER, name="Yamada Taro"),
    legs=(leg(NUMBER, 0, 50, role="placed"), leg("u7", 5, 50, talks=[(20, 50)], rings=1)),
)


PRAGMAS = ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000", "secure_delete = ON")


async def fill(database, rows):
    """Copy the rows of one call, over the last 100 days; the first 40 % are older than 60 days."""
    async with CallLog(database) as log:
        log.add(attrs.evolve(TALK, started=0))
        assert await log.flush(TIMEOUT)
    now = time.time_ns() // 1000
    step = 100 * DAY * 1_000_000 // rows
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        # Quickly: without a journal. Pages that are split leave no copies of numbers, as in a log.
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute("BEGIN")
        for table in ("calls", "waits", "participations"):
            names = [one[1] for one in connection.execute(f"PRAGMA table_info({table})")]
            new = {"id": "'call' || n", "call_id": "'call' || n", "change": "n + 1"}
            new |= {"started": f"{now} - ({rows} - n) * {step}"}
            new |= {
                name: "printf('03%08d', n)" for name in names if name.startswith("caller_number")
            }
            columns = [new.get(name, f'"{name}"') for name in names]
            connection.execute(
                f"WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter"
                f" WHERE n < {rows}) INSERT INTO {table} SELECT {', '.join(columns)}"
                f" FROM counter, (SELECT * FROM {table})"
            )
        connection.execute("UPDATE counters SET value = ? WHERE name = 'change'", [rows + 1])
        connection.execute("DELETE FROM calls WHERE started = 0")
        connection.execute("COMMIT")


async def test_large_log_shrinks_while_calls_are_written(tmp_path):
    """Deletes 40 % of the calls, and forgets the numbers of another 30 %."""
    database = tmp_path / "calls.db"
    await fill(database, ROWS)
    before = database.stat().st_size
    reader = CallLogReader(database)
    assert reader.find().total == ROWS
    last = reader.last_change()
    waits, written = [], 0
    async with CallLog(database, interval=0, keep=60 * DAY, forget_numbers=30 * DAY) as log:
        while not is_done(database):
            began = time.monotonic()
            log.add(attrs.evolve(TALK, id=f"new{written}", started=time.time_ns() // 1000))
            assert await log.flush(TIMEOUT)
            waits.append(time.monotonic() - began)
            written += 1
            await asyncio.sleep(0.02)
    assert reader.find().total == pytest.approx(ROWS * 0.6 + written, abs=ROWS * 0.01)
    assert database.stat().st_size < 0.75 * before
    assert_forgotten(tmp_path)
    changes = reader.changes(after=last, limit=10_000)
    assert [one.change for one in changes] == list(range(last + 1, last + 1 + written))[:10_000]
    sys.stdout.write(f"{ROWS} rows, {written} writes, longest wait {max(waits):.2f} s\n")
    # One second on an idle machine.
    assert max(waits) < 3


def is_done(database):
    """Return True once the retention has nothing left to do."""
    now = time.time_ns() // 1000
    with contextlib.closing(
        sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
    ) as connection:
        counters = dict(connection.execute("SELECT name, value FROM counters"))
        (oldest,) = connection.execute("SELECT min(started) FROM calls").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    assert counters["schema"] == VERSION
    is_deleted = oldest > now - 60.1 * DAY * 1_000_000
    return is_deleted and counters.get("forgotten", 0) > now - 30.1 * DAY * 1_000_000 and not free


def assert_forgotten(folder):
    """Check that the bytes of forgotten numbers are in no file, and those of others are."""
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    for percent in range(1, 69, 7):
        assert b"03%08d" % (ROWS * percent // 100) not in content
    assert b"03%08d" % (ROWS * 72 // 100) in content
