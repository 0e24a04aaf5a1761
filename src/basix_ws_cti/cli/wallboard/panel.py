"""Table of the wallboard as a Textual widget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widgets import DataTable

from basix_ws_cti.board.tables import TABLES, Cell, Column, Row
from basix_ws_cti.cli.output import fit_text

from .styles import RICH_STYLES

# Columns that share the remaining width get at least this many characters.
_MIN_SHARED_WIDTH = 4


class Panel(DataTable[Text]):
    """One of the tables in ``TABLES``.

    ``display_rows`` compares new rows with the displayed ones and writes only the cells that
    differ, so that an idle board costs nothing. The cursor follows its row when that moves,
    except on the first row: there it stays on top.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Details", key_display="enter"),
        Binding("tab", "app.focus_next", "Next table"),
    ]

    def __init__(self, name: str) -> None:
        super().__init__(
            id=name,
            cursor_type="row",
            cell_padding=0,
            cursor_foreground_priority="renderable",
        )
        self.border_title: str | None = name.capitalize()
        self.all_columns: tuple[Column, ...] = TABLES[name]
        self.sort_column: int | None = None
        self.is_reversed: bool = False
        self._rows: list[Row] = []
        # Index, column and width of each column that the panel is wide enough for.
        self._columns: list[tuple[int, tuple[Column, int]]] = []
        self._width = 0

    @property
    def selected_row(self) -> Row | None:
        """Row under the cursor; ``None`` if the table is empty."""
        return self._rows[self.cursor_row] if self.cursor_row < len(self._rows) else None

    def on_resize(self, _: Resize) -> None:
        """Rebuild the columns for a new width."""
        width = self.scrollable_content_region.width
        if width and width != self._width:
            self._width = width
            self._rebuild()

    def sort_by(self, column: int | None, *, reverse: bool) -> None:
        """Mark the column by which the rows are sorted; ``None`` marks none."""
        self.sort_column, self.is_reversed = column, reverse
        if self._width:
            self._rebuild()

    def display_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows in this order."""
        selected = self.selected_row if self.cursor_row else None
        before = {row.key: row for row in self._rows}
        wanted = {row.key for row in rows}
        order = [row.key for row in self._rows if row.key in wanted]
        for key in before.keys() - wanted:
            self.remove_row(key)
        for row in rows:
            old = before.get(row.key)
            if old is None:
                cells = [fit_cell(row.cells[index], *layout) for index, layout in self._columns]
                self.add_row(*cells, key=row.key)
                order.append(row.key)
                continue
            for index, layout in self._columns:
                if row.cells[index] != old.cells[index]:
                    self.update_cell(row.key, str(index), fit_cell(row.cells[index], *layout))
        self._rows = [*rows]
        if order != [row.key for row in rows]:
            # sort() passes cells, not keys: the first cell object identifies its row.
            rank = {id(self.get_row(row.key)[0]): index for index, row in enumerate(rows)}
            self.sort(key=lambda cells: rank[id(cells[0])])
        if selected is not None and selected.key in wanted:
            index = self.get_row_index(selected.key)
            if index != self.cursor_row:
                self.move_cursor(row=index)

    def _rebuild(self) -> None:
        """Lay out the columns for the current width, then show the rows again."""
        fitting = [
            (index, column)
            for index, column in enumerate(self.all_columns)
            if column.min_table_width <= self._width
        ]
        remaining = self._width - sum(column.width + 1 for _, column in fitting if column.width)
        shares = sum(not column.width for _, column in fitting)
        self._columns = []
        for index, column in fitting:
            width = column.width + 1
            if not column.width:
                width = max(_MIN_SHARED_WIDTH, remaining // shares)
                remaining, shares = remaining - width, shares - 1
            self._columns.append((index, (column, width)))
        rows, cursor = self._rows, self.cursor_row
        self._rows = []
        self.clear(columns=True)
        for index, (column, width) in self._columns:
            mark = ("v" if self.is_reversed else "^") if index == self.sort_column else ""
            label = fit_cell(Cell(column.name + mark), column, width)
            self.add_column(label, width=width, key=str(index))
        self.display_rows(rows)
        self.move_cursor(row=cursor)


def fit_cell(cell: Cell, column: Column, width: int) -> Text:
    """Return a cell's text in ``width`` terminal columns, the last of which stays empty."""
    text = fit_text(cell.text, width - 1)
    if column.align_right:
        text = text[len(text.rstrip()) :] + text.rstrip()
    return Text(text, style=RICH_STYLES[cell.style], no_wrap=True, end="")
