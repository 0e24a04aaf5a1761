"""The wallboard: a textual application that shows a source, redrawn at a fixed rate.

What it shows is made in ``board``; here is the terminal. Of a table only the cells that differ
from what stands there are written.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, VerticalScroll
from textual.events import Resize
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Static

from basix_ws_cti.board.feed_history import History, state_word
from basix_ws_cti.board.labels import Labels
from basix_ws_cti.board.model import FAINT, TABLES, Board, BoardModel, Cell, Column, Row, arranged
from basix_ws_cti.calls import Call
from basix_ws_cti.cli.output import fitted
from basix_ws_cti.sources.source import Source

from .call_details import details

# Seconds from one picture to the next: timers of seconds run, and nobody reads faster.
RATE = 0.5

# Lines of the log that are kept for after the screen, which they would spoil.
_MAX_LOG = 100

_GOOD, _BAD, _PAUSED = "black on #a9dc76", "black on #ff6188", "black on #ffd866"


class Panel(DataTable[Text]):
    """One of the tables: its rows as ``display`` was told, in the columns that there is room for.

    The cursor stays with its row wherever that goes; on the first row it stays at the top.
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
        self.spec: tuple[Column, ...] = TABLES[name]
        self.sorted_by: int | None = None
        self.is_reversed: bool = False
        self._rows: list[Row] = []
        self._columns: list[tuple[int, tuple[Column, int]]] = []  # which, and how wide
        self._room = 0

    @property
    def chosen(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self.cursor_row] if self.cursor_row < len(self._rows) else None

    def on_resize(self, _: Resize) -> None:
        """Make the columns anew, in the width that there is."""
        room = self.scrollable_content_region.width
        if room and room != self._room:
            self._room = room
            self._lay_out()

    def _lay_out(self) -> None:
        spec = [(at, one) for at, one in enumerate(self.spec) if one.least <= self._room]
        rest = self._room - sum(one.width + 1 for _, one in spec if one.width)
        shares = sum(not one.width for _, one in spec)
        self._columns = []
        for at, one in spec:
            width = one.width + 1
            if not one.width:
                width = max(4, rest // shares)
                rest, shares = rest - width, shares - 1
            self._columns.append((at, (one, width)))
        rows, cursor = self._rows, self.cursor_row
        self._rows = []
        self.clear(columns=True)
        for at, (one, width) in self._columns:
            mark = ("v" if self.is_reversed else "^") if at == self.sorted_by else ""
            label = _fitted(Cell(one.name + mark), one, width)
            self.add_column(label, width=width, key=str(at))
        self.display_rows(rows)
        self.move_cursor(row=cursor)

    def sort_by(self, column: int | None, *, reverse: bool) -> None:
        """Mark the column that rows are ordered by; ``None``: as they come."""
        self.sorted_by, self.is_reversed = column, reverse
        if self._room:
            self._lay_out()

    def display_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows, in this order."""
        chosen = self.chosen if self.cursor_row else None
        before = {row.key: row for row in self._rows}
        wanted = {row.key for row in rows}
        order = [row.key for row in self._rows if row.key in wanted]
        for key in before.keys() - wanted:
            self.remove_row(key)
        for row in rows:
            old = before.get(row.key)
            if old is None:
                cells = [_fitted(row.cells[at], *how) for at, how in self._columns]
                self.add_row(*cells, key=row.key)
                order.append(row.key)
                continue
            for at, how in self._columns:
                if row.cells[at] != old.cells[at]:
                    self.update_cell(row.key, str(at), _fitted(row.cells[at], *how))
        self._rows = [*rows]
        if order != [row.key for row in rows]:
            # sort() is given cells alone, so a row is known by its first one.
            rank = {id(self.get_row(row.key)[0]): at for at, row in enumerate(rows)}
            self.sort(key=lambda cells: rank[id(cells[0])])
        if chosen is not None and chosen.key in wanted:
            at = self.get_row_index(chosen.key)
            if at != self.cursor_row:
                self.move_cursor(row=at)


class Filter(Input):
    """Where somebody types what is to be found; seen while there is something in it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Done", key_display="enter"),
        Binding("escape", "app.clear_filter", "Clear"),
    ]

    def __init__(self) -> None:
        super().__init__(placeholder="a name or a number", select_on_focus=False)
        self.display = False


class Details(ModalScreen[None]):
    """A call and its timeline, as long as somebody looks."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Back", key_display="esc")
    ]

    def __init__(self, call_id: str, shown: Callable[[], None]) -> None:
        super().__init__()
        self.call_id = call_id
        self.shown = shown

    def compose(self) -> ComposeResult:
        """One text, which scrolls."""
        with VerticalScroll() as box:
            box.border_title = "Call"
            yield Static(id="call", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show the call at once."""
        self.call_after_refresh(self.shown)

    def show(self, call: Call, labels: Labels, now: int, zone: tzinfo | None) -> None:
        """Show the call as it is now."""
        for text in self.query("#call").results(Static):  # not there in its first moments
            text.update(details(call, labels, now, zone))


