"""Tables of the wallboard: columns, rows and cells, with neutral style names.

A display maps each ``Style`` to its own colours, and translates titles, headings and words with
``_``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

from attrs import field, frozen

from basix_ws_cti._internal.translation import N_

from .durations import format_duration
from .limits import Level
from .text import MAX_CELL_TEXT, cell_text, search_key

Style = Literal[
    "plain",
    "faint",
    "wait_warning",
    "wait_alarm",
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

``faint`` is secondary information; ``wait_warning`` and ``wait_alarm`` are waits beyond the two
limits; ``warning`` is a problem of the feed. The others are kinds of call phases.
"""

PHASES: dict[str, tuple[str, Style]] = {
    "ivr": (N_("IVR"), "ivr"),
    "queued": (N_("waiting"), "queued"),
    "ringing": (N_("ringing"), "ringing"),
    "talking": (N_("talking"), "talking"),
    "parked": (N_("parked"), "parked"),
    "voicemail": (N_("voicemail"), "voicemail"),
    "conference": (N_("conference"), "conference"),
    "other": (N_("service"), "other"),
    "unknown": (N_("unknown"), "unknown"),
}
"""Display word and style of each kind of call phase."""


SHORT_DIRECTIONS: dict[str, str] = {
    "inbound": N_("in"),
    "outbound": N_("out"),
    "internal": N_("int"),
}
"""Short word for each direction of a call."""


@frozen
class Sorting:
    """Column by which a table is sorted."""

    column: int
    """Index of the column."""

    is_reversed: bool = False
    """True for the largest value first."""


@frozen
class Column:
    """Column of a table."""

    name: str
    """Heading, in English."""

    meaning: str
    """What the column shows, in English, for a help text."""

    width: int = 0
    """Width in characters, if neither heading nor words are wider; 0 means an equal share of the
    width that the others leave."""

    align_right: bool = False
    """True for numbers and durations."""

    min_table_width: int = 0
    """Table width, in characters, below which the column is left out."""

    words: tuple[str, ...] = ()
    """Words that the column shows, in English; the column is wide enough for their translations."""


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


# Cells that are kept for the next board: those of a few hundred rows.
_CACHED_CELLS = 4096

_TIME = 8  # characters of the longest usual duration, "10:00:00"
_COUNT = 7

_TIME_IN_STATE = N_("time in this state")

TABLES: dict[str, tuple[Column, ...]] = {
    "calls": (
        Column(
            N_("Dir"),
            N_("direction: in, out or internal"),
            3,
            words=tuple(SHORT_DIRECTIONS.values()),
        ),
        Column(
            N_("State"),
            N_("what happens to the call now"),
            10,
            words=tuple(word for word, _style in PHASES.values()),
        ),
        Column(N_("For"), _TIME_IN_STATE, _TIME, align_right=True),
        Column(N_("Caller"), N_("who called")),
        Column(N_("With"), N_("the other party, or the place where the call is")),
        Column(N_("Queue"), N_("last queue that the call waited in"), min_table_width=110),
        Column(N_("Dialled"), N_("number that the caller dialled"), 11, min_table_width=100),
        Column(
            N_("Total"),
            N_("time since the call started"),
            _TIME,
            align_right=True,
            min_table_width=84,
        ),
    ),
    "queues": (
        Column(N_("Queue"), N_("the group")),
        Column(N_("Waiting"), N_("calls that wait now"), _COUNT, align_right=True),
        Column(N_("Longest"), N_("longest of these waits"), _TIME, align_right=True),
        Column(
            N_("Offered"),
            N_("calls offered to the queue"),
            _COUNT,
            align_right=True,
            min_table_width=78,
        ),
        Column(N_("Answered"), N_("calls answered"), _COUNT, align_right=True, min_table_width=52),
        Column(
            N_("Abandoned"),
            N_("callers who hung up in the queue"),
            _COUNT,
            align_right=True,
            min_table_width=52,
        ),
        Column(N_("In time"), N_("service level"), 4, align_right=True, min_table_width=70),
        Column(
            N_("ASA"), N_("average speed of answer"), _TIME, align_right=True, min_table_width=70
        ),
    ),
    "users": (
        Column(N_("User"), N_("the user")),
        Column(N_("Ext"), N_("main extension"), 5),
        Column(N_("Activity"), N_("with whom the user talks, or who calls")),
        Column(N_("For"), _TIME_IN_STATE, _TIME, align_right=True),
        Column(N_("Handled"), N_("calls with talk"), _COUNT, align_right=True, min_table_width=70),
        Column(
            N_("Missed"),
            N_("calls offered, and not answered until the PBX went on"),
            6,
            align_right=True,
            min_table_width=70,
        ),
    ),
    "parked": (
        Column(N_("Slot"), N_("park slot"), 4),
        Column(N_("Caller"), N_("the parked party")),
        Column(N_("By"), N_("who parked the call")),
        Column(N_("For"), N_("time since the call was parked"), _TIME, align_right=True),
    ),
    "feed": (
        Column(N_("Time"), N_("time of day"), 8),
        Column(N_("Event"), N_("state of the connection, or gap in the feed")),
    ),
}
"""Columns of each table, by the table's name, in display order."""

TITLES: dict[str, str] = {
    "calls": N_("Calls"),
    "queues": N_("Queues"),
    "users": N_("Users"),
    "parked": N_("Parked"),
    "feed": N_("Feed"),
}
"""Title of each table, in English."""

DEFAULT_SORTING: dict[str, Sorting] = {
    "calls": Sorting(2, is_reversed=True),
    "queues": Sorting(2, is_reversed=True),
    "users": Sorting(3, is_reversed=True),
    "parked": Sorting(3, is_reversed=True),
    "feed": Sorting(0, is_reversed=True),
}
"""Order of each table at first: the longest time on top, and the newest entry of the feed."""


def text_cell(text: str, style: Style = "plain", sort_key: Any = None) -> Cell:
    """Return a cell for a text, which is made safe to show.

    ``sort_key`` ``None`` means the text itself, without regard to case and width.
    """
    return _text_cell(text[:MAX_CELL_TEXT], style, sort_key)


# Most texts of a board are the same as those half a second before.
@lru_cache(_CACHED_CELLS)
def _text_cell(text: str, style: Style, sort_key: Any) -> Cell:
    text = cell_text(text)
    return Cell(text, style, search_key(text) if sort_key is None else sort_key)


def wait_style(level: Level, ok: Style = "queued") -> Style:
    """Return the style of a wait by its level; ``ok`` is the style below both limits."""
    if level == "ok":
        return ok
    return "wait_alarm" if level == "alarm" else "wait_warning"


def duration_cell(microseconds: int, style: Style = "plain") -> Cell:
    """Return a cell for a duration."""
    return Cell(format_duration(microseconds), style, microseconds)


@lru_cache(_CACHED_CELLS)
def count_cell(count: int, style: Style = "plain") -> Cell:
    """Return a cell for a number of things."""
    return Cell(str(count), style, count)
