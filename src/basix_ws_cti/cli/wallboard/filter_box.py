"""Text box in which a filter for the tables is typed."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input


class FilterBox(Input):
    """Input for a name or number; visible while it is edited or has a text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Done", key_display="enter"),
        Binding("escape", "app.clear_filter", "Clear"),
    ]

    def __init__(self) -> None:
        super().__init__(placeholder="a name or a number", select_on_focus=False)
        self.display = False
