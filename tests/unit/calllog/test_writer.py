"""Thread that writes batches: order, replacement, retries, rejected items, maintenance."""

from __future__ import annotations

import logging
import sqlite3
import threading

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti.calllog import writer as writer_module
from basix_ws_cti.calllog.writer import BATCH_SIZE, Writer, unwritten

BUSY = OperationalError("INSERT …", {"number": "0312341234"}, Exception("database is locked"))


class Database:
    """Work that notes what it is given, and fails on demand."""

    def __init__(self):
        self.calls = []
        self.open_error = None
        self.batches = []
        self.rejected = []
        self.errors = []
        self.refused = set()
        self.maintenance = []
        self.is_writing = threading.Event()
        self.may_write = threading.Event()
        self.may_write.set()

    def open(self):
        self.calls.append("open")
        if self.open_error:
            raise self.open_error

    def close(self):
        self.calls.append("close")

    @property
    def written(self):
        return [item for batch in self.batches for item in batch]

    def write(self, items):
        self.is_writing.set()
        self.may_write.wait(TIMEOUT)
        if self.errors:
            raise self.errors.pop(0)
        if self.refused & {*items}:
            raise IntegrityError("INSERT …", {}, sqlite3.IntegrityError("NOT NULL\n0312341234"))
        self.batches.append(list(items))

    def reject(self, item, problem):
        self.rejected.append((item, problem))

    def maintain(self):
        return bool(self.maintenance and self.maintenance.pop()())


@pytest.fixture
def database():
    return Database()


def newest(_, newer):
    return newer


@pytest.fixture
def new_writer(database):
    """Return a function that starts a writer; it is stopped at the end."""
    writers = []

    def create(interval=0.01, choose=newest, **options):
        writer = Writer(database, choose=choose, interval=interval, name="calls.db", **options)
        writers.append(writer)
        writer.start().result(TIMEOUT)
        return writer

    yield create
    database.may_write.set()
    for writer in writers:
        writer.stop()
        writer.ended.result(TIMEOUT)


@pytest.fixture
def writer(new_writer):
    return new_writer()


def flush(writer):
    return writer.flush().result(TIMEOUT)


def test_items_are_written_in_the_order_of_arrival(writer, database):
    for number in range(3 * BATCH_SIZE):
        writer.put(number, number)
    assert flush(writer)
    assert database.written == list(range(3 * BATCH_SIZE))
    assert all(len(batch) <= BATCH_SIZE for batch in database.batches)
    assert writer.health.written == 3 * BATCH_SIZE


def test_newer_item_with_the_same_key_replaces_one_that_waits(writer, database):
    database.may_write.clear()
    writer.put("first", 0)
    wait_until(lambda: writer.health.pending == 1, "the first batch")
    for number in range(1, 4):
        writer.put("same", number)
    database.may_write.set()
    assert flush(writer)
    assert database.written in ([0, 3], [0, 1, 3])
    assert database.written[-1] == 3


def test_failed_batch_is_written_again(writer, database, caplog, monkeypatch):
    monkeypatch.setattr(writer_module, "_FIRST_DELAY", 0.001)
    database.errors = [BUSY, BUSY, BUSY]
    writer.put(1, 1)
    assert flush(writer)
    assert database.batches == [[1]]
    assert writer.health.problem is None
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "calls.db: cannot write, will retry: Exception: database is locked",
        "calls.db: writing again",
    ]


def test_health_shows_the_problem_while_it_lasts(writer, database):
    database.errors = [BUSY] * 1000
    writer.put(1, 1)
    wait_until(lambda: writer.health.problem is not None, "the failure")
    health = writer.health
    assert health.problem == "Exception: database is locked"
    assert health.failing_since is not None
    assert (health.pending, health.written) == (1, 0)


def test_refused_items_are_set_aside_and_all_others_are_written(writer, database, caplog):
    database.may_write.clear()
    database.refused = {3, 77}
    for number in range(100):
        writer.put(number, number)
    database.may_write.set()
    assert flush(writer)
    assert sorted(database.written) == [n for n in range(100) if n not in {3, 77}]
    assert database.rejected == [(3, "IntegrityError: NOT NULL"), (77, "IntegrityError: NOT NULL")]
    assert (writer.health.rejected, writer.health.written) == (2, 98)
    assert "0312341234" not in caplog.text


def test_defect_in_a_conversion_refuses_the_item_only(writer, database):
    database.errors = [ValueError("0312341234")]
    writer.put(1, 1)
    assert flush(writer)
    assert database.rejected == [(1, "ValueError")]


def test_failure_to_note_a_refused_item_does_not_end_the_thread(writer, database, monkeypatch):
    monkeypatch.setattr(database, "reject", lambda *_: 1 / 0)
    database.refused = {1}
    writer.put(1, 1)
    writer.put(2, 2)
    assert flush(writer)
    assert database.written == [2]


