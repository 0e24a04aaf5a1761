"""JSON for programs: one document with the selection, the columns and the rows of a table.

The rows are objects with the names of the columns (``Column.name``). Times are local, in ISO 8601
with the UTC offset, durations in seconds, and rates from 0 to 1. ``document_schema`` describes a
document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO

from basix_ws_cti.reports.tables import TIMES, Column, Kind, Table, Value

from .values import iso_time, seconds

VERSION = 1
"""Version of the documents. A new version may remove or rename members; new members may appear in
any version."""

JsonValue = str | int | float | bool | None

# JSON type, unit and format of each kind of values.
_TYPES: dict[Kind, tuple[str, str | None]] = {
    "text": ("string", None),
    "id": ("integer", None),
    "integer": ("integer", None),
    "number": ("number", None),
    "duration": ("number", "seconds"),
    "rate": ("number", None),
    "time": ("string", None),
    "minute": ("string", None),
    "date": ("string", None),
    "boolean": ("boolean", None),
}


def write_json(table: Table, file: BinaryIO, about: Mapping[str, Any]) -> None:
    """Write a table as one JSON document, row by row.

    ``about``: JSON-ready members that describe the selection.
    """
    file.writelines(f"{line}\n".encode() for line in json_lines(table, about))


def json_lines(table: Table, about: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a table as one JSON document."""
    head = {
        "v": VERSION,
        "type": "report",
        "report": table.name,
        **about,
        "columns": [_describe(column) for column in table.columns],
    }
    # The document stays open for the rows, which are too many to be in memory at once.
    yield f'{_dump(head)[:-1]},"rows":['
    names = [column.name for column in table.columns]
    previous: str | None = None
    for row in table.rows:
        if previous is not None:
            yield f"{previous},"
        previous = _dump(dict(zip(names, json_values(table.columns, row), strict=True)))
    if previous is not None:
        yield previous
    yield "]}"


def json_values(columns: Sequence[Column], row: Sequence[Value]) -> Iterator[JsonValue]:
    """Yield the values of a row as JSON values."""
    for column, value in zip(columns, row, strict=True):
        if isinstance(value, datetime):
            yield iso_time(column.kind, value)
        elif column.kind == "duration" and value is not None:
            yield seconds(value)  # type: ignore[arg-type]
        else:
            yield value


def document_schema(table: Table) -> dict[str, Any]:
    """Return the JSON Schema of a document with the columns of a table."""
    row = {column.name: _value_schema(column) for column in table.columns}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["v", "type", "report", "columns", "rows"],
        "properties": {
            "v": {"const": VERSION},
            "type": {"const": "report"},
            "report": {"const": table.name},
            "columns": {"type": "array", "items": {"type": "object"}},
            "rows": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": row,
                    "required": [*row],
                    "additionalProperties": False,
                },
            },
        },
    }


def _describe(column: Column) -> dict[str, JsonValue]:
    unit = _TYPES[column.kind][1]
    described: dict[str, JsonValue] = {"name": column.name, "kind": column.kind}
    return described if unit is None else {**described, "unit": unit}


def _value_schema(column: Column) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": [_TYPES[column.kind][0], "null"]}
    return schema | {"format": "date-time"} if column.kind in TIMES else schema


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
