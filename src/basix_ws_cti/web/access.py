"""Rights of the reader of a page."""

from __future__ import annotations

from attrs import frozen

from .view_key import EVERYTHING, Selection


@frozen
class Access:
    """Rights that a request has."""

    name: str | None = None
    """Name of the account or display link, for the log; ``None``: without a login."""

    bound: Selection = EVERYTHING
    """Queues and users that the reader may see."""

    with_commands: bool = False
    """True: the reader may send commands to the PBX."""
