"""Lines that ``listen`` prints: JSON lines (for the schema of ``schema``), or text lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

import attrs
from attrs import frozen

from basix_ws_cti.board.labels import Labels, format_duration
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
from basix_ws_cti.cli.feed_names import INITIAL
from basix_ws_cti.cli.filters import Filters
from basix_ws_cti.cli.output import fit_text, json_text
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
"""Version of the JSON lines. Renaming, retyping or removing a key increments it."""

Item = Message | CallEvent | Lagged

# Widths, in terminal columns, of all text columns but the first (time) and the last.
_WIDTHS = (11, 15, 50)

# SGR codes (ECMA-48) by event: the eight colours that every terminal has, 1 bold, 2 faint.
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
_FAINT = 2


def event_name(event_class: type[CallEvent]) -> str:
    """Return the name of a kind of call event: ``started``, ``ringing`` and so on."""
    return event_class.__name__.removeprefix("Call").lower()


@frozen
class JsonLines:
    """Converter from items of a feed to JSON lines."""

    mirror: Mirror
    """Mirror in which the filters look up names."""

    filters: Filters
    """Selection of items."""

    zone: tzinfo | None = None
    """Time zone of ``at``; ``None`` is UTC."""

    def __call__(self, at: datetime, item: Item) -> Iterator[str]:
        """Yield the lines of one item: one per element for an ``initial_info``."""
        for value in self._values(item):
            yield json_text(with_envelope(at, self.zone, value)) + "\n"

    def _values(self, item: Item) -> Iterator[dict[str, Any]]:
        filters = self.filters
        match item:
            case InfoEvent(kind, element, name):
                if filters.match_element(kind, element, name, self.mirror):
                    yield _element_value(kind, name, element.key, element)
            case InitialInfo(kind, elements):
                for key, element in elements.items():
                    if filters.match_element(kind, element, INITIAL, self.mirror):
                        yield _element_value(kind, INITIAL, key, element)
            case Lagged(missed):
                yield {"type": "lagged", "missed": missed}
            case SystemMsg() | Msg() | UnknownMessage() if not filters.is_active:
                yield _message_value(item)
            case FieldSpec() | SystemMsg() | Msg() | UnknownMessage():
                pass
            case event:
                name = event_name(type(event))
                if filters.match_call(event, name, self.mirror):
                    yield {"type": "call", "event": name, **to_plain(attrs.asdict(event))}


def _message_value(message: SystemMsg | Msg | UnknownMessage) -> dict[str, Any]:
    match message:
        case SystemMsg(text):
            return {"type": "system_msg", "text": text}
        case Msg(text):
            return {"type": "msg", "text": text}
        case UnknownMessage(name, term):
            return {"type": "unknown", "name": name, "term": to_plain(term)}


def _element_value(
    kind: str, event: str, key: int | str | None, element: Element
) -> dict[str, Any]:
    return {
        "type": "element",
        "kind": kind,
        "event": event,
        "key": key,
        "element": to_dict(element),
    }


def with_envelope(at: datetime, zone: tzinfo | None, value: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object preceded by the common keys ``v``, ``type`` and ``at``.

    ``zone`` ``None`` gives times in UTC.
    """
    moment = at.astimezone(zone or UTC).isoformat(timespec="microseconds")
    return {"v": VERSION, "type": value["type"], "at": moment, **value}


@frozen
class TextLines:
    """Converter from items of a feed to text lines."""

    mirror: Mirror
    """Mirror in which names are looked up."""

    filters: Filters
    """Selection of items."""

    colourise: Callable[[str, int], str]
    """Function that returns a text in the colour of an SGR code."""

    zone: tzinfo | None = None
    """Time zone of printed times; ``None`` is local time."""

    def __call__(self, at: datetime, item: Item) -> Iterator[str]:
        """Yield the line of one item, or nothing if the filters reject it."""
        cells = self._cells(item)
        if cells is None:
            return
        first, *rest = (fit_text(cell, width) for cell, width in zip(cells, _WIDTHS, strict=False))
        time = self.colourise(format_time(at, self.zone), _FAINT)
        event = self.colourise(first, _COLOURS.get(cells[0], 0))
        yield " ".join((time, event, *rest, fit_text(cells[-1]))).rstrip() + "\n"

    def _cells(self, item: Item) -> tuple[str, str, str, str] | None:
        """Return event, kind, subject and description of an item; ``None`` if it is rejected."""
        labels, filters = Labels(self.mirror), self.filters
        match item:
            case InfoEvent(kind, element, name):
                if filters.match_element(kind, element, name, self.mirror):
                    return name, kind, labels.element(element), labels.activity(element)
            case InitialInfo(kind, elements):
                count = sum(
                    filters.match_element(kind, element, INITIAL, self.mirror)
                    for element in elements.values()
                )
                if count or not filters.is_active:
                    return INITIAL, kind, "1 element" if count == 1 else f"{count} elements", ""
            case Lagged(missed):
                return "lagged", "", f"{missed} items dropped: output is too slow", ""
            case SystemMsg(text) | Msg(text) if not filters.is_active:
                return "message", "", text, ""
            case UnknownMessage(name, _) if not filters.is_active:
                return "unknown", name, "", ""
            case FieldSpec() | SystemMsg() | Msg() | UnknownMessage():
                pass
            case event:
                call, name = event.call, event_name(type(event))
                if filters.match_call(event, name, self.mirror):
                    parties = f"{labels.party(call.caller)} -> {_callee(event, labels)}"
                    return name, call.direction, parties, describe_call_event(event, labels)
        return None


def format_time(at: datetime, zone: tzinfo | None) -> str:
    """Return date and time of day in a zone; ``None`` is local time."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _callee(event: CallEvent, labels: Labels) -> str:
    answered_by = event.call.answered_by
    if answered_by is None:
        return str(event.call.called_number or "?")
    return labels.party(answered_by)


def describe_call_event(event: CallEvent, labels: Labels) -> str:
    """Return a call event as text, such as ``answered by NAME after 0:07``."""
    match event:
        case CallRinging(_, party):
            return f"ringing at {labels.party(party)}"
        case CallAnswered(_, party, waited):
            return f"answered by {labels.party(party)} after {format_duration(waited)}"
        case CallParked(_, slot, by):
            return f"parked on {slot}" + ("" if by is None else f" by {labels.user(by)}")
        case CallRetrieved(_, party, parked_for):
            return f"retrieved by {labels.party(party)} after {format_duration(parked_for)}"
        case CallTransferred(_, source, target):
            return f"transferred by {labels.party(source)} to {labels.party(target)}"
        case CallEnded(call, synthetic):
            return _describe_end(call, synthetic=synthetic)
    return labels.phase(event.call.phase)


def _describe_end(call: Call, *, synthetic: bool) -> str:
    parts: list[str] = [call.disposition or "unknown"]
    if call.abandoned_in:  # perhaps after an earlier talk: "answered, abandoned in queue"
        abandoned = f"abandoned in {call.abandoned_in}"
        parts = [abandoned] if call.disposition == "abandoned" else [*parts, abandoned]
    if call.ended_by:
        parts.append(f"ended by {call.ended_by}")
    if call.cause_meaning:
        parts.append(call.cause_meaning)
    if call.ended is not None:
        parts.append(f"after {format_duration(call.ended - call.started)}")
    if talked := call.time_in("talking"):
        parts.append(f"talked {format_duration(talked)}")
    if call.joined:
        parts.append("merged into another call")
    if synthetic:
        parts.append("end not observed")
    return ", ".join(parts)
