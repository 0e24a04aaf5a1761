"""Those who want to know what a client finds out, and how they are told."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from basix_ws_cti.exceptions import NotConnectedError
from basix_ws_cti.mirror.changes import Gap

from .callbacks import Callbacks
from .subscriptions import SubscriberSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from basix_ws_cti.calls.events import CallEvent
    from basix_ws_cti.messages import Message
    from basix_ws_cti.mirror.changes import Change


@frozen
class ChangeWaiter:
    """Somebody waits for a change."""

    fits: Callable[[Change], bool]
    seen: asyncio.Future[None] = field(factory=lambda: asyncio.get_running_loop().create_future())


class Dispatcher:
    """The subscribers of each sort of item, the callbacks, and whoever waits for one change.

    Items are told in their order, and to all the same: a change before the events of calls
    that came of it.
    """

    def __init__(self) -> None:
        self.changes: SubscriberSet[Any] = SubscriberSet()
        self.messages: SubscriberSet[Any] = SubscriberSet()
        self.calls: SubscriberSet[Any] = SubscriberSet()
        self._sorts = (self.changes, self.messages, self.calls)
        self.callbacks: Callbacks = Callbacks()
        self.waiters: set[ChangeWaiter] = set()

    @property
    def lag(self) -> int:
        """How many items wait to be taken."""
        # A callback's subscription is in two places.
        return sum(one.waiting for one in {*chain(*self._sorts), *self.callbacks.queues})

    def publish_message(self, message: Message) -> None:
        """Tell of a message."""
        self.callbacks.call(type(message).__name__, message)
        self.messages.offer(message, self.callbacks.report)

    def publish(self, changes: Iterable[Change], events: Sequence[CallEvent]) -> None:
        """Tell of a few changes, and what happened to calls by them."""
        callbacks, report = self.callbacks, self.callbacks.report
        # Who comes when told of the changes finds the calls as they are after them.
        call_publisher = self.call_publisher() if events else None
        for change in changes:
            self.changes.offer(change, report)
            callbacks.call("change", change)
            if self.waiters:
                self._see(change)
        if call_publisher is not None:
            for event in events:
                call_publisher(event)

    def change_publisher(self) -> Callable[[Change | Gap], None]:
        """What tells of a change later, to those of now: who comes finds it in the mirror."""
        subscribers, call = self.changes.current(), self.callbacks.current("change")

        def tell(change: Change | Gap) -> None:
            subscribers.offer(change, self.callbacks.report)
            call(change)
            self._see(change)

        return tell

    def call_publisher(self) -> Callable[[CallEvent], None]:
        """What tells of a call later, to those of now: who comes finds it in the calls."""
        subscribers, call = self.calls.current(), self.callbacks.current("call")

        def tell(event: CallEvent) -> None:
            subscribers.offer(event, self.callbacks.report)
            call(event)

        return tell

    def _see(self, change: Change | Gap) -> None:
        for watch in tuple(self.waiters):
            if not isinstance(change, Gap) and watch.fits(change) and not watch.seen.done():
                watch.seen.set_result(None)

    def end(self, reason: Exception | None) -> None:
        """There is nothing more to tell; ``reason``: what stopped the client, if anything did."""
        for subscribers in self._sorts:
            for subscription in subscribers:
                subscription.end(reason)
                subscribers.discard(subscription)
        for queue in self.callbacks.queues:
            queue.end(reason)
        for watch in self.waiters:
            if not watch.seen.done():
                watch.seen.set_exception(reason or NotConnectedError())
