"""Transactions: change numbers, repeated batches, entries of one call."""

from __future__ import annotations

import attrs
import pytest
from sqlalchemy import select
from support.call_builders import call, leg

from basix_ws_cti.calllog.database import create_writer, parse_database
from basix_ws_cti.calllog.entries import CallEntry, NameEntry
from basix_ws_cti.calllog.migrations import migrate
from basix_ws_cti.calllog.schema import CALLS, COUNTERS, NAMES, PARTICIPATIONS, REJECTED
from basix_ws_cti.calllog.store import Store

TALK = call(
    "0 ivr, 5 queued g1, 20 talking u7",
    50,
    by="caller",
    legs=(leg("0312341234", 0, 50, role="placed"), leg("u7", 5, 50, talks=[(20, 50)], rings=1)),
)


def ended(id_, **changes):
    return CallEntry.of(attrs.evolve(TALK, id=id_, **changes))


def active(id_):
    return CallEntry.of(call("0 ivr, 5 queued g1", id=id_))


@pytest.fixture
def engine(database):
    engine = create_writer(parse_database(database))
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine):
    return Store(engine)


def rows(engine, *columns):
    with engine.begin() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(columns[0]))]


def test_change_numbers_are_those_of_the_rows_that_changed(engine, store):
    assert store.write([ended("b"), ended("a")]) == 2
    assert store.write([ended("c"), ended("a"), active("b")]) == 5
    assert store.write([ended("a"), active("b")]) is None
    assert store.write([ended("d")]) == 6
    assert rows(engine, CALLS.c.id, CALLS.c.change) == [("a", 1), ("b", 2), ("c", 5), ("d", 6)]


def test_last_of_two_entries_of_a_call_counts(engine, store):
    store.write([active("a"), ended("a")])
    assert rows(engine, CALLS.c.id, CALLS.c.complete) == [("a", True)]
    assert len(rows(engine, PARTICIPATIONS.c.position)) == 2


def test_lost_answer_to_a_commit_is_reported_as_a_change(engine, store, monkeypatch):
    """The transaction was committed, and the caller learns it from the repetition."""

    commit = engine.dialect.do_commit

    def lose_answer(connection):
        commit(connection)
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(engine.dialect, "do_commit", lose_answer)
        with pytest.raises(OSError, match=r"^$"):
            store.write([ended("a")])
    assert rows(engine, CALLS.c.id) == [("a",)]
    assert store.write([ended("a")]) == 1
    assert store.write([ended("a")]) is None


def test_names_and_refused_calls_are_written_once(engine, store):
    for _ in range(2):
        assert store.write([NameEntry.of("user", 7, 5, "Suzuki", None)]) is None
        store.reject("bad", 5, "IntegrityError")
    assert rows(engine, NAMES.c.id, NAMES.c.name) == [(7, "Suzuki")]
    assert rows(engine, REJECTED.c.call_id, REJECTED.c.problem) == [("bad", "IntegrityError")]


def test_counter_is_that_of_the_last_row(engine, store):
    store.write([ended("a"), ended("b")])
    store.write([ended("a")])
    query = dict(rows(engine, COUNTERS.c.name, COUNTERS.c.value))
    assert query["change"] == 2