def test_flush_waits_for_the_items_of_that_moment_only(writer, database):
    database.may_write.clear()
    writer.put(1, 1)
    wait_until(lambda: writer.health.pending == 1, "the item")
    future = writer.flush()
    assert not future.done()
    database.may_write.set()
    assert future.result(TIMEOUT)
    assert database.written == [1]


def test_flush_of_nothing_is_done_at_once(writer):
    assert writer.flush().done()


def test_stop_answers_flushes_with_false(writer, database):
    database.may_write.clear()
    writer.put(1, 1)
    future = writer.flush()
    writer.stop()
    assert future.result(TIMEOUT) is False


def test_key_keeps_its_place_when_its_item_is_replaced(new_writer, database):
    """Otherwise a key whose item changes all the time would never be written."""
    writer = new_writer(interval=60)
    for key in (1, 2, 1):
        writer.put(key, key)
    assert flush(writer)
    assert database.written == [1, 2]


def test_choice_between_two_items_of_a_key_is_made_by_the_function(new_writer, database):
    writer = new_writer(interval=60, choose=max)
    for item in (3, 7, 5):
        writer.put("key", item)
    assert flush(writer)
    assert database.written == [7]


def test_items_beyond_the_capacity_are_dropped_and_counted(new_writer, database, caplog):
    database.may_write.clear()
    writer = new_writer(capacity=3)
    writer.put(0, 0)
    wait_until(database.is_writing.is_set, "the first batch")
    for number in range(1, 6):
        assert writer.is_full == (number > 3)
        writer.put(number, number)
    writer.put(3, 33)  # replaces an item: needs no room
    database.may_write.set()
    assert flush(writer)
    assert database.written == [0, 1, 2, 33]
    assert writer.health.dropped == 2
    assert caplog.text.count("3 entries are waiting: drops more") == 1


def test_end_writes_what_is_left_and_closes_the_work(new_writer, database):
    writer = new_writer(interval=60)
    assert writer.is_open
    writer.put(1, 1)
    writer.finish()
    assert not writer.is_open
    writer.ended.result(TIMEOUT)
    assert database.batches == [[1]]
    assert database.calls == ["open", "close"]


@pytest.mark.slow
def test_end_tries_again_without_the_long_delay(new_writer, database, monkeypatch):
    monkeypatch.setattr(writer_module, "_FIRST_DELAY", 1000)
    writer = new_writer()
    database.errors = [BUSY]
    writer.put(1, 1)
    wait_until(lambda: writer.health.problem is not None, "the failure")
    writer.finish()
    writer.ended.result(TIMEOUT)
    assert database.written == [1]


def test_stop_ends_the_attempts_and_counts_what_is_not_written(new_writer, database):
    writer = new_writer(interval=0)
    database.errors = [BUSY] * 1000
    writer.put(1, 1)
    wait_until(lambda: writer.health.problem is not None, "the failure")
    writer.put(2, 2)
    writer.stop()
    writer.ended.result(TIMEOUT)
    assert database.calls == ["open", "close"]
    error = unwritten("x", writer.health)
    assert str(error) == "call log x: 2 entries are not written: Exception: database is locked"


def test_item_whose_write_has_not_returned_counts_as_not_written(writer, database):
    database.may_write.clear()
    writer.put(1, 1)
    wait_until(database.is_writing.is_set, "the batch")
    writer.stop()
    assert not writer.ended.done()
    assert str(unwritten("x", writer.health)).endswith(
        "1 entries are not written: the database has not answered"
    )


def test_work_that_cannot_open_is_closed_before_the_error_is_reported(database):
    database.open_error = BUSY
    writer = Writer(database, choose=newest, interval=0, name="x")
    assert not writer.is_started
    with pytest.raises(OperationalError):
        writer.start().result(TIMEOUT)
    assert database.calls == ["open", "close"]
    writer.ended.result(TIMEOUT)


def test_failure_to_close_is_logged(new_writer, database, caplog, monkeypatch):
    writer = new_writer()
    monkeypatch.setattr(database, "close", lambda: 1 / 0)
    writer.finish()
    writer.ended.result(TIMEOUT)
    assert "calls.db: cannot close the database: ZeroDivisionError" in caplog.text


@pytest.fixture
def start_writer(new_writer, database):
    """Return a function that starts a writer once the maintenance is prepared."""

    def start(*maintenance):
        database.maintenance = [*reversed(maintenance)]
        return new_writer(interval=0)

    return start


def test_maintenance_runs_until_it_is_done_and_does_not_stop_the_writing(start_writer, database):
    done = []
    writer = start_writer(lambda: done.append("step") or True, lambda: done.append("last"))
    writer.put(1, 1)
    wait_until(lambda: done == ["step", "last"], "the maintenance")
    assert flush(writer)
    assert database.batches == [[1]]


def test_failed_maintenance_is_reported_and_does_not_end_the_thread(start_writer, database, caplog):
    def fail():
        raise BUSY

    writer = start_writer(fail)
    wait_until(lambda: "maintenance failed" in caplog.text, "the log line")
    writer.put(1, 1)
    assert flush(writer)
    assert database.batches == [[1]]
