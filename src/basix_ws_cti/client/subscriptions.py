"""Subscriptions: bounded queues, one per subscriber, so that a slow one delays no other.

Coalescing (policy ``latest``), once more than ``size`` changes wait: ``_merged`` then holds one
entry per element: the element as the subscriber knows it, and the last change. Invariant: applying
the entries to what the subscriber knows gives the current state. A new change replaces the last
change of its entry and moves the entry to the end. An element that was added and removed in the
meantime leaves no entry. All gaps merge into one, from the start of the first to the end of the
last.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, Literal, Self, TypeVar, cast
from weakref import ReferenceType, ref

from attrs import frozen

from basix_ws_cti._internal.time_slice import SLICE_STEPS
from basix_ws_cti.elements import Element
from basix_ws_cti.exceptions import SubscriberLagged, UsageError
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Lagged, Removed

T = TypeVar("T")

Policy = Literal["latest", "drop_oldest", "fail"]
"""Reaction of a full queue; see ``Subscription``."""

# Items that wait for one subscriber: at a hundred events per second, a pause of ten seconds.
QUEUE_SIZE = 1024

# Key of the merged gap; no kind has an empty name.
_GAP = ("", None)

# Subscriptions that a task is waiting for. Clients refer to subscriptions weakly, and asyncio
# refers to tasks weakly; without this set both could be collected while the task waits.
_waited_for: set[Subscription[Any]] = set()


@frozen
class _Merged(Generic[T]):
    """Entry of a coalescing queue."""

    known: Element | None
    """Element as the subscriber knows it; ``None``: the subscriber does not know it."""

    is_exact: bool
    """False if ``known`` comes from a ``Removed``, whose element may contain news (a hang-up)."""

    last: T
    """Last change of the element."""


class Subscription(Generic[T]):
    """Async iterator over the items that are offered from now on.

    Up to ``size`` items wait. When the queue is full, ``policy`` decides:

    - ``drop_oldest`` drops the oldest item; a ``Lagged`` in its place counts the dropped items.
    - ``fail`` ends the iteration with ``SubscriberLagged``.
    - ``latest`` (changes only) merges the waiting changes into one per element. A subscriber that
      applies all changes ends up with the current state. Gaps merge into one, from the start of the
      first to the end of the last. If an element was removed and added again, the ``old`` of the
      merged change is the element before its removal.

    Close a subscription with its ``with`` block or ``close()``. One that is no longer referenced
    ends by itself.
    """

    def __init__(
        self,
        policy: Policy,
        size: int,
        wants: Callable[[T], bool] | None,
        on_close: Callable[[Subscription[T]], None],
        counts: Counter[str] | None = None,
    ) -> None:
        if policy not in {"latest", "drop_oldest", "fail"}:
            raise UsageError(f"unknown policy {policy!r}: use 'latest', 'drop_oldest' or 'fail'")
        if size < 1:
            raise UsageError(f"size must be at least 1, got {size}")
        self.size = size
        self.wants = wants
        self._policy = policy
        self._on_close = on_close
        self._counts = Counter() if counts is None else counts  # "missed" is incremented
        self._items: deque[T] = deque()
        self._missed = 0
        self._taken = 0
        # An OrderedDict removes its first entry in constant time; a dict skips the places of all
        # entries that were removed before.
        self._merged: OrderedDict[tuple[str, object], _Merged[T]] = OrderedDict()
        self._ready = asyncio.Event()
        self._ended: list[Exception | None] = []

    def __aiter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Number of waiting items."""
        return len(self._items) + len(self._merged)

    def close(self) -> None:
        """Drop all waiting items and end the iteration."""
        self._on_close(self)
        self._items.clear()
        self._merged.clear()
        self._missed = 0
        self.end(None)

    def end(self, reason: Exception | None) -> None:
        """End the iteration after the waiting items, by raising ``reason`` if it is given."""
        if not self._ended:
            self._ended.append(reason)
            self._ready.set()

    def offer(self, item: T) -> None:
        """Queue an item if the subscriber wants it."""
        if self._ended or (self.wants is not None and not self.wants(item)):
            return
        if self._merged:
            self._merge(item)
        elif len(self._items) < self.size:
            self._items.append(item)
        elif self._policy == "latest":
            waiting, self._items = self._items, deque()
            for one in (*waiting, item):
                self._merge(one)
        elif self._policy == "drop_oldest":
            self._items.popleft()
            self._missed += 1
            self._counts["missed"] += 1
            self._items.append(item)
        else:
            self._items.clear()
            self._on_close(self)
            self.end(SubscriberLagged(self.size))
        self._ready.set()

    async def __anext__(self) -> T | Lagged:
        while True:
            self._taken += 1
            if self._taken % SLICE_STEPS == 0:  # a long queue must not block the event loop
                await asyncio.sleep(0)
            if self._missed:
                missed, self._missed = self._missed, 0
                return Lagged(missed)
            if self._items:
                return self._items.popleft()
            if self._merged:
                item = _net_change(self._merged.popitem(last=False)[1])
                if item is None:
                    continue
                return item
            if self._ended:
                if self._ended[0] is not None:
                    # Each raise would add its frames to the traceback and keep them alive.
                    raise self._ended[0].with_traceback(None)
                raise StopAsyncIteration
            self._ready.clear()
            _waited_for.add(self)
            try:
                await self._ready.wait()
            finally:
                _waited_for.discard(self)

    def _merge(self, item: T) -> None:
        match item:
            case Added() | Changed() | Removed():
                place = (item.element_name, item.key)
                entry = self._merged.pop(place, None)
                if entry is None:
                    before = None
                    if isinstance(item, Changed):
                        before = item.old
                    elif isinstance(item, Removed):
                        before = item.element
                    entry = _Merged(before, not isinstance(item, Removed), item)
                else:
                    entry = _Merged(entry.known, entry.is_exact, item)
                if entry.known is not None or not isinstance(item, Removed):
                    self._merged[place] = entry
            case _:  # a gap, the only other item among changes
                waiting = self._merged.pop(_GAP, None)
                if waiting is not None:
                    first, last = cast("Gap", waiting.last), cast("Gap", item)
                    item = cast("T", Gap(first.started, last.ended, last.reason))
                self._merged[_GAP] = _Merged(None, True, item)  # noqa: FBT003 - is_exact


