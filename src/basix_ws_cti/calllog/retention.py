"""Deletion of old calls, and of the personal data in them, in short transactions.

Both work through the calls in the order of their start. A step handles at most ``STEP`` calls, so
that no other writer waits for long. Neither counts as a change of a call.
"""

from __future__ import annotations

import json

from sqlalchemy import Connection, Engine, Table, bindparam, delete, func, select, update

from .entries import CallEntry, Row
from .schema import CALLS, COUNTERS, GAPS, PARTICIPATIONS, REJECTED, WAITS

STEP = 250
"""Calls in one transaction."""

# Pages that SQLite returns to the operating system in one transaction.
_PAGES = 1000

LOCK_KEY = 0x42617369785F7274
"""Key of PostgreSQL's advisory lock: any number that no other program of the database uses."""

# Name of the counter with the start of the first call whose numbers are still there.
_FORGOTTEN = "forgotten"

# Columns of personal data of outside callers, and of outside parties that users called.
_OF_CALLERS = (
    "caller_number",
    "caller_number_normalised",
    "caller_name",
    "caller_end_user_id",
)
_OF_CALLED = ("called_number", "called_number_normalised")
_OF_HANDLERS = ("answered_by_number", "last_handler_number", "origination")


def delete_calls(writer: Engine, before: int) -> bool:
    """Delete calls that started before a time in microseconds, and older gaps.

    Returns True if there may be more of them.
    """
    with writer.begin() as connection:
        if not _is_alone(connection):
            return False
        old = select(CALLS.c.id).where(CALLS.c.started < before)
        ids = [*connection.scalars(old.order_by(CALLS.c.started).limit(STEP))]
        for table, column in ((WAITS, "call_id"), (PARTICIPATIONS, "call_id"), (CALLS, "id")):
            _delete(connection, table, column, ids)
        connection.execute(delete(GAPS).where(GAPS.c.ended < before))
        connection.execute(delete(REJECTED).where(REJECTED.c.at < before))
    return len(ids) == STEP


def forget_numbers(writer: Engine, before: int) -> bool:
    """Remove the numbers and names of outside parties from calls that started before a time.

    The time is in microseconds. Returns True if there may be more such calls.
    """
    with writer.begin() as connection:
        if not _is_alone(connection):
            return False
        query = select(COUNTERS.c.value).where(COUNTERS.c.name == _FORGOTTEN)
        since = connection.scalar(query)
        if since is None:
            connection.execute(COUNTERS.insert(), {"name": _FORGOTTEN, "value": 0})
            since = 0
        old = CALLS.c.started >= since, CALLS.c.started < before
        starts = select(CALLS.c.started).where(*old).order_by(CALLS.c.started)
        # All calls with the same start are in one step: the counter has only the start.
        last = connection.scalar(starts.offset(STEP - 1).limit(1))
        done = before if last is None else last + 1
        rows = connection.execute(select(CALLS).where(*old, CALLS.c.started < done))
        if calls := [dict(row) for row in rows.mappings()]:
            _forget(connection, calls)
        connection.execute(
            update(COUNTERS).where(COUNTERS.c.name == _FORGOTTEN).values(value=max(since, done))
        )
    return last is not None


def without_numbers(entry: CallEntry) -> CallEntry:
    """Return an entry without the numbers and names of outside parties."""
    parts = [{**row, "number": None} for row in entry.participations]
    return CallEntry({**entry.call, **_forgotten(entry.call)}, entry.waits, parts)


def shrink(writer: Engine) -> bool:
    """Return free pages of an SQLite file to the operating system; True if there are more.

    The write-ahead log is truncated: it contains the deleted data, too. A reader with a long
    transaction prevents that until the next call. PostgreSQL does both itself, by ``VACUUM``.
    """
    if writer.dialect.name != "sqlite":
        return False
    connection = writer.raw_connection()
    try:
        cursor = connection.cursor()
        (before,) = cursor.execute("PRAGMA freelist_count").fetchone()
        # With execute(), the driver ends this statement after the first page.
        cursor.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
        # A checkpoint waits for readers, and all writers wait for the checkpoint.
        cursor.execute("PRAGMA busy_timeout = 0").fetchall()
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (free,) = cursor.execute("PRAGMA freelist_count").fetchone()
    finally:
        connection.close()
    return bool(0 < free < before)


def _is_alone(connection: Connection) -> bool:
    """Return False if another process works on the retention of the same database."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(LOCK_KEY))))


def _delete(connection: Connection, table: Table, column: str, ids: list[str]) -> None:
    if ids:
        connection.execute(delete(table).where(table.c[column].in_(ids)))


def _forget(connection: Connection, calls: list[Row]) -> None:
    # One order for all writers: two that lock the same rows never wait for each other.
    calls = sorted(calls, key=lambda call: str(call["id"]))
    rows = [{"key": call["id"], **call, **_forgotten(call)} for call in calls]
    names = (*_OF_CALLERS, *_OF_CALLED, *_OF_HANDLERS, "handlers")
    values = [{"key": row["key"], **{name: row[name] for name in names}} for row in rows]
    connection.execute(update(CALLS).where(CALLS.c.id == bindparam("key")), values)
    ids = [call["id"] for call in calls]
    outside = PARTICIPATIONS.c.number.is_not(None)
    connection.execute(
        update(PARTICIPATIONS).where(PARTICIPATIONS.c.call_id.in_(ids), outside).values(number=None)
    )


def _forgotten(call: Row) -> Row:
    """Return the columns of a call that change when it is forgotten who was outside."""
    columns: Row = dict.fromkeys(_OF_HANDLERS)
    if call["direction"] == "inbound":
        columns.update(dict.fromkeys(_OF_CALLERS))
    if call["direction"] == "outbound":
        columns.update(dict.fromkeys(_OF_CALLED))
    if (handlers := call["handlers"]) is not None:
        ids = [one if isinstance(one, int) else None for one in json.loads(handlers)]
        columns["handlers"] = json.dumps(ids)
    return columns
