"""The details of a call: who, when, its phases and legs with how long each took."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from basix_ws_cti.board.labels import Labels, duration
from basix_ws_cti.board.model import FAINT, STATES, shown
from basix_ws_cti.calls import Call, Leg
from basix_ws_cti.states import moment

# Cells of the bar that shows how a call's life was spent.
_BAR = 24


def details(call: Call, labels: Labels, now: int, zone: tzinfo | None = None) -> RenderableType:
    """A call as it is at ``now``, in microseconds; times of the day in ``zone``."""
    end = call.ended if call.ended is not None else max(now, call.phase.started)
    return Group(
        _facts(call, labels, end, zone),
        Text("\nPhases", style="bold"),
        _phases(call, labels, end, zone),
        Text("\nLegs", style="bold"),
        _legs(call, labels, end, zone),
    )


def _facts(call: Call, labels: Labels, end: int, zone: tzinfo | None) -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(style=FAINT, no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _told(call, labels, end, zone):
        table.add_row(name, Text(shown(text)))
    return table


def _told(call: Call, labels: Labels, end: int, zone: tzinfo | None) -> Iterator[tuple[str, str]]:
    dialled = f", dialled {call.called_number}" if call.called_number else ""
    yield "Call", f"{call.direction}, from {labels.party(call.caller)}{dialled}"
    yield "Began", _clock(call.started, zone)
    yield "Lasts" if call.ended is None else "Lasted", duration(end - call.started)
    if call.answered is not None and call.answered_by is not None:
        after = duration(call.answered - call.started)
        yield "Answered", f"by {labels.party(call.answered_by)} after {after}"
    if call.transfers:
        yield "Sent on", "once" if call.transfers == 1 else f"{call.transfers} times"
    if not call.complete:
        yield "Note", "not seen from its beginning, or not all the time"
    if call.ended is not None:
        by = f" by the {call.ended_by}" if call.ended_by else ""
        cause = f": {call.cause_meaning or call.cause}" if call.cause else ""
        yield "Ended", f"{_clock(call.ended, zone)}, {call.disposition}{by}{cause}"


def _phases(call: Call, labels: Labels, end: int, zone: tzinfo | None) -> Table:
    table = _table("Since", "For", "", "Phase")
    whole = max(1, end - call.started)
    for phase in call.phases:
        until = end if phase.ended is None else phase.ended
        left = (phase.started - call.started) * _BAR // whole
        right = max(left + 1, (until - call.started) * _BAR // whole)
        style = STATES[phase.kind][1]
        table.add_row(
            _clock(phase.started, zone),
            duration(until - phase.started),
            Text(" " * left + "=" * (right - left), style=style),
            Text(shown(labels.phase(phase) or phase.kind), style=style),
        )
    return table


def _legs(call: Call, labels: Labels, end: int, zone: tzinfo | None) -> Table:
    table = _table("Since", "For", "Answered", "Leg")
    for leg in sorted(call.legs, key=lambda leg: (leg.offered or 0, leg.uuid != call.id)):
        began = leg.offered
        until = leg.ended if leg.ended is not None else end
        table.add_row(
            _clock(began, zone),
            "" if began is None else duration(until - began),
            _answered(leg),
            Text(shown(_leg(leg, labels))),
        )
    return table


def _answered(leg: Leg) -> str:
    if leg.answered is None:
        return "no"
    return "yes" if leg.offered is None else f"after {duration(leg.answered - leg.offered)}"


def _leg(leg: Leg, labels: Labels) -> str:
    verb = "from" if leg.direction == "inbound" else "to"
    return f"{verb} {labels.party(leg.party)}{f': {leg.outcome}' if leg.outcome else ''}"


def _table(*names: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=FAINT)
    for name in names[:-1]:
        table.add_column(name, no_wrap=True, justify="right" if name == "For" else "left")
    table.add_column(names[-1], overflow="fold")
    return table


def _clock(microseconds: int | None, zone: tzinfo | None) -> str:
    at = moment(microseconds)
    return "" if at is None else f"{at.astimezone(zone):%H:%M:%S}"
