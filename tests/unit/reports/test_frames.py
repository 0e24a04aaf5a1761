"""Data frames and Parquet files of tables."""

from __future__ import annotations

import io
from datetime import timedelta

import polars as pl
from polars.testing import assert_frame_equal
from support.report_tables import COLUMNS, EVENING, HOSTILE_NAMES, ROWS, hand_made, named

from basix_ws_cti.reports.formats.parquet_file import write_parquet

LOCAL = pl.Datetime("us", "Europe/Berlin")
SCHEMA = {
    "start": LOCAL,
    "day": LOCAL,
    "at": LOCAL,
    "group_id": pl.Int64,
    "name": pl.String,
    "result": pl.String,
    "offered": pl.Int64,
    "per_hour": pl.Float64,
    "talked": pl.Duration("us"),
    "rate": pl.Float64,
    "complete": pl.Boolean,
}


def test_values_have_types():
    frame = hand_made().to_polars()
    assert dict(frame.schema) == SCHEMA
    first = frame.row(0, named=True)
    assert first["at"] == EVENING
    assert first["talked"] == timedelta(seconds=3661.5)
    assert first["result"] == "answered"
    assert frame["complete"].to_list() == [True, False, None]


def test_both_hours_at_the_end_of_summer_time_have_their_own_time():
    start = hand_made().to_polars()["start"]
    assert start.dt.convert_time_zone("UTC").dt.hour().to_list() == [0, 1, 1]
    assert start.dt.hour().to_list() == [2, 2, 2]


def test_empty_table_has_the_same_types():
    assert dict(hand_made(()).to_polars().schema) == SCHEMA


def test_long_table_is_complete_and_in_order():
    names = [f"name {number}" for number in range(45_000)]
    assert named(names).to_polars()["name"].to_list() == names


def parquet_of(table):
    file = io.BytesIO()
    write_parquet(table, file)
    return pl.read_parquet(file.getvalue())


def test_parquet_keeps_values_and_types():
    assert_frame_equal(parquet_of(hand_made()), hand_made().to_polars())


def test_parquet_keeps_hostile_names():
    assert parquet_of(named(HOSTILE_NAMES))["name"].to_list() == [*HOSTILE_NAMES]


def test_arrow_consumers_accept_the_frame():
    frame = hand_made(ROWS, COLUMNS).to_polars()
    assert hasattr(frame, "__arrow_c_stream__")
