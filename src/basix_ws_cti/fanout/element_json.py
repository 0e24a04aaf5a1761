"""Elements of the feed as JSON values, and back, without loss.

``element_from_json(kind, element_to_json(element)) == element`` for every element that a parser
makes. The shape is that of ``to_dict``, with these differences:

- A field without a value is absent.
- The parts of an unknown state are in ``data``, as an array.
- A term that JSON cannot express is an object with one key: ``{"$list": […]}`` for a list,
  ``{"$map": [[key, value], …]}``, ``{"$time": ISO 8601}`` and ``{"$regex": [source, options]}``.
  An array is a tuple.

Undeclared fields are beside the declared ones. A reader of an older version thus keeps the fields
that it does not know, in ``extra``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from basix_ws_cti.elements import (
    NO_EXTRA,
    Element,
    EndUser,
    EndUsers,
    Extra,
    OtherElement,
    OtherInfo,
    Target,
)
from basix_ws_cti.parsing.record_decoder import ELEMENTS, STATES
from basix_ws_cti.states import Calling, OtherState, State
from basix_ws_cti.terms import Regex

_SCALARS: Final = frozenset({str, int, float, bool})
_HIDDEN: Final = frozenset({"extra", "element_name"})


def _field_names(cls: type[Any], hidden: frozenset[str] = frozenset()) -> tuple[str, ...]:
    return tuple(one.name for one in attrs.fields(cls) if one.name not in hidden)


_ELEMENT_FIELDS: Final = {
    cls: _field_names(cls, _HIDDEN) for cls in (*ELEMENTS.values(), OtherElement)
}
_PART_FIELDS: Final = {cls: _field_names(cls) for cls in (EndUser, EndUsers, Target, OtherInfo)}
_STATES: Final[dict[str, type[State]]] = {cls.name: cls for cls in (Calling, *STATES)}
_STATE_FIELDS: Final = {
    cls: _field_names(cls, frozenset({"ts", "name"})) for cls in _STATES.values()
}


# -- to JSON ------------------------------------------------------------------------------


def element_to_json(element: Element) -> dict[str, Any]:
    """Return an element as JSON values; fields without a value are absent."""
    values = {}
    for name in _ELEMENT_FIELDS[type(element)]:
        value = getattr(element, name)
        if value is not None:
            values[name] = value if type(value) in _SCALARS else _to_json(value)
    for name, value in element.extra.items():
        values[name] = _to_json(value)
    return values


def term_to_json(term: tuple[Any, ...]) -> Any:
    """Return a decoded term as JSON values."""
    return _to_json(term)


def _to_json(value: Any) -> Any:
    if value is None or type(value) in _SCALARS:
        return value
    encode = _ENCODERS.get(type(value))
    if encode is None:
        raise AssertionError(f"an element can't contain a {type(value).__name__}")
    return encode(value)


def _parts_to_json(value: Any) -> dict[str, Any]:
    return {
        name: _to_json(part)
        for name in _PART_FIELDS[type(value)]
        if (part := getattr(value, name)) is not None
    }


def _state_to_json(state: State) -> dict[str, Any]:
    data = {
        name: _to_json(part)
        for name in _STATE_FIELDS[type(state)]
        if (part := getattr(state, name)) is not None
    }
    return {"ts": state.ts, "name": state.name, "data": data}


_ENCODERS: Final[dict[type[Any], Callable[[Any], Any]]] = {
    tuple: lambda value: [_to_json(part) for part in value],
    list: lambda value: {"$list": [_to_json(part) for part in value]},
    dict: lambda value: {"$map": [[_to_json(key), _to_json(one)] for key, one in value.items()]},
    datetime: lambda value: {"$time": value.isoformat()},
    Regex: lambda value: {"$regex": [_to_json(value.source), _to_json(value.options)]},
    OtherState: lambda value: {"ts": value.ts, "name": value.name, "data": _to_json(value.data)},
    **dict.fromkeys(_STATE_FIELDS, _state_to_json),
    **dict.fromkeys(_PART_FIELDS, _parts_to_json),
}


# -- from JSON ----------------------------------------------------------------------------


def element_from_json(kind: str, values: Mapping[str, Any]) -> Element:
    """Return the element of a kind that ``element_to_json`` has encoded.

    A field that the class does not declare, and an array or object in a field that holds a scalar,
    is in ``extra``. Raises ``ValueError``, ``TypeError`` or ``KeyError`` for values that no element
    has.
    """
    cls = ELEMENTS.get(kind, OtherElement)
    declared = _DECLARED[cls]
    fields: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in values.items():
        decode = _STRUCTURED.get(name)
        if decode is not None:
            (fields if name in declared else extra)[name] = decode(value)
        elif type(value) in _SCALARS and name in declared:
            fields[name] = value
        elif value is not None or name not in declared:
            extra[name] = _from_json(value)
    if cls is OtherElement:
        fields["element_name"] = kind
    element: Element = cls(**fields, extra=Extra(extra) if extra else NO_EXTRA)
    return element


def term_from_json(value: Any) -> tuple[Any, ...]:
    """Return the term that ``term_to_json`` has encoded. Raises as ``element_from_json`` does."""
    term = _from_json(value)
    if type(term) is not tuple:
        raise TypeError("a term must be an array")
    return term


def _from_json(value: Any) -> Any:
    """Return a raw term."""
    if type(value) is list:
        return tuple([_from_json(part) for part in value])
    if type(value) is not dict:
        return value
    ((name, content),) = value.items()  # raises ValueError unless there is exactly one
    match name:
        case "$list":
            return [_from_json(part) for part in content]
        case "$map":
            return {_from_json(key): _from_json(one) for key, one in content}
        case "$time":
            return datetime.fromisoformat(content)
        case "$regex":
            source, options = content
            return Regex(_from_json(source), _from_json(options))
    raise ValueError("an object must be a typed value or a marked term")


def _is_typed(value: Any) -> bool:
    """Return True for an object that stands for an instance of a class, not for a raw term."""
    return type(value) is dict and not (len(value) == 1 and next(iter(value)).startswith("$"))


def _parts_from_json(
    cls: type[Any], decoders: dict[str, Callable[[Any], Any]] | None = None
) -> Callable[[Any], Any]:
    """Return the decoder of a class; other fields than those of the class are ignored."""
    names, decoders = _PART_FIELDS[cls], decoders or {}

    def decode(value: Any) -> Any:
        if not _is_typed(value):
            return _from_json(value)
        return cls(
            **{name: decoders.get(name, _scalar)(value[name]) for name in names if name in value}
        )

    return decode


def _scalar(value: Any) -> Any:
    if value is None or type(value) in _SCALARS:
        return value
    raise TypeError("expected a scalar")


def _end_user_items(value: Any) -> tuple[EndUser, ...]:
    if type(value) is not list:
        raise TypeError("expected an array")
    return tuple([_end_user(one) for one in value])


def _state_from_json(value: Any) -> Any:
    if not _is_typed(value):
        return _from_json(value)
    ts, name, data = _scalar(value["ts"]), value["name"], value["data"]
    if type(name) is not str:
        raise TypeError("expected the name of a state")
    if type(data) is list:
        return OtherState(ts=ts, name=name, data=_from_json(data))
    cls = _STATES.get(name)
    if cls is None:  # a state of a newer version
        return OtherState(
            ts=ts, name=name, data=tuple([_from_json(part) for part in data.values()])
        )
    parts = {
        part: (_from_json if part == "data" else _scalar)(data[part])
        for part in _STATE_FIELDS[cls]
        if part in data
    }
    return cls(ts=ts, **parts)


_DECLARED: Final = {cls: frozenset(names) for cls, names in _ELEMENT_FIELDS.items()}
_end_user: Final = _parts_from_json(EndUser)
_end_users: Final = _parts_from_json(EndUsers, {"items": _end_user_items})
# Structured fields by name; a class that does not declare one has it in ``extra``.
_STRUCTURED: Final[dict[str, Callable[[Any], Any]]] = {
    "state": _state_from_json,
    "target": _parts_from_json(Target),
    "end_user": _end_users,
    "other_info": _parts_from_json(OtherInfo, {"end_user": _end_users}),
    "origination": _from_json,
    "tags": _from_json,
}
