"""Part of the screen that the tables share."""

from __future__ import annotations

from textual.containers import Container
from textual.events import Resize
from textual.message import Message


class BoardArea(Container):
    """Container of the tables; it posts ``Resized`` once it has a new size."""

    class Resized(Message):
        """The area has a new size."""

    def on_resize(self, _event: Resize) -> None:
        """Report the new size."""
        self.post_message(self.Resized())
