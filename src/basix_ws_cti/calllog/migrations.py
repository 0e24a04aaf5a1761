"""Creation and upgrade of the tables, in numbered steps.

All missing steps run in one transaction, under a lock that keeps other processes out. The version
of the tables is in ``counters``, under the name ``schema``.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Engine, inspect, select, text, update

from .schema import COUNTERS, METADATA

# Key of PostgreSQL's advisory lock: any number that no other program of the database uses.
_LOCK_KEY = 0x42617369785F6C67


class NewerSchemaError(Exception):
    """The tables were written by a newer version; the arguments are their version and ours."""


def _create_tables(connection: Connection) -> None:
    METADATA.create_all(connection, checkfirst=False)
    connection.execute(
        COUNTERS.insert(), [{"name": "schema", "value": 0}, {"name": "change", "value": 0}]
    )


# The first step creates the tables as they are now. A later step changes them, and the first one
# then creates them as they were: copy its tables out of schema.py.
STEPS: tuple[Callable[[Connection], None], ...] = (_create_tables,)

VERSION = len(STEPS)
"""Version of the tables in ``schema``."""


def migrate(writer: Engine) -> None:
    """Create the tables, or bring them to ``VERSION``.

    Raises ``NewerSchemaError`` for tables of a newer version, and SQLAlchemy's errors.
    """
    with writer.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        version = read_version(connection)
        if version > VERSION:
            raise NewerSchemaError(version, VERSION)
        if version == VERSION:
            return
        for step in STEPS[version:]:
            step(connection)
        connection.execute(
            update(COUNTERS).where(COUNTERS.c.name == "schema").values(value=VERSION)
        )


def read_version(connection: Connection) -> int:
    """Return the version of the tables; 0 if there are none."""
    if not inspect(connection).has_table(COUNTERS.name):
        return 0
    version = connection.scalar(select(COUNTERS.c.value).where(COUNTERS.c.name == "schema"))
    return 0 if version is None else version
