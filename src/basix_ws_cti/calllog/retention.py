"""Deletion of old calls, and of the personal data in them, in short transactions.

Both work through the calls in the order of their start. A step handles at most ``STEP`` calls
under the lock of the writers, so that no writer waits for long. Neither counts as a change of a
call.

The counter ``forgotten`` has a start time, and no call that started earlier has numbers of outside
parties. The removal of numbers raises it. A transaction that writes numbers to an earlier call, for
example from an old recording while no numbers are removed, lowers it to the start of that call.
Both happen under the lock of the writers.
"""

from __future__ import annotations

import json

from sqlalchemy import Connection, Engine, Table, bindparam, delete, select, update

from .entries import CallEntry, Row
from .schema import CALLS, COUNTERS, GAPS, PARTICIPATIONS, REJECTED, WAITS

STEP = 250
"""Calls in one transaction."""

# Pages that SQLite returns to the operating system in one transaction.
_PAGES = 1000

# Name of the counter described above.
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
        _lock(connection)
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
        _lock(connection)
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


def note_numbers(connection: Connection, started: int) -> None:
    """Note that numbers were written to a call that started at a time, in microseconds.

    The transaction must have the lock of the writers.
    """
    is_later = COUNTERS.c.name == _FORGOTTEN, COUNTERS.c.value > started
    connection.execute(update(COUNTERS).where(*is_later).values(value=started))


def without_numbers(entry: CallEntry) -> CallEntry:
    """Return an entry without the numbers and names of outside parties."""
    parts = [{**row, "number": None} for row in entry.participations]
    call = {**entry.call, **_forgotten(entry.call)}
    return CallEntry(call, entry.waits, parts, has_numbers=False)


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


def _lock(connection: Connection) -> None:
    """Take the lock of the writers; a transaction of SQLite has it from its beginning."""
    connection.execute(select(COUNTERS).where(COUNTERS.c.name == "change").with_for_update())


def _delete(connection: Connection, table: Table, column: str, ids: list[str]) -> None:
    if ids:
        connection.execute(delete(table).where(table.c[column].in_(ids)))


def _forget(connection: Connection, calls: list[Row]) -> None:
    rows = [{**call, **_forgotten(call)} for call in calls]
    names = (*_OF_CALLERS, *_OF_CALLED, *_OF_HANDLERS, "handlers")
    values = [
        {"key": row["id"], **{name: row[name] for name in names}}
        for row, call in zip(rows, calls, strict=True)
        if row != call
    ]
    if values:
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
