"""Transactions that write entries to the database of a call log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, and_, delete, not_, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from .entries import CallEntry, Entry, GapEntry, NameEntry, Row
from .pauses import Pauses
from .retention import note_numbers
from .schema import CALLS, COUNTERS, GAPS, NAMES, PARTICIPATIONS, REJECTED, WAITS

T = TypeVar("T")

# Rows in one statement. It takes about two milliseconds, in which nothing else in the process runs.
_STATEMENT_ROWS = 25


class Store:
    """Writes entries, each batch in one transaction.

    Writing the same entries twice changes nothing: complete rows of a call stay as they are, so a
    batch may be repeated if it is unknown whether it was committed.
    """

    # The answer to a commit can be lost. The next transaction then finds the rows complete, and
    # changes nothing; the caller has to learn of the change all the same.

    def __init__(self, writer: Engine) -> None:
        self._writer = writer
        self._is_uncertain = False  # whether the last transaction was committed
        self._pauses = Pauses()
        is_postgresql = writer.dialect.name == "postgresql"
        self._insert: Any = postgresql.insert if is_postgresql else sqlite.insert
        self._upsert = _upsert(self._insert(CALLS))

    def write(self, entries: Sequence[Entry]) -> int | None:
        """Write entries and commit; return the last change number, ``None`` if no call changed.

        Of entries of the same call, the last one counts. Raises SQLAlchemy's errors.
        """
        calls = {one.id: one for one in entries if isinstance(one, CallEntry)}
        gaps = [one.row for one in entries if isinstance(one, GapEntry)]
        names = [one.row for one in entries if isinstance(one, NameEntry)]
        was_uncertain, self._is_uncertain = self._is_uncertain, True
        with self._writer.begin() as connection:
            # One order for all writers: two that lock the same rows never wait for each other.
            ordered = [calls[id_] for id_ in sorted(calls)]
            is_changed = bool(calls) and self._write_calls(connection, ordered)
            self._insert_missing(connection, GAPS, gaps)
            self._insert_missing(connection, NAMES, names)
            change = self._last_change(connection) if is_changed or was_uncertain else None
        self._is_uncertain = False
        return change

    def reject(self, call_id: str, at: int, problem: str) -> None:
        """Note that the database refused the rows of a call; ``at`` in microseconds."""
        row = {"call_id": call_id, "at": at, "problem": problem}
        with self._writer.begin() as connection:
            self._insert_missing(connection, REJECTED, [row])

    def _write_calls(self, connection: Connection, entries: Sequence[CallEntry]) -> bool:
        """Write calls in the order of their change numbers; return True if a row changed."""
        last = self._add_to_change(connection, len(entries))
        first = last - len(entries) + 1
        numbers = count(first)
        for part in self._parts(entries):
            rows = [{**entry.call, "change": next(numbers)} for entry in part]
            connection.execute(self._upsert, rows)
        # Much faster than RETURNING, for which SQLAlchemy combines all rows in one long statement.
        query = select(CALLS.c.id, CALLS.c.change).where(CALLS.c.change >= first)
        written = {row.id: row.change for row in connection.execute(query)}
        self._pauses.after_step()
        unused = last - max(written.values(), default=first - 1)
        if unused:
            self._add_to_change(connection, -unused)
        changed = [entry for entry in entries if entry.id in written]
        for table in (WAITS, PARTICIPATIONS):
            self._delete_rows(connection, table, {*written})
        self._insert_rows(connection, WAITS, [row for one in changed for row in one.waits])
        self._insert_rows(
            connection, PARTICIPATIONS, [row for one in changed for row in one.participations]
        )
        if starts := [one.call["started"] for one in changed if one.has_numbers]:
            note_numbers(connection, min(starts))
        return bool(written)

    def _add_to_change(self, connection: Connection, count: int) -> int:
        """Take change numbers, or return the last ones; return the last number in use.

        The counter's row stays locked until the transaction ends: lower numbers are visible first.
        """
        statement = (
            update(COUNTERS)
            .where(COUNTERS.c.name == "change")
            .values(value=COUNTERS.c.value + count)
            .returning(COUNTERS.c.value)
        )
        return int(connection.scalars(statement).one())

    def _last_change(self, connection: Connection) -> int:
        query = select(COUNTERS.c.value).where(COUNTERS.c.name == "change")
        return int(connection.scalars(query).one())

    def _delete_rows(self, connection: Connection, table: Table, call_ids: set[str]) -> None:
        for part in self._parts(sorted(call_ids)):
            connection.execute(delete(table).where(table.c.call_id.in_(part)))

    def _insert_rows(self, connection: Connection, table: Table, rows: list[Row]) -> None:
        for part in self._parts(rows):
            connection.execute(table.insert(), part)

    def _insert_missing(self, connection: Connection, table: Table, rows: list[Row]) -> None:
        for part in self._parts(rows):
            connection.execute(self._insert(table).on_conflict_do_nothing(), part)

    def _parts(self, items: Sequence[T]) -> Iterator[Sequence[T]]:
        """Yield the items of one statement after the other; pause between two statements."""
        for start in range(0, len(items), _STATEMENT_ROWS):
            yield items[start : start + _STATEMENT_ROWS]
            self._pauses.after_step()


def _upsert(insert: Any) -> Any:
    """Return the statement that writes a call unless its row is complete, given the insertion.

    A call that ended is not replaced by what an observer saw who left before its end.
    """
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["id"],
        set_={column.name: new[column.name] for column in CALLS.c if not column.primary_key},
        where=and_(not_(CALLS.c.complete), or_(CALLS.c.ended.is_(None), new.ended.is_not(None))),
    )
