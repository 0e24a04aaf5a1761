"""Text box in which a filter for the tables is typed."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input

from basix_ws_cti._internal.translation import N_, _


class FilterBox(Input):
    """Input for a name or number; visible while it is edited or has a text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", N_("Done"), key_display="enter"),
        Binding("escape", "app.clear_filter", N_("Clear")),
    ]

    def __init__(self) -> None:
        super().__init__(placeholder=_("a name or a number"), select_on_focus=False)
        self.display = False
