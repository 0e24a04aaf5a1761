"""Values that every database can store.

PostgreSQL's text holds neither NUL nor lone surrogates, and no integer column holds 65 bits. Both
can arrive from a PBX, or from a caller who chooses their own name. A PBX can also send a value of
another type than expected: SQLite would store it, and PostgreSQL would refuse the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Boolean, Column, Table, Text

# Characters of a text. A name can be as long as a frame.
MAX_TEXT = 2000

# Characters of a key. An entry of PostgreSQL's index has at most 2,704 bytes, of UTF-8.
MAX_KEY = 600

# Characters of a JSON array. A longer one becomes ``None``: the start of one is no JSON.
MAX_JSON = 1_000_000

SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**63 - 1
"""Range of the integers that every database can store."""

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_JSON_COLUMNS = frozenset({"handlers", "origination", "tags"})


def storable(row: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """Return a row whose values every database can store in the columns of ``table``.

    - Unstorable characters of a text become U+FFFD, and a long text is cut.
    - An integer outside 64 bits, and a value that is not of the column's type, become ``None``.
      An integer in a column of texts becomes a text.
    """
    converters = _converters(table)
    return {name: converters[name](value) for name, value in row.items()}


def storable_key(text: str) -> str:
    """Return a text that every database can store in a key."""
    return _clean(text[:MAX_KEY])


@cache
def _converters(table: Table) -> dict[str, Callable[[Any], Any]]:
    return {column.name: _converter(column) for column in table.columns}


def _converter(column: Column[Any]) -> Callable[[Any], Any]:
    if isinstance(column.type, Boolean):
        return _to_bool
    if not isinstance(column.type, Text):
        return _to_integer
    if column.primary_key:
        return lambda value: _to_text(value, MAX_KEY)
    return _to_json if column.name in _JSON_COLUMNS else _to_text


def _to_bool(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _to_integer(value: object) -> int | None:
    return (
        int(value)
        if isinstance(value, int) and SMALLEST_INTEGER <= value <= LARGEST_INTEGER
        else None
    )


def _to_text(value: object, length: int = MAX_TEXT) -> str | None:
    if isinstance(value, str):
        return _clean(value[:length])
    return str(value) if _to_integer(value) is not None else None


def _to_json(value: object) -> str | None:
    is_storable = isinstance(value, str) and len(value) <= MAX_JSON
    return _to_text(value, MAX_JSON) if is_storable else None


def _clean(text: str) -> str:
    text = text.replace("\0", _REPLACEMENT)
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
