"""Call log whose database is locked, full, read-only, killed, or cut off."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import attrs
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from support.call_builders import call, leg
from support.cli_runner import environment, start
from support.faulty_proxy import Proxy
from support.sizes import NIGHTLY
from support.small_disk import enlarge, file_limit, small_disk
from support.waiting import TIMEOUT, eventually, wait_until

from basix_ws_cti.calllog import CallLog, CallLogReader
from basix_ws_cti.calllog import database as database_module
from basix_ws_cti.calllog.database import create_writer, parse_database
from basix_ws_cti.calllog.migrations import VERSION, read_version
from basix_ws_cti.cli.commands import log as log_command
from basix_ws_cti.exceptions import CallLogError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800 if NIGHTLY else 180)]

# Seconds for which another program holds the database's lock.
LOCKED = 600 if NIGHTLY else 2

TALK = call(
    "0 ivr, 5 queued g1, 20 talking u7",
    50,
    by="caller",
    legs=(leg("0312341234", 0, 50, role="placed"), leg("u7", 5, 50, talks=[(20, 50)], rings=1)),
)


def calls(count, start=0):
    return [attrs.evolve(TALK, id=f"call{start + n:05}") for n in range(count)]


@contextlib.contextmanager
def locked(database):
    """Hold the lock of an SQLite file."""
    other = sqlite3.connect(database, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
    finally:
        other.close()


def assert_sound(database, count):
    """Check that this number of calls is in an SQLite file, each with all of its rows."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert_complete(database, count)


def assert_complete(database, count):
    reader = CallLogReader(database)
    found = reader.changes(limit=10_000)
    assert len({one.record.id for one in found}) == len(found) == count
    assert all((len(one.waits), len(one.participations)) == (1, 2) for one in found)


async def test_lock_held_for_long_delays_the_log_only(tmp_path):
    """The event loop runs meanwhile, and accepts calls."""
    database = tmp_path / "calls.db"
    added = 0
    async with CallLog(database, lock_timeout=0.5) as log:
        with locked(database):
            end = time.monotonic() + LOCKED
            while time.monotonic() < end:
                log.add(attrs.evolve(TALK, id=f"call{added:05}"))
                added += 1
                await asyncio.sleep(LOCKED / 200)
            await eventually(lambda: log.health.problem)
            assert log.health.problem == "OperationalError: database is locked"
            assert log.health.pending == added
        assert added > 50  # the event loop was not blocked
        assert await log.flush(TIMEOUT)
    assert_sound(database, added)


def test_status_is_reported_when_a_problem_appears_and_ends(tmp_path):
    """Long before the next regular report."""
    database = tmp_path / "calls.db"
    options = ("--simulate", "--simulate-speed", "100")
    with start("log", database, *options) as process:
        assert process.stderr.readline() == f"basix-ws-cti: logging calls to {database}\n"
        with locked(database):
            line = process.stderr.readline()
            assert "waiting, cannot write: OperationalError: database is locked; live" in line
        line = process.stderr.readline()
        assert " logged" in line
        assert "cannot write" not in line
        process.kill()


@pytest.mark.parametrize(("signals", "code"), [(1, 1), (2, 130)])
def test_ctrl_c_ends_a_logger_whose_database_is_locked(tmp_path, signals, code):
    """The first one waits a little for the database; the second one ends the command at once."""
    database = tmp_path / "calls.db"
    options = ("--simulate", "--simulate-speed", "100", "--status", "0.2")
    with start("log", database, *options) as process:
        lines = iter(process.stderr.readline, "")
        wait_until(lambda: " logged" in next(lines), "the first status")
        with locked(database):
            wait_until(lambda: "waiting" in next(lines), "entries that wait")
            for _ in range(signals):
                process.send_signal(signal.SIGINT)
                time.sleep(0.5)
            _, rest = process.communicate(timeout=TIMEOUT)
    assert process.returncode == code, rest
    assert "Traceback" not in rest
    if signals == 1:
        assert "entries are not written: " in rest


@pytest.mark.postgres
async def test_commit_whose_answer_is_lost_is_written_again(new_postgres):
    """Nothing is written twice, and ``on_commit`` is called all the same."""
    url = make_url(new_postgres())
    commits, lost = [], []

    def cut_after_commit(link):
        commit = []
        link.up.on_data = lambda data: commit.append(1) if b"COMMIT" in data else None

        def on_answer(_):
            if commit and len(lost) < 3:
                lost.append(1)
                link.cut(reset=True)

        link.down.on_data = on_answer

    async with Proxy(url.port) as proxy:
        database = url.set(port=proxy.port).render_as_string(hide_password=False)
        async with CallLog(database, on_commit=commits.append) as log:
            proxy.on_link = cut_after_commit
            for number in range(4):
                for link in proxy.links:
                    link.cut()
                for one in calls(10, 10 * number):
                    log.add(one)
                assert await log.flush(TIMEOUT)
            assert log.health.rejected == 0
    assert len(lost) == 3
    assert commits == [10, 20, 30, 40]
    assert_complete(str(url), 40)


@pytest.mark.postgres
async def test_writer_that_hangs_in_a_transaction_loses_its_locks(new_postgres, monkeypatch):
    monkeypatch.setattr(database_module, "_IDLE_TIMEOUT", 1)
    database = new_postgres()
    async with CallLog(database, lock_timeout=0.2) as log:
        engine = create_writer(parse_database(database))
        with engine.connect() as hanging:
            hanging.execute(text("UPDATE counters SET value = value + 1"))
            log.add(TALK)
            await eventually(lambda: log.health.problem)
            assert log.health.problem.startswith("LockNotAvailable: ")
            assert await log.flush(TIMEOUT)
            hanging.invalidate()
        engine.dispose()
    assert_complete(database, 1)


