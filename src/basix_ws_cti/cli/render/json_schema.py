"""JSON Schema of the JSON output, generated from the classes whose values it contains.

Lines, calls and states are closed: they have the fields of their classes only. Elements are
open, because newer PBXs add fields.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from basix_ws_cti import calls
from basix_ws_cti.parsing.record_decoder import ELEMENTS, STATES
from basix_ws_cti.states import Calling, State

from .json_lines import VERSION, event_name

_SCALARS: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    NoneType: "null",
}

# Raw value of a structured field that did not have the expected shape. It is never an object,
# so that every object must have that shape.
_RAW = {"type": ["string", "number", "boolean", "array", "null"]}

# ISO 8601 to the microsecond, with UTC offset.
_TIME_PATTERN = r"^\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d(:\d\d(\.\d+)?)?$"


def build_schema() -> dict[str, Any]:
    """Return the schema of the lines of ``listen --json`` and the documents of ``state --json``."""
    defs: dict[str, Any] = {"State": _state_schema()}
    for element_class in ELEMENTS.values():
        defs[element_class.__name__] = _object_schema(element_class, defs, is_open=True)
    kinds = {
        kind: {"$ref": f"#/$defs/{element_class.__name__}"}
        for kind, element_class in ELEMENTS.items()
    }
    lines = {
        "ElementLine": _line_schema(
            "element",
            kind={"type": "string"},
            event={"type": "string"},
            key={"type": ["string", "integer", "null"]},
            element={"type": "object"},
        )
        | {"allOf": [_if_kind(kind, schema) for kind, schema in kinds.items()]},
        "SystemMsgLine": _line_schema("system_msg", text={"type": "string"}),
        "MsgLine": _line_schema("msg", text={"type": "string"}),
        "UnknownLine": _line_schema("unknown", name={"type": "string"}, term={"type": "array"}),
        "LaggedLine": _line_schema("lagged", missed={"type": "integer", "minimum": 1}),
        **{
            f"{event.__name__}Line": _call_line_schema(event, defs)
            for event in get_args(calls.CallEvent)
        },
        "StateDocument": _line_schema(
            "state",
            elements={
                "type": "object",
                "properties": {
                    kind: {"type": "array", "items": schema} for kind, schema in kinds.items()
                },
                "additionalProperties": {"type": "array", "items": {"type": "object"}},
            },
        ),
        "CallsDocument": _line_schema(
            "calls", calls={"type": "array", "items": _type_schema(calls.Call, defs)}
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


def _line_schema(line_type: str, /, **properties: Any) -> dict[str, Any]:
    return _closed_object(
        {
            "v": {"const": VERSION},
            "type": {"const": line_type},
            "at": {"type": "string", "format": "date-time", "pattern": _TIME_PATTERN},
            **properties,
        }
    )


def _call_line_schema(event: type[Any], defs: dict[str, Any]) -> dict[str, Any]:
    return _line_schema("call", event={"const": event_name(event)}, **_field_schemas(event, defs))


def _if_kind(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "if": {"properties": {"kind": {"const": kind}}},
        "then": {"properties": {"element": schema}},
    }


def _closed_object(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def _object_schema(
    attrs_class: type[Any], defs: dict[str, Any], *, is_open: bool = False
) -> dict[str, Any]:
    """Return the schema of a class; ``is_open`` allows further properties."""
    return _closed_object(_field_schemas(attrs_class, defs)) | {"additionalProperties": is_open}


def _field_schemas(attrs_class: type[Any], defs: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(attrs_class)
    names = [attribute.name for attribute in attrs.fields(attrs_class) if attribute.name != "extra"]
    return {name: _type_schema(hints[name], defs) for name in names}


def _type_schema(hint: Any, defs: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type annotation; classes are added to ``defs``."""
    if hint in _SCALARS:
        return {"type": _SCALARS[hint]}
    if hint is Any:
        return _RAW
    if get_origin(hint) is Literal:
        return {"enum": [*get_args(hint)]}
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _type_schema(get_args(hint)[0], defs)}
    if get_origin(hint) in {Union, UnionType}:
        return _any_of([_type_schema(option, defs) for option in get_args(hint)])
    name = hint.__name__
    if name not in defs:
        defs[name] = True  # placeholder that ends recursion for a class that contains itself
        defs[name] = _object_schema(hint, defs)
    return {"$ref": f"#/$defs/{name}"}


def _any_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a schema for any of several; plain types are merged into one list."""
    plain = [schema for schema in schemas if schema.keys() == {"type"}]
    if len(plain) < 2:
        return {"anyOf": schemas}
    names = reduce(or_, (dict.fromkeys(_as_list(schema["type"])) for schema in plain))
    merged = {"type": [*names]}
    others = [schema for schema in schemas if schema not in plain]
    return {"anyOf": [*others, merged]} if others else merged


def _as_list(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


def _state_schema() -> dict[str, Any]:
    classes = (Calling, *STATES)
    known = [_named_state({"const": state.name}, _state_data(state)) for state in classes]
    names = [state.name for state in classes]
    other = _named_state({"type": "string", "not": {"enum": names}}, {})
    return {"oneOf": [*known, other]}


def _named_state(name: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    data = {"type": "object", "properties": properties, "additionalProperties": False}
    return _closed_object({"ts": {"type": ["integer", "null"]}, "name": name, "data": data})


def _state_data(state_class: type[State]) -> dict[str, Any]:
    """Return the schemas of a state's fields. Fields without a value are absent, never null."""
    hidden = {"ts", "data"} if state_class is Calling else {"ts"}
    fields = _field_schemas(state_class, {})
    return {name: _without_null(schema) for name, schema in fields.items() if name not in hidden}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    kept = [name for name in schema["type"] if name != "null"]
    return {"type": kept[0] if len(kept) == 1 else kept}
