"""Results of outgoing calls by user."""

from __future__ import annotations

from collections import Counter, defaultdict

import attrs
from sqlalchemy import Connection, func, select

from basix_ws_cti.calllog.schema import CALLS

from .calls_of import IS_CALL
from .conditions import in_selection
from .names import Names
from .rows import OutboundRow
from .selection import Selection

_C = CALLS.c

# Column for each disposition; all others are failed calls.
_COLUMNS = {
    None: "active",
    "answered": "answered",
    "voicemail": "answered",
    "no_message": "answered",
    "unanswered": "unanswered",
    "busy": "refused",
    "rejected": "refused",
    "unreachable": "unreachable",
}

_NUMBERS = [attribute.name for attribute in attrs.fields(OutboundRow)[3:]]


def outbound_rows(connection: Connection, selection: Selection) -> list[OutboundRow]:
    """Return a row for all users together, and then one for each user."""
    query = (
        select(
            _C.caller_user_id,
            _C.disposition,
            func.count(),
            func.count(_C.origination),
            func.sum(_C.talking_us),
        )
        .where(in_selection(_C.started, selection), IS_CALL, _C.direction == "outbound")
        .group_by(_C.caller_user_id, _C.disposition)
    )
    if selection.users:
        query = query.where(_C.caller_user_id.in_(sorted(selection.users)))
    counts: defaultdict[int | None, Counter[str]] = defaultdict(Counter)
    for user_id, disposition, calls, requested, talked in connection.execute(query):
        column = _COLUMNS.get(disposition, "failed")
        numbers = {"calls": calls, column: calls, "click_to_call": requested, "talked": int(talked)}
        # The calls of an unknown user are in the sum only.
        for key in {user_id, None}:
            counts[key].update(numbers)
    names, end = Names.read(connection), selection.period.end_us
    users = {*selection.users, *(user_id for user_id in counts if user_id is not None)}
    rows: list[OutboundRow] = []
    for user in (None, *sorted(users)):
        name, extension = names.user(user, end)
        numbers = {column: counts[user][column] for column in _NUMBERS}
        rows.append(OutboundRow(user_id=user, user_name=name, extension=extension, **numbers))
    return rows
