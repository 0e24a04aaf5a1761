"""JSON Schema of the classes of elements, states and calls, generated from their annotations."""

from __future__ import annotations

from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from basix_ws_cti.parsing.record_decoder import STATES
from basix_ws_cti.states import Calling, State

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


def closed_object(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def object_schema(
    attrs_class: type[Any], defs: dict[str, Any], *, is_open: bool = False
) -> dict[str, Any]:
    """Return the schema of a class; ``is_open`` allows further properties."""
    return closed_object(field_schemas(attrs_class, defs)) | {"additionalProperties": is_open}


def field_schemas(attrs_class: type[Any], defs: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas of a class's fields by name; classes are added to ``defs``."""
    hints = get_type_hints(attrs_class)
    names = [attribute.name for attribute in attrs.fields(attrs_class) if attribute.name != "extra"]
    return {name: type_schema(hints[name], defs) for name in names}


def type_schema(hint: Any, defs: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type annotation; classes are added to ``defs``."""
    if hint in _SCALARS:
        return {"type": _SCALARS[hint]}
    if hint is Any:
        return _RAW
    if get_origin(hint) is Literal:
        return {"enum": [*get_args(hint)]}
    if get_origin(hint) is tuple:
        return {"type": "array", "items": type_schema(get_args(hint)[0], defs)}
    if get_origin(hint) in {Union, UnionType}:
        return _any_of([type_schema(option, defs) for option in get_args(hint)])
    name = hint.__name__
    if name not in defs:
        defs[name] = True  # placeholder that ends recursion for a class that contains itself
        defs[name] = object_schema(hint, defs)
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


def state_schema(*, with_raw_data: bool = False) -> dict[str, Any]:
    """Return the schema of a channel's state; ``with_raw_data``: including ``Calling.data``."""
    classes = (Calling, *STATES)
    known = [_named_state({"const": state.name}, _state_data(state)) for state in classes]
    if with_raw_data:
        known[0]["properties"]["data"]["properties"]["data"] = {}
    names = [state.name for state in classes]
    other = _named_state({"type": "string", "not": {"enum": names}}, {})
    return {"oneOf": [*known, other]}


def _named_state(name: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    data = {"type": "object", "properties": properties, "additionalProperties": False}
    return closed_object({"ts": {"type": ["integer", "null"]}, "name": name, "data": data})


def _state_data(state_class: type[State]) -> dict[str, Any]:
    """Return the schemas of a state's fields. Fields without a value are absent, never null."""
    hidden = {"ts", "data"} if state_class is Calling else {"ts"}
    fields = field_schemas(state_class, {})
    return {name: _without_null(schema) for name, schema in fields.items() if name not in hidden}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    kept = [name for name in schema["type"] if name != "null"]
    return {"type": kept[0] if len(kept) == 1 else kept}
