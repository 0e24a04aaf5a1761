"""Speed and memory of reports from a call log of a large call centre's year."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, event
from support.paths import TESTS
from support.report_periods import at, period
from support.report_year import write_year
from support.sizes import NIGHTLY

from basix_ws_cti.reports import Reports, Selection

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if NIGHTLY else 300)]

CALLS = 1_000_000 if NIGHTLY else 3000
MONTH = period((2026, 11, 1), (2026, 12, 1))

# Prints the processor time of a report and the largest memory of the process.
MEASURE = """
import json, sys, time
from datetime import datetime
from zoneinfo import ZoneInfo
from basix_ws_cti.reports import Period, Reports, Selection
from support.process_memory import peak_memory

path, start, end, by = json.loads(sys.argv[1])
zone = ZoneInfo("Europe/Berlin")
edges = [datetime.fromisoformat(one).replace(tzinfo=zone) for one in (start, end)]
begin = time.process_time()
rows = Reports(path).queues(Selection(period=Period(*edges)), by)
seconds = time.process_time() - begin
figures = rows[0].figures
print(json.dumps([seconds, peak_memory(), len(rows), figures.offered, figures.handled]))
"""

# What the report reads, added up by group and result.
PLAIN = (
    (
        "SELECT group_id, result, count(*), sum(waited_us), max(waited_us) FROM waits "
        "WHERE purpose = 'call' GROUP BY group_id, result"
    ),
    (
        "SELECT group_id, result, count(*), sum(talked_us), max(talked_us), sum(held_us) "
        "FROM participations WHERE purpose = 'call' GROUP BY group_id, result"
    ),
)


@pytest.fixture(scope="module")
def year():
    """Path of a call log with a year of calls, in memory if possible."""
    memory = Path("/dev/shm")
    folder = tempfile.mkdtemp(dir=memory if memory.is_dir() else None)
    yield write_year(f"{folder}/year.db", at(2026, 1, 1), calls=CALLS)
    shutil.rmtree(folder)


def measure(path, start, end, by=None):
    """Return seconds, MiB, number of rows, offered waits and handled calls of a queue report."""
    process = subprocess.run(
        [sys.executable, "-c", MEASURE, json.dumps([path, start, end, by])],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(process.stdout)


def plain(path):
    """Return the processor time of the plain queries, and the number of waits and of talks."""
    code = (
        "import json, sqlite3, sys, time\n"
        "path, *queries = json.loads(sys.argv[1])\n"
        "connection = sqlite3.connect(path)\n"
        "times, found = [], []\n"
        "for query in queries:\n"
        "    begin = time.process_time()\n"
        "    found.append(connection.execute(query).fetchall())\n"
        "    times.append(time.process_time() - begin)\n"
        "print(json.dumps([times, found]))\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, json.dumps([path, *PLAIN])],
        check=True,
        capture_output=True,
        text=True,
    )
    times, (waits, parts) = json.loads(process.stdout)
    handled = sum(row[2] for row in parts if row[0] is not None and row[1] == "answered")
    return times, sum(row[2] for row in waits), handled


def test_report_of_a_year_has_all_rows(year):
    *_, offered, handled = measure(year, "2025-12-31", "2027-01-02")
    assert [offered, handled] == [*plain(year)[1:]]
    assert offered > 1.1 * CALLS


@pytest.mark.nightly
def test_report_of_a_year_takes_little_more_than_plain_queries(year):
    """At most three times, within 500 MiB; a month takes a tenth, and what an empty one takes."""
    times = plain(year)[0]
    seconds, peak, *_ = measure(year, "2026-01-01", "2027-01-01")
    month, *_ = measure(year, "2026-11-01", "2026-12-01")
    empty, *_ = measure(year, "2030-11-01", "2030-12-01")
    by_day, peak_by_day, *_ = measure(year, "2026-01-01", "2027-01-01", "day")
    sys.stdout.write(  # pytest shows it with -rA
        f"plain {times}, year {seconds}, month {month}, empty {empty}, by day {by_day} s; "
        f"memory {peak}, by day {peak_by_day} MiB\n"
    )
    assert seconds <= 3 * sum(times)
    assert month <= seconds / 10 + empty
    assert max(peak, peak_by_day) < 500


@pytest.mark.parametrize("report", ["queues", "agents", "volumes", "heat_map"])
def test_figures_come_from_indexes_only(year, report):
    """No table is read, except for the rows without a time of the offer."""
    statements = []

    def note(*arguments):
        statements.append(arguments[2:4])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        getattr(Reports(year), report)(Selection(period=MONTH))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    plans = []
    with closing(sqlite3.connect(year)) as connection:
        for statement, parameters in statements:
            is_of_rows = any(f"FROM {name}" in statement for name in ("waits", "calls"))
            is_of_parts = "FROM participations" in statement
            if is_of_rows or (is_of_parts and "first_offered IS NULL" not in statement):
                plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.append(plan.fetchall()[0][3])
    assert plans
    assert all("USING COVERING INDEX" in plan and "SEARCH" in plan for plan in plans), plans
