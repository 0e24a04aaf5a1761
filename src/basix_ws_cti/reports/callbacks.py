"""Callers who were not answered, and have not been called back since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from attrs import define
from sqlalchemy import Connection, Row, func, select

from basix_ws_cti.calllog.schema import CALLS

from .calls_of import FROM_CALLER, TO_OUTSIDE, of_groups_and_users
from .conditions import STREAMED, in_selection
from .intervals import moment
from .names import Names
from .rows import CallbackRow
from .selection import Selection

_C = CALLS.c

# How calls went in which nobody talked to the caller. The others may have been answered.
_NOT_ANSWERED = (
    *("abandoned", "missed", "voicemail", "no_message", "ended_in_menu"),
    *("busy", "rejected", "unreachable", "failed"),
)


@define
class _Caller:
    """Unanswered calls of one number since the last answer."""

    calls: int
    first: int
    last: Row[Any]
    name: str | None


def callback_rows(connection: Connection, selection: Selection) -> list[CallbackRow]:
    """Return the callers to call back; the one who has waited longest for it is first."""
    since = selection.period.start_us
    settled = _last_answers(connection, since)
    callers: dict[str, _Caller] = {}
    for row in _unanswered(connection, selection):
        number = row.caller_number_normalised
        if row.started < settled.get(number, 0):
            continue
        caller = callers.get(number)
        if caller is None:
            callers[number] = _Caller(1, row.started, row, row.caller_name)
        else:
            caller.calls, caller.last = caller.calls + 1, row
            caller.name = row.caller_name or caller.name
    attempts = _attempts(connection, since, callers)
    names, zone = Names.read(connection), selection.period.timezone
    return [
        CallbackRow(
            number=number,
            name=caller.name,
            calls=caller.calls,
            first=moment(caller.first, zone),
            last=moment(caller.last.started, zone),
            group_id=caller.last.group_id,
            group_name=names.group(caller.last.group_id, caller.last.started + 1),
            disposition=caller.last.disposition,
            queued_us=caller.last.queued_us,
            attempts=attempts[number],
        )
        for number, caller in sorted(callers.items(), key=lambda item: item[1].first)
    ]


def _unanswered(connection: Connection, selection: Selection) -> Iterable[Row[Any]]:
    """Return the calls of the selection that nobody answered, oldest first."""
    query = (
        select(
            *(_C.caller_number_normalised, _C.caller_name, _C.started),
            *(_C.group_id, _C.disposition, _C.queued_us),
        )
        .where(
            in_selection(_C.started, selection),
            FROM_CALLER,
            _C.answered.is_(None),
            _C.disposition.in_(_NOT_ANSWERED),
            of_groups_and_users(selection),
        )
        .order_by(_C.started, _C.id)
    )
    rows: Iterable[Row[Any]] = connection.execute(query, execution_options=STREAMED)
    return rows


def _last_answers(connection: Connection, since: int) -> dict[str, int]:
    """Return the start of the last answered call from or to each number, in microseconds."""
    found: dict[str, int] = {}
    for number, is_call in (
        (_C.caller_number_normalised, FROM_CALLER),
        (_C.called_number_normalised, TO_OUTSIDE),
    ):
        query = (
            select(number, func.max(_C.started))
            .where(is_call, _C.started >= since, _C.answered.is_not(None))
            .group_by(number)
        )
        for one, started in connection.execute(query, execution_options=STREAMED):
            found[one] = max(started, found.get(one, 0))
    return found


def _attempts(connection: Connection, since: int, callers: dict[str, _Caller]) -> Counter[str]:
    """Return the number of unanswered calls to each caller since their last call."""
    query = select(_C.called_number_normalised, _C.started).where(
        TO_OUTSIDE, _C.started >= since, _C.answered.is_(None)
    )
    attempts: Counter[str] = Counter()
    for number, started in connection.execute(query, execution_options=STREAMED):
        caller = callers.get(number)
        if caller is not None and started > caller.last.started:
            attempts[number] += 1
    return attempts
