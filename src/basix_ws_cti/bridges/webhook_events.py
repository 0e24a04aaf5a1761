"""Events that webhooks carry: their types, JSON bodies and JSON Schema.

A body is ``{"type": …, "timestamp": …, "data": {…}}``, as Standard Webhooks recommends. ``data`` of
a call event is the object that ``listen --calls --json`` prints.
"""

from __future__ import annotations

import json
import time
import uuid
from datetime import datetime
from typing import Any, Literal, get_args

from attrs import frozen

from basix_ws_cti.alerts.alert_json import alert_schema, alert_value
from basix_ws_cti.alerts.rule import Alert
from basix_ws_cti.calls import CallEvent
from basix_ws_cti.calls.event_json import (
    TIME_SCHEMA,
    call_event_schema,
    call_event_value,
    envelope_schema,
    event_name,
    json_time,
    with_envelope,
)
from basix_ws_cti.calls.json_schema import closed_object, state_schema

GapReason = Literal["disconnected", "restart", "lagged", "dropped", "damaged"]
"""Cause of missing events:

- ``disconnected``: the connection to the PBX was interrupted.
- ``restart``: the webhook was not running.
- ``lagged``: events arrived faster than they could be stored.
- ``dropped``: events were too many or too old for the spool, and were not sent.
- ``damaged``: the file of the spool was damaged, and events in it were not sent.
"""

GAP_TYPE = "feed.gap"
"""Type of the event about a period in which events may be missing."""


@frozen(kw_only=True)
class OutgoingEvent:
    """Event as it is stored and sent."""

    id: str
    """Unique id, the same in each attempt to send the event."""

    type: str
    """Type, such as ``call.answered``."""

    topic: str
    """Events of one topic are sent in order: the id of a call, or another word."""

    created: float
    """Time at which it was stored, in seconds since the epoch."""

    body: bytes
    """JSON text, the same bytes in each attempt."""


def call_event(event: CallEvent, at: datetime) -> OutgoingEvent:
    """Return a call event; ``at`` is the feed's time."""
    name = event_name(type(event))
    value = with_envelope(at, None, call_event_value(event))
    # ASCII: SQLite stores no lone surrogate, which a PBX may send.
    return _event(f"call.{name}", f"call {event.call.id!a}", value)


def alert_event(alert: Alert, at: datetime) -> OutgoingEvent:
    """Return an alert that was raised or has ended; ``at`` is the feed's time."""
    topic = f"alert {str(alert.rule)!a}"
    return _event(f"alert.{alert.state}", topic, with_envelope(at, None, alert_value(alert)))


def gap_event(
    reason: GapReason,
    at: datetime,
    *,
    started: datetime | None,
    missed: int | None = None,
) -> OutgoingEvent:
    """Return an event about a period in which events may be missing.

    - ``at``: end of the period, in the feed's time.
    - ``started``: start of the period; ``None``: unknown.
    - ``missed``: number of events that are missing; ``None``: unknown.
    """
    value = {
        "type": "gap",
        "reason": reason,
        "started": None if started is None else json_time(started),
        "ended": json_time(at),
        "missed": missed,
    }
    return _event(GAP_TYPE, "feed", with_envelope(at, None, value))


def _event(event_type: str, topic: str, data: dict[str, Any]) -> OutgoingEvent:
    body = {"type": event_type, "timestamp": data["at"], "data": data}
    return OutgoingEvent(
        id=f"evt_{uuid.uuid4().hex}",
        type=event_type,
        topic=topic,
        created=time.time(),
        # Escaped: a text of the PBX may contain characters that UTF-8 cannot encode.
        body=json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode("ascii"),
    )


def build_event_schema() -> dict[str, Any]:
    """Return the JSON Schema of the bodies of all events."""
    defs: dict[str, Any] = {"State": state_schema()}
    data = {
        f"call.{event_name(event)}": call_event_schema(event, defs) for event in get_args(CallEvent)
    }
    for state in ("raised", "ended"):
        schema = alert_schema()
        schema["properties"]["state"] = {"const": state}
        data[f"alert.{state}"] = schema
    data[GAP_TYPE] = envelope_schema(
        "gap",
        reason={"enum": [*get_args(GapReason)]},
        started={"anyOf": [TIME_SCHEMA, {"type": "null"}]},
        ended=TIME_SCHEMA,
        missed={"type": ["integer", "null"], "minimum": 1},
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:basix-ws-cti:webhook:1",
        "title": "Bodies of webhooks",
        "description": (
            "Values are passed on as the PBX sends them; a PBX may send other types than those "
            "given here. Timestamps in calls are microseconds since the epoch (UTC), durations "
            "are microseconds."
        ),
        "oneOf": [
            closed_object({"type": {"const": name}, "timestamp": TIME_SCHEMA, "data": schema})
            for name, schema in data.items()
        ],
        "$defs": dict(sorted(defs.items())),
    }
