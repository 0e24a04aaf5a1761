"""Workbooks: texts stay texts, whatever they look like; numbers, times and durations are real."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile

import attrs
import openpyxl
import pandas as pd
import pytest
from openpyxl.utils.escape import unescape
from support.report_tables import COLUMNS, HOSTILE_NAMES, hand_made, named

from basix_ws_cti.reports.formats.xlsx_file import MAX_TEXT, write_xlsx


def workbook_bytes(table, about=(), **options):
    file = io.BytesIO()
    write_xlsx(table, file, about, **options)
    return file.getvalue()


def read(table, about=(), **options):
    return openpyxl.load_workbook(io.BytesIO(workbook_bytes(table, about, **options)))


def local(*time_of_day):
    return dt.datetime(2026, 10, 25, *time_of_day)  # noqa: DTZ001 - Excel has no zones


def test_values_have_types_and_formats():
    sheet = read(hand_made())["Queues"]
    assert [cell.value for cell in sheet[1]] == [column.heading for column in COLUMNS]
    cells = {column.key: cell for column, cell in zip(COLUMNS, sheet[2], strict=True)}
    assert {key: (cell.value, cell.number_format) for key, cell in cells.items()} == {
        "start": (local(2, 30), "yyyy-mm-dd hh:mm"),
        "day": (local(2, 30), "yyyy-mm-dd"),
        "at": (local(20, 15, 30, 250_000), "yyyy-mm-dd hh:mm:ss"),
        "group_id": (90001001, "0"),
        "name": ("山田 太郎", "@"),
        "result": ("応答", "@"),
        "offered": (1234, "#,##0"),
        "per_hour": (2.5, "#,##0.0"),
        "talked": (dt.timedelta(seconds=3661.5), "[h]:mm:ss"),
        "rate": (0.875, "0.0%"),
        "complete": (True, "General"),
    }


def test_identifiers_that_excel_would_round_are_texts():
    assert read(hand_made())["Queues"]["D3"].value == str(2**62)


def test_missing_values_are_empty_cells_or_the_text_of_their_column():
    row = [cell.value for cell in read(hand_made())["Queues"][4]]
    assert row[1:] == [*[None] * 3, "すべて", *[None] * 6]  # the names have a text for this case


def test_heading_is_frozen_and_has_a_filter():
    sheet = read(hand_made())["Queues"]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:K4"


def test_table_without_rows_has_its_heading():
    sheet = read(named([]))["Queues"]
    assert [[cell.value for cell in row] for row in sheet] == [["Name"]]


def test_hostile_names_become_neither_formulas_nor_links():
    data = workbook_bytes(named(HOSTILE_NAMES), [("Group", "=1+1"), ("Link", "http://evil/x")])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    for name, xml in parts.items():
        assert not re.search(r"<f[ >/]|<hyperlink|externalLink|<script", xml), name
        assert "hyperlink" not in xml or name.startswith("xl/theme"), name
    book = openpyxl.load_workbook(io.BytesIO(data))
    cells = [row[0] for row in book["Queues"].iter_rows(min_row=2)]
    assert {cell.data_type for cell in cells} == {"s"}
    assert all(cell.hyperlink is None for cell in cells)


def test_names_survive_a_round_trip():
    """Excel's escapes stand for what XML cannot contain; line ends are those of XML."""
    cells = read(named(HOSTILE_NAMES))["Queues"].iter_rows(min_row=2, values_only=True)
    found = [unescape(row[0]).replace("\r\n", "\n") for row in cells]
    assert found == [name.replace("\r\n", "\n") for name in HOSTILE_NAMES]


def test_pandas_keeps_leading_zeros_and_japanese():
    frame = pd.read_excel(io.BytesIO(workbook_bytes(hand_made())), dtype=str)
    assert frame["名前"].tolist()[:2] == ["山田 太郎", "00312341234"]


@pytest.mark.parametrize("size", [MAX_TEXT, MAX_TEXT + 1])
def test_long_text_is_cut_to_what_a_cell_holds(size):
    assert read(named(["x" * size]))["Queues"]["A2"].value == "x" * MAX_TEXT


def test_full_sheet_is_continued_on_another_one():
    book = read(named("abcdefg"), max_rows=3)
    assert book.sheetnames == ["Queues", "Queues 2", "Queues 3", "About"]
    sheets = [[row[0].value for row in book[name]] for name in book.sheetnames[:3]]
    assert sheets == [["Name", *"abc"], ["Name", *"def"], ["Name", "g"]]
    assert read(named("abc"), max_rows=3).sheetnames == ["Queues", "About"]


def test_last_sheet_describes_the_selection():
    sheet = read(named([]), [("Time zone", "Asia/Tokyo")])["About"]
    assert [[cell.value for cell in row] for row in sheet] == [
        ["Report", "Queues"],
        ["Time zone", "Asia/Tokyo"],
    ]


def test_title_becomes_a_valid_name_of_a_sheet():
    table = attrs.evolve(named([]), title="'A/B: [x]* " + "y" * 40)
    assert read(table).sheetnames[0] == "AB x " + "y" * 26
