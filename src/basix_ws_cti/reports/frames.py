"""Data frames of Polars from tables of reports, for notebooks and for Parquet.

Polars is loaded when the first frame is made. Its frames can be handed to every library that reads
Arrow's memory format, such as pandas, DuckDB and PyArrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from basix_ws_cti.exceptions import UsageError

from .tables import TIMES, Kind, Table, Value

if TYPE_CHECKING:
    import polars as pl

# Rows that become columns at once: Python objects take many times the memory of columns.
_BATCH = 20_000


def to_polars(table: Table) -> pl.DataFrame:
    """Return a table as a data frame; reads all of its rows.

    - Columns have the names ``Column.key``.
    - Times are ``Datetime("us", zone)``: local times in the time zone of the report.
    - Durations are ``Duration("us")``, rates ``Float64``, ids and counts ``Int64``.

    Raises ``UsageError`` if Polars is not installed.
    """
    polars = import_polars()
    empty = polars.DataFrame(schema=_schema(table))
    frame: pl.DataFrame = polars.concat([empty, *_frames(table)], rechunk=False)
    return frame


def import_polars() -> Any:
    """Import Polars and return the module. Raises ``UsageError`` if it is not installed."""
    try:
        import polars as pl
    except ModuleNotFoundError:
        raise UsageError(
            "data frames and Parquet need the package polars: pip install 'basix_ws_cti[reports]'"
        ) from None
    return pl


def _frames(table: Table) -> Iterator[pl.DataFrame]:
    """Yield the rows of a table as data frames, a batch at a time."""
    polars, schema = import_polars(), _schema(table)
    # Polars takes the time of day of an aware datetime, which is ambiguous at the end of summer
    # time. So it gets UTC, and converts it itself.
    utc = {
        key: polars.Datetime("us", "UTC") if isinstance(data_type, polars.Datetime) else data_type
        for key, data_type in schema.items()
    }
    rows = iter(table.rows)
    while batch := [_utc_row(row) for row in islice(rows, _BATCH)]:
        yield polars.DataFrame(batch, schema=utc, orient="row").cast(schema)


def _schema(table: Table) -> dict[str, Any]:
    """Return the data type of each column by its key."""
    polars = import_polars()
    local_time = polars.Datetime("us", table.timezone.key)
    types: dict[Kind, Any] = {
        "text": polars.String,
        "id": polars.Int64,
        "integer": polars.Int64,
        "number": polars.Float64,
        "duration": polars.Duration("us"),
        "rate": polars.Float64,
        "boolean": polars.Boolean,
        **dict.fromkeys(TIMES, local_time),
    }
    return {column.key: types[column.kind] for column in table.columns}


def _utc_row(row: Sequence[Value]) -> list[Value]:
    return [value.astimezone(UTC) if isinstance(value, datetime) else value for value in row]
