"""Transactions that read a call log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from basix_ws_cti.exceptions import CallLogError

from .database import LOCK_TIMEOUT, create_reader, display_name, parse_database
from .errors import describe
from .migrations import VERSION, read_version, version_problem


class ReadAccess:
    """Access to an existing call log of this version, for reading. Any thread may use it.

    ``database``: path of an SQLite file, or a URL.

    Raises ``CallLogError`` if the database is no call log or has another version, and
    ``UsageError`` if ``database`` is neither a path nor a URL.
    """

    def __init__(self, database: str | Path) -> None:
        url = parse_database(database)
        self.name: str = display_name(url)
        """Name of the database, without a password."""
        if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
            raise CallLogError(self.name, "no such file; basix-ws-cti log creates it")
        self._engine = create_reader(url, LOCK_TIMEOUT)
        with self.transaction() as connection:
            version = read_version(connection)
        if version != VERSION:
            raise CallLogError(self.name, version_problem(version))

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Return a context manager for a transaction. It raises ``CallLogError``."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise CallLogError(self.name, describe(error)) from None