async def test_file_that_cannot_grow_delays_the_log(tmp_path):
    database = tmp_path / "calls.db"
    async with CallLog(database) as log:
        with file_limit(200_000):
            for one in calls(2000):
                log.add(one)
            await eventually(lambda: log.health.problem)
        assert log.health.pending > 0
        assert await log.flush(TIMEOUT)
        assert (log.health.rejected, log.health.written) == (0, 2000)
    assert_sound(database, 2000)


@pytest.fixture
def full_disk(tmp_path):
    """Folder with room for a megabyte."""
    with small_disk(tmp_path / "disk") as folder:
        yield folder


async def test_full_disk_delays_the_log(full_disk):
    database = full_disk / "calls.db"
    async with CallLog(database) as log:
        ballast = full_disk / "ballast"
        ballast.write_bytes(bytes(800_000))
        for one in calls(1000):
            log.add(one)
        await eventually(lambda: log.health.problem)
        assert log.health.problem == "OperationalError: database or disk is full"
        ballast.unlink()
        enlarge(full_disk)
        assert await log.flush(TIMEOUT)
    assert_sound(database, 1000)


@pytest.fixture
def ordinary_user():
    """Folder of a user without root's rights, whose rights this process has for a while."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() != 0:
            yield folder
            return
        account = pwd.getpwnam("nobody")
        os.chown(folder, account.pw_uid, -1)
        os.seteuid(account.pw_uid)
        try:
            yield folder
        finally:
            os.seteuid(0)
            folder.chmod(0o700)


async def test_read_only_file_is_a_clear_error(ordinary_user):
    database = ordinary_user / "calls.db"
    async with CallLog(database) as log:
        log.add(TALK)
        assert await log.flush(TIMEOUT)
        database.chmod(0o444)
        log.add(attrs.evolve(TALK, id="second"))
        await eventually(lambda: log.health.problem)
        assert log.health.problem == "OperationalError: attempt to write a readonly database"
        for path in ordinary_user.iterdir():  # SQLite gave its other files the same mode
            path.chmod(0o600)
        assert await log.flush(TIMEOUT)
    database.chmod(0o444)
    with pytest.raises(CallLogError, match=r"attempt to write a readonly database"):
        await CallLog(database).__aenter__()
    assert_complete(database, 2)  # it can be read


async def test_read_only_folder_is_a_clear_error(ordinary_user):
    ordinary_user.chmod(0o500)
    with pytest.raises(CallLogError, match=r"Permission denied"):
        await CallLog(ordinary_user / "calls.db").__aenter__()


async def test_log_grows_while_a_reader_is_open_and_reports_it(tmp_path, monkeypatch):
    database = tmp_path / "calls.db"
    async with CallLog(database) as log:
        log.add(TALK)
        assert await log.flush(TIMEOUT)
        with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM calls").fetchall() == [(1,)]
            sizes = []
            for number in range(1, 4):
                for one in calls(300, 300 * number):
                    log.add(one)
                assert await log.flush(TIMEOUT)
                sizes.append(log.health.wal_size)
            assert sizes == sorted({*sizes})
            monkeypatch.setattr(log_command, "LARGE_WAL", sizes[0])
            status = log_command.describe_status(log)
            assert f"write-ahead log of {sizes[-1] // 2**20} MiB: a reader is open" in status
            assert reader.execute("SELECT count(*) FROM calls").fetchall() == [(1,)]
        log.add(attrs.evolve(TALK, id="last"))
        assert await log.flush(TIMEOUT)
        assert "write-ahead" not in log_command.describe_status(log)
    assert CallLogReader(database).find().total == 902


MIGRATE = """
import sys
from basix_ws_cti.calllog import migrations
from basix_ws_cti.calllog.database import create_writer, parse_database
migrations.migrate(create_writer(parse_database(sys.argv[1]), lock_timeout=60))
"""

HANGING = """
import sys, time
from sqlalchemy import text
from basix_ws_cti.calllog import migrations
from basix_ws_cti.calllog.database import create_writer, parse_database

def hang(connection):
    connection.execute(text("CREATE TABLE half (x integer)"))
    print("in the middle", flush=True)
    time.sleep(1000)

migrations.STEPS = (*migrations.STEPS, hang)
migrations.VERSION = len(migrations.STEPS)
migrations.migrate(create_writer(parse_database(sys.argv[1])))
"""


def python(code, database):
    return subprocess.Popen(
        [sys.executable, "-c", code, database],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_may_migrate_at_once(database):
    processes = [python(MIGRATE, database) for _ in range(3)]
    for process in processes:
        _, err = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, err) == (0, "")
    assert version(database) == VERSION


def test_killed_migration_leaves_the_old_tables(database):
    with python(HANGING, database) as process:
        assert process.stdout.readline() == "in the middle\n"
        process.kill()
    with python(MIGRATE, database) as process:
        assert process.communicate(timeout=TIMEOUT) == ("", "")
    assert version(database) == VERSION
    engine = create_writer(parse_database(database))
    with pytest.raises(Exception, match="half"), engine.begin() as connection:
        connection.execute(text("SELECT * FROM half"))
    engine.dispose()


def version(database):
    engine = create_writer(parse_database(database))
    with engine.begin() as connection:
        found = read_version(connection)
    engine.dispose()
    return found
