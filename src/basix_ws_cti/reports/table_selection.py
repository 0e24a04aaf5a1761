"""Parts of a table: some of its columns, or rows with certain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs
from attrs import frozen

from .tables import Table, Value

Operator = Literal["=", "!="]


@frozen
class Condition:
    """Condition on the value of one column."""

    column: str
    """Name of the column, ``Column.name``."""

    operator: Operator
    """``"="``: the value is ``text``; ``"!="``: it is not."""

    text: str
    """Value as text, such as ``abandoned``, ``3`` or ``true``; empty: there is no value."""


def select_rows(table: Table, conditions: Sequence[Condition]) -> Table:
    """Return the table of the rows that meet all conditions.

    Raise ``KeyError`` for an unknown column.
    """
    if not conditions:
        return table
    indexes = _indexes(table)
    checks = [(indexes[one.column], one.operator == "=", one.text) for one in conditions]
    rows = (
        row
        for row in table.rows
        if all((_text(row[index]) == text) is is_equal for index, is_equal, text in checks)
    )
    return attrs.evolve(table, rows=rows)


def select_columns(table: Table, names: Sequence[str]) -> Table:
    """Return the table with some of its columns, in the order of ``names``.

    Tables for reading have all of them. Raise ``KeyError`` for an unknown column.
    """
    if not names:
        return table
    index_of = _indexes(table)
    indexes = [index_of[name] for name in names]
    return attrs.evolve(
        table,
        columns=[attrs.evolve(table.columns[index], is_detail=False) for index in indexes],
        rows=([row[index] for index in indexes] for row in table.rows),
    )


def _indexes(table: Table) -> dict[str, int]:
    """Return the index of each column by its name."""
    return {column.name: index for index, column in enumerate(table.columns)}


def _text(value: Value) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
