"""Tables of reports on a terminal."""

from __future__ import annotations

from basix_ws_cti.reports.tables import NUMERIC, Table

from .text_table import TableColumn, TextTable

# Columns of a table that are never left out: what a row is about.
_KEPT = 2


def report_text(table: Table, subtitle: str) -> TextTable:
    """Return a table for reading, without the columns that are details.

    ``subtitle``: text after the title, such as the period.
    """
    shown = table.shown
    columns = [
        TableColumn(
            column.heading,
            align_right=column.kind in NUMERIC,
            is_optional=position >= _KEPT,
            is_flexible=column.kind == "text",
        )
        for position, column in enumerate(table.columns[index] for index in shown)
    ]
    rows = ([table.columns[index].display(row[index]) for index in shown] for row in table.rows)
    return TextTable(f"{table.title}: {subtitle}", columns, rows)
