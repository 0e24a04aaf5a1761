"""CSV: RFC 4180, texts that no spreadsheet takes for formulas, values that programs can read."""

from __future__ import annotations

import csv
import io

import pandas as pd
import polars as pl
import pytest
from support.report_tables import HOSTILE_NAMES, hand_made, named

from basix_ws_cti.reports.formats.csv_file import neutralise, write_csv

FULL_WIDTH_SIGNS = "\uff1d\uff0b\uff0d\uff20"  # = + - @
FULL_WIDTH_NUMBER = "+\uff18\uff11"  # +81


def csv_of(table, **options):
    file = io.BytesIO()
    write_csv(table, file, **options)
    return file.getvalue()


LINES = """\
"start","day","at","group_id","name","result","offered","per_hour","talked_seconds","rate","complete"
2026-10-25T02:30:00+02:00,2026-10-25T02:30:00+02:00,2026-10-25T20:15:30.250000+01:00,\
90001001,"山田 太郎","answered",1234,2.5,3661.5,0.875,true
2026-10-25T02:30:00+01:00,2026-10-25T02:30:00+01:00,,4611686018427387904,\
"00312341234","busy",0,0.0,0,0.0,false
2026-10-25T02:30:00+01:00,,,,,,,,,,
"""


def test_values_are_written_for_programs():
    assert csv_of(hand_made()).decode() == LINES.replace("\n", "\r\n")


def test_empty_table_has_its_heading():
    assert csv_of(named([])) == b'"name"\r\n'


def test_byte_order_mark_is_an_option():
    assert csv_of(named(["a"]), bom=True) == b'\xef\xbb\xbf"name"\r\n"a"\r\n'
    assert csv_of(named(["a"])) == b'"name"\r\n"a"\r\n'


@pytest.mark.parametrize(
    ("text", "written"),
    [
        *((text, f"'{text}") for text in ("=1", "+1+1", "-1", "@SUM", "\t=1", "\r=1", "\n=1")),
        *((f"{sign}1", f"'{sign}1") for sign in FULL_WIDTH_SIGNS),
        *((text, f"'{text}") for text in ("=", "+", "+8131234x")),
        *((text, text) for text in ("", "a=1", " =1", "0312341234", "山田", "ー", "'=1")),
        ("+81312341234", "+81312341234"),
        (FULL_WIDTH_NUMBER, f"'{FULL_WIDTH_NUMBER}"),
    ],
)
def test_text_that_begins_like_a_formula_is_neutralised(text, written):
    assert neutralise(text) == written


def test_each_text_is_quoted_so_that_no_other_separator_splits_it():
    assert csv_of(named(['a;=1+1;"b"'])).decode() == '"name"\r\n"a;=1+1;""b"""\r\n'


def test_hostile_names_survive_a_round_trip():
    rows = [*csv.reader(io.StringIO(csv_of(named(HOSTILE_NAMES)).decode(), newline=""))]
    assert [row[0] for row in rows[1:]] == [neutralise(name) for name in HOSTILE_NAMES]


def test_pandas_keeps_leading_zeros_and_japanese():
    frame = pd.read_csv(io.BytesIO(csv_of(hand_made(), bom=True)), dtype=str)
    assert frame["name"].tolist()[:2] == ["山田 太郎", "00312341234"]
    assert frame["name"].isna().tolist() == [False, False, True]
    assert frame["offered"].tolist()[:2] == ["1234", "0"]


def test_polars_recognises_numbers_next_to_empty_cells():
    frame = pl.read_csv(csv_of(hand_made()))
    numbers = ("group_id", "offered", "per_hour", "talked_seconds", "rate")
    assert all(frame.schema[name].is_numeric() for name in numbers)
    assert frame["name"].to_list() == ["山田 太郎", "00312341234", None]
