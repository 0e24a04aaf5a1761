"""What ``listen`` prints: JSON lines (``schema`` has their schema), or lines for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

import attrs
from attrs import frozen

from basix_ws_cti.board.labels import Labels, duration
from basix_ws_cti.calls import (
    Call,
    CallAnswered,
    CallEnded,
    CallEvent,
    CallParked,
    CallRetrieved,
    CallRinging,
    CallTransferred,
)
from basix_ws_cti.cli.filters import INITIAL, Filters
from basix_ws_cti.cli.output import fitted, json_text
from basix_ws_cti.elements import Element, to_dict, to_plain
from basix_ws_cti.messages import (
    FieldSpec,
    InfoEvent,
    InitialInfo,
    Message,
    Msg,
    SystemMsg,
    UnknownMessage,
)
from basix_ws_cti.mirror.changes import Lagged
from basix_ws_cti.mirror.mirror import Mirror

VERSION = 1
"""Of the JSON lines: it grows when something in them is renamed, retyped or gone."""

Item = Message | CallEvent | Lagged

_WIDTHS = (11, 15, 50)
"""Of the columns that others follow."""


def event_name(sort: type[CallEvent]) -> str:
    """What an event of a call is called: ``started``, ``ringing`` and so on."""
    return sort.__name__.removeprefix("Call").lower()


@frozen
class JsonLines:
    """Items as JSON lines; without ``zone``, times are UTC."""

    mirror: Mirror
    filters: Filters
    zone: tzinfo | None = None

    def __call__(self, at: datetime, item: Item) -> Iterator[str]:
        """The lines of one item: of an ``initial_info``, one for each element."""
        for one in self._values(item):
            yield json_text(stamped(at, self.zone, one)) + "\n"

    def _values(self, item: Item) -> Iterator[dict[str, Any]]:
        filters = self.filters
        match item:
            case InfoEvent(kind, element, name):
                if filters.want_element(kind, element, name, self.mirror):
                    yield _element(kind, name, element.key, element)
            case InitialInfo(kind, elements):
                for key, element in elements.items():
                    if filters.want_element(kind, element, INITIAL, self.mirror):
                        yield _element(kind, INITIAL, key, element)
            case Lagged(missed):
                yield {"type": "lagged", "missed": missed}
            case SystemMsg() | Msg() | UnknownMessage() if not filters.any:
                yield _rest(item)
            case FieldSpec() | SystemMsg() | Msg() | UnknownMessage():
                pass
            case event:
                name = event_name(type(event))
                if filters.want_call(event, name, self.mirror):
                    yield {"type": "call", "event": name, **to_plain(attrs.asdict(event))}


def _rest(message: SystemMsg | Msg | UnknownMessage) -> dict[str, Any]:
    match message:
        case SystemMsg(text):
            return {"type": "system_msg", "text": text}
        case Msg(text):
            return {"type": "msg", "text": text}
        case UnknownMessage(name, term):
            return {"type": "unknown", "name": name, "term": to_plain(term)}


def _element(kind: str, event: str, key: int | str | None, element: Element) -> dict[str, Any]:
    return {
        "type": "element",
        "kind": kind,
        "event": event,
        "key": key,
        "element": to_dict(element),
    }


def stamped(at: datetime, zone: tzinfo | None, value: dict[str, Any]) -> dict[str, Any]:
    """A value as one of ours: with the version, its type, and when it came."""
    moment = at.astimezone(zone or UTC).isoformat(timespec="microseconds")
    return {"v": VERSION, "type": value["type"], "at": moment, **value}


@frozen
class Prose:
    """Items as lines for people; without ``zone``, times are local.

    ``paint(text, colour)`` is how a terminal shows a colour, by its number.
    """

    mirror: Mirror
    filters: Filters
    paint: Callable[[str, int], str]
    zone: tzinfo | None = None

    def __call__(self, at: datetime, item: Item) -> Iterator[str]:
        """The lines of one item."""
        cells = self._cells(item)
        if cells is None:
            return
        first, *rest = (fitted(cell, width) for cell, width in zip(cells, _WIDTHS, strict=False))
        time = self.paint(clock(at, self.zone), 2)
        event = self.paint(first, _COLOURS.get(cells[0], 0))
        yield " ".join((time, event, *rest, fitted(cells[-1]))).rstrip() + "\n"

    def _cells(self, item: Item) -> tuple[str, str, str, str] | None:
        labels, filters = Labels(self.mirror), self.filters
        match item:
            case InfoEvent(kind, element, name):
                if filters.want_element(kind, element, name, self.mirror):
                    return name, kind, labels.element(element), labels.doing(element)
            case InitialInfo(kind, elements):
                there = sum(
                    filters.want_element(kind, element, INITIAL, self.mirror)
                    for element in elements.values()
                )
                if there or not filters.any:
                    return INITIAL, kind, f"{there} there", ""
            case Lagged(missed):
                return "lagged", "", f"{missed} more came than could be shown", ""
            case SystemMsg(text) | Msg(text) if not filters.any:
                return "message", "", text, ""
            case UnknownMessage(name, _) if not filters.any:
                return "unknown", name, "", ""
            case FieldSpec() | SystemMsg() | Msg() | UnknownMessage():
                pass
            case event:
                call, name = event.call, event_name(type(event))
                if filters.want_call(event, name, self.mirror):
                    who = f"{labels.party(call.caller)} -> {_called(event, labels)}"
                    return name, call.direction, who, happened(event, labels)
        return None


_COLOURS = {
    "added": 32,
    "started": 32,
    "answered": 36,
    "retrieved": 36,
    "ringing": 33,
    "parked": 35,
    "transferred": 35,
    "removed": 31,
    "ended": 31,
    "initial": 2,
    "message": 1,
    "lagged": 1,
}
"""SGR codes (ECMA-48): the eight colours that every terminal has."""


def clock(at: datetime, zone: tzinfo | None) -> str:
    """A time for people."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _called(event: CallEvent, labels: Labels) -> str:
    answered = event.call.answered_by
    return str(event.call.called_number or "?") if answered is None else labels.party(answered)


def happened(event: CallEvent, labels: Labels) -> str:
    """What happened to a call."""
    match event:
        case CallRinging(_, party):
            return f"rings at {labels.party(party)}"
        case CallAnswered(_, party, waited):
            return f"answered by {labels.party(party)} after {duration(waited)}"
        case CallParked(_, slot, by):
            return f"on {slot}" + ("" if by is None else f" by {labels.user(by)}")
        case CallRetrieved(_, party, parked_for):
            return f"fetched by {labels.party(party)} after {duration(parked_for)}"
        case CallTransferred(_, source, target):
            return f"by {labels.party(source)} to {labels.party(target)}"
        case CallEnded(call, synthetic):
            return _ended(call, synthetic=synthetic)
    return labels.phase(event.call.phase)


def _ended(call: Call, *, synthetic: bool) -> str:
    how = call.disposition or "unknown"
    words = [f"{how} in {call.abandoned_in}" if call.abandoned_in else how]
    if call.ended_by:
        words.append(f"ended by {call.ended_by}")
    if call.cause_meaning:
        words.append(call.cause_meaning)
    if call.ended is not None:
        words.append(f"after {duration(call.ended - call.started)}")
    if talked := call.time_in("talking"):
        words.append(f"talked {duration(talked)}")
    if call.joined:
        words.append("became a part of another call")
    if synthetic:
        words.append("nobody saw it")
    return ", ".join(words)
