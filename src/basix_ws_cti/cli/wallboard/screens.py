"""Screens of the wallboard, and what they have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rich.text import Text
from textual.screen import Screen
from textual.widgets import Static

from basix_ws_cti._internal.translation import _
from basix_ws_cti.board.text import cell_text
from basix_ws_cti.cli.output import fit_text


class OutageBand(Static):
    """Line that says since when there is no live feed; hidden while there is one."""

    def __init__(self) -> None:
        super().__init__(id="outage", markup=False)
        self.display = False

    def show_outage(self, text: str, style: str) -> None:
        """Show why there is no live feed, in this Rich style; an empty text hides the band."""
        self.display = bool(text)
        line = fit_text(f" {cell_text(text)}", self.app.size.width)
        # Textual would read the style of the whole text as one of its own, with other colours.
        band = Text(no_wrap=True, end="").append(line, style)
        if text and self.content != band:
            self.update(band)


class BoardScreen(Screen[Any]):
    """Screen with an ``OutageBand``, and with keys described in the reader's language."""

    @property
    def active_bindings(self) -> dict[str, Any]:
        """Bindings of the keys that work now, with translated descriptions."""
        return {
            key: active._replace(
                binding=replace(active.binding, description=_(active.binding.description))
                if active.binding.description
                else active.binding
            )
            for key, active in super().active_bindings.items()
        }

    def show_outage(self, text: str, style: str) -> None:
        """Show why there is no live feed, in this Rich style; an empty text: there is one."""
        self.set_class(bool(text), "-stale")
        for band in self.query(OutageBand):
            band.show_outage(text, style)
