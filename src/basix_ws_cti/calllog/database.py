"""Connections to the database of a call log, SQLite or PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
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

# Seconds after which PostgreSQL ends a transaction in which nothing happens.
_IDLE_TIMEOUT = 60

# Detection of a server that is gone, in about 30 seconds: TCP's own takes 15 minutes or longer.
_KEEPALIVE = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}

# Settings of the connection that writes to SQLite. The first one has an effect only before the
# first table exists: it lets the file shrink.
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
    if backend == "sqlite" and url.database not in {None, "", ":memory:"}:
        if url.query:
            raise UsageError("the URL of an SQLite database must have no parameters")
        return url.set(drivername="sqlite")
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    raise UsageError(f"unsupported database {backend!r}: use an SQLite file or postgresql+psycopg")


def display_name(url: URL) -> str:
    """Return a database's name for messages: the path of the file, or the URL without secrets."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(query={}).render_as_string()  # with *** for the password


def has_password(url: URL) -> bool:
    """Return True if a URL has a password, also among its parameters."""
    return url.password is not None or any(name.endswith("password") for name in url.query)


def create_writer(url: URL, lock_timeout: float = LOCK_TIMEOUT) -> Engine:
    """Return an engine for the one connection that writes."""
    if url.get_backend_name() == "sqlite":
        path = file_path(url)
        return _sqlite(
            lambda: sqlite3.connect(path, timeout=lock_timeout), _PRAGMAS, "BEGIN IMMEDIATE"
        )
    return _postgresql(url, lock_timeout)


def create_reader(url: URL, lock_timeout: float = LOCK_TIMEOUT) -> Engine:
    """Return an engine for short transactions that read. It keeps no connection open.

    Each transaction sees the database as it was at its first query.
    """
    if url.get_backend_name() == "sqlite":
        uri = f"{file_path(url).as_uri()}?mode=ro"  # a reader neither creates nor changes a file
        return _sqlite(lambda: sqlite3.connect(uri, timeout=lock_timeout, uri=True), (), "BEGIN")
    return _postgresql(
        url,
        lock_timeout,
        "-c default_transaction_read_only=on",
        isolation_level="REPEATABLE READ",
        poolclass=NullPool,
    )


def file_path(url: URL) -> Path:
    """Return the absolute path of an SQLite database: a program may change its working folder."""
    return Path(str(url.database)).absolute()


def wal_size(url: URL) -> int | None:
    """Return the size of SQLite's write-ahead log in bytes; ``None`` without one."""
    if url.get_backend_name() != "sqlite":
        return None
    path = file_path(url)
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except OSError:
        return None


def _postgresql(url: URL, lock_timeout: float, *settings: str, **options: Any) -> Engine:
    settings = (
        f"-c lock_timeout={round(lock_timeout * 1000)}",
        "-c timezone=UTC",
        # A process that hangs in a transaction, or whose machine is gone, loses its locks.
        f"-c idle_in_transaction_session_timeout={_IDLE_TIMEOUT * 1000}",
        *settings,
    )
    return create_engine(
        url,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "connect_timeout": max(2, round(lock_timeout)),
            "application_name": "basix-ws-cti",
            "options": " ".join(settings),
            **_KEEPALIVE,
        },
        **options,
    )


def _sqlite(
    connect: Callable[[], sqlite3.Connection], pragmas: Iterable[str], begin: str
) -> Engine:
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)

    # SQLAlchemy's default begins with a read, and a transaction that reads first fails at its first
    # write if another connection has written in between, whatever the time-out.
    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction of its own
        try:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}").close()
        except sqlite3.Error:
            # SQLAlchemy 2.0.40 leaves it open until the traceback is collected.
            connection.close()
            raise

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