class Wallboard(App[BaseException]):
    """Shows a source until somebody leaves: with what ended the feed, if something did.

    ``plain`` lines are for encodings in which others are missing, or are two columns wide.
    """

    ENABLE_COMMAND_PALETTE: ClassVar[bool] = False
    TITLE: str | None = "basix-ws-cti top"
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [  # noqa: RUF012 - as App declares it
        (0, "-narrow"),
        (120, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "interrupt", show=False, priority=True),
        # Before the table has it: what follows quickly is meant for the box.
        Binding("slash", "filter", "Filter", key_display="/", priority=True),
        Binding("s", "sort", "Sort"),
        Binding("r", "reverse", "Reverse"),
        Binding("p", "pause", "Pause"),
        Binding("escape", "clear_filter", "Clear", show=False),
        Binding("q", "quit", "Quit"),
    ]
    CSS: ClassVar[str] = """
    Screen { background: #16181d; color: #e6e6e6; }
    #head { height: 1; background: #2a2e37; }
    #board { height: 1fr; grid-gutter: 0 1; }
    .-narrow #board { grid-size: 2; grid-rows: 2fr 1fr 1fr; }
    .-narrow #calls { column-span: 2; }
    .-wide #board { grid-size: 2; grid-columns: 3fr 2fr; grid-rows: 1fr 3fr 1fr 1fr; }
    .-wide #calls { row-span: 4; }
    Panel {
        background: #16181d; height: 100%; overflow-x: hidden;
        border-top: solid #4b5263; border-title-color: #a0a8b8;
        scrollbar-size-vertical: 1; scrollbar-gutter: stable;
        scrollbar-color: #4b5263; scrollbar-background: #16181d;
    }
    Panel:focus { border-top: solid #78dce8; border-title-color: #78dce8;
        border-title-style: bold; background-tint: #000000 0%; }
    .-ascii Panel, .-ascii Panel:focus { border-top: ascii #78dce8; }
    Panel > .datatable--header { background: #16181d; color: #9aa3b5; text-style: none; }
    Panel > .datatable--cursor { background: #16181d; color: #e6e6e6; text-style: none; }
    Panel:focus > .datatable--cursor { background: #34495e; color: #ffffff; }
    Panel > .datatable--hover { background: #252a33; }
    Filter { height: 1; border: none; padding: 0 1; background: #34495e; }
    Filter:focus { border: none; }
    Footer { background: #2a2e37; }
    Details { align: center middle; background: #000000 60%; }
    Details VerticalScroll {
        width: 90%; max-width: 110; height: 90%; padding: 0 1;
        background: #1d2027; border: solid #78dce8; scrollbar-size-vertical: 1;
    }
    Details #call { height: auto; }
    """

    def __init__(
        self,
        source: Source,
        history: History,
        zone: tzinfo | None = None,
        *,
        plain: bool = False,
    ) -> None:
        super().__init__()
        self.is_plain = plain
        self.source = source
        self.board_model: BoardModel = BoardModel(source, history, zone)
        self.zone = zone
        self.board: Board | None = None
        self.paused: bool = False
        self.sought: str = ""

    def compose(self) -> ComposeResult:
        """The head, the tables, the filter, the keys."""
        yield Static(id="head", markup=False)
        with Grid(id="board"):
            for name in TABLES:
                yield Panel(name)
        yield Filter()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to follow the source, and to show it."""
        self.screen.set_class(self.is_plain, "-ascii")
        self.query_one("#calls", Panel).focus()
        self.run_worker(self._follow(), exit_on_error=False)
        self.set_interval(RATE, self.tick)
        self.call_after_refresh(self.tick)

    async def _follow(self) -> None:
        """Take in what happens to calls; of a recording, that is what reads it."""
        try:
            async for _, event in self.source.call_events():
                self.board_model.take(event)
        except Exception as error:  # noqa: BLE001 - whoever runs this raises it
            self.exit(error)

    # -- showing ----------------------------------------------------------------------

    def tick(self) -> None:
        """Take a new picture, unless it is to stand still, and show it."""
        if self.board is None or not self.paused:
            self.board = self.board_model.board()
            self._show_rows()
        self._show_head()

    def _show_rows(self) -> None:
        board = self.board
        if board is None:
            return
        for panel in self._panels:
            rows = board.rows[str(panel.id)]
            # What happened to the feed has neither names nor numbers to be found by.
            sought = "" if panel.id == "feed" else self.sought
            found = arranged(rows, sought, panel.sorted_by, reverse=panel.is_reversed)
            panel.display_rows(found)
            count = f"{len(found)} of {len(rows)}" if sought else f"{len(rows)}"
            title = str(panel.id).capitalize()
            title = title if panel.id == "feed" else f"{title} {count}"
            if str(panel.border_title) != title:
                panel.border_title = title
        self._show_call()

    def _show_head(self) -> None:
        board = self.board
        if board is None:
            return
        state = state_word(self.source.state)
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f" {state} ", style=_GOOD if state == "live" else _BAD)
        if self.paused:
            text.append(" PAUSED ", style=_PAUSED)
        text.append(f" {board.summary}")
        clock = f" {board.at.astimezone(self.zone):%H:%M:%S} "
        text.truncate(max(0, self.size.width - len(clock)), overflow="ellipsis", pad=True)
        text.append(clock, style=_PAUSED if self.paused else FAINT)
        for head in self.query("#head").results(Static):  # gone in the last moments
            if head.content != text:
                head.update(text)

    def _show_call(self) -> None:
        board, screen = self.board, self.screen
        if board is None or not isinstance(screen, Details):
            return
        call = board.calls.get(screen.call_id) or self.board_model.ended.get(screen.call_id)
        if call is not None:
            screen.show(call, Labels(self.source.mirror), board.now, self.zone)

    @property
    def _panels(self) -> list[Panel]:
        return list(self.screen_stack[0].query(Panel))

    @property
    def _panel(self) -> Panel | None:
        """The table that has the keyboard."""
        return self.focused if isinstance(self.focused, Panel) else None

    # -- what people do ---------------------------------------------------------------

    def action_interrupt(self) -> None:
        """Ctrl-C."""
        self.exit(KeyboardInterrupt())

    def action_pause(self) -> None:
        """Let the picture stand still, or go on."""
        self.paused = not self.paused
        self.tick()

    def action_sort(self) -> None:
        """Order the table by its next column, after the last one as it comes."""
        if panel := self._panel:
            columns = [None, *range(len(panel.spec))]
            at = columns[(columns.index(panel.sorted_by) + 1) % len(columns)]
            self._sort(panel, at, reverse=False)

    def action_reverse(self) -> None:
        """Turn the table's order round."""
        if panel := self._panel:
            self._sort(panel, panel.sorted_by, reverse=not panel.is_reversed)

    @on(DataTable.HeaderSelected)
    def _sort_by_mouse(self, event: DataTable.HeaderSelected) -> None:
        panel = event.data_table
        if isinstance(panel, Panel):
            column = int(event.column_key.value or 0)
            same = panel.sorted_by == column
            self._sort(panel, column, reverse=same and not panel.is_reversed)

    def _sort(self, panel: Panel, column: int | None, *, reverse: bool) -> None:
        panel.sort_by(column, reverse=reverse)
        self._show_rows()

    @on(DataTable.RowSelected)
    def _open(self, event: DataTable.RowSelected) -> None:
        panel = event.data_table
        row = panel.chosen if isinstance(panel, Panel) else None
        if row is not None and row.call is not None:
            self.push_screen(Details(row.call, self._show_call))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - textual's
        """In the box, a slash is what somebody types."""
        return action != "filter" or self._panel is not None

    def action_filter(self) -> None:
        """Let somebody type what is to be found."""
        box = self.query_one(Filter)
        box.display = True
        self.screen.set_focus(box)

    @on(Input.Changed)
    def _find(self, event: Input.Changed) -> None:
        self.sought = event.value
        self._show_rows()

    @on(Input.Submitted)
    def _leave_filter(self) -> None:
        box = self.query_one(Filter)
        box.display = bool(box.value)
        self.query_one("#calls", Panel).focus()

    def action_clear_filter(self) -> None:
        """Show everything again."""
        self.query_one(Filter).value = ""
        self._leave_filter()


