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


class ForeignTableError(Exception):
    """The database has a table of another program; the argument is the table's name."""


def _create_tables(connection: Connection) -> None:
    names = sorted({*inspect(connection).get_table_names()} & {*METADATA.tables})
    if names:
        raise ForeignTableError(names[0])
    METADATA.create_all(connection, checkfirst=False)
    connection.execute(
        COUNTERS.insert(), [{"name": "schema", "value": 0}, {"name": "change", "value": 0}]
    )


def _create_indexes_for_reports(connection: Connection) -> None:
    for statement in (
        (
            "CREATE INDEX IF NOT EXISTS calls_report ON calls "
            "(started, purpose, direction, disposition, joined) WHERE joined IS NULL"
        ),
        (
            "CREATE INDEX IF NOT EXISTS waits_report ON waits (entered, purpose, group_id, result, "
            "next_group_id, waited_us, entered_by_transfer)"
        ),
        (
            "CREATE INDEX IF NOT EXISTS participations_report ON participations (first_offered, "
            "group_id, purpose, role, result, talked_us, held_us, transfers_out, user_id, "
            "direction, rang_us, transfers_in)"
        ),
        # The new ones begin with the same column.
        "DROP INDEX IF EXISTS waits_entered",
        "DROP INDEX IF EXISTS participations_offered",
    ):
        connection.execute(text(statement))


# The first step creates the tables with the indexes that they have now; a step for indexes does
# nothing then. If a later step changes a table, the first one must create it as it was: copy its
# tables out of schema.py.
STEPS: tuple[Callable[[Connection], None], ...] = (_create_tables, _create_indexes_for_reports)

VERSION = len(STEPS)
"""Version of the tables in ``schema``."""


def migrate(writer: Engine) -> bool:
    """Create the tables, or bring them to ``VERSION``; return True if it created them.

    Raises ``NewerSchemaError`` for tables of a newer version, ``ForeignTableError``, and
    SQLAlchemy's errors.
    """
    with writer.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        version = read_version(connection)
        if version > VERSION:
            raise NewerSchemaError(version, VERSION)
        if version == VERSION:
            return False
        for step in STEPS[version:]:
            step(connection)
        connection.execute(
            update(COUNTERS).where(COUNTERS.c.name == "schema").values(value=VERSION)
        )
    return version == 0


def read_version(connection: Connection) -> int:
    """Return the version of the tables; 0 if they do not exist."""
    if not inspect(connection).has_table(COUNTERS.name):
        return 0
    version = connection.scalar(select(COUNTERS.c.value).where(COUNTERS.c.name == "schema"))
    return 0 if version is None else version


def version_problem(version: int) -> str:
    """Return the reason why tables of this version cannot be used."""
    if version == 0:
        return "no call log: create it with the command log"
    remedy = "upgrade basix_ws_cti" if version > VERSION else "open it once with the command log"
    return f"tables of version {version}, this program knows version {VERSION}: {remedy}"
