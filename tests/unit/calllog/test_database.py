"""Names of databases, and connections to them."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from support.sqlite_files import sqlite_connection

from basix_ws_cti.calllog.database import (
    create_reader,
    create_writer,
    display_name,
    file_path,
    has_password,
    parse_database,
    wal_size,
)
from basix_ws_cti.exceptions import UsageError


@pytest.mark.parametrize(
    ("database", "name"),
    [
        ("calls.db", "calls.db"),
        ("sqlite:///calls.db", "calls.db"),
        ("postgresql://me:secret@host/db", "postgresql+psycopg://me:***@host/db"),
        ("postgresql+psycopg://host/db?password=secret", "postgresql+psycopg://host/db"),
    ],
)
def test_name_of_a_database_has_no_password(database, name):
    assert display_name(parse_database(database)) == name


@pytest.mark.parametrize(
    ("database", "found"),
    [
        ("calls:secret@x.db", False),
        ("postgresql://me@host/db?sslmode=require&passfile=/x", False),
        ("postgresql://me:secret@host/db", True),
        ("postgresql://me:@host/db", True),
        ("postgresql://host/db?user=me&password=secret", True),
        ("postgresql://host/db?%70assword=secret", True),
        ("postgresql://host/db?sslpassword=secret", True),
    ],
)
def test_password_of_a_url_is_found_in_any_place(database, found):
    assert has_password(parse_database(database)) is found


OTHERS = ["", ":memory:", "sqlite://", "sqlite:///:memory:", "sqlite:///a?mode=ro", "mysql://h/d"]


@pytest.mark.parametrize("database", [*OTHERS, "x://[", "a b://c", 7])
def test_other_databases_are_usage_errors(database):
    with pytest.raises(UsageError, match=r"database"):
        parse_database(database)


def test_connection_that_cannot_be_set_up_is_closed_at_once(tmp_path, monkeypatch):
    """An open one would hold the locks of the file, and SQLite could use it again."""
    connect, opened = sqlite3.connect, []

    class Broken(sqlite3.Connection):
        def execute(self, *_):
            raise sqlite3.OperationalError("disk I/O error")

    def connect_and_note(*arguments, **options):
        opened.append(connect(*arguments, factory=Broken, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connect_and_note)
    writer = create_writer(parse_database(str(tmp_path / "calls.db")))
    with pytest.raises(SQLAlchemyError, match="disk I/O error"), writer.begin():
        pass
    (connection,) = opened
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.cursor()


def test_transaction_of_a_writer_takes_the_lock_at_its_beginning(tmp_path):
    url = parse_database(tmp_path / "calls.db")
    one, other = create_writer(url), create_writer(url, lock_timeout=0.01)
    with one.begin(), pytest.raises(OperationalError, match="locked"), other.begin():
        pass
    with other.begin() as connection:
        modes = [connection.scalar(text(f"PRAGMA {name}")) for name in SETTINGS]
    assert dict(zip(SETTINGS, modes, strict=True)) == SETTINGS


SETTINGS = {"auto_vacuum": 2, "journal_mode": "wal", "synchronous": 2, "secure_delete": 1}


def test_reader_neither_creates_nor_converts_nor_changes_a_file(tmp_path):
    database = tmp_path / "other #1.db"
    reader = create_reader(parse_database(database))
    with pytest.raises(OperationalError, match="unable to open"), reader.begin():
        pass
    with sqlite_connection(database) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    before = database.read_bytes()
    with reader.begin() as connection:
        assert connection.execute(text("SELECT * FROM t")).fetchall() == []
    with pytest.raises(OperationalError, match="readonly"), reader.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
    assert database.read_bytes() == before


def test_transaction_of_a_reader_sees_one_state(database):
    url = parse_database(database)
    writer = create_writer(url)
    with writer.begin() as connection:
        connection.execute(text("CREATE TABLE t (x integer)"))
    reader = create_reader(url)
    count = text("SELECT count(*) FROM t")
    with reader.begin() as reading:
        assert reading.scalar(count) == 0
        with writer.begin() as writing:
            writing.execute(text("INSERT INTO t VALUES (1)"))
        assert reading.scalar(count) == 0
    with pytest.raises(SQLAlchemyError, match=r"read-?only"), reader.begin() as reading:
        reading.execute(text("INSERT INTO t VALUES (2)"))
    writer.dispose()


def test_errors_show_no_parameters(database):
    writer = create_writer(parse_database(database))
    with pytest.raises(SQLAlchemyError) as caught, writer.begin() as connection:
        connection.execute(text("INSERT INTO missing VALUES (:number)"), {"number": "0312341234"})
    writer.dispose()
    assert "0312341234" not in str(caught.value)


def test_path_of_a_file_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert file_path(parse_database("calls.db")) == tmp_path / "calls.db"


def test_size_of_the_write_ahead_log(tmp_path):
    url = parse_database(tmp_path / "calls.db")
    assert wal_size(url) is None
    (tmp_path / "calls.db-wal").write_bytes(bytes(77))
    assert wal_size(url) == 77
    assert wal_size(parse_database("postgresql://host/db")) is None
