"""The JSON Schema of lines and documents, made of the classes that are in them.

Lines, calls and states hold what their classes say and nothing else; elements may have more
fields, since PBXs add some.
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

from .feed_lines import VERSION, event_name

_SCALARS: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    NoneType: "null",
}

# What stands for a structured field that did not have the expected shape. No object: those
# have to be of that shape.
_RAW = {"type": ["string", "number", "boolean", "array", "null"]}

_MOMENT = r"^\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d(:\d\d(\.\d+)?)?$"


def schema_of_lines() -> dict[str, Any]:
    """The whole schema."""
    defs: dict[str, Any] = {"State": _states()}
    for sort in ELEMENTS.values():
        defs[sort.__name__] = _object(sort, defs, open_ended=True)
    kinds = {kind: {"$ref": f"#/$defs/{sort.__name__}"} for kind, sort in ELEMENTS.items()}
    lines = {
        "ElementLine": _line(
            "element",
            kind={"type": "string"},
            event={"type": "string"},
            key={"type": ["string", "integer", "null"]},
            element={"type": "object"},
        )
        | {"allOf": [_if_kind(kind, shape) for kind, shape in kinds.items()]},
        "SystemMsgLine": _line("system_msg", text={"type": "string"}),
        "MsgLine": _line("msg", text={"type": "string"}),
        "UnknownLine": _line("unknown", name={"type": "string"}, term={"type": "array"}),
        "LaggedLine": _line("lagged", missed={"type": "integer", "minimum": 1}),
        **{f"{event.__name__}Line": _call_line(event, defs) for event in get_args(calls.CallEvent)},
        "StateDocument": _line(
            "state",
            elements={
                "type": "object",
                "properties": {
                    kind: {"type": "array", "items": shape} for kind, shape in kinds.items()
                },
                "additionalProperties": {"type": "array", "items": {"type": "object"}},
            },
        ),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:basix-ws-cti:lines:{VERSION}",
        "title": "What listen --json and state --json print",
        "description": (
            "Of a PBX that sends what is known of it: values are passed on as they are sent. "
            "Timestamps and durations are microseconds, since the epoch, UTC."
        ),
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in lines],
        "$defs": {**lines, **dict(sorted(defs.items()))},
    }


def _line(sort: str, /, **properties: Any) -> dict[str, Any]:
    return _closed(
        {
            "v": {"const": VERSION},
            "type": {"const": sort},
            "at": {"type": "string", "format": "date-time", "pattern": _MOMENT},
            **properties,
        }
    )


def _call_line(event: type[Any], defs: dict[str, Any]) -> dict[str, Any]:
    return _line("call", event={"const": event_name(event)}, **_fields(event, defs))


def _if_kind(kind: str, shape: dict[str, Any]) -> dict[str, Any]:
    return {
        "if": {"properties": {"kind": {"const": kind}}},
        "then": {"properties": {"element": shape}},
    }


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def _object(sort: type[Any], defs: dict[str, Any], *, open_ended: bool = False) -> dict[str, Any]:
    return _closed(_fields(sort, defs)) | {"additionalProperties": open_ended}


def _fields(sort: type[Any], defs: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(sort)
    names = [one.name for one in attrs.fields(sort) if one.name != "extra"]
    return {name: _shape(hints[name], defs) for name in names}


def _shape(hint: Any, defs: dict[str, Any]) -> dict[str, Any]:
    """The schema of what an annotation allows."""
    if hint in _SCALARS:
        return {"type": _SCALARS[hint]}
    if hint is Any:
        return _RAW
    if get_origin(hint) is Literal:
        return {"enum": [*get_args(hint)]}
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _shape(get_args(hint)[0], defs)}
    if get_origin(hint) in {Union, UnionType}:
        return _any_of([_shape(one, defs) for one in get_args(hint)])
    name = hint.__name__
    if name not in defs:
        defs[name] = True  # it may be in itself
        defs[name] = _object(hint, defs)
    return {"$ref": f"#/$defs/{name}"}


def _any_of(shapes: list[dict[str, Any]]) -> dict[str, Any]:
    """One of several; plain types together, for whoever reads it."""
    plain = [shape for shape in shapes if shape.keys() == {"type"}]
    if len(plain) < 2:
        return {"anyOf": shapes}
    names = reduce(or_, (dict.fromkeys(_as_list(shape["type"])) for shape in plain))
    together = {"type": [*names]}
    others = [shape for shape in shapes if shape not in plain]
    return {"anyOf": [*others, together]} if others else together


def _as_list(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


def _states() -> dict[str, Any]:
    known = [_state({"const": sort.name}, _parts(sort)) for sort in (Calling, *STATES)]
    names = [sort.name for sort in (Calling, *STATES)]
    other = _state({"type": "string", "not": {"enum": names}}, {})
    return {"oneOf": [*known, other]}


def _state(name: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    data = {"type": "object", "properties": parts, "additionalProperties": False}
    return _closed({"ts": {"type": ["integer", "null"]}, "name": name, "data": data})


def _parts(sort: type[State]) -> dict[str, Any]:
    """A state's parts: those without a value are not there."""
    hidden = {"ts", "data"} if sort is Calling else {"ts"}
    fields = _fields(sort, {})
    return {name: _present(shape) for name, shape in fields.items() if name not in hidden}


def _present(shape: dict[str, Any]) -> dict[str, Any]:
    kept = [name for name in shape["type"] if name != "null"]
    return {"type": kept[0] if len(kept) == 1 else kept}
