"""Screen with the details of one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.console import RenderableType
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from basix_ws_cti._internal.translation import N_, _

from .screens import BoardScreen, OutageBand


class DetailsScreen(BoardScreen, ModalScreen[None]):
    """Modal screen that shows a call and its timeline until it is dismissed.

    ``refresh_call`` is called once the screen is ready; it then calls ``show_call``.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", N_("Back"), key_display="esc")
    ]

    def __init__(self, call_id: str, refresh_call: Callable[[], None]) -> None:
        super().__init__()
        self.call_id = call_id
        self._refresh_call = refresh_call

    def compose(self) -> ComposeResult:
        """Create a scrollable text and the footer."""
        yield OutageBand()
        with VerticalScroll() as box:
            box.border_title = _("Call")
            yield Static(id="call", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show the call without waiting for the next refresh of the board."""
        self.call_after_refresh(self._refresh_call)

    def show_call(self, details: RenderableType) -> None:
        """Show the details of the call."""
        for text in self.query("#call").results(Static):  # absent until the screen is composed
            text.update(details)
