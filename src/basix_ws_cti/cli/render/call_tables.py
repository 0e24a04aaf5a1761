"""Calls in progress for the command ``state``: as a table, or as one JSON document."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import attrs
from rich.table import Table

from basix_ws_cti._internal.translation import _
from basix_ws_cti.board.labels import Labels, format_duration, to_microseconds
from basix_ws_cti.board.text import MAX_LINE_TEXT, escape_unprintable
from basix_ws_cti.calls import Call
from basix_ws_cti.elements import to_plain

from .feed_lines import with_envelope


def calls_document(calls: Collection[Call], at: datetime) -> dict[str, Any]:
    """Return the calls as one JSON-ready object, which the schema of ``schema`` describes."""
    values = [to_plain(attrs.asdict(call)) for call in _oldest_first(calls)]
    return with_envelope(at, None, {"type": "calls", "calls": values})


def call_table(calls: Collection[Call], labels: Labels, at: datetime) -> Table:
    """Return a Rich table of the calls, the oldest first.

    ``at`` is the current time of the PBX's clock (aware); durations end there.
    """
    now = to_microseconds(at)
    title = _("calls: {count}").format(count=len(calls))
    table = Table(title=title, title_justify="left")
    for name in (
        _("direction"),
        _("caller"),
        _("called number"),
        _("state"),
        _("in this state for"),
        _("duration"),
        _("call id"),
    ):
        table.add_column(name, overflow="fold")
    for call in _oldest_first(calls):
        cells = (
            call.direction,
            labels.party(call.caller),
            call.called_number or "",
            labels.phase(call.phase),
            format_duration(now - call.phase.started),
            format_duration(now - call.started),
            call.id,
        )
        table.add_row(*(escape_unprintable(str(cell)[:MAX_LINE_TEXT]) for cell in cells))
    return table


def _oldest_first(calls: Collection[Call]) -> list[Call]:
    return sorted(calls, key=lambda call: (call.started, call.id))
