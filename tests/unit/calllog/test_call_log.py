"""Call log: what is written, and what happens when the database refuses."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from support.call_builders import call, leg
from support.sqlite_files import sqlite_connection
from support.waiting import TIMEOUT, eventually

from basix_ws_cti import CallRecord, Gap, Participation, Party, QueueWait, User
from basix_ws_cti.calllog import CallLog, CallLogReader
from basix_ws_cti.calls import CallEnded, CallRinging, CallStarted
from basix_ws_cti.exceptions import CallLogError, ConnectionLost, UsageError
from basix_ws_cti.messages import InitialInfo
from basix_ws_cti.mirror.changes import Lagged
from basix_ws_cti.mirror.mirror import Mirror

pytestmark = pytest.mark.timeout(120)

TALK = call(
    "0 ivr, 5 queued g1, 20 talking u7",
    50,
    by="caller",
    legs=(leg("0312341234", 0, 50, role="placed"), leg("u7", 5, 50, talks=[(20, 50)], rings=1)),
)


GAP = Gap(
    started=datetime(2026, 1, 1, tzinfo=UTC),
    ended=datetime(2026, 1, 2, tzinfo=UTC),
    reason=ConnectionLost(1006),
)


async def logged(database, *calls, **options):
    """Write calls, and return a reader of the log."""
    async with CallLog(database, **options) as log:
        for one in calls:
            log.add(one)
        assert await log.flush(TIMEOUT)
    return CallLogReader(database)


async def test_rows_of_a_call_are_read_as_they_were_written(database):
    reader = await logged(database, TALK)
    (found,) = reader.find().calls
    assert found.record == CallRecord.of(TALK)
    assert found.waits == QueueWait.of(TALK)
    assert found.participations == Participation.of(TALK)
    assert len(found.waits) == 1
    assert len(found.participations) == 2


async def test_call_in_progress_has_a_row_until_its_end(database):
    active = call("0 ivr, 5 queued g1")
    reader = await logged(database, active)
    (found,) = reader.find().calls
    assert found.record == CallRecord.of(active)
    assert found.waits == found.participations == ()
    await logged(database, TALK)
    (found,) = reader.find().calls
    assert found.record == CallRecord.of(TALK)
    assert len(found.participations) == 2


async def test_complete_row_is_not_replaced(database):
    await logged(database, TALK)
    seen_late = attrs.evolve(TALK, complete=False, answered=None)
    reader = await logged(database, seen_late, TALK)
    (found,) = reader.find().calls
    assert found.record == CallRecord.of(TALK)
    assert found.change == 1


@pytest.mark.slow
async def test_incomplete_end_is_replaced_by_a_complete_one_only_once_ended(database):
    """What an observer saw who left before the end does not replace an end."""
    ended = attrs.evolve(TALK, complete=False)
    active = call("0 ivr, 5 queued g1", complete=False)
    await logged(database, ended)
    reader = await logged(database, active)
    assert reader.find().calls[0].record == CallRecord.of(ended)
    await logged(database, TALK)
    assert reader.find().calls[0].record == CallRecord.of(TALK)


@pytest.mark.slow
async def test_writing_the_same_calls_twice_changes_nothing(database):
    calls = [attrs.evolve(TALK, id=f"call{n}") for n in range(50)]
    reader = await logged(database, *calls)
    before = reader.changes()
    await logged(database, *reversed(calls))
    assert reader.changes() == before
    assert reader.find().total == 50


async def test_changes_follow_the_log(database):
    reader = await logged(database, *(call("0 ivr", id=f"call{n}") for n in range(3)))
    first = reader.changes(limit=2)
    assert [one.record.id for one in first] == ["call0", "call1"]
    await logged(database, attrs.evolve(TALK, id="call0"))
    rest = reader.changes(first[-1].change)
    assert [(one.record.id, one.record.complete) for one in rest] == [
        ("call2", False),
        ("call0", True),
    ]
    assert reader.changes(rest[-1].change) == ()
    assert reader.last_change() == rest[-1].change


async def test_on_commit_is_called_with_the_last_change_number(database):
    commits = []
    async with CallLog(database, on_commit=commits.append) as log:
        log.add(TALK)
        await log.flush()
        log.add(TALK)
        await log.flush()
    assert commits == [1]


async def test_error_in_on_commit_affects_no_entry(database, caplog):
    """Neither is the batch written again, nor is it refused."""
    commits = []

    def fail(change):
        commits.append(change)
        raise (ValueError("0312341234"), OSError("0312341234"), SystemExit)[change - 1]

    async with CallLog(database, on_commit=fail) as log:
        for number in range(3):
            log.add(call("0 ivr", id=f"call{number}"))
            assert await log.flush(TIMEOUT)
        health = log.health
    assert commits == [1, 2, 3]
    assert (health.written, health.rejected, health.problem) == (3, 0, None)
    assert [one.message for one in caplog.records if one.levelname == "ERROR"] == [
        f"{log.name}: on_commit failed: {name}" for name in ("ValueError", "OSError", "SystemExit")
    ]


async def test_end_is_not_replaced_while_it_waits(database):
    ended = attrs.evolve(TALK, complete=False)
    active = call("0 ivr, 5 queued g1", complete=False)
    reader = await logged(database, active, ended, active)
    assert reader.find().calls[0].record == CallRecord.of(ended)
    reader = await logged(database, ended, TALK, ended)
    assert reader.find().calls[0].record == CallRecord.of(TALK)


@pytest.mark.slow
async def test_last_change_is_that_of_a_call(database):
    reader = await logged(database, *(attrs.evolve(TALK, id=f"call{n}") for n in range(5)))
    await logged(database, TALK)
    await logged(database, *(attrs.evolve(TALK, id=f"call{n}") for n in range(5)))
    assert reader.last_change() == reader.changes(limit=100)[-1].change == 6


HOSTILE = [
    "NUL \0 inside",
    "lone \ud800 surrogate",
    "\udfff\udbff",
    "x" * 1_000_000,
    "'; DROP TABLE calls; --",
    "𠮷野家 ﾊﾝｶｸ e\u0301",
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
async def test_any_name_can_be_stored(database, name):
    reader = await logged(database, attrs.evolve(TALK, caller=Party(number=name, name=name)))
    (found,) = reader.find().calls
    stored = found.record.caller_name
    assert stored == found.record.caller_number
    assert len(stored) == min(len(name), 2000)
    assert [a for a, b in zip(stored, name, strict=False) if a != b] == [
        "\N{REPLACEMENT CHARACTER}" for char in name if char == "\0" or "\ud800" <= char <= "\udfff"
    ]


async def test_call_ids_that_are_stored_as_one_are_one_call(database):
    """PostgreSQL refuses a statement that writes a row twice."""
    twins = [attrs.evolve(TALK, id=f"id {char}") for char in ("\0", "\ud800", "\udfff")]
    twins += [
        attrs.evolve(TALK, id="".join(map(chr, range(20_000, 20_000 + n)))) for n in (601, 9000)
    ]
    reader = await logged(database, *twins)
    assert len(reader.find().calls) == 2
    assert all(len(found.participations) == 2 for found in reader.find().calls)


async def test_values_of_other_types_than_expected_are_stored(database):
    odd = attrs.evolve(TALK, caller=Party(number=7, name=b"x", user_id="me"), origination=[2.5])
    reader = await logged(database, odd)
    (found,) = reader.find().calls
    assert found.record.caller_number == "7"
    assert found.record.caller_name is None
    assert found.record.caller_user_id is None


async def test_integer_beyond_64_bits_becomes_null(database):
    huge = attrs.evolve(TALK, caller=Party(user_id=2**63), started=0)
    reader = await logged(database, huge)
    assert reader.find().calls[0].record.caller_user_id is None


@pytest.mark.slow
async def test_row_that_is_refused_is_set_aside_and_the_others_are_written(database, caplog):
    calls = [attrs.evolve(TALK, id=f"call{n}") for n in range(20)]
    calls[7] = attrs.evolve(calls[7], direction=None)  # the column is NOT NULL
    async with CallLog(database) as log:
        for one in calls:
            log.add(one)
        assert await log.flush(TIMEOUT)
        assert log.health.rejected == 1
        assert log.health.written == 19
    assert CallLogReader(database).find().total == 19
    assert "refused the rows of a call" in caplog.text
    assert "0312341234" not in caplog.text


async def test_gaps_and_names_are_logged(database):
    async with CallLog(database) as log:
        log.on_notice(GAP)
        log.on_notice(ConnectionLost(1006))
        log.add_gap(GAP)
        await log.flush()
    reader = CallLogReader(database)
    assert reader.gaps() == ((GAP.started, GAP.ended, "ConnectionLost"),)


@pytest.mark.slow
async def test_second_process_is_refused_unless_it_stands_by(tmp_path):
    database = tmp_path / "calls.db"
    waits = []
    async with CallLog(database):
        with pytest.raises(CallLogError, match=r"another process writes to it"):
            async with CallLog(database):
                pass
        standby = asyncio.create_task(
            logged(database, TALK, standby=True, on_wait=lambda: waits.append(standby.done()))
        )
        await eventually(lambda: waits)
    reader = await asyncio.wait_for(standby, TIMEOUT)
    assert waits == [False]
    assert reader.find().total == 1


@pytest.mark.slow
async def test_standby_without_a_callback_waits_too(tmp_path):
    database = tmp_path / "calls.db"
    async with CallLog(database):
        standby = asyncio.create_task(logged(database, TALK, standby=True))
        await asyncio.sleep(0.1)
        assert not standby.done()
    assert (await asyncio.wait_for(standby, TIMEOUT)).find().total == 1


@pytest.mark.parametrize("use", ["add", "add_gap", "flush"])
async def test_log_that_is_not_open_refuses_entries(tmp_path, use):
    log = CallLog(tmp_path / "calls.db")
    await log.close()
    uses = {"add": lambda: log.add(TALK), "add_gap": lambda: log.add_gap(GAP)}
    for _ in ("before", "after"):
        with pytest.raises(UsageError, match=r"not open: use `async with CallLog"):
            await log.flush() if use == "flush" else uses[use]()
        if not log.health.written:
            async with log:
                log.on_notice(GAP)
    await log.close()


async def test_gap_before_the_opening_is_logged(database):
    log = CallLog(database)
    log.on_notice(GAP)
    async with log:
        pass
    log.on_notice(GAP)
    assert len(CallLogReader(database).gaps()) == 1


async def test_log_opens_once(tmp_path):
    log = CallLog(tmp_path / "calls.db")
    async with log:
        pass
    with pytest.raises(UsageError, match="can be opened once"):
        await log.__aenter__()
    async with CallLog(tmp_path / "calls.db"):
        pass


@pytest.mark.slow
async def test_cancelled_opening_releases_the_lock(tmp_path):
    """The thread waits for the database, and the event loop does not."""
    database = tmp_path / "calls.db"
    await logged(database)
    with sqlite_connection(database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        opening = asyncio.create_task(CallLog(database, lock_timeout=1000).__aenter__())
        await asyncio.sleep(0.05)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        with pytest.raises(CallLogError, match="another process writes to it"):
            await CallLog(database).__aenter__()
        other.execute("ROLLBACK")
    other.close()
    async with CallLog(database, standby=True):
        pass


@pytest.mark.slow
async def test_cancelled_end_releases_the_lock_once_the_database_answers(tmp_path):
    database = tmp_path / "calls.db"
    log = CallLog(database, lock_timeout=1000)
    await log.__aenter__()
    with sqlite_connection(database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        log.add(TALK)
        closing = asyncio.create_task(log.close(1000))
        await asyncio.sleep(0.05)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(CallLogError, match="another process writes to it"):
            await CallLog(database).__aenter__()
        other.execute("ROLLBACK")
    other.close()
    async with CallLog(database, standby=True):
        pass
    assert CallLogReader(database).find().total == 1


async def test_flush_returns_false_after_its_time_out(tmp_path):
    database = tmp_path / "calls.db"
    async with CallLog(database) as log:
        with sqlite_connection(database, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            log.add(TALK)
            assert not await log.flush(0.01)
        other.close()


async def test_names_of_one_file_have_one_lock(tmp_path, monkeypatch):
    (tmp_path / "link.db").symlink_to(tmp_path / "calls.db")
    async with CallLog(tmp_path / "calls.db"):
        with pytest.raises(CallLogError, match="another process writes to it"):
            await CallLog(tmp_path / "link.db").__aenter__()


async def test_log_stays_with_its_file_when_the_working_folder_changes(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    async with CallLog("calls.db") as log:
        assert log.name == "calls.db"
        monkeypatch.chdir(tmp_path / "other")
        log.add(TALK)
        assert await log.flush(TIMEOUT)
    assert CallLogReader(tmp_path / "calls.db").find().total == 1


@pytest.mark.slow
async def test_file_that_disappears_is_created_again(tmp_path):
    """For example because it was moved away, to keep one file per month."""
    database = tmp_path / "calls.db"
    async with CallLog(database) as log:
        log.add(TALK)
        assert await log.flush(TIMEOUT)
        database.rename(tmp_path / "january.db")
        log.add(attrs.evolve(TALK, id="february"))
        assert await log.flush(TIMEOUT)
    assert [one.record.id for one in CallLogReader(database).find().calls] == ["february"]
    assert CallLogReader(tmp_path / "january.db").find().total == 1


async def test_table_of_another_program_is_a_clear_error(tmp_path):
    database = tmp_path / "calls.db"
    with sqlite_connection(database) as other:
        other.execute("CREATE TABLE waits (x)")
    other.close()
    with pytest.raises(CallLogError, match="it has a table 'waits' of another program"):
        await CallLog(database).__aenter__()


@pytest.mark.slow
async def test_locked_database_delays_the_log_and_loses_nothing(tmp_path):
    database = tmp_path / "calls.db"
    async with CallLog(database, lock_timeout=0.05) as log:
        with sqlite_connection(database, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            log.add(TALK)
            await eventually(lambda: log.health.problem)
            assert log.health.problem == "OperationalError: database is locked"
            assert log.health.pending == 1
            other.execute("ROLLBACK")
        assert await log.flush(TIMEOUT)
        assert log.health.problem is None
    other.close()
    assert CallLogReader(database).find().total == 1


@pytest.mark.slow
async def test_end_reports_what_is_not_written(tmp_path):
    database = tmp_path / "calls.db"
    log = CallLog(database, lock_timeout=0.05)
    await log.__aenter__()
    with sqlite_connection(database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        log.add(TALK)
        with pytest.raises(CallLogError, match=r"1 entries are not written: .*locked"):
            await log.close(0.5)
    other.close()


@pytest.mark.postgres
@pytest.mark.slow
async def test_killed_server_delays_the_log_and_loses_nothing(postgres_server, new_postgres):
    database = new_postgres()
    async with CallLog(database) as log:
        log.add(TALK)
        assert await log.flush(TIMEOUT)
        postgres_server.kill()
        try:
            log.add(attrs.evolve(TALK, id="second"))
            await eventually(lambda: log.health.problem)
        finally:
            postgres_server.start()
        assert await log.flush(TIMEOUT)
    assert CallLogReader(database).find().total == 2


@pytest.mark.parametrize(
    "database", ["", ":memory:", "mysql://host/db", "sqlite://", "sqlite:///a?mode=ro", "x://[", 7]
)
def test_unsupported_database_is_a_usage_error(database):
    with pytest.raises(UsageError, match="database"):
        CallLog(database)


async def test_folder_that_does_not_exist_is_a_clear_error(tmp_path):
    with pytest.raises(CallLogError, match=r"call log .*missing.calls\.db: no such folder"):
        async with CallLog(tmp_path / "missing" / "calls.db"):
            pass


def test_repr_shows_no_password():
    assert repr(CallLog("postgresql://me:secret@host/db?sslpassword=secret")) == (
        "<CallLog postgresql+psycopg://me:***@host/db>"
    )


class Feed:
    """Source of call events and losses, one per minute, with the names of an agent."""

    def __init__(self, *events):
        self.mirror = Mirror()
        self.name_user("Suzuki")
        self.read = 0
        self._events = events

    def name_user(self, name):
        """Set the name of the agent."""
        self.mirror.apply(InitialInfo("user", {7: User(id=7, label=name)}))

    def now(self):
        return START + timedelta(minutes=self.read)

    async def call_events(self):
        for event in self._events:
            self.read += 1
            yield self.now(), event


START = datetime(2026, 1, 1, tzinfo=UTC)


async def test_calls_and_names_of_a_source_are_recorded(database):
    """They are written when ``record`` returns. A user that the mirror lacks has no name."""
    stranger = attrs.evolve(TALK, id="stranger", caller=Party(user_id=8))
    feed = Feed(CallStarted(call("0 ivr, 5 queued g1")), CallEnded(TALK), CallEnded(stranger))
    async with CallLog(database, keep=10**10, interval=1000) as log:
        await log.record(feed)
        reader = CallLogReader(database)
        assert {one.record for one in reader.find().calls} == {
            CallRecord.of(TALK),
            CallRecord.of(stranger),
        }
    assert reader.names_at(datetime.now(UTC)) == {("user", 7): "Suzuki"}


@pytest.mark.slow
@pytest.mark.parametrize("earlier_us", [0, 300_000_000])
async def test_name_that_changes_during_a_call_replaces_the_former_one(database, earlier_us):
    """It is noted at the end of that call, or of one that started earlier."""
    later = Feed(CallEnded(attrs.evolve(TALK, started=TALK.started - earlier_us)))
    later.name_user("Sato")
    async with CallLog(database) as log:
        await log.record(Feed(CallStarted(TALK)))
        await log.record(later)
    reader = CallLogReader(database)
    assert reader.names_at(datetime.now(UTC)) == {("user", 7): "Sato"}


async def test_lost_events_are_logged_as_a_gap(database):
    """It lasts from the last event before the loss to the first one after it."""
    feed = Feed(CallEnded(TALK), CallRinging(TALK, Party(user_id=7)), Lagged(3), CallEnded(TALK))
    async with CallLog(database) as log:
        await log.record(feed)
    minutes = [START + timedelta(minutes=n) for n in (2, 3)]
    assert CallLogReader(database).gaps() == ((*minutes, "unknown"),)


@contextlib.contextmanager
def locked(database):
    """Hold the lock of an SQLite file."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.slow
