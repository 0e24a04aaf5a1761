"""JSON Schema of the JSON output, generated from the classes whose values it contains.

Lines, calls and states are closed: they have the fields of their classes only. Elements are
open, because newer PBXs add fields.
"""

from __future__ import annotations

from typing import Any, get_args

from basix_ws_cti import calls
from basix_ws_cti.alerts.alert_json import alert_schema
from basix_ws_cti.calls.event_json import VERSION, call_event_schema, envelope_schema
from basix_ws_cti.calls.json_schema import object_schema, state_schema, type_schema
from basix_ws_cti.parsing.record_decoder import ELEMENTS


def build_schema() -> dict[str, Any]:
    """Return the schema of the lines of ``listen --json`` and the documents of ``state --json``."""
    defs: dict[str, Any] = {"State": state_schema()}
    for element_class in ELEMENTS.values():
        defs[element_class.__name__] = object_schema(element_class, defs, is_open=True)
    kinds = {
        kind: {"$ref": f"#/$defs/{element_class.__name__}"}
        for kind, element_class in ELEMENTS.items()
    }
    lines = {
        "ElementLine": envelope_schema(
            "element",
            kind={"type": "string"},
            event={"type": "string"},
            key={"type": ["string", "integer", "null"]},
            element={"type": "object"},
        )
        | {"allOf": [_if_kind(kind, schema) for kind, schema in kinds.items()]},
        "SystemMsgLine": envelope_schema("system_msg", text={"type": "string"}),
        "MsgLine": envelope_schema("msg", text={"type": "string"}),
        "UnknownLine": envelope_schema("unknown", name={"type": "string"}, term={"type": "array"}),
        "AlertLine": alert_schema(),
        "LaggedLine": envelope_schema("lagged", missed={"type": "integer", "minimum": 1}),
        **{
            f"{event.__name__}Line": call_event_schema(event, defs)
            for event in get_args(calls.CallEvent)
        },
        "StateDocument": envelope_schema(
            "state",
            elements={
                "type": "object",
                "properties": {
                    kind: {"type": "array", "items": schema} for kind, schema in kinds.items()
                },
                "additionalProperties": {"type": "array", "items": {"type": "object"}},
            },
        ),
        "CallsDocument": envelope_schema(
            "calls", calls={"type": "array", "items": type_schema(calls.Call, defs)}
        ),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:basix-ws-cti:lines:{VERSION}",
        "title": "Lines of listen --json and documents of state --json",
        "description": (
            "Values are passed on as the PBX sends them; a PBX may send other types than those "
            "given here. Timestamps are microseconds since the epoch (UTC), durations are "
            "microseconds."
        ),
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in lines],
        "$defs": {**lines, **dict(sorted(defs.items()))},
    }


def _if_kind(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "if": {"properties": {"kind": {"const": kind}}},
        "then": {"properties": {"element": schema}},
    }
