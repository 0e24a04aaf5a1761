"""Tables of call records, queue waits and participations, as text.

A table begins with a header of column names; its first word says which rows it shows::

    call  disposition  waited
    X1    answered     12

    wait  group  result    by
    X1    G      answered  B

    party  role     rings  talked
    B      offered  1      48
    X      placed   0      48

- ``call``: call records; ``wait``: queue waits; ``party``: participations. An empty table has a
  header and no rows. A text without a table of a kind does not speak of its rows.
- Users, groups and known numbers are shown by their letters, times and durations in seconds, the
  times from the start of the script. ``-`` is ``None``.
- A column is named as in the class, without ``_us``, or as in ``ALIASES``.
- The order of rows does not count.
"""

from __future__ import annotations

import json

from basix_ws_cti.calls import CallRecord
from basix_ws_cti.calls.participation import Participation
from basix_ws_cti.calls.queue_wait import QueueWait

from .call_script import LETTERS, SECOND, START

ALIASES = {
    "call": {
        "call": ("id",),
        "caller": ("caller_user_id", "caller_number"),
        "called": ("called_number",),
        "answered_by": ("answered_by_user_id", "answered_by_number"),
        "last_handler": ("last_handler_user_id", "last_handler_number"),
        "requested": ("requested_user_id", "requested_group_id"),
        "mailbox": ("voicemail_user_id", "voicemail_group_id"),
        "blind": ("blind_transfers",),
        "attended": ("attended_transfers",),
        "room": ("conference_room",),
        "menu": ("menu_id",),
        "group": ("group_id",),
    },
    "wait": {
        "wait": ("call_id",),
        "group": ("group_id",),
        "next": ("next_group_id",),
        "by": ("answered_by_user_id",),
        "transfer": ("entered_by_transfer",),
    },
    "party": {
        "party": ("user_id", "number"),
        "call": ("call_id",),
        "group": ("group_id",),
        "offered": ("first_offered",),
        "out": ("transfers_out",),
        "in": ("transfers_in",),
    },
}

_TIMES = {"started", "answered", "ended", "entered", "left", "first_offered"}


def assert_rows(calls, expected):
    """Compare the rows of calls with the tables of a text."""
    tables = [[line.split() for line in block.splitlines()] for block in _blocks(expected)]
    found = [[header, *_shown(_rows_of(header[0], calls), header)] for header, *_ in tables]
    found_text, expected_text = ("\n\n".join(map(_aligned, one)) for one in (found, tables))
    assert found_text == expected_text, f"found\n\n{found_text}\n\nexpected\n\n{expected_text}"


def _blocks(text):
    lines = [line.strip() for line in text.strip().splitlines()]
    return "\n".join(lines).split("\n\n")


def _rows_of(kind, calls):
    if kind == "call":
        return [CallRecord.of(call) for call in calls if call.ended is not None]
    row_class = {"wait": QueueWait, "party": Participation}[kind]
    return [row for call in calls for row in row_class.of(call)]


def _shown(rows, header):
    """Return rows of the product as lists of cells, with the columns of a header."""
    return [[_cell(row, header[0], name) for name in header] for row in rows]


def _aligned(table):
    """Return a table as text, with its rows in alphabetical order."""
    header, *rows = table
    lines = [header, *sorted(rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(row, kind, name):
    for attribute in ALIASES[kind].get(name, (name,)):
        if not hasattr(row, attribute):
            attribute += "_us"  # noqa: PLW2901
        value = getattr(row, attribute)
        if value is not None:
            return _text(attribute, value)
    return "-"


def _text(attribute, value):
    if attribute in _TIMES:
        return f"{(value - START) / SECOND:.10g}"
    if attribute.endswith("_us"):
        return f"{value / SECOND:.10g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if attribute in {"handlers", "tags", "origination"}:
        return ",".join(map(_letter, json.loads(value)))
    return _letter(value)


def _letter(value):
    key = int(value) if isinstance(value, str) and len(value) == 8 and value.isdigit() else value
    return LETTERS.get(key, str(value) or "-")
