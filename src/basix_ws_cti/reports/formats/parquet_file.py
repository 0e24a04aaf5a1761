"""Parquet for data tools, written by Polars.

Columns have the names ``Column.key``. Times carry the time zone of the report. Readers that
ignore Arrow's schema, which is in the file, see durations as integers in microseconds.
"""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO

from basix_ws_cti.reports.tables import Table


def write_parquet(table: Table, file: BinaryIO) -> None:
    """Write a table as Parquet.

    Raises ``UsageError`` if Polars is not installed.
    """
    data = BytesIO()  # Polars would report a full disk as an error of its own
    table.to_polars().write_parquet(data)
    file.write(data.getbuffer())
