"""Command ``log``: a recording or a PBX into a database, whatever interrupts it."""

from __future__ import annotations

import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from support.cli_runner import environment, run, run_in_process, start
from support.simulated_day import frames
from support.sizes import NIGHTLY
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti import CallEnded, CallRecord, Participation, QueueWait
from basix_ws_cti.calllog import CallLogReader
from basix_ws_cti.recording import Recorder, replay

HOURS, KILLS = (6, 40) if NIGHTLY else (0.75, 4)


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """Path of a recording, and the calls that ended in it."""
    path = tmp_path_factory.mktemp("days") / "day.rec.gz"
    now = 0.0
    with Recorder(path, started=datetime(2026, 1, 1, tzinfo=UTC), clock=lambda: now) as recorder:
        recorder.connected()
        for at, frame in frames(HOURS * 3600):
            now = at
            recorder(frame)
    return path, [event.call for _, event in replay(path) if isinstance(event, CallEnded)]


def assert_complete(database, calls):
    """Check that each call is logged once, with all of its rows."""
    found = {one.record.id: one for one in CallLogReader(database).find(limit=10_000).calls}
    assert {*found} == {call.id for call in calls}
    for call in calls:
        logged = found[call.id]
        assert logged.record == CallRecord.of(call)
        assert logged.waits == QueueWait.of(call)
        assert logged.participations == Participation.of(call)


@pytest.mark.slow
def test_recording_is_logged_once_however_often_it_is_read(day, tmp_path):
    path, calls = day
    database = tmp_path / "calls.db"
    for _ in range(2):
        done = run_in_process("log", database, "--recording", path)
        assert done.returncode == 0, done.stderr
        assert f"logging calls to {database}" in done.stderr
        assert_complete(database, calls)
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    connection.close()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_logger_leaves_no_call_out_and_none_twice(day, tmp_path):
    """The logger is killed at random moments, and started again."""
    path, calls = day
    database = tmp_path / "calls.db"
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    for _ in range(KILLS):
        before = database.stat().st_size if database.exists() else 0
        with start("log", database, "--recording", path) as process:
            # It writes while it is killed: after the first commit, or in the middle of a later one.
            wait_until(lambda p=process, b=before: is_writing(p, database, b), "the first rows")
            time.sleep(rng.uniform(0, 0.5))
            process.send_signal(signal.SIGKILL)
    done = run("log", database, "--recording", path)
    assert done.returncode == 0, (done.stderr, seed)
    assert_complete(database, calls)
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], seed
    connection.close()


def is_writing(process, database, size):
    """Return True once the process has written to the database, or has ended."""
    wal = database.with_name(f"{database.name}-wal")
    sizes = [file.stat().st_size for file in (wal, database) if file.exists()]
    return process.poll() is not None or any(one > size for one in sizes)


@pytest.mark.slow
def test_ctrl_c_writes_what_is_left(tmp_path):
    database = tmp_path / "calls.db"
    options = ("--simulate", "--simulate-speed", "100", "--status", "0.2")
    with start("log", database, *options) as process:
        lines = iter(process.stderr.readline, "")
        assert next(lines) == f"basix-ws-cti: logging calls to {database}\n"
        wait_until(lambda: re.search(r" [1-9]\d* entr\w+ logged", next(lines)), "the first calls")
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 130
    last = rest.splitlines()[-1]
    assert "entries logged" in last
    assert "waiting" not in last
    assert CallLogReader(database).find().total > 0


@pytest.mark.slow
def test_second_logger_ends_with_a_clear_error(tmp_path):
    database = tmp_path / "calls.db"
    with start("log", database, "--simulate") as process:
        process.stderr.readline()
        done = run_in_process("log", database, "--simulate")
        process.kill()
    assert done.returncode == 1
    assert f"call log {database}: another process writes to it" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["postgresql://me:secret@host/db"], "a password on the command line is visible"),
        (["mysql://host/db"], "unsupported database 'mysql'"),
        (["calls.db", "--keep", "4y"], "--keep: expected a number and s, m, h or d"),
        (["calls.db", "--forget-numbers", "0d"], "--forget-numbers: expected a number"),
    ],
)
def test_arguments_that_cannot_work_are_usage_errors(arguments, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run_in_process("log", *arguments, "--simulate")
    assert done.returncode == 2
    assert error in done.stderr
    assert "secret" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_is_a_clear_error(tmp_path):
    done = run_in_process("log", tmp_path / "missing" / "calls.db", "--simulate")
    assert done.returncode == 1
    assert "no such folder" in done.stderr


@pytest.mark.slow
def test_extra_that_is_not_installed_is_named(tmp_path):
    code = (
        "import sys; sys.modules['sqlalchemy'] = None;"
        "sys.argv = ['basix-ws-cti', 'log', 'calls.db', '--simulate'];"
        "from basix_ws_cti.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'basix_ws_cti[calllog]'" in done.stderr
