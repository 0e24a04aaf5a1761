"""Transactions that read a call log."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from basix_ws_cti.calllog.database import create_writer, parse_database
from basix_ws_cti.calllog.migrations import migrate
from basix_ws_cti.calllog.read_access import ReadAccess
from basix_ws_cti.exceptions import CallLogError


@pytest.fixture
def writer(database):
    writer = create_writer(parse_database(database))
    migrate(writer)
    yield writer
    writer.dispose()


def test_transaction_sees_the_database_as_it_was_at_its_first_query(database, writer):
    counters = text("SELECT value FROM counters WHERE name = 'change'")
    with ReadAccess(database).transaction() as connection:
        assert connection.scalar(counters) == 0
        with writer.begin() as other:
            other.execute(text("UPDATE counters SET value = 5 WHERE name = 'change'"))
        assert connection.scalar(counters) == 0


def test_transaction_cannot_write(database, writer):
    with (
        pytest.raises(CallLogError, match=r"readonly|read-only"),
        ReadAccess(database).transaction() as connection,
    ):
        connection.execute(text("DELETE FROM counters"))


def test_file_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(CallLogError, match="no such file; basix-ws-cti log creates it"):
        ReadAccess(tmp_path / "missing.db")


def test_tables_of_another_version_are_an_error(database, writer):
    with writer.begin() as connection:
        connection.execute(text("UPDATE counters SET value = 99 WHERE name = 'schema'"))
    with pytest.raises(CallLogError, match="tables of version 99"):
        ReadAccess(database)
