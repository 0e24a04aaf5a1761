"""Deletion of old calls and of old numbers."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime

import attrs
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from support.call_builders import call, leg
from support.waiting import TIMEOUT, eventually

from basix_ws_cti import Gap, Party
from basix_ws_cti.calllog import CallLog, CallLogReader, retention
from basix_ws_cti.calllog.database import create_writer, parse_database
from basix_ws_cti.calllog.entries import CallEntry
from basix_ws_cti.calllog.migrations import migrate
from basix_ws_cti.calllog.retention import (
    delete_calls,
    forget_numbers,
    note_numbers,
    shrink,
    without_numbers,
)
from basix_ws_cti.calllog.store import Store

NUMBER = "0312349876"

TALK = call(
    "0 ringing u7, 5 talking u7, 9 talking 0667890123",
    20,
    by="caller",
    caller=Party(number=NUMBER, name="Yamada Taro"),
    legs=(leg(NUMBER, 0, 20, role="placed"), leg("u7", 0, 20, talks=[(5, 9)])),
)


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(retention, "STEP", 2)


@pytest.fixture
async def writer(database):
    """Engine of a log with five calls, which started at 0 to 4 µs, and a gap."""
    async with CallLog(database) as log:
        for start in range(5):
            log.add(attrs.evolve(TALK, id=f"call{start}", started=start))
        log.add_gap(Gap(datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(0, UTC), None))
        assert await log.flush(TIMEOUT)
    writer = create_writer(parse_database(database))
    yield writer
    writer.dispose()


def run(step, *arguments):
    """Repeat a step until it is done; return the number of steps."""
    steps = 1
    while step(*arguments):
        steps += 1
    return steps


async def test_calls_before_a_time_are_deleted_in_steps(database, writer, small_steps):
    assert not delete_calls(writer, 0)
    assert run(delete_calls, writer, 3) == 2
    reader = CallLogReader(database)
    assert [one.record.id for one in reader.find(order="oldest").calls] == ["call3", "call4"]
    assert reader.gaps() == ()
    assert reader.find(took_part=7).total == 2


async def test_change_numbers_are_not_used_again(database, writer):
    run(delete_calls, writer, 5)
    async with CallLog(database) as log:
        log.add(TALK)
    (found,) = CallLogReader(database).changes()
    assert found.change == 6


async def test_numbers_before_a_time_are_forgotten_in_steps(database, writer, small_steps):
    assert run(forget_numbers, writer, 3) == 2
    calls = CallLogReader(database).find(order="oldest").calls
    assert [one.record.caller_number for one in calls] == [None] * 3 + [NUMBER] * 2
    forgotten = calls[0]
    assert forgotten.record.caller_name is None
    assert forgotten.record.called_number == "0312345678"  # a number of the company
    assert json.loads(forgotten.record.handlers) == [7, None]
    assert forgotten.record.last_handler_number is None
    assert [part.number for part in forgotten.participations] == [None, None]
    assert [part.user_id for part in forgotten.participations] == [None, 7]
    assert run(forget_numbers, writer, 5) == 2
    assert CallLogReader(database).find(number=NUMBER).total == 0


@pytest.mark.parametrize(
    ("direction", "kept"),
    [
        ("inbound", {"called_number"}),
        ("outbound", {"caller_number", "caller_name"}),
        ("internal", {"called_number", "caller_number", "caller_name"}),
    ],
)
def test_numbers_of_the_company_are_kept(direction, kept):
    entry = CallEntry.of(attrs.evolve(TALK, direction=direction))
    row = without_numbers(attrs.evolve(entry, call={**entry.call, "handlers": None})).call
    columns = ("caller_number", "caller_name", "called_number")
    assert {name for name in columns if row[name] is not None} == kept
    assert row["answered_by_number"] is row["handlers"] is None


@pytest.mark.parametrize("step", [delete_calls, forget_numbers])
async def test_step_waits_for_a_transaction_that_writes(database, writer, step):
    """Otherwise it could miss calls that are not committed yet."""
    other = create_writer(parse_database(database), lock_timeout=0.01)
    store = Store(writer)

    def check(connection, cursor, statement, *_):
        if statement.startswith("INSERT INTO calls"):
            with pytest.raises(OperationalError, match="lock"):
                step(other, 10)
            refused.append(step)

    refused = []
    event.listen(writer, "after_cursor_execute", check)
    store.write([CallEntry.of(attrs.evolve(TALK, id="new", started=7))])
    assert refused == [step]
    assert not step(other, 10)
    other.dispose()
    assert CallLogReader(database).find(number=NUMBER).total == 0


@pytest.mark.postgres
@pytest.mark.slow
def test_postgresql_shrinks_its_files_itself(new_postgres):
    writer = create_writer(parse_database(new_postgres()))
    migrate(writer)
    assert not shrink(writer)
    writer.dispose()


@pytest.mark.parametrize("start", [0, 2, 4])
async def test_numbers_that_are_written_later_are_forgotten_too(database, writer, start):
    """For example from an old recording, by a log that forgets nothing."""
    run(forget_numbers, writer, 5)
    await logged(database, attrs.evolve(TALK, id="late", started=start))
    reader = CallLogReader(database)
    assert reader.find(number=NUMBER).total == 1
    before = changes_of(reader)
    run(forget_numbers, writer, 5)
    assert reader.find(number=NUMBER).total == 0
    assert changes_of(reader) == before


async def test_repeated_step_rewrites_no_call(database, writer):
    """A step that has nothing to remove costs no write."""
    run(forget_numbers, writer, 5)
    statements = []
    with writer.begin() as connection:
        note_numbers(connection, 0)
    event.listen(writer, "before_cursor_execute", lambda *args: statements.append(args[2]))
    run(forget_numbers, writer, 5)
    assert [one for one in statements if one.startswith("UPDATE calls")] == []


async def logged(database, call_):
    async with CallLog(database) as log:
        log.add(call_)
        assert await log.flush(TIMEOUT)


def changes_of(reader):
    return [(one.record.id, one.change) for one in reader.changes()]


async def test_more_calls_with_one_start_than_a_step_are_all_forgotten(
    database, writer, small_steps
):
    async with CallLog(database) as log:
        for number in range(9):
            log.add(attrs.evolve(TALK, id=f"same{number}", started=2))
    run(forget_numbers, writer, 3)
    calls = CallLogReader(database).find(order="oldest").calls
    assert [one.record.caller_number for one in calls if one.record.started < 3] == [None] * 12


@pytest.mark.slow
async def test_forgotten_bytes_are_in_no_file(tmp_path):
    """Numbers in no order: SQLite splits pages when they are written, and moves their rows."""
    database = tmp_path / "calls.db"
    numbers = [f"07{n * 7919 % 10_000:04}0000" for n in range(1500)]
    async with CallLog(database) as log:
        for start, number in enumerate(numbers):
            caller = Party(number=number, name=f"Yamada {number}")
            log.add(attrs.evolve(TALK, id=f"call{number}", started=start, caller=caller))
        assert await log.flush(TIMEOUT)
    assert remaining(tmp_path, rb"Yamada 07\d{4}0000") == len(numbers)
    writer = create_writer(parse_database(database))
    run(forget_numbers, writer, 2000)
    run(shrink, writer)
    writer.dispose()
    assert remaining(tmp_path, rb"(?<!call)07\d{4}0000|Yamada|" + NUMBER.encode()) == 0
    assert CallLogReader(database).find().total == len(numbers)


def remaining(folder, pattern):
    """Return the number of different texts in all files."""
    return len(
        {text for path in folder.iterdir() for text in re.findall(pattern, path.read_bytes())}
    )


@pytest.mark.slow
async def test_file_shrinks_after_a_deletion(tmp_path):
    database = tmp_path / "calls.db"
    async with CallLog(database) as log:
        for start in range(2000):
            log.add(attrs.evolve(TALK, id=f"call{start}", started=start))
        assert await log.flush(TIMEOUT)
    before = database.stat().st_size
    writer = create_writer(parse_database(database))
    run(delete_calls, writer, 1900)
    assert run(shrink, writer) < 5  # it returns many pages at once
    writer.dispose()
    assert database.stat().st_size < before / 4


@pytest.mark.slow
async def test_log_applies_its_retention(database):
    now = time.time_ns() // 1000
    day = 86_400_000_000
    ages = {"today": 0, "week": 7, "month": 30}
    calls = [attrs.evolve(TALK, id=id_, started=now - age * day) for id_, age in ages.items()]
    options = {"keep": 20 * 86_400, "forget_numbers": 2 * 86_400}
    async with CallLog(database) as log:
        for one in calls:
            log.add(one)
    async with CallLog(database, **options) as log:
        reader = CallLogReader(database)
        await eventually(lambda: reader.find().total == 2)
        await eventually(lambda: reader.find(number=NUMBER).total == 1)
        log.add(attrs.evolve(calls[1], id="late"))  # from a recording of last week
        assert await log.flush(TIMEOUT)
        found = {one.record.id: one.record.caller_number for one in reader.find().calls}
        assert found == {"today": NUMBER, "week": None, "late": None}