def _fitted(cell: Cell, column: Column, width: int) -> Text:
    """A cell's text in so many columns of the terminal, the last of which is a gap."""
    text = fitted(cell.text, width - 1)
    if column.right:
        text = text[len(text.rstrip()) :] + text.rstrip()
    return Text(text, style=cell.style, no_wrap=True, end="")


async def run_top(source: Source, history: History, zone: tzinfo | None = None) -> None:
    """Show a source on the terminal until somebody leaves.

    ``history`` is what the source gives its notices to. Raises what ended the feed, and
    ``KeyboardInterrupt`` for Ctrl-C. A feed that ends properly stays to be looked at.
    """
    source.calls  # noqa: B018 - asked for before anything is awaited, calls are seen whole
    plain = not sys.stderr.encoding.lower().startswith("utf")
    app = Wallboard(source, history, zone, plain=plain)
    with _log_kept_back():
        ended = await app.run_async()
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError  # textual keeps that to itself
    if ended is not None:
        raise ended
    if app.return_code:
        raise SystemExit(app.return_code)


@contextlib.contextmanager
def _log_kept_back() -> Iterator[None]:
    """Keep what is logged to the terminal until the screen is left: it would spoil it."""
    lines: deque[str] = deque(maxlen=_MAX_LOG)
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream.isatty()
    ]
    streams = [handler.setStream(_Lines(lines)) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            if stream is not None:
                handler.setStream(stream)
                stream.writelines(lines)
                stream.flush()


class _Lines:
    """A stream that keeps its last writes."""

    def __init__(self, lines: deque[str]) -> None:
        self._lines = lines

    def write(self, text: str) -> None:
        self._lines.append(text)

    def flush(self) -> None:
        """Everything is there already."""
