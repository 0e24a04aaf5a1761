"""Tables without borders that fit the terminal: columns are left out or cut, never wrapped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice

from attrs import frozen

from basix_ws_cti.board.text import MAX_LINE_TEXT, escape_unprintable
from basix_ws_cti.cli.output import fit_text

# Spaces between two columns.
_GAP = 2

# Width up to which a column is padded, in terminal columns, if a table may have any width. One
# longer cell shifts the rest of its row, instead of widening all rows.
_MAX_PADDING = 60

# Rows from which the widths of columns are determined. A PBX can have tens of thousands of users.
_MEASURED_ROWS = 2000

_BOLD, _FAINT = 1, 2  # SGR codes (ECMA-48)


@frozen
class TableColumn:
    """Column of a table."""

    heading: str
    """Heading, in the reader's language."""

    align_right: bool = False
    """True for numbers and durations."""

    is_optional: bool = False
    """True if the column is left out where the table is too wide. The last one goes first."""

    is_flexible: bool = False
    """True if cells may be cut where the table is too wide without the optional columns."""


@frozen
class TextTable:
    """Table of texts. A text may contain any characters; it is made safe to print."""

    title: str
    """Line above the table."""

    columns: Sequence[TableColumn]
    """Columns in display order."""

    rows: Iterable[Sequence[str]]
    """Rows; each has a cell for each column. They may be a stream, which is read once."""

    def lines(
        self, width: int | None, colourise: Callable[[str, int], str] = lambda text, _: text
    ) -> Iterator[str]:
        """Yield the lines of the table, without line ends.

        - ``width``: terminal columns that a line must fit; ``None``: it may have any width.
        - ``colourise``: function that returns a text in the colour of an SGR code.
        """
        yield colourise(fit_text(self.title, width).rstrip(), _BOLD)
        rows = iter(self.rows)
        measured = [*islice(rows, _MEASURED_ROWS)]
        if not measured:
            return
        widths = [self._natural_width(index, measured) for index in range(len(self.columns))]
        shown = [*range(len(self.columns))]
        if width is None:
            widths = [min(size, _MAX_PADDING) for size in widths]
        else:
            shown = self._shown_columns(widths, width)
            self._shrink(widths, shown, width)
        is_limited = width is not None
        heading = [column.heading for column in self.columns]
        yield colourise(self._line(heading, widths, shown, is_limited=is_limited), _FAINT)
        for row in chain(measured, rows):
            yield self._line(row, widths, shown, is_limited=is_limited)

    def _natural_width(self, index: int, rows: Sequence[Sequence[str]]) -> int:
        from rich.cells import cell_len

        cells = (row[index] for row in rows)
        texts = (self.columns[index].heading, *cells)
        return max(cell_len(escape_unprintable(text[:MAX_LINE_TEXT])) for text in texts)

    def _shown_columns(self, widths: Sequence[int], width: int) -> list[int]:
        """Return the indexes of the columns that are not left out at a width."""
        shown = [*range(len(self.columns))]
        for index in reversed(range(len(self.columns))):
            if _total(widths, shown) <= width:
                break
            if self.columns[index].is_optional:
                shown.remove(index)
        return shown

    def _shrink(self, widths: list[int], shown: Sequence[int], width: int) -> None:
        """Reduce the widths of flexible columns, the widest first, until the table fits."""
        flexible = [index for index in shown if self.columns[index].is_flexible]
        while flexible and (excess := _total(widths, shown) - width) > 0:
            widest = max(flexible, key=lambda index: widths[index])
            others = [widths[index] for index in flexible if index != widest]
            step = max(1, min(excess, widths[widest] - max(others, default=0)))
            widths[widest] = max(1, widths[widest] - step)
            if widths[widest] == 1:
                flexible.remove(widest)

    def _line(
        self, cells: Iterable[str], widths: Sequence[int], shown: Sequence[int], *, is_limited: bool
    ) -> str:
        texts = [*cells]
        parts = []
        for index in shown:
            text = fit_text(texts[index], widths[index], cut=is_limited)
            if self.columns[index].align_right:
                spaces = len(text) - len(text.rstrip(" "))
                text = " " * spaces + text.rstrip(" ")
            parts.append(text)
        return (" " * _GAP).join(parts).rstrip()


def _total(widths: Sequence[int], shown: Sequence[int]) -> int:
    return sum(widths[index] for index in shown) + _GAP * (len(shown) - 1)