class SubscriberSet(Generic[T]):
    """Subscriptions that receive the same items, held by weak references.

    The references are an immutable tuple that is replaced on each change. So iterating over it
    stays safe when a callback subscribes or unsubscribes, and ``frozen`` copies nothing.
    """

    def __init__(self) -> None:
        self._references: tuple[ReferenceType[Subscription[T]], ...] = ()

    def __iter__(self) -> Iterator[Subscription[T]]:
        return iter([one for reference in self._references if (one := reference()) is not None])

    def __len__(self) -> int:
        """Return the number of references, those to dropped subscriptions included."""
        return len(self._references)

    def frozen(self) -> SubscriberSet[T]:
        """Return a set of the present subscribers, without any that come later."""
        copy: SubscriberSet[T] = SubscriberSet()
        copy._references = self._references
        return copy

    def add(self, subscription: Subscription[T]) -> None:
        """Add a subscriber."""
        # Dead references are removed here and not by a weakref callback: the garbage collector may
        # run in another thread.
        self._references = (*self._without(None), ref(subscription))

    def discard(self, subscription: Subscription[T]) -> None:
        """Remove a subscriber, if it is in the set."""
        self._references = self._without(subscription)

    def offer(self, item: T, report: Callable[[BaseException, object], None]) -> None:
        """Offer an item to each subscriber; report what a filter raises, and continue."""
        for reference in self._references:
            subscription = reference()
            if subscription is not None:
                try:
                    subscription.offer(item)
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - of its filter
                    report(error, subscription)

    def _without(
        self, removed: Subscription[T] | None
    ) -> tuple[ReferenceType[Subscription[T]], ...]:
        return tuple(one for one in self._references if one() not in {None, removed})


def _net_change(entry: _Merged[T]) -> T | None:
    """Return the change from the known to the last element; ``None`` if there is no difference."""
    known, last = entry.known, entry.last
    match last:
        case Removed():
            return None if known is None else last
        case Added(kind, element, synthetic) | Changed(kind, element, _, synthetic):
            if known is None:
                return Added(kind, element, synthetic, position=last.position)  # type: ignore[return-value]
            if entry.is_exact and known == element:
                return None
            return Changed(kind, element, known, synthetic, position=last.position)  # type: ignore[return-value]
    return last
