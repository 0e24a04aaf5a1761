"""Command ``log``: a recording or a PBX into a database, whatever interrupts it."""

from __future__ import annotations

import contextlib
import random
import re
import signal
import sqlite3
import time
from datetime import UTC, datetime

import pytest
from support.cli_runner import run_in_process, run_program, start
from support.example_connections import connection_environment
from support.simulated_day import record_day
from support.sizes import NIGHTLY
from support.sqlite_files import sqlite_connection
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti import CallEnded, CallRecord, Participation, QueueWait
from basix_ws_cti.calllog import CallLogReader
from basix_ws_cti.exceptions import CallLogError
from basix_ws_cti.recording import replay
from basix_ws_cti.simulator import Simulator

HOURS, KILLS = (2, 40) if NIGHTLY else (0.3, 4)

# Seconds for one command.
LIMIT = 600 if NIGHTLY else TIMEOUT


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """Path of a recording, and the calls that ended in it."""
    path = tmp_path_factory.mktemp("days") / "day.rec.gz"
    record_day(path, HOURS * 3600, started=datetime(2026, 1, 1, tzinfo=UTC))
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
    with sqlite_connection(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    connection.close()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_logger_leaves_no_call_out_and_none_twice(day, new_database):
    """The logger is killed at random moments while it writes, and started again.

    Once it has read the complete recording, the next one writes to a new database.
    """
    path, calls = day
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    kills, database = 0, new_database()
    while kills < KILLS:
        if log_until_killed(path, database, rng):
            kills += 1
        else:
            assert_sound(database, calls, seed)
            database = new_database()
    with start("log", database, "--recording", path) as process:
        _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, (err, seed)
    assert_sound(database, calls, seed)


def log_until_killed(path, database, rng):
    """Log a recording, and kill the logger after a commit or in the middle of one.

    Returns False if it has ended before.
    """
    before = last_change(database)
    with start("log", database, "--recording", path) as process:
        wait_until(lambda: is_writing(process, database, before), "new rows", seconds=LIMIT)
        time.sleep(rng.uniform(0, 0.5))
        process.kill()
        _, err = process.communicate()
    assert process.returncode in {-signal.SIGKILL, 0}, err
    return process.returncode != 0


def assert_sound(database, calls, seed):
    """Check the rows, and the file of SQLite."""
    assert_complete(database, calls)
    if "://" not in database:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], seed


def is_writing(process, database, change):
    """Return True once the process has changed the database, or has ended."""
    return process.poll() is not None or last_change(database) > change


def last_change(database):
    """Return the last change number; 0 if there is no database yet."""
    try:
        return CallLogReader(database).last_change()
    except CallLogError:
        return 0


@pytest.mark.slow
def test_call_has_one_row_whatever_interrupts_the_logger(tmp_path):
    """A call that is followed from start to end is complete.

    Calls interrupted by a crash, ended while the logger was down, ended while the connection was
    lost, or still active have one row each, and are incomplete.
    """
    database = tmp_path / "calls.db"
    with Simulator(calls=False, speed=0.001) as pbx:
        variables = connection_environment(pbx)
        with start("log", database, "--full-events", env=variables) as first:
            wait_until(lambda: pbx.connections, "the client")
            followed = pbx.call("0312341234", to="1001")
            interrupted = pbx.call("09011112222", to="1002")
            unseen = pbx.call("0667890123", to="1003")
            for line in (followed, interrupted, unseen):
                pbx.answer(line)
            pbx.advance(75)
            pbx.hangup(followed)
            wait_until(lambda: {followed} < {*logged(database)}, "three rows")
            wait_until(lambda: logged(database)[followed].complete, "the end")
            first.kill()
        pbx.hangup(unseen)
        pbx.advance(5)
        with start("log", database, "--full-events", env=variables) as second:
            wait_until(lambda: len(pbx.connections) == 1, "the client")
            lost = pbx.call("08033334444", to="1003")
            wait_until(lambda: lost in logged(database), "four rows")
            pbx.hangup(interrupted)
            wait_until(lambda: logged(database)[interrupted].ended, "the end of the second call")
            pbx.restart(down_for=0.2)  # the PBX loses its channels
            wait_until(lambda: logged(database)[lost].ended, "the end during the outage")
            going_on = pbx.call("1002", to="1001")  # a colleague
            wait_until(lambda: going_on in logged(database), "five rows")
            second.send_signal(signal.SIGINT)
            _, err = second.communicate(timeout=TIMEOUT)
            assert second.returncode == 130, err
    found = logged(database)
    results = {one.id: (one.complete, one.ended is None, one.disposition) for one in found.values()}
    assert results == {
        followed: (True, False, "answered"),
        interrupted: (False, False, "answered"),
        unseen: (False, True, None),
        lost: (False, False, "unknown"),
        going_on: (False, True, None),
    }
    assert found[unseen].caller_name == "Kenji Watanabe"
    assert (found[going_on].caller_name, found[going_on].caller_user_id) == ("鈴木 花子", 10001002)
    assert len(CallLogReader(database).gaps()) >= 1


def logged(database):
    """Return the rows of the logged calls by id; none if there is no database yet."""
    try:
        return {one.record.id: one.record for one in CallLogReader(database).find().calls}
    except CallLogError:
        return {}


@pytest.mark.slow
def test_standby_takes_over_from_a_killed_logger(tmp_path):
    database = tmp_path / "calls.db"
    options = (database, "--simulate", "--simulate-speed", "100", "--status", "0.2")
    with start("log", *options) as first:
        first.stderr.readline()
        with start("log", *options, "--standby") as standby:
            assert standby.stderr.readline() == WAITING.format(database)
            wait_until(lambda: logged(database), "the first calls")
            first.kill()
            assert standby.stderr.readline() == f"basix-ws-cti: logging calls to {database}\n"
            before = last_change(database)
            wait_until(lambda: last_change(database) > before, "calls of the standby")
            standby.send_signal(signal.SIGINT)
            standby.communicate(timeout=TIMEOUT)
            assert standby.returncode == 130
    with sqlite_connection(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


WAITING = "basix-ws-cti: waiting: another process logs to {}\n"


@pytest.mark.slow
def test_ctrl_c_ends_a_standby(tmp_path):
    database = tmp_path / "calls.db"
    with start("log", database, "--simulate") as first:
        first.stderr.readline()
        with start("log", database, "--simulate", "--standby") as standby:
            assert standby.stderr.readline() == WAITING.format(database)
            standby.send_signal(signal.SIGINT)
            standby.communicate(timeout=TIMEOUT)
            assert standby.returncode == 130
        first.kill()


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
        (["postgresql://host/db?password=secret"], "a password on the command line is visible"),
        (["mysql://me:secret@host/db"], "unsupported database 'mysql'"),
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
    assert done.stderr == f"basix-ws-cti: call log {tmp_path}/missing/calls.db: no such folder\n"


@pytest.mark.slow
def test_extra_that_is_not_installed_is_named(tmp_path):
    code = (
        "import sys; sys.modules['sqlalchemy'] = None;"
        "sys.argv = ['basix-ws-cti', 'log', 'calls.db', '--simulate'];"
        "from basix_ws_cti.cli import main; main()"
    )
    done = run_program(code, cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install 'basix_ws_cti[calllog]'" in done.stderr
