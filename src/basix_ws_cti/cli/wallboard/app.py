"""Wallboard application: shows a source's board and redraws it at a fixed rate.

``board.model`` builds the content; this package only displays it.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import tzinfo
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid
from textual.widgets import DataTable, Footer, Input, Static

from basix_ws_cti.board.feed_history import FeedHistory, describe_state
from basix_ws_cti.board.labels import Labels
from basix_ws_cti.board.model import Board, BoardModel
from basix_ws_cti.board.sorting import arrange
from basix_ws_cti.board.tables import TABLES
from basix_ws_cti.session.status import Synced
from basix_ws_cti.sources.source import Source

from .deferred_log import defer_terminal_log
from .details_screen import DetailsScreen
from .filter_box import FilterBox
from .panel import Panel
from .styles import RICH_STYLES

# Seconds between two redraws: short enough for timers that count seconds.
REFRESH_INTERVAL = 0.5

_LIVE, _NOT_LIVE, _PAUSED = "black on #a9dc76", "black on #ff6188", "black on #ffd866"


class Wallboard(App[BaseException]):
    """Full-screen wallboard of a source.

    The application returns the error that ended the feed, ``KeyboardInterrupt`` for Ctrl-C, or
    ``None`` when the user quits. With ``ascii_borders`` it draws lines that every encoding has.
    """

    ENABLE_COMMAND_PALETTE: ClassVar[bool] = False
    TITLE: str | None = "basix-ws-cti top"
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [  # noqa: RUF012 - as App declares it
        (0, "-narrow"),
        (120, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "interrupt", show=False, priority=True),
        # Priority over the focused table: characters typed right after it belong to the filter.
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
    FilterBox { height: 1; border: none; padding: 0 1; background: #34495e; }
    FilterBox:focus { border: none; }
    Footer { background: #2a2e37; }
    DetailsScreen { align: center middle; background: #000000 60%; }
    DetailsScreen VerticalScroll {
        width: 90%; max-width: 110; height: 90%; padding: 0 1;
        background: #1d2027; border: solid #78dce8; scrollbar-size-vertical: 1;
    }
    DetailsScreen #call { height: auto; }
    """

    def __init__(
        self,
        source: Source,
        history: FeedHistory,
        zone: tzinfo | None = None,
        *,
        ascii_borders: bool = False,
    ) -> None:
        super().__init__()
        self.source = source
        self.zone = zone
        self.board_model: BoardModel = BoardModel(source, history, zone)
        self.board: Board | None = None
        self.is_paused: bool = False
        self.query_text: str = ""
        self._ascii_borders = ascii_borders

    def compose(self) -> ComposeResult:
        """Create the head line, the tables, the filter and the footer with the keys."""
        yield Static(id="head", markup=False)
        with Grid(id="board"):
            for name in TABLES:
                yield Panel(name)
        yield FilterBox()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Start to follow the source and to redraw at the fixed rate."""
        self.screen.set_class(self._ascii_borders, "-ascii")
        self.query_one("#calls", Panel).focus()
        self.run_worker(self._follow(), exit_on_error=False)
        self.set_interval(REFRESH_INTERVAL, self.tick)
        self.call_after_refresh(self.tick)

    async def _follow(self) -> None:
        """Apply call events until the feed ends. For a recording, this is what reads it."""
        try:
            async for _, event in self.source.call_events():
                self.board_model.apply(event)
        except Exception as error:  # noqa: BLE001 - run_wallboard raises it
            self.exit(error)

    # -- display ------------------------------------------------------------------------

    def tick(self) -> None:
        """Build a new board, unless paused, and display it."""
        if self.board is None or not self.is_paused:
            self.board = self.board_model.build_board()
            self._update_tables()
        self._update_head()

    def _update_tables(self) -> None:
        board = self.board
        if board is None:
            return
        for panel in self._panels:
            rows = board.rows[str(panel.id)]
            # Entries of the feed history have no names or numbers to search for.
            query = "" if panel.id == "feed" else self.query_text
            shown = arrange(rows, query, panel.sort_column, reverse=panel.is_reversed)
            panel.display_rows(shown)
            count = f"{len(shown)} of {len(rows)}" if query else f"{len(rows)}"
            title = str(panel.id).capitalize()
            title = title if panel.id == "feed" else f"{title} {count}"
            if str(panel.border_title) != title:
                panel.border_title = title
        self._update_details()

    def _update_head(self) -> None:
        board = self.board
        if board is None:
            return
        state = self.source.state
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(
            f" {describe_state(state)} ", style=_LIVE if isinstance(state, Synced) else _NOT_LIVE
        )
        if self.is_paused:
            text.append(" PAUSED ", style=_PAUSED)
        text.append(f" {board.summary}")
        clock = f" {board.at.astimezone(self.zone):%H:%M:%S} "
        text.truncate(max(0, self.size.width - len(clock)), overflow="ellipsis", pad=True)
        text.append(clock, style=_PAUSED if self.is_paused else RICH_STYLES["faint"])
        for head in self.query("#head").results(Static):  # absent while the screen is torn down
            if head.content != text:
                head.update(text)

    def _update_details(self) -> None:
        board, screen = self.board, self.screen
        if board is None or not isinstance(screen, DetailsScreen):
            return
        call_id = screen.call_id
        call = board.calls.get(call_id) or self.board_model.ended_calls.get(call_id)
        if call is not None:
            screen.show_call(call, Labels(self.source.mirror), board.now, self.zone)

    @property
    def _panels(self) -> list[Panel]:
        return list(self.screen_stack[0].query(Panel))

    @property
    def _focused_panel(self) -> Panel | None:
        return self.focused if isinstance(self.focused, Panel) else None

    # -- user input ---------------------------------------------------------------------

    def action_interrupt(self) -> None:
        """Leave as Ctrl-C does."""
        self.exit(KeyboardInterrupt())

    def action_pause(self) -> None:
        """Freeze the display, or resume it."""
        self.is_paused = not self.is_paused
        self.tick()

    def action_sort(self) -> None:
        """Sort the focused table by its next column; after the last one, by none."""
        if panel := self._focused_panel:
            columns = [None, *range(len(panel.all_columns))]
            column = columns[(columns.index(panel.sort_column) + 1) % len(columns)]
            self._sort(panel, column, reverse=False)

    def action_reverse(self) -> None:
        """Reverse the order of the focused table."""
        if panel := self._focused_panel:
            self._sort(panel, panel.sort_column, reverse=not panel.is_reversed)

    @on(DataTable.HeaderSelected)
    def _sort_by_clicked_column(self, event: DataTable.HeaderSelected) -> None:
        panel = event.data_table
        if isinstance(panel, Panel):
            column = int(event.column_key.value or 0)
            is_same = panel.sort_column == column
            self._sort(panel, column, reverse=is_same and not panel.is_reversed)

    def _sort(self, panel: Panel, column: int | None, *, reverse: bool) -> None:
        panel.sort_by(column, reverse=reverse)
        self._update_tables()

    @on(DataTable.RowSelected)
    def _open_details(self, event: DataTable.RowSelected) -> None:
        panel = event.data_table
        row = panel.selected_row if isinstance(panel, Panel) else None
        if row is not None and row.call_id is not None:
            self.push_screen(DetailsScreen(row.call_id, self._update_details))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's signature
        """Disable the filter key while the filter itself has the focus: a slash is text there."""
        return action != "filter" or self._focused_panel is not None

    def action_filter(self) -> None:
        """Open the filter for editing."""
        box = self.query_one(FilterBox)
        box.display = True
        self.screen.set_focus(box)

    @on(Input.Changed)
    def _apply_filter(self, event: Input.Changed) -> None:
        self.query_text = event.value
        self._update_tables()

    @on(Input.Submitted)
    def _leave_filter(self) -> None:
        box = self.query_one(FilterBox)
        box.display = bool(box.value)
        self.query_one("#calls", Panel).focus()

    def action_clear_filter(self) -> None:
        """Clear the filter, so that every row is shown."""
        self.query_one(FilterBox).value = ""
        self._leave_filter()


async def run_wallboard(source: Source, history: FeedHistory, zone: tzinfo | None = None) -> None:
    """Show a source on the terminal until the user leaves.

    ``history`` must receive the source's notices. When a feed ends without an error, its last
    board stays on the screen. Raises the error that ended the feed, or ``KeyboardInterrupt``
    for Ctrl-C.
    """
    # The first access starts call tracking; before the first await, every call is complete.
    source.calls  # noqa: B018
    ascii_borders = not sys.stderr.encoding.lower().startswith("utf")
    app = Wallboard(source, history, zone, ascii_borders=ascii_borders)
    with defer_terminal_log():
        result = await app.run_async()
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError  # Textual suppresses the cancellation
    if result is not None:
        raise result
    if app.return_code:
        raise SystemExit(app.return_code)
