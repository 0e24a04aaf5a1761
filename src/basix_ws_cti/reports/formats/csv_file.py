"""CSV for programs: RFC 4180, in UTF-8.

- Lines end with CRLF. The first one has the names of the columns (``Column.name``).
- Every text is in quotation marks, and no number is. An empty cell without quotation marks means
  that there is no value.
- Times are local, in ISO 8601 with the UTC offset. Durations are in seconds, rates from 0 to 1,
  booleans ``true`` or ``false``.
- A spreadsheet takes a text for a formula that begins with ``=``, ``+``, ``-`` or ``@``, in ASCII
  or full width, or with a tab or line end before these. Callers choose their names themselves, so
  such a text gets an apostrophe in front. A telephone number such as ``+81312345678`` has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import BinaryIO

from basix_ws_cti.reports.tables import Column, Table, Value

from .values import iso_time, seconds

BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"

# First characters by which spreadsheets recognise a formula, after tabs and line ends.
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - the full-width ones
_TELEPHONE_NUMBER = re.compile(r"\+\d+", re.ASCII)


def write_csv(table: Table, file: BinaryIO, *, bom: bool = False) -> None:
    """Write a table as CSV.

    ``bom``: begin with a byte order mark, by which Excel recognises UTF-8.
    """
    for number, line in enumerate(csv_lines(table)):
        text = BYTE_ORDER_MARK + line if bom and not number else line
        file.write(f"{text}\r\n".encode())


def csv_lines(table: Table) -> Iterator[str]:
    """Yield the lines of a table as CSV, without line ends."""
    yield ",".join(_quote(column.name) for column in table.columns)
    for row in table.rows:
        yield _line(table.columns, row)


def neutralise(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    if _FORMULA.match(text) and not _TELEPHONE_NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def _line(columns: Sequence[Column], row: Sequence[Value]) -> str:
    return ",".join(_cell(column, value) for column, value in zip(columns, row, strict=True))


def _cell(column: Column, value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _quote(neutralise(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return iso_time(column.kind, value)
    if column.kind == "duration":
        value = seconds(value)
    return repr(value)


# Not the csv module: it cannot quote all texts and leave empty cells alone before Python 3.12. A
# spreadsheet that splits cells at semicolons would find a formula in an unquoted "name;=1+1".
def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
