"""Subscriptions: bounded queues, one per subscriber, so that a slow one delays no other.

Policy ``latest``, once ``size`` changes wait: the subscriber is *behind*. It keeps the waiting
changes and its position in a ``ChangeBacklog``, which collects the later changes, one per element,
for all subscribers that are behind. Reading goes in this order:

1. The waiting changes, up to ``MERGED_AT_ONCE`` at a time, are merged into one per element.
2. The batches, one after another. When the newest is empty, the subscriber is no longer behind.

A change is left out if the next batch changes its element again: it is *carried*, and merged with
that later change. Batches that are being read do not change, so that the later change is sure to
come.

Memory of n subscribers that are behind, with e changed elements: n x ``size`` references to changes
(8 bytes each, shared by all), and one entry (about 300 bytes) per element and position: at most
n x e entries, and e if all fell behind at the same change. A subscriber with a function as
its filter (``where``) has entries of its own, for the elements that it selects.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, Literal, Self, TypeVar
from weakref import ReferenceType, ref

from attrs import frozen

from basix_ws_cti._internal.arguments import check_choice, check_integer
from basix_ws_cti._internal.time_slice import SLICE_STEPS
from basix_ws_cti.exceptions import SubscriberLagged, UsageError
from basix_ws_cti.mirror.changes import Gap, Lagged

from .change_backlog import (
    GAP_PLACE,
    Batch,
    ChangeBacklog,
    NetChange,
    Place,
    add_to,
    place_of,
    single,
)
from .wake_queue import WakeQueue

T = TypeVar("T")

Policy = Literal["latest", "drop_oldest", "fail"]
"""Reaction of a full queue; see ``Subscription``."""

# Items that wait for one subscriber: at a hundred events per second, a pause of ten seconds.
QUEUE_SIZE = 1024

# Waiting changes that are merged in one step, which takes 1 to 2 ms.
MERGED_AT_ONCE = 1024

# References at which a set first removes those to dropped subscriptions.
_FIRST_SWEEP = 16

# Subscriptions that a task is waiting for. Clients refer to subscriptions weakly, and asyncio
# refers to tasks weakly; without this set both could be collected while the task waits.
_waited_for: set[Subscription[Any]] = set()


@frozen
class Selection:
    """Filter of a subscriber to changes: kind, key and function; a ``Gap`` always passes."""

    kind: str | None = None
    """Kind of the elements; ``None``: all."""

    key: int | str | None = None
    """Key of the elements; ``None``: all."""

    where: Callable[[Any], bool] | None = None
    """Returns True for the wanted changes; ``None``: all."""

    def __call__(self, item: Any) -> bool:
        """Return True if the subscriber wants the item."""
        if isinstance(item, Gap):
            return True
        return (
            (self.kind is None or item.element_name == self.kind)
            and (self.key is None or item.key == self.key)
            and (self.where is None or bool(self.where(item)))
        )

    def selects(self, place: Place) -> bool:
        """Return True if kind and key select the changes of this element."""
        kind, key = place
        return place == GAP_PLACE or (self.kind in {None, kind} and self.key in {None, key})


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

    batch: Batch | None = None
    """Position in the backlog of a subscriber that is behind; ``None``: it is not behind."""

    batches_read: tuple[Batch, ...] = ()
    """Batches that must not change: the one that is being read, and the one behind it."""

    def __init__(
        self,
        policy: Policy,
        size: int,
        wants: Callable[[T], bool] | None,
        on_close: Callable[[Subscription[T]], None],
        counts: Counter[str] | None = None,
        *,
        wake_queue: WakeQueue | None = None,
        check_loop: Callable[[], object] = lambda: None,
    ) -> None:
        check_choice("policy", policy, ("latest", "drop_oldest", "fail"))
        check_integer("size", size)
        self.size = size
        self.wants = wants
        self._check_loop = check_loop  # raises in an event loop other than the client's
        self.policy = policy
        self._on_close = on_close
        self._counts = Counter() if counts is None else counts  # "missed" is incremented
        self._wake_queue = WakeQueue() if wake_queue is None else wake_queue
        self._items: deque[T] = deque()
        self._missed = 0
        self._taken = 0
        self._iteration = 0  # of the wake queue, in which the last item was taken
        self._backlog: ChangeBacklog | None = None  # created when it is needed
        self._backlog_is_shared = False
        self._on_behind: Callable[[Subscription[T]], None] = lambda _: None
        self._merged: deque[T] = deque()  # older than _items
        self._carried: dict[Place, NetChange] = {}  # of elements that the batch changes again
        self._entries: Iterator[tuple[Place, NetChange]] = iter(())  # unread entries of the batch
        self._unread = 0  # their number
        self._ready = asyncio.Event()
        self._is_asleep = False  # a task waits for _ready
        self._ended: list[Exception | None] = []

    def __repr__(self) -> str:
        state = "ended" if self._ended else "open"
        return f"<Subscription {state}, {len(self._items)} of {self.size} items queued>"

    def __aiter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Number of waiting items; of a subscriber that is behind, an upper bound."""
        count = len(self._items) + len(self._merged)
        if self.batch is None:
            return count
        count += self._unread if self.batches_read else len(self.batch.entries)
        batch = self.batch.following
        while batch is not None:
            count += len(batch.entries)
            batch = batch.following
        return count

    def share(self, backlog: ChangeBacklog, on_behind: Callable[[Subscription[T]], None]) -> None:
        """Use a shared backlog if kind and key alone select the changes.

        Its owner adds the changes, and offers none to a subscriber that is behind. ``on_behind``
        is called when the subscriber falls behind, and when it has caught up.
        """
        if self.policy == "latest" and (
            self.wants is None or (isinstance(self.wants, Selection) and self.wants.where is None)
        ):
            self._backlog, self._backlog_is_shared = backlog, True
            self._on_behind = on_behind

    @property
    def needs_offers(self) -> bool:
        """True unless the owner of a shared backlog adds the changes for this subscriber."""
        return self.batch is None or not self._backlog_is_shared

    def close(self) -> None:
        """Drop all waiting items and end the iteration."""
        self._on_close(self)
        self._items.clear()
        self._merged.clear()
        self._carried.clear()
        self.batch, self.batches_read, self._entries = None, (), iter(())
        self._missed = 0
        self.end(None)

    def finish(self) -> None:
        """Take no more items, and end the iteration after the waiting ones."""
        self._on_close(self)
        self.end(None)

    def end(self, reason: Exception | None) -> None:
        """End the iteration after the waiting items, by raising ``reason`` if it is given."""
        if not self._ended:
            self._ended.append(reason)
            self._wake()

    def offer(self, item: T) -> None:
        """Queue an item if the subscriber wants it."""
        if self._ended:
            return
        try:
            if self.wants is not None and not self.wants(item):
                return
        except UsageError as error:  # the filter can never work
            self._on_close(self)
            self.end(error)
            raise
        if self.batch is not None:
            self._own_backlog().add(item)
        elif len(self._items) + len(self._merged) < self.size:
            self._items.append(item)
        elif self.policy == "latest":
            backlog = self._own_backlog()
            self.batch = backlog.join()
            self._on_behind(self)
            if not self._backlog_is_shared:
                backlog.add(item)
        elif self.policy == "drop_oldest":
            self._items.popleft()
            self._missed += 1
            self._counts["missed"] += 1
            self._items.append(item)
        else:
            self._items.clear()
            self._on_close(self)
            self.end(SubscriberLagged(self.size))
        if self._is_asleep:
            self._wake()

    async def __anext__(self) -> T | Lagged:
        if not self._taken:
            self._check_loop()
        while True:
            self._taken += 1
            # A long queue must not block the event loop, and neither must many subscribers.
            if self._taken % SLICE_STEPS == 0 or self._wake_queue.expired():
                in_pace = self._iteration == self._wake_queue.iterations
                await self._wake_queue.next_slice(in_pace=in_pace)
            self._iteration = self._wake_queue.iterations
            if self._missed:
                missed, self._missed = self._missed, 0
                return Lagged(missed)
            if self._merged:
                return self._merged.popleft()
            if self.batch is not None:
                item = self._read_behind(self.batch)
                if item is not None:
                    return item
                continue
            if self._items:
                return self._items.popleft()
            if self._ended:
                # Each raise would add its frames to the traceback and keep them alive.
                raise (self._ended[0] or StopAsyncIteration()).with_traceback(None)
            self._check_loop()
            await self._wait()
            self._iteration = self._wake_queue.iterations

    async def _wait(self) -> None:
        """Wait until an item is offered, or until the end."""
        self._ready.clear()
        self._is_asleep = True
        _waited_for.add(self)
        try:
            await self._ready.wait()
        finally:
            _waited_for.discard(self)

    def _wake(self) -> None:
        if self._is_asleep:
            self._is_asleep = False
            self._wake_queue.wake(self._ready)

    def _own_backlog(self) -> ChangeBacklog:
        if self._backlog is None:
            reference = ref(self)  # a cycle would keep a dropped subscription until it is collected
            self._backlog = ChangeBacklog(lambda: [one] if (one := reference()) else [])
        return self._backlog

    def _read_behind(self, batch: Batch) -> T | None:
        """Return the next change of a subscriber that is behind; ``None``: go on with a step."""
        if not self.batches_read:
            self.batches_read = self._own_backlog().enter(batch)
            self._entries, self._unread = iter(batch.entries.items()), len(batch.entries)
        if self._items:
            self._merge_items()
            return None
        for place, entry in self._entries:
            self._unread -= 1
            carried = self._carried.pop(place, None)
            change = entry if carried is None else carried.then(entry)
            if (
                carried is None
                and isinstance(self.wants, Selection)
                and not self.wants.selects(place)
            ):
                return None
            if any(place in later.entries for later in self.batches_read[1:]):
                self._carried[place] = change
                return None
            return None if change.is_void else change.to_change()
        following = batch.following
        self.batches_read = ()
        if following is not None and (following.entries or following.following is not None):
            self.batch = following
        else:
            self.batch = None
            self._on_behind(self)
        return None

    def _merge_items(self) -> None:
        """Merge the oldest waiting items; carry those that the batches change again."""
        entries: dict[Place, NetChange] = {}
        for _ in range(min(len(self._items), MERGED_AT_ONCE)):
            item = self._items.popleft()
            add_to(entries, place_of(item), single(item))
        for place, change in entries.items():
            if any(place in later.entries for later in self.batches_read):
                earlier = self._carried.get(place)
                self._carried[place] = change if earlier is None else earlier.then(change)
            else:
                item = change.to_change()
                if item is not None:
                    self._merged.append(item)


