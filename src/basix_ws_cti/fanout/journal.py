"""Journal: notifications of the PBX that are not known to be in the stream. No I/O.

Every publisher that is connected to the PBX keeps one. The leader appends its items and drops them.
A standby reads the stream and drops what it finds there; what is left when it takes over is the
difference that it has to publish. Items are matched by type and data, which two publishers compute
from the same feed as equal bytes, and call events by their keys.

An item can be in the stream before this publisher has received it from the PBX. It is remembered
for ``AHEAD_TIME`` and not added then.

If Redis is away for long, the journal reaches its bounds. It then drops everything and remembers
only that something was lost: a gap and a snapshot replace the items.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from hashlib import blake2b
from json import JSONDecoder
from typing import Final

from attrs import frozen

from basix_ws_cti.calls.model import Call
from basix_ws_cti.mirror.mirror import Mirror

from .entries import Entry

MAX_ITEMS: Final = 20_000
"""Maximum number of items in a journal."""

BYTES_PER_ITEM: Final = 4096
"""Size that all items may have on average, in bytes: a call event has about 3,600, a change 800."""

MIN_BYTES: Final = 16 * 1024 * 1024
"""Size that all data may have in any case, in bytes: a few items can be large."""

AHEAD_TIME: Final = 10.0
"""Time for which an item of the stream is remembered that the PBX has not sent yet, in seconds."""

_JSON: Final = JSONDecoder()

# Start of the key in the data of a call event. No text before it contains this.
_CALL_KEY: Final = '"key":'

# Items of the stream that are remembered at a time.
_MAX_AHEAD: Final = 10_000

# Types of entries that all publishers of a feed make alike.
MATCHED_TYPES: Final = frozenset({"element", "elements", "call", "system_msg", "msg", "unknown"})


@frozen
class PendingSnapshot:
    """Snapshot that is to be appended: the state after all items before it."""

    mirror: Mirror
    """Copy of the mirror."""

    calls: tuple[Call, ...]
    """The calls in progress."""

    is_takeover: bool = False
    """True for the first one of an epoch, which is compared with the state in the stream."""


Item = Entry | PendingSnapshot

Key = tuple[str, bytes]


def entry_key(entry_type: str, data: bytes) -> Key:
    """Return the key by which equal items of two publishers are found.

    A call event has a key of its own: a publisher that has not seen the call from its start reports
    the same event with other details. Raises ``ValueError`` for a call event without a key.
    """
    if entry_type == "call":
        text = data.decode()
        key = str(_JSON.raw_decode(text, text.index(_CALL_KEY) + len(_CALL_KEY))[0])
        event, _, _ = key.rpartition(":")
        # A call starts and ends once, whatever a publisher knows about it.
        is_unique = event.endswith((":started", ":ended"))
        return entry_type, (event if is_unique else key).encode()
    return entry_type, blake2b(data, digest_size=16).digest()


class Journal:
    """Items in the order in which the PBX sent them, oldest first.

    - ``clock``: returns seconds that never go back.
    - ``max_items``: bound of their number.
    - ``max_bytes``: bound of the size of all data; ``None``: ``BYTES_PER_ITEM`` for each item, and
      ``MIN_BYTES`` at least.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        max_items: int = MAX_ITEMS,
        max_bytes: int | None = None,
    ) -> None:
        self._clock = clock
        self._max_items = max_items
        if max_bytes is None:
            max_bytes = max(MIN_BYTES, BYTES_PER_ITEM * max_items)
        self._max_bytes = max_bytes
        # Item, its key, and the time at which it was added.
        self._items: OrderedDict[int, tuple[Item, Key | None, float]] = OrderedDict()
        self._numbers: dict[Key, deque[int]] = {}
        self._next_number = 0
        self._ahead: OrderedDict[Key, deque[float]] = OrderedDict()
        self.size: int = 0
        """Size of all data in the journal, in bytes."""
        self.has_overflowed: bool = False
        """True once items were dropped because of the bounds; ``clear`` ends it."""
        self.has_matched: bool = False
        """True once an item was found in the stream, since ``clear``."""

    def __len__(self) -> int:
        return len(self._items)

    @property
    def ahead(self) -> int:
        """Number of items of the stream that the PBX has not sent to this publisher yet."""
        return sum(map(len, self._ahead.values()))

    def clear(self) -> None:
        """Start anew: nothing is known about the items before."""
        self._items.clear()
        self._numbers.clear()
        self._ahead.clear()
        self.size = 0
        self.has_overflowed = self.has_matched = False

    def forget_ahead(self) -> None:
        """Stop waiting for items that are in the stream already."""
        self._ahead.clear()

    def add(self, item: Item) -> None:
        """Append an item, unless it is in the stream already or the journal has overflowed."""
        if self.has_overflowed:
            return
        key = None
        if isinstance(item, Entry):
            if item.type in MATCHED_TYPES:
                key = entry_key(item.type, item.data)
                if self._is_ahead(key):
                    return
            self.size += len(item.data)
        self._insert(item, key)
        if len(self._items) > self._max_items or self.size > self._max_bytes:
            self.clear()
            self.has_overflowed = True

    def _insert(self, item: Item, key: Key | None) -> None:
        number = self._next_number
        self._next_number += 1
        self._items[number] = item, key, self._clock()
        if key is not None:
            self._numbers.setdefault(key, deque()).append(number)

    def match(self, entry_type: str, data: bytes) -> None:
        """Drop the oldest item that equals an entry of the stream, or remember the entry."""
        if entry_type not in MATCHED_TYPES:
            return
        try:
            key = entry_key(entry_type, data)
        except ValueError:
            return  # made by something else than a publisher
        if numbers := self._numbers.get(key):
            self._remove(numbers[0])
            self.has_matched = True
            return
        self._ahead.setdefault(key, deque()).append(self._clock())
        self._prune_ahead()

    def drop_older(self, seconds: float) -> None:
        """Drop items that a living leader must have appended, though they were not found.

        A call event can have another key if this publisher has not seen the call from its start.
        """
        oldest = self._clock() - seconds
        while self._items:
            number, (_, _, added) = next(iter(self._items.items()))
            if added >= oldest:
                break
            self._remove(number)

    def pop(self, max_items: int, max_bytes: int) -> list[Entry]:
        """Remove and return the oldest entries, up to the next snapshot and within the bounds.

        A single entry may be larger than ``max_bytes``.
        """
        taken: list[Entry] = []
        size = 0
        while self._items and len(taken) < max_items:
            number = next(iter(self._items))
            item, _, _ = self._items[number]
            if isinstance(item, PendingSnapshot):
                break
            size += len(item.data)
            if taken and size > max_bytes:
                break
            self._remove(number)
            taken.append(item)
        return taken

    def pop_snapshot(self) -> PendingSnapshot | None:
        """Remove and return the oldest item if it is a snapshot."""
        for number, (item, _, _) in self._items.items():
            if isinstance(item, PendingSnapshot):
                self._remove(number)
                return item
            break
        return None

    def restore(self, entries: list[Entry]) -> bool:
        """Put entries back that ``pop`` returned and whose append has an unknown outcome.

        Snapshots, states and gaps are dropped: they belong to the epoch that has ended. Returns
        True if there was a gap: the items before and after it are not contiguous.
        """
        items = [*entries, *(item for item, _, _ in self._items.values())]
        has_matched, has_overflowed = self.has_matched, self.has_overflowed
        self.clear()
        for item in items:
            if isinstance(item, Entry) and item.type in MATCHED_TYPES:
                self.add(item)
        self.has_matched = has_matched
        self.has_overflowed = self.has_overflowed or has_overflowed
        return any(isinstance(item, Entry) and item.type == "gap" for item in items)

    def _remove(self, number: int) -> None:
        item, key, _ = self._items.pop(number)
        if isinstance(item, Entry):
            self.size -= len(item.data)
        if key is not None:
            numbers = self._numbers[key]
            numbers.remove(number)
            if not numbers:
                del self._numbers[key]

    def _is_ahead(self, key: Key) -> bool:
        """Return True if the stream has an item already, and forget that."""
        self._prune_ahead()
        times = self._ahead.get(key)
        if not times:
            return False
        times.popleft()
        if not times:
            del self._ahead[key]
        self.has_matched = True
        return True

    def _prune_ahead(self) -> None:
        """Forget entries that the PBX should have sent long ago, and those over the bound."""
        oldest = self._clock() - AHEAD_TIME
        while self._ahead:
            key, times = next(iter(self._ahead.items()))
            if times[-1] >= oldest and len(self._ahead) <= _MAX_AHEAD:
                break
            del self._ahead[key]
