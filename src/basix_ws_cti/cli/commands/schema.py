"""``schema``: the JSON Schema of what ``listen --json`` and ``state --json`` print."""

from __future__ import annotations


def schema() -> None:
    """The JSON Schema of what ``listen --json`` and ``state --json`` print."""
    from .output import write_json
    from .shapes import schema_of_lines

    write_json(schema_of_lines(), indent=2)
