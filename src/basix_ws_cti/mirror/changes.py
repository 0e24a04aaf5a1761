"""Items of a stream of changes: elements added, changed and removed, gaps, and lost items."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import attrs
from attrs import field, frozen

from basix_ws_cti._internal.display import SetFields
from basix_ws_cti.elements import Element


@frozen(repr=False)
class _ElementChange(SetFields):
    """Base of the three changes."""

    element_name: str
    """Kind of the element, such as ``"channel"``."""

    element: Element
    """The element as the PBX last described it."""

    position: int | str | None = field(default=None, kw_only=True, repr=False)
    """Position in its ``initial_info`` of an element without a key; ``None`` for all others."""

    @property
    def key(self) -> int | str | None:
        """Key of the element in its mapping: its own key, or its ``position`` if it has none."""
        return self.element.key if self.position is None else self.position


@frozen(repr=False)
class Added(_ElementChange):
    """An element appeared."""

    synthetic: bool = False
    """True if a comparison of two snapshots found the change, False if the PBX sent it."""


@frozen(repr=False)
class Changed(_ElementChange):
    """An element has other values than before."""

    old: Element
    """The element before the change."""

    synthetic: bool = False
    """True if a comparison of two snapshots found the change, False if the PBX sent it."""

    @property
    def fields(self) -> dict[str, tuple[Any, Any]]:
        """Fields that differ, by name, with old and new value; includes ``extra`` fields.

        A raw value in ``extra`` counts as the value of the declared field of its name if that
        field is ``None``.
        """
        names = [a.name for a in attrs.fields(type(self.element)) if a.name != "extra"]
        pairs = {name: (getattr(self.old, name), getattr(self.element, name)) for name in names}
        before, after = self.old.extra, self.element.extra
        for name in {**before, **after}:
            old, new = pairs.get(name, (None, None))
            pairs[name] = (
                before.get(name) if old is None else old,
                after.get(name) if new is None else new,
            )
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


@frozen(repr=False)
class Removed(_ElementChange):
    """An element is gone. A channel that hung up carries its hang-up."""

    synthetic: bool = False
    """True if a comparison of two snapshots found the change, False if the PBX sent it."""


Change = Added | Changed | Removed
"""Any change of an element."""


@frozen(repr=False)
class Gap(SetFields):
    """A period in which changes of the PBX may have been missed.

    The synthetic changes that follow a gap turn the state before it into the state after it.
    Elements that came and went within the gap do not appear in them.
    """

    started: datetime
    """Last sign of life of the lost connection, a frame or a pong; or the time of the first frame
    that could not be read and may have changed the state, if that was earlier (aware, UTC)."""

    ended: datetime
    """Time at which the next snapshot was complete (aware, UTC)."""

    reason: Exception | None
    """Error that ended the connection; ``None`` if it is unknown."""


@frozen(repr=False)
class Lagged(SetFields):
    """A slow subscriber lost items: its queue was full."""

    missed: int
    """Exact number of items that were dropped before the next one."""
