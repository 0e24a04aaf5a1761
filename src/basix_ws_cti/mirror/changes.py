"""Items of a stream of changes: elements that came, changed or went, gaps, and lost items."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import attrs
from attrs import field, frozen

from basix_ws_cti.elements import Element


@frozen
class Added:
    """An element is there. ``synthetic``: no event said so, a comparison of pictures did.

    ``position``, in all changes, is where an element that has no key stood in its
    ``initial_info``: it stands for the key.
    """

    element_name: str
    element: Element
    synthetic: bool = False
    position: int | str | None = field(default=None, kw_only=True, repr=False)

    @property
    def key(self) -> int | str | None:
        """The element's key; of one that has none, its ``position`` in its initial_info."""
        return self.element.key if self.position is None else self.position


@frozen
class Changed:
    """An element is another now than it was: ``old``, and what it is, ``element``."""

    element_name: str
    element: Element
    old: Element
    synthetic: bool = False
    position: int | str | None = field(default=None, kw_only=True, repr=False)

    @property
    def key(self) -> int | str | None:
        """The element's key; of one that has none, its ``position`` in its initial_info."""
        return self.element.key if self.position is None else self.position

    @property
    def fields(self) -> dict[str, tuple[Any, Any]]:
        """The fields that differ, by name: old value and new one. ``extra`` fields too."""
        names = [a.name for a in attrs.fields(type(self.element)) if a.name != "extra"]
        pairs = {name: (getattr(self.old, name), getattr(self.element, name)) for name in names}
        before, now = self.old.extra, self.element.extra
        for name in {**before, **now}:
            pairs.setdefault(name, (before.get(name), now.get(name)))
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


@frozen
class Removed:
    """An element is gone: as the PBX described it last, a channel with how it ended."""

    element_name: str
    element: Element
    synthetic: bool = False
    position: int | str | None = field(default=None, kw_only=True, repr=False)

    @property
    def key(self) -> int | str | None:
        """The element's key; of one that has none, its ``position`` in its initial_info."""
        return self.element.key if self.position is None else self.position


Change = Added | Changed | Removed
"""Any of the changes."""


@frozen
class Gap:
    """The client was blind from ``started`` to ``ended`` (aware, UTC), and why.

    Where the PBX fell silent, that is from its last sign of life on, a frame or a pong.
    What happened meanwhile shows in the synthetic changes that follow, as far as it lasted.
    """

    started: datetime
    ended: datetime
    reason: Exception | None


@frozen
class Lagged:
    """The subscriber was too slow: exactly ``missed`` items before the next are lost to it."""

    missed: int
