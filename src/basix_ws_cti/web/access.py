"""Rights of the reader of a page."""

from __future__ import annotations

from attrs import frozen

from .access_file import Account, DisplayLink
from .view_key import EVERYTHING, Selection


@frozen
class Access:
    """Rights that a request has."""

    holder: Account | DisplayLink | None = None
    """Account or display link; ``None``: nobody has to log in."""

    with_commands: bool = False
    """True: the reader may send commands to the PBX."""

    @property
    def bound(self) -> Selection:
        """Queues and users that the reader may see."""
        return self.holder.bound if isinstance(self.holder, DisplayLink) else EVERYTHING

    @property
    def name(self) -> str:
        """Name of the holder, for the log."""
        return "-" if self.holder is None else self.holder.name
