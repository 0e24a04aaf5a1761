"""Work of the thread: opening, writing, callbacks, retention."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import attrs
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from support.call_builders import call, leg

from basix_ws_cti.calllog import CallLogReader
from basix_ws_cti.calllog.database import create_writer, parse_database
from basix_ws_cti.calllog.entries import NameEntry
from basix_ws_cti.calllog.process_lock import ProcessLock
from basix_ws_cti.calllog.work import LogWork
from basix_ws_cti.exceptions import CallLogError

NUMBER = "0312341234"
TALK = call(
    "0 ivr, 5 queued g1, 20 talking u7",
    50,
    by="caller",
    legs=(leg(NUMBER, 0, 50, role="placed"), leg("u7", 5, 50, talks=[(20, 50)], rings=1)),
)
DAY = 86_400


@pytest.fixture
def path(tmp_path):
    return tmp_path / "calls.db"


@pytest.fixture
def new_work(path):
    """Return a function that creates work with a database, which is closed at the end."""
    works = []

    def create(**options):
        url = parse_database(path)
        work = LogWork(url, ProcessLock(url), **options)
        works.append(work)
        return work

    yield create
    for work in works:
        work.close()


def aged(days, id_):
    return attrs.evolve(TALK, id=id_, started=time.time_ns() // 1000 - days * DAY * 1_000_000)


def test_names_are_read_when_the_database_is_opened(new_work):
    work = new_work()
    work.open()
    work.write(
        [NameEntry.of("user", 7, since, name, None) for since, name in ((2, "new"), (1, "old"))]
    )
    other = new_work()
    other.open()
    assert {key: one.named for key, one in other.names.items()} == {("user", 7): ("new", None)}


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE counters SET value = 9 WHERE name = 'schema'", "tables of version 9"),
        ("DROP TABLE counters", "it has a table 'calls' of another program"),
        ("ALTER TABLE names RENAME TO others", "no such table: names"),
    ],
)
def test_database_that_cannot_be_opened_is_an_error(new_work, path, statement, problem):
    new_work().open()
    engine = create_writer(parse_database(path))
    with engine.begin() as connection:
        connection.execute(text(statement))
    with pytest.raises(CallLogError, match=problem):
        new_work().open()


def test_tables_are_created_again_after_an_error(new_work, path):
    work = new_work()
    work.open()
    path.unlink()
    with pytest.raises(OperationalError, match="no such table"):
        work.write([TALK])
    work.write([TALK])
    assert CallLogReader(path).find().total == 1


def test_names_are_in_tables_that_are_created_again(new_work, path):
    work = new_work()
    work.open()
    work.names["user", 7] = NameEntry.of("user", 7, 1_000_000, "Suzuki", None)
    path.unlink()
    with pytest.raises(OperationalError, match="no such table"):
        work.write([TALK])
    work.write([TALK])
    assert CallLogReader(path).names_at(datetime.fromtimestamp(2, UTC)) == {("user", 7): "Suzuki"}


def test_callback_gets_the_last_change_and_its_error_is_logged(new_work, caplog):
    changes = []

    def on_commit(change):
        changes.append(change)
        raise ValueError(NUMBER)

    work = new_work(on_commit=on_commit)
    work.open()
    for _ in range(2):
        work.write([TALK])
    assert changes == [1]
    assert "on_commit failed: ValueError" in caplog.text
    assert NUMBER not in caplog.text


def test_refused_call_is_noted_and_other_entries_are_not(new_work, path):
    work = new_work()
    work.open()
    work.reject(TALK, "IntegrityError")
    work.reject(NameEntry.of("user", 7, 1, "x", None), "IntegrityError")
    engine = create_writer(parse_database(path))
    with engine.begin() as connection:
        assert connection.execute(text("SELECT call_id FROM rejected")).fetchall() == [(TALK.id,)]


@pytest.mark.parametrize(
    ("options", "ids", "with_number"),
    [
        ({}, {"new", "old"}, {"new", "old"}),
        ({"keep": 5 * DAY}, {"new"}, {"new"}),
        ({"forget_numbers": 5 * DAY}, {"new", "old"}, {"new"}),
        ({"keep": 50 * DAY, "forget_numbers": 50 * DAY}, {"new", "old"}, {"new", "old"}),
    ],
)
def test_maintenance_applies_the_retention(new_work, path, options, ids, with_number):
    before = new_work()
    before.open()
    before.write([aged(0, "new"), aged(9, "old")])
    work = new_work(**options)
    work.open()
    while work.maintain():
        pass
    reader = CallLogReader(path)
    assert {one.record.id for one in reader.find().calls} == ids
    assert {one.record.id for one in reader.find(number=NUMBER).calls} == with_number


def test_numbers_of_an_old_call_are_not_written(new_work, path):
    work = new_work(forget_numbers=5 * DAY)
    work.open()
    work.write([aged(0, "new"), aged(9, "old")])
    reader = CallLogReader(path)
    assert reader.find().total == 2
    assert [one.record.id for one in reader.find(number=NUMBER).calls] == ["new"]


def test_lock_is_released_at_the_end(path):
    url = parse_database(path)
    lock, other = ProcessLock(url), ProcessLock(url)
    assert lock.try_acquire()
    work = LogWork(url, lock)
    assert not other.try_acquire()
    work.close()
    assert other.try_acquire()
    other.release()
