"""SQL of the calls that reports count."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from basix_ws_cti.calllog.schema import CALLS, PARTICIPATIONS, WAITS

from .selection import Selection

IS_CALL: ColumnElement[bool] = and_(CALLS.c.purpose == "call", CALLS.c.joined.is_(None))
"""Condition of the rows that are counted as calls: see the page about figures."""

FROM_CALLER: ColumnElement[bool] = and_(
    IS_CALL, CALLS.c.direction == "inbound", CALLS.c.caller_number_normalised.is_not(None)
)
"""Condition of the calls from outside with a number: it is missing if the caller withheld it."""

TO_OUTSIDE: ColumnElement[bool] = and_(
    IS_CALL, CALLS.c.direction == "outbound", CALLS.c.called_number_normalised.is_not(None)
)
"""Condition of the calls to a number outside."""


def of_groups_and_users(selection: Selection) -> ColumnElement[bool]:
    """Return the condition that a call waited in a selected queue, and a selected user took part.

    Waits and participations are written when a call ends: an active call has the first group that
    it waited for, and no users but the caller.
    """
    conditions: list[ColumnElement[bool]] = []
    if selection.groups:
        ids = sorted(selection.groups)
        conditions.append(or_(CALLS.c.group_id.in_(ids), _has_row(WAITS.c, WAITS.c.group_id, ids)))
    if selection.users:
        ids = sorted(selection.users)
        part = PARTICIPATIONS.c
        conditions.append(or_(CALLS.c.caller_user_id.in_(ids), _has_row(part, part.user_id, ids)))
    return and_(True, *conditions)  # noqa: FBT003 - SQLAlchemy's form of "no condition"


def _has_row(columns: Any, column: ColumnElement[Any], ids: list[int]) -> ColumnElement[bool]:
    return select(columns.call_id).where(columns.call_id == CALLS.c.id, column.in_(ids)).exists()
