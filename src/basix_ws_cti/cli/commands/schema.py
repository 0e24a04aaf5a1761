"""``schema``: the JSON Schema of what ``listen --json`` and ``state --json`` print."""

from __future__ import annotations


def schema() -> None:
    """The JSON Schema of what ``listen --json`` and ``state --json`` print."""
    from basix_ws_cti.cli.output import write_json
    from basix_ws_cti.cli.render.json_schema import schema_of_lines

    write_json(schema_of_lines(), indent=2)
