"""Numbers that called several times, and callers who did not need to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, func, select

from basix_ws_cti.calllog.schema import CALLS

from .calls_of import FROM_CALLER, of_groups_and_users
from .conditions import in_selection
from .intervals import moment
from .rows import FirstContactRow, RepeatCallerRow
from .selection import Selection

_C = CALLS.c

MAX_VARIABLES = 5000
"""Values in one IN list; SQLite allows 32,766."""


def repeat_caller_rows(
    connection: Connection, selection: Selection, at_least: int
) -> list[RepeatCallerRow]:
    """Return the numbers that called at least this often; most calls first."""
    number = _C.caller_number_normalised
    query = (
        select(
            number,
            func.count(),
            func.count(_C.answered),
            func.min(_C.started),
            func.max(_C.started),
        )
        .where(in_selection(_C.started, selection), FROM_CALLER, of_groups_and_users(selection))
        .group_by(number)
        .having(func.count() >= at_least)
    )
    rows = [tuple(row) for row in connection.execute(query)]
    found = sorted(rows, key=lambda row: (-row[1], row[3], row[0]))
    names = _names_of_callers(connection, selection, [row[0] for row in found])
    zone = selection.period.timezone
    return [
        RepeatCallerRow(
            number=caller,
            name=names.get(caller),
            calls=calls,
            answered=answered,
            first=moment(first, zone),
            last=moment(last, zone),
        )
        for caller, calls, answered, first, last in found
    ]


def first_contacts(
    connection: Connection, selection: Selection, within: timedelta
) -> FirstContactRow:
    """Return how many callers did not call again after their first answered call."""
    length = within // timedelta(microseconds=1)
    first = (
        select(_C.caller_number_normalised.label("number"), func.min(_C.started).label("started"))
        .where(
            in_selection(_C.started, selection),
            FROM_CALLER,
            _C.answered.is_not(None),
            of_groups_and_users(selection),
        )
        .group_by(_C.caller_number_normalised)
        .subquery()
    )
    again = (
        select(_C.id)
        .where(
            FROM_CALLER,
            _C.caller_number_normalised == first.c.number,
            _C.started > first.c.started,
            _C.started <= first.c.started + length,
        )
        .exists()
    )
    query = select(func.count(), func.count().filter(~again)).select_from(first)
    callers, resolved = connection.execute(query).one()
    rate = resolved / callers if callers else None
    return FirstContactRow(callers=callers, resolved=resolved, rate=rate)


def _names_of_callers(
    connection: Connection, selection: Selection, numbers: Sequence[str]
) -> dict[str, str]:
    """Return the last name that the PBX sent for each number in the period."""
    found: dict[str, str] = {}
    for start in range(0, len(numbers), MAX_VARIABLES):
        query = (
            select(_C.caller_number_normalised, _C.caller_name)
            .where(
                _C.caller_number_normalised.in_(numbers[start : start + MAX_VARIABLES]),
                _C.started >= selection.period.start_us,
                _C.started < selection.period.end_us,
                FROM_CALLER,
                _C.caller_name.is_not(None),
            )
            .order_by(_C.started)
        )
        found.update((number, name) for number, name in connection.execute(query))
    return found
