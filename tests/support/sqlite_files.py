"""Connections of tests to SQLite files."""

from __future__ import annotations

import contextlib
import sqlite3


@contextlib.contextmanager
def sqlite_connection(database, **arguments):
    """Open a database for a time; at the end, commit and close.

    As a context manager, a ``sqlite3.Connection`` alone commits, but stays open.
    """
    with contextlib.closing(sqlite3.connect(database, **arguments)) as connection, connection:
        yield connection
