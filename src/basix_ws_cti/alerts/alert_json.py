"""Alerts as JSON objects, and the schema of these objects."""

from __future__ import annotations

from typing import Any, get_args

from basix_ws_cti.calls.event_json import envelope_schema

from .grammar import AlertFigure
from .rule import Alert


def alert_value(alert: Alert) -> dict[str, Any]:
    """Return the JSON object of an alert, without ``v`` and ``at``."""
    return {"type": "alert", **alert.to_dict()}


def alert_schema() -> dict[str, Any]:
    """Return the schema of an alert with the common keys ``v``, ``type`` and ``at``."""
    return envelope_schema(
        "alert",
        rule={"type": "string"},
        figure={"enum": [*get_args(AlertFigure)]},
        limit={"type": "number"},
        end={"type": "number"},
        state={"enum": ["raised", "ended"]},
        value={"type": ["number", "null"]},
        group_id={"type": ["integer", "null"]},
        time={"type": "integer"},
        raised={"type": "integer"},
    )
