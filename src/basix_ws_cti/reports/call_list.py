"""Calls one by one, with names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import or_, select

from basix_ws_cti.calllog.read_access import ReadAccess
from basix_ws_cti.calllog.schema import CALLS
from basix_ws_cti.calls import CallRecord

from .calls_of import IS_CALL, of_groups_and_users
from .conditions import in_selection
from .intervals import moment
from .names import Names
from .rows import CallListRow
from .selection import Selection

_C = CALLS.c

PAGE = 1000
"""Calls read in one transaction."""


def call_rows(access: ReadAccess, selection: Selection) -> Iterator[CallListRow]:
    """Yield the calls, oldest first; each page of them is read in a transaction of its own.

    A reader who takes long would otherwise keep SQLite's write-ahead log from shrinking.
    """
    query = (
        select(CALLS)
        .where(in_selection(_C.started, selection), IS_CALL, of_groups_and_users(selection))
        .order_by(_C.started, _C.id)
        .limit(PAGE)
    )
    with access.transaction() as connection:
        names = Names.read(connection)
    page = query
    while True:
        with access.transaction() as connection:
            records = [_record(row) for row in connection.execute(page).mappings()]
        for record in records:
            yield _with_names(record, names, selection)
        if len(records) < PAGE:
            return
        last = records[-1]
        is_after = or_(_C.started > last.started, _C.id > last.id)
        page = query.where(_C.started >= last.started, is_after)


def _record(row: Any) -> CallRecord:
    return CallRecord(**{name: value for name, value in row.items() if name != "change"})


def _with_names(call: CallRecord, names: Names, selection: Selection) -> CallListRow:
    # A name is noted with the start of the call in which it was first seen.
    until = call.started + 1
    return CallListRow(
        call=call,
        started=moment(call.started, selection.period.timezone),
        caller_user_name=names.user(call.caller_user_id, until)[0],
        group_name=names.group(call.group_id, until),
        answered_by_user_name=names.user(call.answered_by_user_id, until)[0],
        last_handler_user_name=names.user(call.last_handler_user_id, until)[0],
    )