class SubscriberSet(Generic[T]):
    """Subscriptions that receive the same items, held by weak references.

    Adding and removing a subscription takes constant time. ``offer`` iterates over a tuple, which
    is built again after a change of the set; so iterating stays safe when a callback subscribes or
    unsubscribes. Subscribers that are behind share a backlog and are not in the tuple: an item is
    added to the backlog once for all of them.
    """

    last_number: int
    """Number of the subscription that was added last; 0: there was none."""

    def __init__(self) -> None:
        self.last_number = 0
        # Subscriptions by id, in the order of their numbers, which grow from the first to the last.
        self._references: dict[int, tuple[int, ReferenceType[Subscription[T]]]] = {}
        self._sweep_at = _FIRST_SWEEP
        self._offered: tuple[tuple[int, ReferenceType[Subscription[T]]], ...] | None = ()
        self._behind: dict[int, ReferenceType[Subscription[T]]] = {}
        self._backlog = ChangeBacklog(self._subscribers_behind)

    def __iter__(self) -> Iterator[Subscription[T]]:
        references = tuple(self._references.values())
        return iter([one for _, reference in references if (one := reference()) is not None])

    def __len__(self) -> int:
        """Return the number of references, those to dropped subscriptions included."""
        return len(self._references)

    def add(self, subscription: Subscription[T]) -> None:
        """Add a subscriber."""
        # Dead references are removed here and not by a weakref callback: the garbage collector may
        # run in another thread.
        if len(self._references) >= self._sweep_at:
            self._sweep()
        self._references.pop(id(subscription), None)  # of a dropped one that had the same id
        self.last_number += 1
        self._references[id(subscription)] = (self.last_number, ref(subscription))
        self._offered = None
        subscription.share(self._backlog, self._note_behind)

    def discard(self, subscription: Subscription[T]) -> None:
        """Remove a subscriber, if it is in the set."""
        _, reference = self._references.get(id(subscription), (0, None))
        if reference is not None and reference() is subscription:
            del self._references[id(subscription)]
            self._offered = None
            if self._behind.pop(id(subscription), None) is not None and not self._behind:
                self._backlog.clear()

    def offer(
        self,
        item: T,
        report: Callable[[BaseException, object], None],
        number: float = math.inf,
    ) -> None:
        """Offer an item to each subscriber; report what a filter raises, and continue.

        ``number``: the ``last_number`` of an earlier moment: subscriptions that were added later do
        not get the item. Until all items of that moment are offered, no later ones may be:
        subscribers that are behind share one backlog.
        """
        offered = self._offered
        if offered is None:
            offered = self._offered = self._needing_offers()
        has_dropped = False
        for added, reference in offered:
            if added > number:
                break
            subscription = reference()
            if subscription is None:
                has_dropped = True
                continue
            try:
                subscription.offer(item)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - of its filter
                report(error, subscription.wants)
        if has_dropped:
            self._sweep()
            self._offered = None
        if self._behind:
            self._backlog.add(item)

    def _needing_offers(self) -> tuple[tuple[int, ReferenceType[Subscription[T]]], ...]:
        return tuple(
            (number, reference)
            for number, reference in tuple(self._references.values())
            if (subscription := reference()) is not None and subscription.needs_offers
        )

    def _note_behind(self, subscription: Subscription[T]) -> None:
        """Note that a subscriber fell behind or caught up."""
        self._offered = None
        if subscription.batch is None:
            self._behind.pop(id(subscription), None)
        else:
            self._behind[id(subscription)] = ref(subscription)
        if not self._behind:
            self._backlog.clear()

    def _subscribers_behind(self) -> list[Subscription[T]]:
        """Return the subscribers that are behind; forget those that were dropped."""
        references = tuple(self._behind.values())
        living = [one for reference in references if (one := reference()) is not None]
        if len(living) < len(references):
            self._behind = {id(one): ref(one) for one in living}
        return living

    def _sweep(self) -> None:
        """Remove references to dropped subscriptions.

        The next sweep comes when the set has doubled, so that adding takes constant time on
        average.
        """
        self._references = {
            key: (number, reference)
            for key, (number, reference) in tuple(self._references.items())
            if reference() is not None
        }
        self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._references))
