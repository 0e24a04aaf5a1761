"""Tables of the call log.

- ``calls`` has one row per call: the columns of ``CallRecord``, and ``change``.
- ``waits`` has the columns of ``QueueWait``, ``participations`` those of ``Participation``. Both
  have ``position``, the index of the row among those of its call.
- ``gaps`` has the gaps in the feed, in which calls may be missing.
- ``names`` has the names of users and groups, each with the time from which it was known.
- ``rejected`` has the ids of calls whose rows the database refused.
- ``counters`` has ``schema``, the version of these tables, and ``change``, the last change number.

Times are integers in microseconds since the epoch, UTC, in every database.

The indexes ``…_report`` contain all columns of a report, so that it reads no table.

``calls.change`` is the number of the last change of a call's rows. Numbers are assigned under the
lock of ``counters``, so that they become visible in their order, and are never used twice.
"""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import attrs
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text, text
from sqlalchemy.types import TypeEngine

from basix_ws_cti.calls import CallRecord, Participation, QueueWait

METADATA = MetaData()


def _columns(row_class: type[Any], *key: str) -> list[Column[Any]]:
    """Return a column for each field of a row; ``key`` are the columns of the primary key."""
    hints = get_type_hints(row_class)
    columns: list[Column[Any]] = []
    for attribute in attrs.fields(row_class):
        hint, name = hints[attribute.name], attribute.name
        is_key = name in key
        nullable = type(None) in get_args(hint)
        columns.append(
            Column(name, _column_type(hint), primary_key=is_key, nullable=nullable and not is_key)
        )
    return columns


def _column_type(hint: Any) -> TypeEngine[Any]:
    """Return the type of a column, given the type of the field: all other types are text."""
    types = {*get_args(hint)} or {hint}
    if bool in types:
        return Boolean()
    return BigInteger() if int in types else Text()


CALLS = Table(
    "calls",
    METADATA,
    *_columns(CallRecord, "id"),
    Column("change", BigInteger, nullable=False),
    Index("calls_started", "started"),
    Index("calls_change", "change", unique=True),
    Index(
        "calls_report",
        # SQLite reads the table for the last column if the index lacks it, though it is NULL.
        *("started", "purpose", "direction", "disposition", "joined"),
        sqlite_where=text("joined IS NULL"),
        postgresql_where=text("joined IS NULL"),
    ),
    Index("calls_caller", "caller_number_normalised", "started"),
    Index("calls_called", "called_number_normalised", "started"),
)

WAITS = Table(
    "waits",
    METADATA,
    *_columns(QueueWait, "call_id"),
    Column("position", Integer, primary_key=True),
    Index("waits_group", "group_id", "entered"),
    Index(
        "waits_report",
        *("entered", "purpose", "group_id", "result", "next_group_id", "waited_us"),
        "entered_by_transfer",
    ),
)

PARTICIPATIONS = Table(
    "participations",
    METADATA,
    *_columns(Participation, "call_id"),
    Column("position", Integer, primary_key=True),
    Index("participations_user", "user_id", "first_offered"),
    Index(
        "participations_report",
        *("first_offered", "group_id", "purpose", "role", "result", "talked_us", "held_us"),
        *("transfers_out", "user_id", "direction", "rang_us", "transfers_in"),
    ),
)

GAPS = Table(
    "gaps",
    METADATA,
    Column("started", BigInteger, primary_key=True),
    Column("ended", BigInteger, primary_key=True),
    Column("reason", Text, nullable=False),
)

NAMES = Table(
    "names",
    METADATA,
    Column("kind", Text, primary_key=True),  # "user" or "group"
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("extension", Text),
)

REJECTED = Table(
    "rejected",
    METADATA,
    Column("call_id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("problem", Text, nullable=False),
)

COUNTERS = Table(
    "counters",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
