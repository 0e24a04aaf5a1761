"""Backlog of changes: the net changes that subscribers still need who fell behind. No I/O.

A subscriber that falls behind keeps no changes of its own. It keeps its position in a list of
batches, which all subscribers share::

    batch --> batch --> batch (newest: receives each new change)
      ^                   ^
      a subscriber        500 subscribers that fell behind at the same change

Invariants:

- A batch holds one entry per element: the element before the batch, and its last change within the
  batch. Applying a batch, and then all that follow it, to what a subscriber at its start knows
  gives the current state. An element that was added and removed within a batch has no entry.
- Batches refer to their followers only. So a batch is freed once no subscriber needs it.
- A new change costs the same for any number of subscribers: it enters the newest batch.
- A batch is not changed while a subscriber reads it.
- Two batches merge, a few entries at each new change, if no subscriber stands between them. So at
  most as many batches last as there are subscribers at different positions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

from attrs import frozen

from basix_ws_cti.elements import Element
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Removed

# Key of the merged gap; no kind has an empty name.
GAP_PLACE = ("", None)

# New changes between two searches for batches that can be merged. A search looks at each subscriber
# that is behind.
SEARCH_INTERVAL = 1024

# Entries that are merged at each new change. A new change makes at most one entry, so that merging
# is faster than the batches grow.
MERGES_PER_CHANGE = 4

Place = tuple[str, object]
"""Kind and key of an element, or ``GAP_PLACE``."""


@frozen
class NetChange:
    """Difference between the element that a subscriber knows and its last change."""

    known: Element | None
    """Element as the subscriber knows it; ``None``: the subscriber does not know it."""

    is_exact: bool
    """False if ``known`` comes from a ``Removed``, whose element may contain news (a hang-up)."""

    last: Any
    """Last change of the element."""

    @property
    def is_void(self) -> bool:
        """True if the element was added and removed."""
        return self.known is None and isinstance(self.last, Removed)

    def then(self, later: NetChange) -> NetChange:
        """Return this change and a later one of the same element as one."""
        last = later.last
        if isinstance(last, Gap):
            first = cast("Gap", self.last)
            last = Gap(first.started, last.ended, last.reason)
        return NetChange(self.known, self.is_exact, last)

    def to_change(self) -> Any:
        """Return the change for the subscriber; ``None`` if there is no difference."""
        known, last = self.known, self.last
        match last:
            case Removed():
                return None if known is None else last
            case Added(kind, element, synthetic) | Changed(kind, element, _, synthetic):
                if known is None:
                    if type(last) is Added:
                        return last
                    return Added(kind, element, synthetic, position=last.position)
                if self.is_exact and known == element:
                    return None
                if type(last) is Changed and last.old is known:
                    return last
                return Changed(kind, element, known, synthetic, position=last.position)
        return last


def place_of(item: Any) -> Place:
    """Return the place of a change or gap."""
    return GAP_PLACE if isinstance(item, Gap) else (item.element_name, item.key)


def single(item: Any) -> NetChange:
    """Return one change as a net change."""
    if isinstance(item, Changed):
        return NetChange(item.old, True, item)  # noqa: FBT003 - is_exact
    if isinstance(item, Removed):
        return NetChange(item.element, False, item)  # noqa: FBT003 - is_exact
    return NetChange(None, True, item)  # noqa: FBT003 - is_exact


def add_to(entries: dict[Place, NetChange], place: Place, change: NetChange) -> None:
    """Add a later change to entries: it replaces the entry of its element and goes to the end."""
    before = entries.pop(place, None)
    if before is not None:
        change = before.then(change)
    if not change.is_void:
        entries[place] = change


class Batch:
    """Net changes of one stretch of the feed, one per element."""

    __slots__ = ("entries", "following", "number")

    def __init__(self, number: int) -> None:
        self.number: int = number
        """Position among the batches; later batches have greater numbers."""
        # An OrderedDict removes its first entry in constant time; a dict skips the places of all
        # entries that were removed before.
        self.entries: OrderedDict[Place, NetChange] = OrderedDict()
        """Entries in the order of their last changes."""
        self.following: Batch | None = None
        """Next batch; ``None``: this is the newest one."""


class Reader(Protocol):
    """Subscriber that is behind."""

    batch: Batch | None
    """Batch at whose start it stands, or that it reads; ``None``: it is not behind."""

    batches_read: tuple[Batch, ...]
    """Batches that must stay as they are: the one it reads, and the one behind it."""


class ChangeBacklog:
    """Batches of net changes, shared by all subscribers that are behind.

    ``readers`` returns the subscribers that are behind now.
    """

    def __init__(self, readers: Callable[[], Iterable[Reader]]) -> None:
        self._readers = readers
        self._newest = Batch(0)
        self._until_search = SEARCH_INTERVAL
        self._merging: Batch | None = None  # it takes the entries of the batch that follows it
        self._kept: set[int] = set()  # numbers of batches at whose start a subscriber stands
        self._read: set[int] = set()  # numbers of batches that are being read

    def join(self) -> Batch:
        """Return the position of a subscriber that needs all later changes."""
        if self._newest.entries:
            self._close_newest()
        self._kept.add(self._newest.number)
        return self._newest

    def enter(self, batch: Batch) -> tuple[Batch, ...]:
        """Keep a batch as it is from now on, for a subscriber that reads it.

        Returns the batch, and the next one if it has changes: it is kept as well, so that the
        subscriber can leave out what changes again there.
        """
        batches = [batch]
        if batch.following is None:
            self._close_newest()
        elif batch.following.entries:
            batches.append(batch.following)
            if batch.following.following is None:
                self._close_newest()
        for one in batches:
            self._kept.add(one.number)
            self._read.add(one.number)
            if self._merging is not None and one in {self._merging, self._merging.following}:
                self._merging = None
        return tuple(batches)

    def clear(self) -> None:
        """Forget all changes: no subscriber is behind."""
        self._newest = Batch(self._newest.number + 1)
        self._merging = None

    def add(self, item: Any) -> None:
        """Add a change or gap that the subscribers who are behind will need."""
        add_to(self._newest.entries, place_of(item), single(item))
        if self._merging is not None:
            self._merge(self._merging)
        else:
            self._until_search -= 1
            if self._until_search <= 0:
                self._until_search = SEARCH_INTERVAL
                self._search()

    def _close_newest(self) -> None:
        newest = Batch(self._newest.number + 1)
        self._newest.following = newest
        self._newest = newest

    def _search(self) -> None:
        """Find the first batch that can take the entries of its follower."""
        readers = [one for one in self._readers() if one.batch is not None]
        positions = [one.batch for one in readers if one.batch is not None]
        if not positions:
            self.clear()
        self._read = {batch.number for one in readers for batch in one.batches_read}
        self._kept = self._read | {batch.number for batch in positions}
        oldest = min(positions, key=lambda batch: batch.number, default=None)
        self._merging = self._next_mergeable(oldest)

    def _next_mergeable(self, batch: Batch | None) -> Batch | None:
        while batch is not None and (following := batch.following) is not None:
            is_between = following.following is not None and following.number not in self._kept
            if is_between and batch.number not in self._read:
                return batch
            batch = following
        return None

    def _merge(self, target: Batch) -> None:
        """Move some entries of the batch that follows ``target`` into it, the oldest first."""
        source = cast("Batch", target.following)
        for _ in range(MERGES_PER_CHANGE):
            if not source.entries:
                target.following = source.following
                self._merging = self._next_mergeable(target)
                return
            place, change = source.entries.popitem(last=False)
            add_to(target.entries, place, change)
