"""Calls in progress for the command ``state``: as a table, or as one JSON document."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import attrs

from basix_ws_cti._internal.translation import _, ngettext
from basix_ws_cti.board.call_lines import DIRECTIONS
from basix_ws_cti.board.durations import format_duration, to_microseconds
from basix_ws_cti.board.labels import Labels
from basix_ws_cti.calls import Call
from basix_ws_cti.calls.event_json import with_envelope
from basix_ws_cti.elements import to_plain

from .text_table import TableColumn, TextTable


def calls_document(calls: Collection[Call], at: datetime) -> dict[str, Any]:
    """Return the calls as one JSON-ready object, which the schema of ``schema`` describes."""
    values = [to_plain(attrs.asdict(call)) for call in _oldest_first(calls)]
    return with_envelope(at, None, {"type": "calls", "calls": values})


def call_table(calls: Collection[Call], labels: Labels, at: datetime) -> TextTable:
    """Return a table of the calls, the oldest first.

    ``at`` is the current time of the PBX's clock (aware); durations end there.
    """
    now = to_microseconds(at)
    columns = (
        TableColumn(_("Direction"), is_optional=True),
        TableColumn(_("Caller"), is_flexible=True),
        TableColumn(_("Called number"), is_optional=True),
        TableColumn(_("State"), is_flexible=True),
        TableColumn(_("For"), align_right=True),
        TableColumn(_("Duration"), align_right=True),
        TableColumn(_("Call id"), is_optional=True),
    )
    rows = [
        [
            _(DIRECTIONS[call.direction]),
            labels.party(call.caller),
            str(call.called_number or ""),
            labels.phase(call.phase),
            format_duration(now - call.phase.started),
            format_duration(now - call.started),
            str(call.id),
        ]
        for call in _oldest_first(calls)
    ]
    title = ngettext("{count} call", "{count} calls", len(rows)).format(count=len(rows))
    return TextTable(title, columns, rows)


def _oldest_first(calls: Collection[Call]) -> list[Call]:
    return sorted(calls, key=lambda call: (call.started, call.id))
