"""Workbook for Excel, written by XlsxWriter row by row.

- Every text is written as a text: none becomes a formula, a link or a number.
- Times are real dates without a zone, as Excel has none; the second sheet names the time zone.
- Durations are fractions of a day in the format ``[h]:mm:ss``, rates are percentages.
- The heading stays visible, and has a filter. A sheet that is full is continued on a further one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from io import BytesIO
from itertools import chain, count, islice
from typing import Any, BinaryIO

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.reports.tables import Column, Kind, Table, Value

MAX_ROWS = 1_048_575
"""Rows of a sheet below the heading."""

MAX_TEXT = 32_767
"""Characters of a cell; Excel refuses a workbook with more."""

# Integers with more digits lose their last ones in Excel.
_MAX_EXACT = 10**15

_DAY = 24 * 3600 * 1_000_000  # microseconds

_NUMBER_FORMATS: dict[Kind, str] = {
    "text": "@",
    "id": "0",
    "integer": "#,##0",
    "number": "#,##0.0",
    "duration": "[h]:mm:ss",
    "rate": "0.0%",
    "time": "yyyy-mm-dd hh:mm:ss",
    "minute": "yyyy-mm-dd hh:mm",
    "date": "yyyy-mm-dd",
    "boolean": "General",
}

# Widths of columns, in characters.
_WIDTHS: dict[Kind, int] = {"text": 18, "time": 19, "minute": 16, "id": 11}
_MIN_WIDTH = 10
_LABEL_WIDTH, _ABOUT_WIDTH = 28, 60


def write_xlsx(
    table: Table, file: BinaryIO, about: Iterable[tuple[str, str]], *, max_rows: int = MAX_ROWS
) -> None:
    """Write a table as a workbook.

    - ``about``: labels and texts that describe the selection, for the last sheet.
    - ``max_rows``: rows of a sheet below its heading.

    Raises ``UsageError`` if XlsxWriter is not installed.
    """
    try:
        from xlsxwriter import Workbook
        from xlsxwriter.exceptions import FileCreateError
    except ModuleNotFoundError:
        raise UsageError(
            "workbooks need the package xlsxwriter: pip install 'basix_ws_cti[reports]'"
        ) from None
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    # XlsxWriter's rows are in a temporary file until the end. Its archive is in memory, because it
    # cannot be given up without an error message if the file's disk is full.
    archive = BytesIO()
    try:
        with Workbook(archive, options) as workbook:
            workbook.set_properties({"title": table.title})
            _write_rows(workbook, table, max_rows)
            _write_about(workbook, [(_("Report"), table.title), *about])
    except FileCreateError as error:  # contains the error of the temporary file
        raise error.args[0] from None
    file.write(archive.getbuffer())


# XlsxWriter has no types: workbook, sheets and formats are Any.
def _write_rows(workbook: Any, table: Table, max_rows: int) -> None:
    formats = [workbook.add_format({"num_format": _NUMBER_FORMATS[c.kind]}) for c in table.columns]
    heading = workbook.add_format(
        {"bold": True, "text_wrap": True, "valign": "top", "bottom": 1, "bg_color": "#E8EDF2"}
    )
    rows = iter(table.rows)
    for number, first in zip(count(1), _first_rows(rows)):
        name = _sheet_name(table.title, number)
        sheet = workbook.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        for index, (column, cell_format) in enumerate(zip(table.columns, formats, strict=True)):
            sheet.set_column(index, index, _width(column), cell_format)
            sheet.write_string(0, index, column.heading, heading)
        last = 0
        for last, row in enumerate(islice(chain(first, rows), max_rows), 1):
            _write_row(sheet, last, table.columns, row, formats)
        sheet.autofilter(0, 0, last, len(table.columns) - 1)


def _first_rows(rows: Iterator[Sequence[Value]]) -> Iterator[list[Sequence[Value]]]:
    """Yield the first row of each sheet in a list, which is empty for a table without rows."""
    yield [*islice(rows, 1)]
    while first := [*islice(rows, 1)]:
        yield first


def _write_row(
    sheet: Any,
    number: int,
    columns: Sequence[Column],
    row: Sequence[Value],
    formats: Sequence[Any],
) -> None:
    for index, (column, value) in enumerate(zip(columns, row, strict=True)):
        if value is not None:
            _write_cell(sheet, (number, index), column, value, formats[index])
        elif column.empty:
            sheet.write_string(number, index, column.empty, formats[index])


def _write_cell(
    sheet: Any, place: tuple[int, int], column: Column, value: Any, cell_format: Any
) -> None:
    if isinstance(value, datetime):
        sheet.write_datetime(*place, value.replace(tzinfo=None), cell_format)
    elif isinstance(value, bool):
        sheet.write_boolean(*place, value, cell_format)
    elif column.kind == "duration":
        sheet.write_number(*place, value / _DAY, cell_format)
    elif column.kind == "text" or abs(value) >= _MAX_EXACT:
        sheet.write_string(*place, column.display(value)[:MAX_TEXT], cell_format)
    else:
        sheet.write_number(*place, value, cell_format)


def _write_about(workbook: Any, about: Iterable[tuple[str, str]]) -> None:
    sheet = workbook.add_worksheet(_("About"))
    label_format = workbook.add_format({"bold": True, "valign": "top"})
    text_format = workbook.add_format({"text_wrap": True, "num_format": "@"})
    sheet.set_column(0, 0, _LABEL_WIDTH)
    sheet.set_column(1, 1, _ABOUT_WIDTH)
    for number, (label, text) in enumerate(about):
        sheet.write_string(number, 0, label, label_format)
        sheet.write_string(number, 1, text[:MAX_TEXT], text_format)


def _sheet_name(title: str, number: int) -> str:
    """Return a name that Excel accepts: at most 31 characters, and none of those it forbids."""
    suffix = f" {number}" if number > 1 else ""
    allowed = "".join(char for char in title if char not in "[]:*?/\\").strip("' ")
    return allowed[: 31 - len(suffix)] + suffix


def _width(column: Column) -> int:
    """Return the width of a column: long headings are wrapped into two lines."""
    wide = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in column.heading)
    return max(_MIN_WIDTH, _WIDTHS.get(column.kind, 0), wide // 2 + 3)
