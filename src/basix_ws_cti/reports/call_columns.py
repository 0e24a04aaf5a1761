"""Table of calls: labels for people, and all columns of ``CallRecord``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import NoneType
from typing import Any, get_args, get_type_hints
from zoneinfo import ZoneInfo

import attrs

from basix_ws_cti._internal.translation import N_, _
from basix_ws_cti.board.call_lines import DIRECTIONS
from basix_ws_cti.calls import CallRecord

from .intervals import moment
from .row_tables import Cell, disposition_words, make_table, translated
from .rows import CallListRow
from .tables import Column, Kind, Table, Value

_HEADINGS = {
    "id": N_("Call id"),
    "purpose": N_("Purpose"),
    "direction": N_("Direction"),
    "went_outside": N_("Went outside"),
    "started": N_("Start"),
    "answered": N_("Time of answer"),
    "ended": N_("End"),
    "caller_number": N_("Caller's number"),
    "caller_number_normalised": N_("Caller's number, normalised"),
    "caller_name": N_("Caller's name"),
    "caller_user_id": N_("Caller's user id"),
    "caller_end_user_id": N_("Caller's CRM id"),
    "called_number": N_("Number dialled"),
    "called_number_normalised": N_("Number dialled, normalised"),
    "requested_user_id": N_("Requested user id"),
    "requested_group_id": N_("Requested queue id"),
    "menu_id": N_("Menu id"),
    "group_id": N_("Queue id"),
    "answered_by_user_id": N_("Answered by user id"),
    "answered_by_number": N_("Answered by number"),
    "handlers": N_("All handlers"),
    "last_handler_user_id": N_("Last handler's user id"),
    "last_handler_number": N_("Last handler's number"),
    "voicemail_user_id": N_("Voicemail of user id"),
    "voicemail_group_id": N_("Voicemail of queue id"),
    "conference_room": N_("Conference room"),
    "disposition": N_("Result"),
    "abandoned_in": N_("Abandoned in"),
    "last_phase": N_("Last phase"),
    "ended_by": N_("Ended by"),
    "cause": N_("Hangup cause"),
    "cause_meaning": N_("Meaning of the cause"),
    "sip_status": N_("SIP status"),
    "waited": N_("Wait"),
    "ivr": N_("Time in menus"),
    "queued": N_("Time in queues"),
    "ringing": N_("Ring time"),
    "talking": N_("Talk time"),
    "parked": N_("Parked time"),
    "voicemail": N_("Time in voicemail"),
    "conference": N_("Time in conferences"),
    "other": N_("Other time"),
    "total": N_("Total time"),
    "transfers": N_("Transfers"),
    "blind_transfers": N_("Blind transfers"),
    "attended_transfers": N_("Attended transfers"),
    "origination": N_("API request"),
    "tags": N_("Tags"),
    "complete": N_("Complete"),
    "clock_adjusted": N_("Clock adjusted"),
    "joined": N_("Joined to call"),
}
"""Heading of each column of ``CallRecord``, without ``_us``; in English."""

_TIMES = frozenset({"started", "answered", "ended"})

# Integers that are codes, and not numbers of things.
_CODES = frozenset({"sip_status"})

# Columns of tables for reading, in their order, besides the labels.
_SHOWN = ("started", "direction")
_SHOWN_LAST = ("disposition", "waited", "talking", "transfers")


def call_table(rows: Iterable[CallListRow], timezone: ZoneInfo) -> Table:
    """Return the table of a list of calls; ``rows`` may be a stream.

    Its columns are those of ``CallRecord``, and four labels: ``caller`` and ``answered_by`` are
    the name of a party or its number, ``queue`` and ``last_handler`` names.
    """
    kinds = _kinds()
    words = {"direction": translated(DIRECTIONS), "disposition": disposition_words()}

    def record_cell(key: str, *, is_detail: bool) -> Cell[CallListRow]:
        attribute, kind = kinds[key]
        column = Column(
            key=key,
            heading=_(_HEADINGS[key]),
            kind=kind,
            is_detail=is_detail,
            words=words.get(key, {}),
        )
        return Cell(column, _reader(attribute, kind, timezone))

    first = (*_SHOWN, *_SHOWN_LAST)
    cells: list[Cell[CallListRow]] = [
        *(record_cell(key, is_detail=False) for key in _SHOWN),
        *_label_cells(),
        *(record_cell(key, is_detail=False) for key in _SHOWN_LAST),
        *(record_cell(key, is_detail=True) for key in kinds if key not in first),
    ]
    return make_table("calls", _("Calls"), timezone, cells, rows)


def _label_cells() -> Iterator[Cell[CallListRow]]:
    yield Cell(Column(key="caller", heading=_("Caller")), _caller)
    yield Cell(
        Column(key="dialled", heading=_("Dialled")),
        lambda row: row.call.called_number_normalised or row.call.called_number,
    )
    yield Cell(
        Column(key="queue", heading=_("Queue")),
        lambda row: _first(row.group_name, row.call.group_id),
    )
    yield Cell(
        Column(key="answered_by", heading=_("Answered by")),
        lambda row: _first(
            row.answered_by_user_name, row.call.answered_by_user_id, row.call.answered_by_number
        ),
    )
    yield Cell(
        Column(key="last_handler", heading=_("Last handler"), is_detail=True),
        lambda row: _first(
            row.last_handler_user_name,
            row.call.last_handler_user_id,
            row.call.last_handler_number,
        ),
    )


def _caller(row: CallListRow) -> str | None:
    call = row.call
    return _first(
        *(row.caller_user_name, call.caller_name, call.caller_number_normalised),
        *(call.caller_number, call.caller_user_id),
    )


def _first(*labels: str | int | None) -> str | None:
    """Return the first label that is known, as text."""
    return next((str(label) for label in labels if label is not None), None)


def _reader(attribute: str, kind: Kind, timezone: ZoneInfo) -> Callable[[CallListRow], Value]:
    """Return a function that returns an attribute of a row's ``CallRecord`` as a value."""
    if kind != "time":
        return lambda row: getattr(row.call, attribute)

    def read_time(row: CallListRow) -> Value:
        time = getattr(row.call, attribute)
        return None if time is None else moment(time, timezone)

    return read_time


def _kinds() -> dict[str, tuple[str, Kind]]:
    """Return attribute and kind of each column of ``CallRecord``, by the key of the column."""
    hints = get_type_hints(CallRecord)
    found: dict[str, tuple[str, Kind]] = {}
    for attribute in attrs.fields(CallRecord):
        name = attribute.name
        found[name.removesuffix("_us")] = name, _kind(name, hints[name])
    return found


def _kind(name: str, hint: Any) -> Kind:
    types = {*get_args(hint)} - {NoneType} or {hint}
    if name in _TIMES:
        return "time"
    if name.endswith("_us"):
        return "duration"
    if bool in types:
        return "boolean"
    if int in types:
        return "id" if name.endswith("_id") or name in _CODES else "integer"
    return "text"
