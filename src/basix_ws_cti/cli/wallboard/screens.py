"""Band, keys and screens that the screens of the wallboard have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rich.cells import cell_len
from rich.text import Text
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Static

from basix_ws_cti._internal.translation import _
from basix_ws_cti.board.text import cell_text
from basix_ws_cti.cli.help.layout import wrap
from basix_ws_cti.cli.output import fit_text

# Most lines of the band.
_MAX_BAND_LINES = 2

# Actions whose keys the footer leaves out in a narrow terminal, in this order; the help lists them.
_DISPENSABLE = ("reverse", "sort", "pause", "select_cursor", "filter")

# Spaces around a key and its description in the footer.
_KEY_SPACES = 3


class OutageBand(Static):
    """Text that says since when there is no live feed; hidden while there is one."""

    def __init__(self) -> None:
        super().__init__(id="outage", markup=False)
        self.display = False

    def show_outage(self, text: str, style: str) -> None:
        """Show why there is no live feed, in this Rich style; an empty text hides the band."""
        self.display = bool(text)
        lines = _band_lines(cell_text(text), self.app.size.width)
        self.styles.height = len(lines)
        # Textual would read the style of the whole text as one of its own, with other colours.
        band = Text(no_wrap=True, end="").append("\n".join(lines), style)
        if text and self.content != band:
            self.update(band)


def _band_lines(text: str, width: int) -> list[str]:
    """Return a text as at most ``_MAX_BAND_LINES`` lines of ``width`` columns."""
    lines = wrap(text, width - 2)
    kept = [*lines[: _MAX_BAND_LINES - 1], " ".join(lines[_MAX_BAND_LINES - 1 :])]
    return [fit_text(f" {line}", width) for line in kept if line]


class BoardScreen(Screen[Any]):
    """Screen with an ``OutageBand``, and with keys described in the reader's language."""

    @property
    def active_bindings(self) -> dict[str, Any]:
        """Bindings of the keys that work now, with translated descriptions.

        Those that do not fit into the footer are not shown.
        """
        bindings = {
            key: active._replace(
                binding=replace(active.binding, description=_(active.binding.description))
                if active.binding.description
                else active.binding
            )
            for key, active in super().active_bindings.items()
        }
        hidden = self._actions_without_space(bindings)
        return {
            key: active._replace(binding=replace(active.binding, show=False))
            if active.binding.action in hidden
            else active
            for key, active in bindings.items()
        }

    def _actions_without_space(self, bindings: Mapping[str, Any]) -> set[str]:
        """Return the actions whose keys the footer has no space for."""
        widths: dict[str, int] = {}
        for active in bindings.values():
            binding = active.binding
            if binding.show:
                key = self.app.get_key_display(binding)
                width = cell_len(key) + cell_len(binding.description) + _KEY_SPACES
                widths.setdefault(binding.action, width)
        hidden = set()
        for action in _DISPENSABLE:
            if sum(widths.values()) > self.app.size.width and widths.pop(action, 0):
                hidden.add(action)
        return hidden

    def on_resize(self, _event: Resize) -> None:
        """Show the keys that fit into the footer."""
        self.refresh_bindings()

    def show_outage(self, text: str, style: str) -> None:
        """Show why there is no live feed, in this Rich style; an empty text: there is one."""
        self.set_class(bool(text), "-stale")
        for band in self.query(OutageBand):
            band.show_outage(text, style)
