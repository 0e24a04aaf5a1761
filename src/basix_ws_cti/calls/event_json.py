"""Call events as JSON: the values that ``listen --json`` prints and webhooks carry.

Every JSON object has the common keys ``v``, ``type`` and ``at``, and the keys of its type.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Any

import attrs

from basix_ws_cti.elements import to_plain

from .events import CallEvent
from .json_schema import closed_object, field_schemas

VERSION = 1
"""Version of the JSON objects. Renaming, retyping or removing a key increments it."""

# ISO 8601 to the microsecond, with UTC offset.
TIME_SCHEMA: dict[str, Any] = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d(:\d\d(\.\d+)?)?$",
}


def event_name(event_class: type[CallEvent]) -> str:
    """Return the name of a kind of call event: ``started``, ``ringing`` and so on."""
    return event_class.__name__.removeprefix("Call").lower()


def call_event_value(event: CallEvent) -> dict[str, Any]:
    """Return a call event as a JSON object without the common keys ``v`` and ``at``."""
    return {"type": "call", "event": event_name(type(event)), **to_plain(attrs.asdict(event))}


def json_time(at: datetime, zone: tzinfo | None = None) -> str:
    """Return an aware time as JSON objects contain it; ``zone`` ``None``: in UTC."""
    return at.astimezone(zone or UTC).isoformat(timespec="microseconds")


def with_envelope(at: datetime, zone: tzinfo | None, value: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object preceded by the common keys ``v``, ``type`` and ``at``.

    ``zone`` ``None`` gives times in UTC.
    """
    return {"v": VERSION, "type": value["type"], "at": json_time(at, zone), **value}


def envelope_schema(object_type: str, /, **properties: Any) -> dict[str, Any]:
    """Return the schema of an object with the common keys and exactly these properties."""
    common = {"v": {"const": VERSION}, "type": {"const": object_type}, "at": TIME_SCHEMA}
    return closed_object(common | properties)


def call_event_schema(event: type[Any], defs: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a class of call events with the common keys.

    The classes of its fields are added to ``defs``.
    """
    properties = {"event": {"const": event_name(event)}, **field_schemas(event, defs)}
    return envelope_schema("call", **properties)
