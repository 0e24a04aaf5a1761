"""Screen with the keys, figures, columns and colours of the wallboard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from basix_ws_cti._internal.translation import N_, _
from basix_ws_cti.board.headline import FIGURES, figure_meaning
from basix_ws_cti.board.limits import BoardLimits
from basix_ws_cti.board.tables import PHASES, TABLES, TITLES, Style

from .screens import BoardScreen, OutageBand
from .styles import Palette

# Width, in characters, from which on there are two columns.
_TWO_COLUMNS = 110

_KEYS = (
    (N_("tab, arrows, mouse"), N_("select a table and a row")),
    (N_("enter, second click"), N_("show the details of a call")),
    ("/", N_("filter by a name or number; enter keeps the filter, escape clears it")),
    (N_("s, click on a heading"), N_("sort by the next column, or by that column")),
    ("r", N_("reverse the order")),
    ("p", N_("pause the display, or resume it")),
    ("?", N_("show this help")),
    (N_("q, Ctrl-C"), N_("leave")),
)

# Meaning of the colour of each kind of phase.
_PHASE_MEANINGS: dict[Style, str] = {
    "ivr": N_("in a voice menu"),
    "queued": N_("in a queue"),
    "ringing": N_("a phone rings"),
    "talking": N_("a talk"),
    "parked": N_("in a park slot"),
    "voicemail": N_("in a voicemail box"),
    "conference": N_("in a conference"),
}


class HelpScreen(BoardScreen, ModalScreen[None]):
    """Modal screen with explanations of the wallboard."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,question_mark", "dismiss", N_("Back"), key_display="esc")
    ]

    def __init__(self, palette: Palette, limits: BoardLimits, service_level: float) -> None:
        super().__init__()
        self._help = HelpText(palette, limits, service_level)

    def compose(self) -> ComposeResult:
        """Create a scrollable text and the footer."""
        yield OutageBand()
        with VerticalScroll() as box:
            box.border_title = _("Help")
            yield Static(self._help, id="help", markup=False)
        yield Footer(show_command_palette=False)


class HelpText:
    """Rich renderable with explanations of the wallboard.

    ``service_level`` is the longest wait within the service level, in seconds.
    """

    def __init__(self, palette: Palette, limits: BoardLimits, service_level: float) -> None:
        self._palette = palette
        self._limits = limits
        self._service_level = service_level

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield all sections, in two columns if the width allows."""
        left = [
            *self._section(_("Keys"), ((_(key), _(meaning)) for key, meaning in _KEYS)),
            *self._section(
                _("Figures"),
                (
                    (_(definition.title), figure_meaning(name, self._service_level))
                    for name, definition in FIGURES.items()
                ),
            ),
            Text(
                _(
                    "The figures are those of all queues and users together. The first line says "
                    "since when calls are counted."
                )
            ),
            Text(),
            *self._section(_("Colours"), self._colours()),
        ]
        right: list[RenderableType] = []
        for name, columns in TABLES.items():
            lines = ((_(column.name), _(column.meaning)) for column in columns)
            right += self._section(_(TITLES[name]), lines)
        if options.max_width < _TWO_COLUMNS:
            yield Group(*left, *right)
            return
        both = Table.grid(padding=(0, 4, 0, 0), expand=True)
        both.add_column(ratio=1)
        both.add_column(ratio=1)
        both.add_row(Group(*left), Group(*right))
        yield both

    def _section(
        self, title: str, lines: Iterable[tuple[str | Text, str]]
    ) -> Iterator[RenderableType]:
        """Yield a heading and a table of terms with their meaning."""
        yield Text(title, style="bold")
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, min_width=12, style=self._palette.graph)
        table.add_column(overflow="fold")
        for term, meaning in lines:
            table.add_row(Text(term) if isinstance(term, str) else term, Text(meaning))
        yield table
        yield Text()

    def _colours(self) -> Iterator[tuple[str | Text, str]]:
        wait, parked = self._limits.wait, self._limits.parked
        text = _("a wait of {wait:g} s or more; a parked call: {parked:g} s")
        meaning = text.format(wait=wait.warning, parked=parked.warning)
        yield self._sample(_("waiting"), "wait_warning"), meaning
        meaning = text.format(wait=wait.alarm, parked=parked.alarm)
        yield self._sample(_("waiting"), "wait_alarm"), meaning
        yield (
            Text(_("Stale since …"), style=self._palette.alert),
            _("there is no live feed: everything is as it was at that time"),
        )
        for word, style in PHASES.values():
            if style not in {"other", "unknown"}:
                yield self._sample(_(word), style), _(_PHASE_MEANINGS[style])

    def _sample(self, text: str, style: Style) -> Text:
        return Text(text, style=self._palette.cells[style])
