"""Tables of reports: columns with machine names, headings and kinds, and rows of plain values.

A ``Table`` is the same for every file format. Formats decide how a value looks; ``display`` is its
text for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from attrs import Factory, frozen

from basix_ws_cti._internal.translation import _
from basix_ws_cti.board.durations import format_duration

Kind = Literal[
    "text", "id", "integer", "number", "duration", "rate", "time", "minute", "date", "boolean"
]
"""Kind of the values of a column. Every value may be ``None``, too: not known, or not applicable.

- ``"text"``: ``str``.
- ``"id"``: ``int`` that identifies something; ``"integer"``: ``int`` that counts something.
- ``"number"``: ``float``; ``"boolean"``: ``bool``.
- ``"duration"``: ``int``, in microseconds.
- ``"rate"``: ``float``, 0 to 1.
- ``"time"``: aware ``datetime``, in the time zone of the report. ``"minute"`` and ``"date"`` are
  the same, for edges of intervals; people see them without seconds, or without a time of day.
"""

Value = str | int | float | bool | datetime | None
"""Value of a cell."""

NUMERIC: frozenset[Kind] = frozenset({"integer", "number", "duration", "rate"})
"""Kinds whose values are aligned to the right."""

TIMES: frozenset[Kind] = frozenset({"time", "minute", "date"})
"""Kinds whose values are times."""


@frozen(kw_only=True)
class Column:
    """Column of a table."""

    key: str
    """Name for programs; English, and the same in every language and version."""

    heading: str
    """Name for people, in the reader's language."""

    kind: Kind = "text"
    """Kind of the values."""

    is_detail: bool = False
    """True for a column that files have, and that tables for reading leave out."""

    words: Mapping[str, str] = Factory(dict)
    """Words for the values of a text column, in the reader's language; others are shown as they
    are."""

    empty: str = ""
    """Text for people in place of a missing value, in the reader's language."""

    @property
    def name(self) -> str:
        """``key`` with the unit of durations, for formats without types: ``talked_seconds``."""
        return f"{self.key}_seconds" if self.kind == "duration" else self.key

    def display(self, value: Value) -> str:
        """Return a value as text for people; ``None`` as ``empty``."""
        if value is None:
            return self.empty
        match self.kind:
            case "text" | "id":
                return self.words.get(str(value), str(value))
            case "duration":
                return format_duration(int(value))  # type: ignore[arg-type]
            case "rate":
                return f"{value:.1%}"
            case "number":
                return f"{value:,.1f}"
            case "integer":
                return f"{value:,}"
            case "boolean":
                return _("yes") if value else _("no")
        assert isinstance(value, datetime)  # noqa: S101 - for the type checker
        return value.strftime(_DISPLAYED_TIMES[self.kind])


_DISPLAYED_TIMES: dict[Kind, str] = {
    "time": "%Y-%m-%d %H:%M:%S",
    "minute": "%Y-%m-%d %H:%M",
    "date": "%Y-%m-%d",
}


@frozen(kw_only=True)
class Table:
    """Table of a report."""

    name: str
    """Name for programs, such as ``queues``."""

    title: str
    """Title in the reader's language."""

    timezone: ZoneInfo
    """Time zone of all times."""

    columns: Sequence[Column]
    """Columns in their order."""

    rows: Iterable[Sequence[Value]]
    """Rows, with a value for each column. A long list is read from the database while it is
    iterated over, which is possible once."""

    def to_polars(self) -> Any:
        """Return the table as a ``polars.DataFrame``; reads all of its rows.

        - Columns have the names ``Column.key``.
        - Times are ``Datetime("us", zone)``: local times in the time zone of the report.
        - Durations are ``Duration("us")``, rates ``Float64``, ids and counts ``Int64``.

        Raises ``UsageError`` if Polars is not installed.
        """
        from .frames import to_polars

        return to_polars(self)

    @property
    def shown(self) -> list[int]:
        """Indexes of the columns that tables for reading have."""
        return [index for index, column in enumerate(self.columns) if not column.is_detail]
