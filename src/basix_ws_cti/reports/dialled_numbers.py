"""Incoming calls by the number that the caller dialled."""

from __future__ import annotations

from collections import Counter, defaultdict

import attrs
from sqlalchemy import Connection, func, select

from basix_ws_cti.calllog.schema import CALLS

from .calls_of import IS_CALL, of_groups_and_users
from .conditions import in_selection, label_all, names_of
from .rows import NumberRow
from .selection import Selection

_C = CALLS.c

# Column for each disposition; all others are in ``other``.
_COLUMNS = {
    None: "active",
    "answered": "answered",
    "abandoned": "abandoned",
    "voicemail": "voicemail",
    "no_message": "voicemail",
}

_NUMBERS = [attribute.name for attribute in attrs.fields(NumberRow)[1:]]


def number_rows(connection: Connection, selection: Selection) -> list[NumberRow]:
    """Return a row for all numbers together, and then one for each; most calls first."""
    keys = label_all(func.coalesce(_C.called_number_normalised, _C.called_number), _C.disposition)
    query = (
        select(*keys, func.count())
        .where(
            in_selection(_C.started, selection),
            IS_CALL,
            _C.direction == "inbound",
            of_groups_and_users(selection),
        )
        .group_by(*names_of(keys))
    )
    counts: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
    for row in connection.execute(query):
        dialled, disposition, calls = tuple(row)
        # Calls to an unknown number are in the sum only.
        for key in {dialled, None}:
            counts[key].update({"calls": calls, _COLUMNS.get(disposition, "other"): calls})
    dialled_numbers = (number for number in counts if number is not None)
    ordered = sorted(dialled_numbers, key=lambda number: (-counts[number]["calls"], number))
    return [
        NumberRow(number=number, **{column: counts[number][column] for column in _NUMBERS})
        for number in (None, *ordered)
    ]
