"""JSON Schema of the entries of the stream, generated from the classes whose values they contain.

A document is an object with the keys ``type`` and ``data``: the field ``type`` of an entry, and its
field ``data`` after parsing it as JSON.
"""

from __future__ import annotations

from typing import Any, get_args

import attrs

from basix_ws_cti.calls.event_json import event_name
from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.calls.json_schema import field_schemas, state_schema, type_schema
from basix_ws_cti.calls.model import Call
from basix_ws_cti.elements import EndUser, EndUsers, OtherInfo, Target
from basix_ws_cti.parsing.record_decoder import ELEMENTS

from .entries import VERSION

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_TIME = {"type": "integer"}
_KEY = {"type": ["string", "integer"]}

# A term that JSON cannot express; see ``element_json``.
_MARKED_TERM = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "propertyNames": {"enum": ["$list", "$map", "$time", "$regex"]},
}

# States of a kind that this version does not know have their parts in an array.
_OTHER_STATE = {
    "type": "object",
    "properties": {"ts": {"type": ["integer", "null"]}, "name": _TEXT, "data": {"type": "array"}},
    "required": ["ts", "name", "data"],
}

# Parts of elements, whose fields without a value are absent.
_PARTS = (EndUser, EndUsers, Target, OtherInfo)


def build_entry_schema() -> dict[str, Any]:
    """Return the schema of all types of entries."""
    defs: dict[str, Any] = {}
    call = type_schema(Call, defs)
    events = {one: field_schemas(one, defs) for one in get_args(CallEvent)}
    entries = {
        "epoch": _object(publisher=_TEXT),
        "snapshot": _object(),
        "snapshot_elements": _of_kind(_object(kind=_TEXT, elements=_pairs({"type": "object"}))),
        "snapshot_calls": _object(calls={"type": "array", "items": call}),
        "snapshot_end": _object(parts=_COUNT),
        "element": _of_kind(
            _object(
                kind=_TEXT,
                event={"enum": ["added", "updated", "removed"]},
                key=_KEY,
                element={"type": "object"},
            )
        ),
        "elements": _of_kind(
            _object(kind=_TEXT, part=_COUNT, parts=_COUNT, elements=_pairs({"type": "object"}))
        ),
        "call": {
            "oneOf": [
                _object(event={"const": event_name(one)}, key=_TEXT, **schemas)
                for one, schemas in events.items()
            ]
        },
        "system_msg": _object(text=_TEXT),
        "msg": _object(text=_TEXT),
        "unknown": _object(name=_TEXT, term={"type": "array"}),
        "state": _object(
            state={"enum": ["connecting", "syncing", "synced", "disconnected", "stopped"]},
            reason={"$ref": "#/$defs/Reason"},
            last_heard={"type": ["integer", "null"]},
            retry_in={"type": ["number", "null"]},
            attempt={"type": ["integer", "null"]},
        ),
        "gap": _object(started=_TIME, ended=_TIME, reason={"$ref": "#/$defs/Reason"}),
    }
    defs["Reason"] = {"oneOf": [{"type": "null"}, _object(error=_TEXT, text=_TEXT)]}
    defs["State"] = {"anyOf": [state_schema(with_raw_data=True), _OTHER_STATE]}
    for element_class in (*ELEMENTS.values(), *_PARTS):
        defs[f"Sparse{element_class.__name__}"] = _sparse(element_class)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:basix-ws-cti:entries:{VERSION}",
        "title": "Entries of the stream: type and data",
        "description": (
            "Values are passed on as the PBX sends them; a PBX may send other types than those "
            "given here. Times are integers in microseconds since the epoch (UTC)."
        ),
        "oneOf": [
            {
                "type": "object",
                "properties": {"type": {"const": name}, "data": schema},
                "required": ["type", "data"],
            }
            for name, schema in entries.items()
        ],
        "$defs": dict(sorted(defs.items())),
    }


def _object(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object with these properties; later versions may add others."""
    return {"type": "object", "properties": properties, "required": [*properties]}


def _pairs(element: Any) -> dict[str, Any]:
    pair = {"type": "array", "prefixItems": [_KEY, element], "minItems": 2, "maxItems": 2}
    return {"type": "array", "items": pair}


def _of_kind(schema: dict[str, Any]) -> dict[str, Any]:
    """Add the schema of the elements, which depends on ``kind``."""
    name = "element" if "element" in schema["properties"] else "elements"
    cases = []
    for kind, element_class in ELEMENTS.items():
        element = {"$ref": f"#/$defs/Sparse{element_class.__name__}"}
        found = element if name == "element" else _pairs(element)
        cases.append(
            {
                "if": {"properties": {"kind": {"const": kind}}},
                "then": {"properties": {name: found}},
            }
        )
    return schema | {"allOf": cases}


def _sparse(attrs_class: type[Any]) -> dict[str, Any]:
    """Return the schema of a class whose fields without a value are absent."""
    properties = {}
    parts: dict[str, Any] = {}
    schemas = field_schemas(attrs_class, parts)
    for attribute in attrs.fields(attrs_class):
        if attribute.name in schemas:
            properties[attribute.name] = _or_marked(schemas[attribute.name])
    return {"type": "object", "properties": properties}


def _or_marked(schema: Any) -> Any:
    """Refer to sparse parts, and allow a term that JSON cannot express in a structured field."""
    options = schema.get("anyOf")
    if options is None:
        return _renamed(schema)
    return {"anyOf": [*map(_renamed, options), _MARKED_TERM]}


def _renamed(schema: Any) -> Any:
    """Refer to the sparse form of a part."""
    for part in _PARTS:
        if schema.get("$ref") == f"#/$defs/{part.__name__}":
            return {"$ref": f"#/$defs/Sparse{part.__name__}"}
    if "items" in schema:
        return schema | {"items": _renamed(schema["items"])}
    return schema
