"""Wallboard application: shows a source's board and redraws it at a fixed rate.

``board.model`` builds the content; this package only displays it.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import tzinfo
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.scrollbar import ScrollBar
from textual.widgets import DataTable, Footer, Input, Static

from basix_ws_cti._internal.translation import N_, _
from basix_ws_cti.board.feed_history import FeedHistory, describe_state
from basix_ws_cti.board.feed_status import FeedStatus, describe_outage
from basix_ws_cti.board.labels import Labels
from basix_ws_cti.board.limits import DEFAULT_BOARD_LIMITS, BoardLimits
from basix_ws_cti.board.model import Board, BoardModel
from basix_ws_cti.board.sorting import arrange
from basix_ws_cti.board.tables import TABLES, TITLES, Sorting
from basix_ws_cti.sources.source import Source

from .ascii_scrollbar import AsciiScrollBar
from .board_area import BoardArea
from .call_details import CallDetails
from .deferred_log import defer_terminal_log
from .details_screen import DetailsScreen
from .filter_box import FilterBox
from .headline import Headline, headline_height
from .help_screen import HelpScreen
from .layout import Needs, place_tables
from .panel import Panel
from .screens import BoardScreen, OutageBand
from .styles import FULL, Palette, has_only_ascii, terminal_palette

# Seconds between two redraws: short enough for timers that count seconds.
REFRESH_INTERVAL = 0.5


class Wallboard(App[BaseException]):
    """Full-screen wallboard of a source.

    The application returns the error that ended the feed, ``KeyboardInterrupt`` for Ctrl-C, or
    ``None`` when the user quits.

    - ``palette``: colours of the terminal.
    - ``is_ascii``: True for a terminal that shows no lines and blocks.
    """

    ENABLE_COMMAND_PALETTE: ClassVar[bool] = False
    TITLE: str | None = "basix-ws-cti top"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "interrupt", show=False, priority=True),
        # Priority over the focused table: characters typed right after it belong to the filter.
        Binding("slash", "filter", N_("Filter"), key_display="/", priority=True),
        Binding("s", "sort", N_("Sort")),
        Binding("r", "reverse", N_("Reverse")),
        Binding("p", "pause", N_("Pause")),
        Binding("question_mark", "help", N_("Help"), key_display="?"),
        Binding("escape", "clear_filter", N_("Clear"), show=False),
        Binding("q", "quit", N_("Quit")),
    ]
    CSS: ClassVar[str] = """
    Screen { background: $board-background; color: $board-foreground; }
    #head { height: 1; background: $board-bar; }
    #outage { height: 1; }
    #board { height: 1fr; overflow: hidden; }
    Panel {
        position: absolute; background: $board-background; color: $board-foreground;
        overflow-x: hidden;
        border-top: solid $board-line; border-title-color: $board-title;
        scrollbar-size-vertical: 1; scrollbar-gutter: stable;
        scrollbar-color: $board-line; scrollbar-background: $board-background;
    }
    Panel:focus { border-top: solid $board-accent; border-title-color: $board-accent;
        border-title-style: bold; background-tint: #000000 0%; }
    .-ascii Panel { border-top: ascii $board-line; }
    .-ascii Panel:focus { border-top: ascii $board-accent; }
    .-stale Panel, .-stale Panel:focus {
        color: $board-stale; border-title-color: $board-stale; border-title-style: none;
    }
    Panel > .datatable--header { background: $board-background; color: $board-title;
        text-style: none; }
    Panel > .datatable--cursor { background: $board-background; color: $board-foreground;
        text-style: none; }
    Panel:focus > .datatable--cursor { background: $board-cursor; color: $board-cursor-text;
        text-style: $board-cursor-style; }
    Panel > .datatable--hover { background: $board-hover; }
    FilterBox { height: 1; border: none; padding: 0 1; background: $board-cursor;
        color: $board-cursor-text; }
    FilterBox:focus { border: none; }
    Footer, FooterKey { background: $board-bar; color: $board-foreground; }
    FooterKey .footer-key--key { color: $board-accent; background: $board-bar; }
    FooterKey .footer-key--description { color: $board-foreground; background: $board-bar; }
    DetailsScreen, HelpScreen { align: center middle; background: $board-shade; }
    DetailsScreen #outage, HelpScreen #outage { dock: top; }
    DetailsScreen VerticalScroll, HelpScreen VerticalScroll {
        width: 96%; min-width: 80; height: auto; max-height: 100%; padding: 0 1;
        background: $board-dialog; color: $board-foreground;
        border: solid $board-accent; border-title-color: $board-accent;
        scrollbar-size-vertical: 1;
        scrollbar-color: $board-line; scrollbar-background: $board-dialog;
    }
    .-ascii VerticalScroll { border: ascii $board-accent; }
    .-stale VerticalScroll { color: $board-stale; border: solid $board-stale; }
    #call, #help { height: auto; }
    """

    def __init__(
        self,
        source: Source,
        history: FeedHistory,
        zone: tzinfo | None = None,
        *,
        limits: BoardLimits = DEFAULT_BOARD_LIMITS,
        palette: Palette = FULL,
        is_ascii: bool = False,
    ) -> None:
        self.palette = palette  # Textual asks for its variables at once
        super().__init__(ansi_color=palette.is_ansi)
        self.source = source
        self.zone = zone
        self.board_model: BoardModel = BoardModel(source, history, zone, limits)
        self.board: Board | None = None
        self.is_paused: bool = False
        self.query_text: str = ""
        self._is_ascii = is_ascii
        self._needs = Needs()
        self._chosen_table = "calls"  # the user's choice of the table with the focus

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the variables of the style sheet."""
        return dict(self.palette.variables)

    def get_default_screen(self) -> Screen[Any]:
        """Return the screen with the board."""
        return BoardScreen(id="_default")

    def compose(self) -> ComposeResult:
        """Create the head line, the figures, the tables, the filter and the footer."""
        yield Static(id="head", markup=False)
        yield OutageBand()
        yield Headline(self.palette, is_ascii=self._is_ascii)
        with BoardArea(id="board"):
            for name in TABLES:
                yield Panel(name, self.palette, is_ascii=self._is_ascii)
        yield FilterBox()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Start to follow the source and to redraw at the fixed rate."""
        self.query_one("#calls", Panel).focus()
        self.run_worker(self._follow(), exit_on_error=False)
        self.set_interval(REFRESH_INTERVAL, self.tick)
        self.call_after_refresh(self.tick)

    @on(BoardArea.Resized)
    def _follow_size(self) -> None:
        self._lay_out()

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
        status = self.board_model.feed_status()
        if self.board is None or not self.is_paused:
            self.board = self.board_model.build_board()
            self._update_tables()
        self._update_head(status)

    def _update_tables(self) -> None:
        board = self.board
        if board is None:
            return
        stale = self._is_stale
        self._needs.update({name: len(rows) for name, rows in board.rows.items()})
        self._lay_out()
        for panel in self._panels:
            name = str(panel.id)
            rows = board.rows[name]
            # Entries of the feed history have no names or numbers to search for.
            query = "" if name == "feed" else self.query_text
            sorting = panel.sorting
            shown = arrange(rows, query, sorting.column, reverse=sorting.is_reversed)
            panel.display_rows(shown)
            panel.show_title(_table_title(name, len(shown), len(rows), query), stale=stale)
        self._update_details()

    def _lay_out(self) -> None:
        """Give each table its place, by the size of the board and the rows of the tables."""
        for headline in self.screen_stack[0].query(Headline):
            height = headline_height(self.size.height)
            headline.display = height > 0
            headline.styles.height = height
            if self.board is not None and height:
                size = (self.size.width, height)
                headline.show_figures(self.board.figures, size, stale=self._is_stale)
        if not self._needs.lines:
            return
        for board in self.screen_stack[0].query(BoardArea):
            places = place_tables(self._needs.lines, *board.size)
            for panel in self._panels:
                panel.move_to(places[str(panel.id)])
        self._restore_focus()

    def _restore_focus(self) -> None:
        """Return the focus to the chosen table once it has a place again.

        In a window that is too small for a table, the focus moves to another one.
        """
        screen = self.screen
        if screen is self.screen_stack[0] and isinstance(screen.focused, Panel | None):
            for panel in self._panels:
                if panel.id == self._chosen_table and panel.display:
                    screen.set_focus(panel)

    def _note_chosen_table(self) -> None:
        if panel := self._focused_panel:
            self._chosen_table = str(panel.id)

    def _update_head(self, status: FeedStatus) -> None:
        board = self.board
        if board is None:
            return
        palette = self.palette
        at = self.source.now()
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(
            f" {describe_state(status.state)} ", palette.live if status.is_live else palette.alert
        )
        if self.is_paused:
            text.append(_(" PAUSED "), palette.paused)
        text.append(f" {board.remarks(self.zone)}")
        shown_at = board.at if self.is_paused else at
        clock = f" {shown_at.astimezone(self.zone):%H:%M:%S} "
        text.truncate(max(0, self.size.width - len(clock)), overflow="ellipsis", pad=True)
        text.append(clock, palette.paused if self.is_paused else palette.cells["faint"])
        for head in self.screen_stack[0].query("#head").results(Static):  # absent during teardown
            if head.content != text:
                head.update(text)
        outage = describe_outage(status, at, self.zone)
        for screen in self.screen_stack:
            if isinstance(screen, BoardScreen):
                screen.set_class(self._is_ascii, "-ascii")
                screen.show_outage(outage, palette.alert)

    def _update_details(self) -> None:
        board, screen = self.board, self.screen
        if board is None or not isinstance(screen, DetailsScreen):
            return
        call_id = screen.call_id
        call = board.calls.get(call_id) or self.board_model.ended_calls.get(call_id)
        if call is not None:
            screen.show_call(
                CallDetails(
                    call=call,
                    labels=Labels(self.source.mirror),
                    now=board.now,
                    zone=self.zone,
                    palette=self.palette,
                    limits=self.board_model.limits.wait,
                    stale=self._is_stale,
                )
            )

    @property
    def _is_stale(self) -> bool:
        return not self.board_model.feed_status().is_live

    @property
    def _panels(self) -> list[Panel]:
        return list(self.screen_stack[0].query(Panel))

    @property
    def _focused_panel(self) -> Panel | None:
        return self.focused if isinstance(self.focused, Panel) else None

    # -- user input ---------------------------------------------------------------------

    def action_focus_next(self) -> None:
        """Choose the next table."""
        super().action_focus_next()
        self._note_chosen_table()

    def action_focus_previous(self) -> None:
        """Choose the table before this one."""
        super().action_focus_previous()
        self._note_chosen_table()

    def on_mouse_down(self) -> None:
        """Choose the table that was clicked; it has the focus already."""
        self._note_chosen_table()

    def action_interrupt(self) -> None:
        """Leave as Ctrl-C does."""
        self.exit(KeyboardInterrupt())

    def action_pause(self) -> None:
        """Freeze the display, or resume it."""
        self.is_paused = not self.is_paused
        self.tick()

    def action_sort(self) -> None:
        """Sort the focused table by its next visible column; numbers by the largest first."""
        if panel := self._focused_panel:
            columns = panel.visible_columns
            following = [column for column in columns if column > panel.sorting.column]
            self._sort_by_column(panel, (following or columns)[0])

    def action_reverse(self) -> None:
        """Reverse the order of the focused table."""
        if panel := self._focused_panel:
            self._sort(panel, _reversed(panel.sorting))

    @on(DataTable.HeaderSelected)
    def _sort_by_clicked_column(self, event: DataTable.HeaderSelected) -> None:
        panel = event.data_table
        if isinstance(panel, Panel):
            column = int(event.column_key.value or 0)
            if panel.sorting.column == column:
                self._sort(panel, _reversed(panel.sorting))
            else:
                self._sort_by_column(panel, column)

    def _sort_by_column(self, panel: Panel, column: int) -> None:
        """Sort by a column: numbers and durations by the largest first."""
        self._sort(panel, Sorting(column, panel.all_columns[column].align_right))

    @on(Panel.OrderChanged)
    def _apply_order(self) -> None:
        self._update_tables()

    def _sort(self, panel: Panel, sorting: Sorting) -> None:
        panel.sort_by(sorting)
        self._update_tables()

    @on(DataTable.RowSelected)
    def _open_details(self, event: DataTable.RowSelected) -> None:
        panel = event.data_table
        row = panel.selected_row if isinstance(panel, Panel) else None
        if row is not None and row.call_id is not None:
            self.push_screen(DetailsScreen(row.call_id, self._update_details))

    def action_help(self) -> None:
        """Show the keys, figures, columns and colours."""
        model = self.board_model
        self.push_screen(HelpScreen(self.palette, model.limits, model.service_level))
        self.call_after_refresh(self.tick)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's signature
        """Disable keys that are text while the filter has the focus."""
        return action not in {"filter", "help"} or self._focused_panel is not None

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
        self._chosen_table = "calls"
        self.query_one("#calls", Panel).focus()

    def action_clear_filter(self) -> None:
        """Clear the filter, so that every row is shown."""
        self.query_one(FilterBox).value = ""
        self._leave_filter()


def _table_title(name: str, shown: int, total: int, query: str) -> str:
    """Return the title of a table, with the number of its rows."""
    title = _(TITLES[name])
    if name == "feed":
        return title
    if query:
        return _("{title} {shown} of {total}").format(title=title, shown=shown, total=total)
    return f"{title} {total}"


def _reversed(sorting: Sorting) -> Sorting:
    return Sorting(sorting.column, not sorting.is_reversed)


async def run_wallboard(
    source: Source,
    history: FeedHistory,
    zone: tzinfo | None = None,
    limits: BoardLimits = DEFAULT_BOARD_LIMITS,
) -> None:
    """Show a source on the terminal until the user leaves.

    ``history`` must receive the source's notices. When a feed ends without an error, its last
    board stays on the screen. Raises the error that ended the feed, or ``KeyboardInterrupt``
    for Ctrl-C.
    """
    # The first access starts call tracking; before the first await, every call is complete.
    source.calls  # noqa: B018
    is_ascii = has_only_ascii(sys.stderr.encoding)
    if is_ascii:
        ScrollBar.renderer = AsciiScrollBar
    app = Wallboard(
        source, history, zone, limits=limits, palette=terminal_palette(), is_ascii=is_ascii
    )
    with defer_terminal_log():
        result = await app.run_async()
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError  # Textual suppresses the cancellation
    if result is not None:
        raise result
    if app.return_code:
        raise SystemExit(app.return_code)
