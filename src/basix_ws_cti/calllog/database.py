"""Connections to the database of a call log, SQLite or PostgreSQL."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from basix_ws_cti.exceptions import UsageError

# Time for which a statement of SQLite waits for the lock of another connection, in seconds.
LOCK_TIMEOUT = 5.0

# Size to which SQLite truncates its write-ahead log after a checkpoint, in bytes.
_MAX_IDLE_WAL = 16 * 1024 * 1024

# Settings of every connection to SQLite. The first one has an effect only before the first table
# exists: it lets the file shrink.
_PRAGMAS = (
    "auto_vacuum = INCREMENTAL",
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",  # deleted data is overwritten
    f"journal_size_limit = {_MAX_IDLE_WAL}",
)


def parse_database(database: str | Path) -> URL:
    """Return the URL of a database, given as a URL or as the path of an SQLite file.

    Raises ``UsageError`` if it is neither, or names a database that is not supported.
    """
    if not isinstance(database, str | Path):
        raise UsageError("database must be the path of a file, or a URL")
    text = str(database)
    if "://" not in text:
        if not text or text == ":memory:":
            raise UsageError("database must be the path of a file, or a URL")
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except ArgumentError:
        raise UsageError("database must be the path of a file, or a URL") from None
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database:
        return url.set(drivername="sqlite")
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    raise UsageError(f"unsupported database {backend!r}: use an SQLite file or postgresql+psycopg")


def display_name(url: URL) -> str:
    """Return a database's name for messages: the path of the file, or the URL without secrets."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(query={}).render_as_string()  # with *** for the password


def create_writer(url: URL, lock_timeout: float = LOCK_TIMEOUT) -> Engine:
    """Return an engine for the one connection that writes."""
    return _create_engine(url, lock_timeout, begin="BEGIN IMMEDIATE")


def create_reader(url: URL, lock_timeout: float = LOCK_TIMEOUT) -> Engine:
    """Return an engine for short transactions that read. It keeps no connection open."""
    return _create_engine(url, lock_timeout, begin="BEGIN", poolclass=NullPool)


def _create_engine(url: URL, lock_timeout: float, begin: str, **options: Any) -> Engine:
    if url.get_backend_name() == "postgresql":
        milliseconds = round(lock_timeout * 1000)
        return create_engine(
            url,
            pool_pre_ping=True,
            **options,
            connect_args={
                "connect_timeout": max(2, round(lock_timeout)),
                "options": f"-c lock_timeout={milliseconds} -c timezone=UTC",
                "application_name": "basix-ws-cti",
            },
        )
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": lock_timeout})

    # SQLAlchemy's default begins with a read, and a transaction that reads first fails at its first
    # write if another connection has written in between, whatever the time-out.
    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction of its own
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
