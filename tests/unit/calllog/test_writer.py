"""Thread that writes batches: order, replacement, retries, rejected items, maintenance."""

from __future__ import annotations

import logging
import threading

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti.calllog import writer as writer_module
from basix_ws_cti.calllog.writer import BATCH_SIZE, Writer, describe
from basix_ws_cti.exceptions import CallLogError

BUSY = OperationalError("INSERT …", {"number": "0312341234"}, Exception("database is locked"))


class Database:
    """Function ``write`` that notes what it is given, and fails on demand."""

    def __init__(self):
        self.batches = []
        self.rejected = []
        self.errors = []
        self.refused = set()
        self.maintenance = []
        self.may_write = threading.Event()
        self.may_write.set()

    @property
    def written(self):
        return [item for batch in self.batches for item in batch]

    def write(self, items):
        self.may_write.wait(TIMEOUT)
        if self.errors:
            raise self.errors.pop(0)
        if self.refused & {*items}:
            raise IntegrityError("INSERT …", {}, Exception("NOT NULL\nrow: 0312341234"))
        self.batches.append(list(items))

    def reject(self, item, problem):
        self.rejected.append((item, problem))

    def maintain(self):
        return bool(self.maintenance and self.maintenance.pop()())


@pytest.fixture
def database():
    return Database()


@pytest.fixture
def writer(database):
    writer = Writer(
        database.write, database.reject, database.maintain, interval=0.01, name="calls.db"
    )
    writer.start()
    yield writer
    database.may_write.set()
    database.errors.clear()
    writer.close(TIMEOUT)


def test_items_are_written_in_the_order_of_arrival(writer, database):
    for number in range(3 * BATCH_SIZE):
        writer.put(number, number)
    assert writer.flush(TIMEOUT)
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
    assert writer.flush(TIMEOUT)
    assert database.written in ([0, 3], [0, 1, 3])
    assert database.written[-1] == 3


def test_failed_batch_is_written_again(writer, database, caplog, monkeypatch):
    monkeypatch.setattr(writer_module, "_FIRST_DELAY", 0.001)
    database.errors = [BUSY, BUSY, BUSY]
    writer.put(1, 1)
    assert writer.flush(TIMEOUT)
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
    assert writer.flush(TIMEOUT)
    assert sorted(database.written) == [n for n in range(100) if n not in {3, 77}]
    assert database.rejected == [(3, "Exception: NOT NULL"), (77, "Exception: NOT NULL")]
    assert (writer.health.rejected, writer.health.written) == (2, 98)
    assert "0312341234" not in caplog.text


def test_defect_in_a_conversion_refuses_the_item_only(writer, database):
    database.errors = [ValueError("0312341234")]
    writer.put(1, 1)
    assert writer.flush(TIMEOUT)
    assert database.rejected == [(1, "ValueError")]


def test_failure_to_note_a_refused_item_does_not_end_the_thread(writer, database, monkeypatch):
    monkeypatch.setattr(writer, "_reject", lambda *_: 1 / 0)
    database.refused = {1}
    writer.put(1, 1)
    writer.put(2, 2)
    assert writer.flush(TIMEOUT)
    assert database.written == [2]


def test_flush_returns_false_after_its_time_out(writer, database):
    database.may_write.clear()
    writer.put(1, 1)
    assert not writer.flush(0.01)


def test_close_writes_what_is_left():
    database = Database()
    writer = Writer(database.write, database.reject, database.maintain, interval=60, name="x")
    writer.start()
    writer.put(1, 1)
    writer.close(TIMEOUT)
    assert database.batches == [[1]]


def test_close_reports_what_it_could_not_write(database):
    writer = Writer(database.write, database.reject, database.maintain, interval=0, name="x")
    writer.start()
    database.errors = [BUSY] * 1000
    writer.put(1, 1)
    writer.put(2, 2)
    wait_until(lambda: writer.health.problem is not None, "the failure")
    with pytest.raises(CallLogError, match="2 entries are not written: Exception: database is"):
        writer.close(0.01)


@pytest.fixture
def start_writer(database):
    """Return a function that starts a writer once the maintenance is prepared."""
    writers = []

    def start(*maintenance):
        database.maintenance = [*reversed(maintenance)]
        writer = Writer(database.write, database.reject, database.maintain, interval=0, name="x")
        writers.append(writer)
        writer.start()
        return writer

    yield start
    for writer in writers:
        writer.close(TIMEOUT)


def test_maintenance_runs_until_it_is_done_and_does_not_stop_the_writing(start_writer, database):
    done = []
    writer = start_writer(lambda: done.append("step") or True, lambda: done.append("last"))
    writer.put(1, 1)
    wait_until(lambda: done == ["step", "last"], "the maintenance")
    assert writer.flush(TIMEOUT)
    assert database.batches == [[1]]


def test_failed_maintenance_is_reported_and_does_not_end_the_thread(start_writer, database, caplog):
    def fail():
        raise BUSY

    writer = start_writer(fail)
    wait_until(lambda: "maintenance failed" in caplog.text, "the log line")
    writer.put(1, 1)
    assert writer.flush(TIMEOUT)
    assert database.batches == [[1]]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (BUSY, "Exception: database is locked"),
        (ValueError("0312341234"), "ValueError"),
        (IntegrityError("x", {}, Exception("first\nsecond")), "Exception: first"),
    ],
)
def test_error_is_described_without_personal_data(error, text):
    assert describe(error) == text
