"""Who is told what: subscribers with a bounded queue each, so that a slow one harms nobody."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, Literal, Self, TypeVar, cast
from weakref import ReferenceType, ref

from basix_ws_cti._internal.time_slice import SLICE_STEPS
from basix_ws_cti.elements import Element
from basix_ws_cti.exceptions import SubscriberLagged, UsageError
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Lagged, Removed

T = TypeVar("T")

Policy = Literal["latest", "drop_oldest", "fail"]

QUEUE_SIZE = 1024

# A gap's place among what is merged: no kind has an empty name.
_GAP = ("", None)

# A client holds its subscriptions weakly, and asyncio its tasks: a task that waits for one of
# these is held here, as by anything else that it might wait for.
_waited_for: set[Subscription[Any]] = set()


class Subscription(Generic[T]):
    """An async iterator over what is offered to it, from now on.

    ``size`` items may wait. Beyond that, ``drop_oldest`` loses the oldest, and says so by a
    ``Lagged`` in their place; ``fail`` ends the iteration with ``SubscriberLagged``;
    ``latest`` (changes only) keeps, for each element, the way from what the subscriber knows
    to what is: none is lost that still matters, and it always ends at the truth.

    Gaps too are merged then, into one from the first's beginning to the last's end; and of an
    element that went and came again, ``old`` is what it was when it went.

    Use it in a ``with`` block, or ``close()`` it, or let it be collected.
    """

    def __init__(
        self,
        policy: Policy,
        size: int,
        wants: Callable[[T], bool] | None,
        leave: Callable[[Subscription[T]], None],
        figures: Counter[str] | None = None,
    ) -> None:
        if policy not in {"latest", "drop_oldest", "fail"}:
            raise UsageError(f"policy is 'latest', 'drop_oldest' or 'fail', not {policy!r}")
        if size < 1:
            raise UsageError(f"a queue holds at least one item, not {size}")
        self.size = size
        self._policy = policy
        self.wants = wants
        self._leave = leave
        self._figures = Counter() if figures is None else figures
        self._items: deque[T] = deque()
        self._missed = 0
        self._taken = 0
        # latest, once more than `size` wait: kind and key (what stands for it, since a peer
        # chooses it: see `keys`) -> what was known, whether just so (a Removed says what went,
        # which may be news), what is last said. A dict would look longer and longer for the
        # first of those that are left.
        self._net: OrderedDict[tuple[str, object], tuple[Element | None, bool, T]] = OrderedDict()
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
        """How many items wait."""
        return len(self._items) + len(self._net)

    def close(self) -> None:
        """Take nothing more, drop what waits; the iteration ends."""
        self._leave(self)
        self._items.clear()
        self._net.clear()
        self._missed = 0
        self.end(None)

    def end(self, reason: Exception | None) -> None:
        """End the iteration after what waits: with ``reason``, or just so."""
        if not self._ended:
            self._ended.append(reason)
            self._ready.set()

    def offer(self, item: T) -> None:
        """Let an item wait, if the subscriber wants it."""
        if self._ended or (self.wants is not None and not self.wants(item)):
            return
        if self._net:
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
            self._figures["missed"] += 1
            self._items.append(item)
        else:
            self._items.clear()
            self._leave(self)
            self.end(SubscriberLagged(self.size))
        self._ready.set()

    async def __anext__(self) -> T | Lagged:
        while True:
            self._taken += 1
            if self._taken % SLICE_STEPS == 0:  # who has much to take lets others have their turn
                await asyncio.sleep(0)
            if self._missed:
                missed, self._missed = self._missed, 0
                return Lagged(missed)
            if self._items:
                return self._items.popleft()
            if self._net:
                item = _net_change(*self._net.popitem(last=False)[1])
                if item is None:
                    continue
                return item
            if self._ended:
                if self._ended[0] is not None:
                    # Raised wherever somebody asks: it is not to hold all frames of them all.
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
                before = None
                if isinstance(item, Changed):
                    before = item.old
                elif isinstance(item, Removed):
                    before = item.element
                exact = not isinstance(item, Removed)
                known, exact, _ = self._net.pop(place, (before, exact, item))
                if known is not None or not isinstance(item, Removed):  # else: came and went
                    self._net[place] = (known, exact, item)
            case _:  # a gap: there is nothing else among changes
                waiting = self._net.pop(_GAP, None)
                if waiting is not None:
                    first, last = cast("Gap", waiting[2]), cast("Gap", item)
                    item = cast("T", Gap(first.started, last.ended, last.reason))
                self._net[_GAP] = (None, True, item)


class SubscriberSet(Generic[T]):
    """Subscriptions that are all told the same; nobody is kept alive for it.

    A subscription that nobody iterates over any more needs no closing.
    """

    def __init__(self) -> None:
        self._references: tuple[ReferenceType[Subscription[T]], ...] = ()

    def __iter__(self) -> Iterator[Subscription[T]]:
        return iter([one for reference in self._references if (one := reference()) is not None])

    def current(self) -> SubscriberSet[T]:
        """Those who are told now, and nobody who comes later."""
        those: SubscriberSet[T] = SubscriberSet()
        those._references = self._references
        return those

    def add(self, subscription: Subscription[T]) -> None:
        """Tell it from now on."""
        # Those that were collected go now, and not when they are: that may be in another thread.
        self._references = (*self._without(None), ref(subscription))

    def discard(self, subscription: Subscription[T]) -> None:
        """Tell it no more; it may have gone already."""
        self._references = self._without(subscription)

    def offer(self, item: T, report: Callable[[BaseException, object], None]) -> None:
        """Offer an item to each; what their filters raise is reported and harms nobody."""
        for reference in self._references:
            subscription = reference()
            if subscription is not None:
                try:
                    subscription.offer(item)
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - its filter's
                    report(error, subscription)

    def _without(self, left: Subscription[T] | None) -> tuple[ReferenceType[Subscription[T]], ...]:
        return tuple(one for one in self._references if one() not in {None, left})


def _net_change(known: Element | None, exact: bool, last: T) -> T | None:  # noqa: FBT001
    """From what a subscriber knows to what was said last, in one change; ``None``: no way."""
    match last:
        case Removed():
            return None if known is None else last
        case Added(kind, element, synthetic) | Changed(kind, element, _, synthetic):
            if known is None:
                return Added(kind, element, synthetic, position=last.position)  # type: ignore[return-value]
            if exact and known == element:
                return None
            return Changed(kind, element, known, synthetic, position=last.position)  # type: ignore[return-value]
    return last
