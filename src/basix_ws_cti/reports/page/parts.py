"""Parts of the page, ready for its template: tiles, notices, sections and tables of texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from attrs import field, frozen
from markupsafe import Markup

from basix_ws_cti.board.text import cell_text
from basix_ws_cti.reports.tables import NUMERIC, Column, Value

from .wording import NO_VALUE

# Keys of columns whose texts other people wrote, and which may be long.
_NAMES = frozenset({"agent", "queue"})


@frozen(kw_only=True)
class Verdict:
    """Comparison of a figure with its target."""

    text: str
    """Comparison in words."""
    style: Literal["good", "bad"]
    """CSS class."""


@frozen(kw_only=True)
class Tile:
    """Headline figure."""

    name: str
    """Name of the figure."""
    figure: str
    """Value."""
    note: str = ""
    """Explanation or further value in small print."""
    verdict: Verdict | None = None
    """Comparison with the target, if there is one."""
    graphic: Markup = field(factory=Markup)
    """SVG that shows the figure; empty: none."""


@frozen(kw_only=True)
class Notice:
    """Limitation of the report that readers have to know."""

    text: str
    """Limitation in words."""
    items: Sequence[str] = ()
    """Details, one for each line of a list."""


@frozen(kw_only=True)
class Key:
    """Entry of a chart's legend."""

    text: str
    """Meaning."""
    shape: Markup
    """Contents of an SVG of 20 × 14 pixels."""


@frozen(kw_only=True)
class Cell:
    """Cell of a table."""

    text: str
    """Value as text."""
    style: str = ""
    """CSS class; empty: a number."""


@frozen(kw_only=True)
class Row:
    """Row of a table; the first cell is its heading."""

    cells: Sequence[Cell]
    """One cell for each column."""
    is_total: bool = False
    """True for the sum of the other rows."""


@frozen(kw_only=True)
class Heading:
    """Heading of a column."""

    heading: str
    """Name of the column."""
    is_number: bool
    """True if the values are aligned to the right."""


@frozen(kw_only=True)
class TextTable:
    """Table of texts."""

    title: str
    """Title for screen readers."""
    columns: Sequence[Heading]
    """Headings of the columns."""
    rows: Sequence[Row]
    """Rows in their order."""


@frozen(kw_only=True)
class Section:
    """Section of the page: a chart, and a table with the same values."""

    id: str
    """Id in the page."""
    title: str
    """Heading."""
    lead: str
    """Main finding in a sentence, or the content of the section."""
    chart: Markup
    """Chart as SVG; empty: there is nothing to draw."""
    legend: Sequence[Key]
    """Legend of the chart."""
    table: TextTable
    """Values of the chart and further ones."""
    is_table_wide: bool = False
    """True if the table needs more room than the chart."""
    note: str = ""
    """Note below the table; empty: none."""


def text_table(
    title: str,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Value]],
    total: Sequence[Value] | None = None,
) -> TextTable:
    """Return a table whose values are texts.

    - ``rows``: rows of values, one for each column.
    - ``total``: last row, the sum of the others; ``None``: there is none.
    """
    texts = [_row(columns, row, is_total=False) for row in rows]
    if total is not None:
        texts.append(_row(columns, total, is_total=True))
    return TextTable(
        title=title,
        columns=[
            Heading(heading=column.heading, is_number=column.kind in NUMERIC) for column in columns
        ],
        rows=texts,
    )


def _row(columns: Sequence[Column], values: Sequence[Value], *, is_total: bool) -> Row:
    return Row(
        cells=[_cell(column, value) for column, value in zip(columns, values, strict=True)],
        is_total=is_total,
    )


def _cell(column: Column, value: Value) -> Cell:
    text = column.display(value)
    if column.kind in NUMERIC:
        return Cell(text=text or NO_VALUE)
    return Cell(text=cell_text(text), style="name" if column.key in _NAMES else "label")