async def test_record_does_not_read_while_the_queue_is_full(tmp_path):
    database = tmp_path / "calls.db"
    feed = Feed(*(CallEnded(attrs.evolve(TALK, id=f"call{n}")) for n in range(20)))
    async with CallLog(database, lock_timeout=0.05, capacity=3) as log:
        with locked(database):
            recording = asyncio.create_task(log.record(feed))
            await eventually(lambda: log.health.problem and feed.read > 3)
            read = feed.read
            assert read < 20
            await asyncio.sleep(0.2)
            assert feed.read == read
            log.add(attrs.evolve(TALK, id="too many"))
            assert log.health.dropped == 1
        await recording
        assert log.health.dropped == 1
    assert CallLogReader(database).find().total == 20


@pytest.mark.slow
async def test_log_can_be_closed_while_record_waits(tmp_path):
    database = tmp_path / "calls.db"
    feed = Feed(*(CallEnded(attrs.evolve(TALK, id=f"call{n}")) for n in range(20)))
    log = CallLog(database, lock_timeout=0.05, capacity=3)
    await log.__aenter__()
    with locked(database):
        recording = asyncio.create_task(log.record(feed))
        await eventually(lambda: log.health.problem and feed.read > 3)
        with pytest.raises(CallLogError, match="entries are not written"):
            await log.close(0.1)
        with pytest.raises(UsageError, match="not open"):
            await recording
