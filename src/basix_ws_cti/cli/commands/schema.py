"""Command ``schema``: prints the JSON Schema of the JSON output."""

from __future__ import annotations


def print_schema() -> None:
    """Print the JSON Schema of the output of listen --json and state --json."""
    from basix_ws_cti.cli.output import write_json
    from basix_ws_cti.cli.render.json_schema import build_schema

    write_json(build_schema(), indent=2)
