"""Table of the wallboard as a Textual widget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.message import Message
from textual.widgets import DataTable

from basix_ws_cti._internal.translation import N_, _
from basix_ws_cti.board.tables import DEFAULT_SORTING, TABLES, TITLES, Cell, Column, Row, Sorting
from basix_ws_cti.cli.output import fit_text

from .layout import Place
from .styles import Palette

# Columns that share the remaining width get at least this many characters; for more than that,
# columns that are not in each table are left out.
_MIN_SHARED_WIDTH, _GOOD_SHARED_WIDTH = 4, 9


class Panel(DataTable[Text]):
    """One of the tables in ``TABLES``.

    ``display_rows`` compares new rows with the displayed ones and writes only the cells that
    differ, so that an idle board costs nothing. The cursor follows its row when that moves,
    except on the first row: there it stays on top.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", N_("Details"), key_display="enter"),
        Binding("tab", "app.focus_next", N_("Next table"), show=False),
    ]

    class OrderChanged(Message):
        """The rows need another order, since a column was hidden or shown."""

    def __init__(self, name: str, palette: Palette, *, is_ascii: bool = False) -> None:
        super().__init__(
            id=name,
            cursor_type="row",
            cell_padding=0,
            cursor_foreground_priority="renderable",
        )
        self.border_title: str | None = _(TITLES[name])
        self.all_columns: tuple[Column, ...] = TABLES[name]
        self.sorting: Sorting = DEFAULT_SORTING[name]
        self._default_sorting = self._chosen_sorting = self.sorting
        self._palette = palette
        self._marks = (" ^", " v") if is_ascii else ("▴", "▾")
        self._is_stale = False
        self._place: Place | None = None
        self._rows: list[Row] = []
        # Index, column and width of each column that the panel is wide enough for.
        self._columns: list[tuple[int, tuple[Column, int]]] = []
        self._width = 0

    @property
    def visible_columns(self) -> list[int]:
        """Indices of the columns that the panel is wide enough for."""
        return [index for index, _layout in self._columns]

    @property
    def selected_row(self) -> Row | None:
        """Row under the cursor; ``None`` if the table is empty."""
        return self._rows[self.cursor_row] if self.cursor_row < len(self._rows) else None

    def on_resize(self, _: Resize) -> None:
        """Rebuild the columns for a new width."""
        width = self.scrollable_content_region.width
        if width and width != self._width:
            before = self.sorting
            self._width = width
            self._rebuild()
            if self.sorting != before:
                self.post_message(self.OrderChanged())

    def move_to(self, place: Place) -> None:
        """Take this place on the board."""
        if place != self._place:
            self._place = place
            self.display = place.height > 0 and place.width > 0
            self.styles.offset = (place.x, place.y)
            self.styles.width, self.styles.height = place.width, place.height

    def show_title(self, title: str, *, stale: bool) -> None:
        """Show a title; ``stale``: there is no live feed, so that all colours are muted."""
        if str(self.border_title) != title:
            self.border_title = title
        if stale != self._is_stale:
            self._is_stale = stale
            if self._width:
                self._rebuild()

    def sort_by(self, sorting: Sorting) -> None:
        """Mark the column by which the rows are sorted.

        While it is hidden, ``sorting`` is the default order.
        """
        self.sorting = self._chosen_sorting = sorting
        if self._width:
            self._rebuild()

    def display_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows in this order; without a place on the screen, only remember them."""
        if not self._columns:
            self._rows = [*rows]
            return
        selected = self.selected_row if self.cursor_row else None
        before = {row.key: row for row in self._rows}
        wanted = {row.key for row in rows}
        order = [row.key for row in self._rows if row.key in wanted]
        for key in before.keys() - wanted:
            self.remove_row(key)
        for row in rows:
            old = before.get(row.key)
            if old is None:
                cells = [self._fit(row.cells[index], layout) for index, layout in self._columns]
                self.add_row(*cells, key=row.key)
                order.append(row.key)
                continue
            for index, layout in self._columns:
                if row.cells[index] != old.cells[index]:
                    self.update_cell(row.key, str(index), self._fit(row.cells[index], layout))
        self._rows = [*rows]
        if order != [row.key for row in rows]:
            # sort() passes cells, not keys: the first cell object identifies its row.
            rank = {id(self.get_row(row.key)[0]): index for index, row in enumerate(rows)}
            self.sort(key=lambda cells: rank[id(cells[0])])
        if selected is not None and selected.key in wanted:
            index = self.get_row_index(selected.key)
            if index != self.cursor_row:
                self.move_cursor(row=index)

    def _fit(self, cell: Cell, layout: tuple[Column, int]) -> Text:
        palette = self._palette
        style = palette.stale if self._is_stale else palette.cells[cell.style]
        return fit_cell(cell, *layout, style)

    def _rebuild(self) -> None:
        """Lay out the columns for the current width, then show the rows again."""
        self.sorting = self._chosen_sorting
        self._columns = list(self._lay_out_columns())
        if self.sorting.column not in self.visible_columns:
            self.sorting = self._default_sorting
            self._columns = list(self._lay_out_columns())
        rows, cursor = self._rows, self.cursor_row
        self._rows = []
        self.clear(columns=True)
        style = self._palette.stale if self._is_stale else ""
        for index, (column, width) in self._columns:
            label = fit_cell(Cell(self._heading(index)), column, width, style)
            self.add_column(label, width=width, key=str(index))
        self.display_rows(rows)
        self.move_cursor(row=cursor)

    def _lay_out_columns(self) -> Iterator[tuple[int, tuple[Column, int]]]:
        """Yield index, column and width of each column that the panel is wide enough for."""
        widths = {
            index: column.width and self._text_width(index) + 1
            for index, column in enumerate(self.all_columns)
            if column.min_table_width <= self._width
        }
        optional = sorted(
            (index for index in widths if self.all_columns[index].min_table_width),
            key=lambda index: self.all_columns[index].min_table_width,
        )
        while optional and self._shared_width(widths) < _GOOD_SHARED_WIDTH:
            del widths[optional.pop()]
        remaining = self._width - sum(widths.values())
        shares = [*widths.values()].count(0)
        for index, fixed_width in widths.items():
            width = fixed_width
            if not width:
                width = max(_MIN_SHARED_WIDTH, remaining // shares)
                remaining, shares = remaining - width, shares - 1
            yield index, (self.all_columns[index], width)

    def _shared_width(self, widths: Mapping[int, int]) -> int:
        """Return the width of each column that has none of its own, which is 0 in ``widths``."""
        return (self._width - sum(widths.values())) // max(1, [*widths.values()].count(0))

    def _text_width(self, index: int) -> int:
        """Return the width of a column of fixed width, with space for its heading and words."""
        column = self.all_columns[index]
        texts = (self._heading(index), *map(_, column.words))
        return max(column.width, *map(cell_len, texts))

    def _heading(self, index: int) -> str:
        """Return the heading of a column, with a mark if the rows are sorted by it."""
        heading = _(self.all_columns[index].name)
        is_marked = index == self.sorting.column
        return heading + (self._marks[self.sorting.is_reversed] if is_marked else "")


def fit_cell(cell: Cell, column: Column, width: int, style: str = "") -> Text:
    """Return a cell's text in ``width`` terminal columns, the last of which stays empty."""
    text = fit_text(cell.text, width - 1)
    if column.align_right:
        text = text[len(text.rstrip()) :] + text.rstrip()
    return Text(text, style=style, no_wrap=True, end="")
