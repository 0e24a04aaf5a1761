"""Versions of the tables."""

from __future__ import annotations

import threading

import attrs
import pytest
from sqlalchemy import inspect, text

from basix_ws_cti import CallRecord, Participation, QueueWait
from basix_ws_cti.calllog import CallLog, CallLogReader, migrations
from basix_ws_cti.calllog.database import create_writer, parse_database
from basix_ws_cti.calllog.migrations import (
    VERSION,
    ForeignTableError,
    migrate,
    read_version,
    version_problem,
)
from basix_ws_cti.exceptions import CallLogError


@pytest.fixture
def writer(database):
    writer = create_writer(parse_database(database))
    yield writer
    writer.dispose()


def version(writer):
    with writer.begin() as connection:
        return read_version(connection)


def test_tables_have_the_columns_of_the_rows(writer):
    assert version(writer) == 0
    migrate(writer)
    assert version(writer) == VERSION
    columns = {
        name: [column["name"] for column in inspect(writer).get_columns(name)]
        for name in inspect(writer).get_table_names()
    }
    assert columns == {
        "calls": [*(a.name for a in attrs.fields(CallRecord)), "change"],
        "waits": [*(a.name for a in attrs.fields(QueueWait)), "position"],
        "participations": [*(a.name for a in attrs.fields(Participation)), "position"],
        "gaps": ["started", "ended", "reason"],
        "names": ["kind", "id", "since", "name", "extension"],
        "rejected": ["call_id", "at", "problem"],
        "counters": ["name", "value"],
    }


def test_columns_of_version_2_are_unchanged():
    """A new column needs a migration step, and a new number here."""
    assert VERSION == 2
    rows = (CallRecord, QueueWait, Participation)
    assert [len(attrs.fields(row)) for row in rows] == [51, 12, 19]


def test_second_migration_changes_nothing(writer):
    assert migrate(writer) is True
    assert migrate(writer) is False
    assert version(writer) == VERSION


def indexes(writer):
    inspector = inspect(writer)
    return {
        (index["name"], *index["column_names"])
        for table in ("calls", "waits", "participations")
        for index in inspector.get_indexes(table)
    }


async def test_tables_of_version_1_get_the_indexes_of_new_ones(database, writer):
    migrate(writer)
    new = indexes(writer)
    with writer.begin() as connection:
        for statement in (
            "DROP INDEX calls_report",
            "DROP INDEX waits_report",
            "DROP INDEX participations_report",
            "CREATE INDEX waits_entered ON waits (entered)",
            "CREATE INDEX participations_offered ON participations (first_offered)",
            "UPDATE counters SET value = 1 WHERE name = 'schema'",
            "INSERT INTO gaps (started, ended, reason) VALUES (1, 2, 'unknown')",
        ):
            connection.execute(text(statement))
    problem = "tables of version 1, this program knows version 2: open it once with the command log"
    with pytest.raises(CallLogError, match=problem):
        CallLogReader(database)
    async with CallLog(database):
        pass
    assert indexes(writer) == new
    assert len(CallLogReader(database).gaps()) == 1


async def test_newer_tables_are_refused_with_both_versions(database, writer):
    migrate(writer)
    with writer.begin() as connection:
        connection.execute(text("UPDATE counters SET value = 99 WHERE name = 'schema'"))
    problem = "tables of version 99, this program knows version 2: upgrade basix_ws_cti"
    with pytest.raises(CallLogError, match=problem):
        async with CallLog(database):
            pass
    with pytest.raises(CallLogError, match=problem):
        CallLogReader(database)


def test_migration_that_fails_leaves_the_old_tables(writer, monkeypatch):
    migrate(writer)

    def fail(connection):
        connection.execute(text("CREATE TABLE half (x integer)"))
        raise ZeroDivisionError

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, fail))
    monkeypatch.setattr(migrations, "VERSION", 3)
    with pytest.raises(ZeroDivisionError):
        migrate(writer)
    assert version(writer) == 2
    assert not inspect(writer).has_table("half")


def test_tables_of_another_program_stay_as_they_are(writer):
    with writer.begin() as connection:
        connection.execute(text("CREATE TABLE waits (x integer)"))
    with pytest.raises(ForeignTableError, match="waits"):
        migrate(writer)
    assert inspect(writer).get_table_names() == ["waits"]


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        (0, "no call log: create it with the command log"),
        (-1, "tables of version -1, this program knows version 2: open it once with the command"),
        (3, "tables of version 3, this program knows version 2: upgrade basix_ws_cti"),
    ],
)
def test_problem_of_a_version_names_the_remedy(number, problem):
    assert version_problem(number).startswith(problem)


@pytest.mark.slow
def test_two_processes_may_migrate_at_once(database, writer):
    """Each has connections of its own, as two processes have."""
    start = threading.Barrier(4)
    errors = []

    def run():
        other = create_writer(parse_database(database))
        start.wait()
        try:
            migrate(other)
        except Exception as error:  # noqa: BLE001 - reported below
            errors.append(error)
        other.dispose()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert version(writer) == VERSION
