"""Details of a call as a Rich renderable: parties, times, phases and legs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from basix_ws_cti.board.durations import format_duration
from basix_ws_cti.board.labels import Labels
from basix_ws_cti.board.tables import PHASES
from basix_ws_cti.board.text import cell_text
from basix_ws_cti.calls import Call, Leg
from basix_ws_cti.states import moment

from .styles import RICH_STYLES

# Width, in characters, of the bar that shows when each phase took place.
_BAR = 24

_FAINT = RICH_STYLES["faint"]


def render_call(call: Call, labels: Labels, now: int, zone: tzinfo | None = None) -> RenderableType:
    """Return the details of a call at ``now``, in microseconds.

    Times of day are in ``zone``; ``None`` is local time.
    """
    end = call.ended if call.ended is not None else max(now, call.phase.started)
    return Group(
        _facts_table(call, labels, end, zone),
        Text("\nPhases", style="bold"),
        _phases_table(call, labels, end, zone),
        Text("\nLegs", style="bold"),
        _legs_table(call, labels, end, zone),
    )


def _facts_table(call: Call, labels: Labels, end: int, zone: tzinfo | None) -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(style=_FAINT, no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _facts(call, labels, end, zone):
        table.add_row(name, Text(cell_text(text)))
    return table


def _facts(call: Call, labels: Labels, end: int, zone: tzinfo | None) -> Iterator[tuple[str, str]]:
    dialled = f", dialled {call.called_number}" if call.called_number else ""
    yield "Call", f"{call.direction}, from {labels.party(call.caller)}{dialled}"
    yield "Started", _format_time(call.started, zone)
    yield "Duration", format_duration(end - call.started)
    if call.answered is not None and call.answered_by is not None:
        after = format_duration(call.answered - call.started)
        yield "Answered", f"by {labels.party(call.answered_by)} after {after}"
    if call.transfers:
        yield "Transfers", str(call.transfers)
    if not call.complete:
        yield "Note", "incomplete: part of the call was not observed"
    if call.ended is not None:
        by = f" by the {call.ended_by}" if call.ended_by else ""
        cause = f": {call.cause_meaning or call.cause}" if call.cause else ""
        yield "Ended", f"{_format_time(call.ended, zone)}, {call.disposition}{by}{cause}"


def _phases_table(call: Call, labels: Labels, end: int, zone: tzinfo | None) -> Table:
    table = _new_table("Since", "For", "", "Phase")
    total = max(1, end - call.started)
    for phase in call.phases:
        until = end if phase.ended is None else phase.ended
        left = (phase.started - call.started) * _BAR // total
        right = max(left + 1, (until - call.started) * _BAR // total)
        style = RICH_STYLES[PHASES[phase.kind][1]]
        table.add_row(
            _format_time(phase.started, zone),
            format_duration(until - phase.started),
            Text(" " * left + "=" * (right - left), style=style),
            Text(cell_text(labels.phase(phase) or phase.kind), style=style),
        )
    return table


def _legs_table(call: Call, labels: Labels, end: int, zone: tzinfo | None) -> Table:
    table = _new_table("Since", "For", "Answered", "Leg")
    for leg in sorted(call.legs, key=lambda leg: (leg.offered or 0, leg.uuid != call.id)):
        until = leg.ended if leg.ended is not None else end
        table.add_row(
            _format_time(leg.offered, zone),
            "" if leg.offered is None else format_duration(until - leg.offered),
            _answered(leg),
            Text(cell_text(_leg_text(leg, labels))),
        )
    return table


def _answered(leg: Leg) -> str:
    if leg.answered is None:
        return "no"
    return "yes" if leg.offered is None else f"after {format_duration(leg.answered - leg.offered)}"


def _leg_text(leg: Leg, labels: Labels) -> str:
    preposition = "from" if leg.direction == "inbound" else "to"
    return f"{preposition} {labels.party(leg.party)}{f': {leg.outcome}' if leg.outcome else ''}"


def _new_table(*names: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=_FAINT)
    for name in names[:-1]:
        table.add_column(name, no_wrap=True, justify="right" if name == "For" else "left")
    table.add_column(names[-1], overflow="fold")
    return table


def _format_time(microseconds: int | None, zone: tzinfo | None) -> str:
    at = moment(microseconds)
    return "" if at is None else f"{at.astimezone(zone):%H:%M:%S}"
