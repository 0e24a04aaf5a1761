"""Queries of a call log: search, changes, names, gaps."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from attrs import frozen
from sqlalchemy import ColumnElement, Connection, Table, and_, func, or_, select

from basix_ws_cti._internal.arguments import check_choice, check_integer, check_text
from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.calls import CallRecord, Participation, QueueWait
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.mirror.phone_numbers import HOME_COUNTRY, normalise_number
from basix_ws_cti.states import moment

from .entries import Row
from .read_access import ReadAccess
from .schema import CALLS, COUNTERS, GAPS, NAMES, PARTICIPATIONS, WAITS
from .values import LARGEST_INTEGER, storable_key

MAX_PAGE = 10_000
"""Largest number of calls that one query returns."""

Order = Literal["newest", "oldest", "longest_talk", "longest_wait"]


@frozen
class LoggedCall:
    """A call as the log has it: its row, and those of its waits and participations."""

    record: CallRecord
    """Row of the call."""

    waits: tuple[QueueWait, ...]
    """Stays in queues, oldest first; none while the call lasts."""

    participations: tuple[Participation, ...]
    """One row for each party; none while the call lasts."""

    change: int
    """Number of the last change of these rows. Numbers grow, and are never used twice."""


@frozen
class Page:
    """Part of the calls that a search found."""

    calls: tuple[LoggedCall, ...]
    """Calls of this page."""

    total: int
    """Number of calls that the search found, on all pages."""


class CallLogReader:
    """Reads a call log, in short transactions.

    - ``database``: path of an SQLite file, or a URL.
    - ``country_code``: calling code of the home country, for numbers to search for.

    Any thread may use it. Every method raises ``CallLogError`` if the database cannot be read.
    """

    def __init__(self, database: str | Path, *, country_code: str = HOME_COUNTRY) -> None:
        self._access = ReadAccess(database)
        self._country_code = country_code

    @property
    def name(self) -> str:
        """Name of the database, without a password."""
        return self._access.name

    def find(
        self,
        *,
        started_from: datetime | None = None,
        started_before: datetime | None = None,
        number: str | None = None,
        name: str | None = None,
        handled_by: int | None = None,
        took_part: int | None = None,
        direction: str | None = None,
        disposition: str | None = None,
        order: Order = "newest",
        limit: int = 100,
        offset: int = 0,
    ) -> Page:
        """Return the calls that meet all criteria; ``None`` is no criterion.

        - ``started_from``, ``started_before``: range of the start, half-open, timezone-aware.
        - ``number``: number of the caller, or dialled, in any spelling.
        - ``name``: part of the caller's name; upper and lower case are the same for ASCII letters.
        - ``handled_by``: id of a user who talked to the caller.
        - ``took_part``: id of a user who has any part in the call, a missed ring included.
        - ``direction``, ``disposition``: values of the columns.
        - ``order``: of equal calls, the one with the lower id is first. Calls without an answer
          are last in ``"longest_wait"``.
        - ``limit``, ``offset``: the page, in calls; at most ``MAX_PAGE``.

        Raises ``UsageError`` for arguments that cannot work.
        """
        check_integer("limit", limit, at_most=MAX_PAGE)
        check_integer("offset", offset, at_least=0, at_most=LARGEST_INTEGER)
        for field, text in (
            ("number", number),
            ("name", name),
            ("direction", direction),
            ("disposition", disposition),
        ):
            check_text(field, text, optional=True)
        for field, user_id in (("handled_by", handled_by), ("took_part", took_part)):
            check_integer(field, user_id, at_least=0, at_most=LARGEST_INTEGER, optional=True)
        check_choice("order", order, _ORDERS)
        criteria = [
            *_range(started_from, started_before),
            *self._number(number),
            *_name(name),
            *_party(handled_by, handled=True),
            *_party(took_part, handled=False),
        ]
        if direction is not None:
            criteria.append(CALLS.c.direction == storable_key(direction))
        if disposition is not None:
            criteria.append(CALLS.c.disposition == storable_key(disposition))
        condition = and_(True, *criteria)  # noqa: FBT003 - SQLAlchemy's form of "no criterion"
        query = select(CALLS).where(condition).order_by(*_ORDERS[order]).limit(limit).offset(offset)
        count = select(func.count()).select_from(CALLS).where(condition)
        with self._access.transaction() as connection:
            return Page(_calls(connection, query), int(connection.scalars(count).one()))

    def last_call_with(self, number: str) -> LoggedCall | None:
        """Return the latest call from or to a number, in any spelling; ``None``: none."""
        page = self.find(number=number, limit=1)
        return page.calls[0] if page.calls else None

    def changes(self, after: int = 0, limit: int = 1000) -> tuple[LoggedCall, ...]:
        """Return calls whose rows changed after a change number, in the order of the changes.

        To follow the log, pass the ``change`` of the last call that was returned. A call appears
        when it starts, and again when it ends.
        """
        check_integer("after", after, at_least=0, at_most=LARGEST_INTEGER)
        check_integer("limit", limit, at_most=MAX_PAGE)
        query = select(CALLS).where(CALLS.c.change > after).order_by(CALLS.c.change).limit(limit)
        with self._access.transaction() as connection:
            return _calls(connection, query)

    def last_change(self) -> int:
        """Return the last change number."""
        query = select(COUNTERS.c.value).where(COUNTERS.c.name == "change")
        return int(self._all(query)[0][0])

    def names_at(self, moment: datetime) -> dict[tuple[str, int], str]:
        """Return the names of users and groups at a time, by kind and id."""
        query = (
            select(NAMES.c.kind, NAMES.c.id, NAMES.c.name)
            .where(NAMES.c.since <= _microseconds(moment))
            .order_by(NAMES.c.since)
        )
        return {(kind, id_): name for kind, id_, name in self._all(query)}

    def gaps(self) -> tuple[tuple[datetime, datetime, str], ...]:
        """Return the gaps in the feed as start, end and reason, oldest first."""
        rows = self._all(select(GAPS).order_by(GAPS.c.started))
        return tuple(
            (started, ended, row.reason)
            for row in rows
            if (started := moment(row.started)) and (ended := moment(row.ended))
        )

    def _all(self, query: Any) -> list[Any]:
        with self._access.transaction() as connection:
            return list(connection.execute(query))

    def _number(self, number: str | None) -> list[ColumnElement[bool]]:
        if number is None:
            return []
        normal = normalise_number(number, self._country_code)
        if normal is None:
            text = storable_key(number)
            return [or_(CALLS.c.caller_number == text, CALLS.c.called_number == text)]
        return [
            or_(
                CALLS.c.caller_number_normalised == normal,
                CALLS.c.called_number_normalised == normal,
            )
        ]


# Values in one IN list; SQLite allows 32,766.
_MAX_VARIABLES = 5000

_ORDERS: dict[Order, tuple[ColumnElement[Any], ...]] = {
    "newest": (CALLS.c.started.desc(), CALLS.c.id),
    "oldest": (CALLS.c.started, CALLS.c.id),
    "longest_talk": (CALLS.c.talking_us.desc(), CALLS.c.id),
    "longest_wait": (CALLS.c.waited_us.desc().nulls_last(), CALLS.c.id),
}


def _calls(connection: Connection, query: Any) -> tuple[LoggedCall, ...]:
    """Return the calls that a query of ``calls`` selects, with their other rows."""
    rows = [dict(row) for row in connection.execute(query).mappings()]
    ids = [row["id"] for row in rows]
    waits, parts = (_rows_of(connection, table, ids) for table in (WAITS, PARTICIPATIONS))
    return tuple(
        LoggedCall(
            change=row.pop("change"),
            record=CallRecord(**row),
            waits=tuple(QueueWait(**one) for one in waits.get(row["id"], ())),
            participations=tuple(Participation(**one) for one in parts.get(row["id"], ())),
        )
        for row in rows
    )


def _rows_of(connection: Connection, table: Table, ids: list[str]) -> dict[str, list[Row]]:
    """Return the rows of a table by call, in the order of their positions."""
    found: dict[str, list[Row]] = {}
    for start in range(0, len(ids), _MAX_VARIABLES):
        part = select(table).where(table.c.call_id.in_(ids[start : start + _MAX_VARIABLES]))
        for row in connection.execute(part.order_by(table.c.call_id, table.c.position)).mappings():
            columns = {name: value for name, value in row.items() if name != "position"}
            found.setdefault(row["call_id"], []).append(columns)
    return found


def _range(start: datetime | None, before: datetime | None) -> list[ColumnElement[bool]]:
    criteria: list[ColumnElement[bool]] = []
    if start is not None:
        criteria.append(CALLS.c.started >= _microseconds(start))
    if before is not None:
        criteria.append(CALLS.c.started < _microseconds(before))
    return criteria


def _name(name: str | None) -> list[ColumnElement[bool]]:
    return (
        [] if name is None else [CALLS.c.caller_name.icontains(storable_key(name), autoescape=True)]
    )


def _party(user_id: int | None, *, handled: bool) -> list[ColumnElement[bool]]:
    if user_id is None:
        return []
    part = PARTICIPATIONS.c
    condition = and_(part.call_id == CALLS.c.id, part.user_id == user_id)
    if handled:
        condition = and_(condition, part.talked_us > 0)
    return [select(part.call_id).where(condition).exists()]


def _microseconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise UsageError(f"times must have a time zone, got {moment.isoformat()}")
    return to_microseconds(moment)
