"""JSON lines that ``listen`` prints, in the schema that ``schema`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any

from attrs import frozen

from basix_ws_cti.alerts.alert_json import alert_value
from basix_ws_cti.alerts.rule import Alert
from basix_ws_cti.calls import CallEvent
from basix_ws_cti.calls.event_json import call_event_value, event_name, with_envelope
from basix_ws_cti.cli.feed_names import INITIAL
from basix_ws_cti.cli.filters import Filters
from basix_ws_cti.cli.output import json_text
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

Item = Message | CallEvent | Lagged | Alert
"""Item of a feed."""


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
            case Lagged() | Alert():
                yield _report_value(item)
            case SystemMsg() | Msg() | UnknownMessage() if not filters.is_active:
                yield _message_value(item)
            case FieldSpec() | SystemMsg() | Msg() | UnknownMessage():
                pass
            case event:
                if filters.match_call(event.call, event_name(type(event)), self.mirror):
                    yield call_event_value(event)


def _report_value(report: Lagged | Alert) -> dict[str, Any]:
    if isinstance(report, Alert):
        return alert_value(report)
    return {"type": "lagged", "missed": report.missed}


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
