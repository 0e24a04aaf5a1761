"""Tables of the wallboard: columns, rows and cells, with neutral style names.

A display maps each ``Style`` to its own colours.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import field, frozen

from .durations import format_duration
from .text import cell_text, search_key

Style = Literal[
    "plain",
    "faint",
    "late",
    "warning",
    "ivr",
    "queued",
    "ringing",
    "talking",
    "parked",
    "voicemail",
    "conference",
    "other",
    "unknown",
]
"""Meaning that a cell's appearance conveys.

``faint`` is secondary information, ``late`` a wait that is longer than the service level,
``warning`` a problem of the feed. The others are kinds of call phases.
"""

PHASES: dict[str, tuple[str, Style]] = {
    "ivr": ("IVR", "ivr"),
    "queued": ("waiting", "queued"),
    "ringing": ("ringing", "ringing"),
    "talking": ("talking", "talking"),
    "parked": ("parked", "parked"),
    "voicemail": ("voicemail", "voicemail"),
    "conference": ("conference", "conference"),
    "other": ("service", "other"),
    "unknown": ("unknown", "unknown"),
}
"""Display word and style of each kind of call phase."""


@frozen
class Column:
    """Column of a table."""

    name: str
    """Heading."""

    width: int = 0
    """Width in characters; 0 means an equal share of the width that the others leave."""

    align_right: bool = False
    """True for numbers and durations."""

    min_table_width: int = 0
    """Table width, in characters, below which the column is left out."""


@frozen
class Cell:
    """Text of a cell, free of characters that could steer a terminal."""

    text: str
    """Text to show."""

    style: Style = "plain"
    """Meaning that the appearance conveys."""

    sort_key: Any = field(default=None, eq=False)
    """Value by which the column is sorted; comparable within a column."""


@frozen(eq=False)
class Row:
    """Row of a table."""

    key: str
    """Identifier of the row, unique in its table and stable over time."""

    cells: tuple[Cell, ...]
    """One cell for each column of the table."""

    search_terms: tuple[str, ...] = ()
    """Names and numbers by which the row is found."""

    call_id: str | None = None
    """Id of the call that the row belongs to; ``None`` for a row without a call."""


_TIME = 8  # characters of the longest usual duration, "10:00:00"

TABLES: dict[str, tuple[Column, ...]] = {
    "calls": (
        Column("Dir", 3),
        Column("State", 10),
        Column("For", _TIME, align_right=True),
        Column("Caller"),
        Column("With"),
        Column("Dialled", 11, min_table_width=100),
        Column("Total", _TIME, align_right=True, min_table_width=84),
    ),
    "queues": (
        Column("Queue"),
        Column("Waiting", 7, align_right=True),
        Column("Longest", _TIME, align_right=True),
        Column("Answered", 8, align_right=True, min_table_width=52),
        Column("Abandoned", 9, align_right=True, min_table_width=52),
    ),
    "users": (
        Column("User"),
        Column("Ext", 5),
        Column("Activity"),
        Column("For", _TIME, align_right=True),
    ),
    "parked": (
        Column("Slot", 4),
        Column("Caller"),
        Column("By"),
        Column("For", _TIME, align_right=True),
    ),
    "feed": (Column("Time", 8), Column("Feed")),
}
"""Columns of each table, by the table's name, in display order."""


def text_cell(text: str, style: Style = "plain", sort_key: Any = None) -> Cell:
    """Return a cell for a text, which is made safe to show.

    ``sort_key`` ``None`` means the text itself, without regard to case and width.
    """
    text = cell_text(text)
    return Cell(text, style, search_key(text) if sort_key is None else sort_key)


def duration_cell(microseconds: int, style: Style = "plain") -> Cell:
    """Return a cell for a duration."""
    return Cell(format_duration(microseconds), style, microseconds)


def count_cell(count: int, style: Style = "plain") -> Cell:
    """Return a cell for a number of things."""
    return Cell(str(count), style, count)
