"""Dispatcher: delivers changes, messages and call events to subscribers and callbacks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any, Literal, get_args

from attrs import field, frozen

from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.exceptions import ClientClosed
from basix_ws_cti.messages import Message
from basix_ws_cti.mirror.changes import Added, Change, Changed, Gap, Removed

from .callbacks import Callbacks
from .subscriptions import SubscriberSet
from .wake_queue import WakeQueue


@frozen
class ChangeWaiter:
    """Future that the first matching change completes."""

    matches: Callable[[Change], bool]
    """Returns True for the expected change."""

    seen: asyncio.Future[None] = field(factory=lambda: asyncio.get_running_loop().create_future())
    """Completed by that change; fails when the client stops."""


def _deliver_to_nobody() -> None:
    """Do nothing."""


_DELIVERED_TO_NOBODY = partial(_deliver_to_nobody)


def _bind_to_nobody(_: object) -> partial[None]:
    return _DELIVERED_TO_NOBODY


class Dispatcher:
    """Delivers each item to all subscribers of its kind, and then to all callbacks.

    Every subscriber receives the items in the same order. An error in a filter or a callback is
    reported to ``"error"`` callbacks and affects no other subscriber.

    An item can become visible in the mirror or the calls before it is delivered (see
    ``session.Session``). ``bind`` therefore fixes the recipients at the time of the call: a
    subscriber that arrives later has seen the item already.
    """

    def __init__(self) -> None:
        self.changes: SubscriberSet[Any] = SubscriberSet()
        self.messages: SubscriberSet[Any] = SubscriberSet()
        self.calls: SubscriberSet[Any] = SubscriberSet()
        self.wake_queue: WakeQueue = WakeQueue()
        """Wakes the subscribers that wait for an item."""
        self._all_sets = (self.changes, self.messages, self.calls)
        self.callbacks: Callbacks = Callbacks()
        self.waiters: set[ChangeWaiter] = set()

    @property
    def lag(self) -> int:
        """Number of items that wait in queues."""
        # The subscription of an asynchronous callback is in both collections.
        queues = {*chain(*self._all_sets), *self.callbacks.queues}
        return sum(queue.waiting for queue in queues)

    def deliveries(self) -> dict[type[Any], Callable[[Any], object]]:
        """Return the function that delivers an item of a session, by the item's type.

        Those of states and errors are missing: they are the driver's.
        """
        return {
            partial: lambda bound: bound(),
            **dict.fromkeys((Added, Changed, Removed, Gap), self.publish_change),
            **dict.fromkeys(get_args(Message), self.publish_message),
        }

    def publish_message(self, message: Message) -> None:
        """Deliver a message."""
        self.callbacks.call(type(message).__name__, message)
        if self.messages:
            self.messages.offer(message, self.callbacks.report)

    def publish_change(self, change: Change | Gap) -> None:
        """Deliver a change to the subscribers of this moment."""
        if self.changes:
            self.changes.offer(change, self.callbacks.report)
        self.callbacks.call("change", change)
        if self.waiters:
            self._notify_waiters(change)

    def bind(self, kind: Literal["change", "call"]) -> Callable[[Any], partial[None]]:
        """Return a function that binds an item of this kind to the present subscribers.

        The bound item delivers itself when it is called.
        """
        if kind == "change":
            return partial(partial, self._change_publisher())
        if not self.calls and not self.callbacks.has("call"):
            return _bind_to_nobody
        return partial(partial, self._call_publisher())

    def _change_publisher(self) -> Callable[[Change | Gap], None]:
        number, call = self.changes.last_number, self.callbacks.frozen("change")

        def publish(change: Change | Gap) -> None:
            self.changes.offer(change, self.callbacks.report, number)
            call(change)
            self._notify_waiters(change)

        return publish

    def _call_publisher(self) -> Callable[[CallEvent], None]:
        number, call = self.calls.last_number, self.callbacks.frozen("call")

        def publish(event: CallEvent) -> None:
            self.calls.offer(event, self.callbacks.report, number)
            call(event)

        return publish

    @contextlib.contextmanager
    def waiting_for(self, matches: Callable[[Change], bool]) -> Iterator[asyncio.Future[None]]:
        """Yield a future that the first matching change completes, until the end of the block.

        The future fails when the client stops.
        """
        waiter = ChangeWaiter(matches)
        self.waiters.add(waiter)
        try:
            yield waiter.seen
        finally:
            self.waiters.discard(waiter)
            if waiter.seen.done() and not waiter.seen.cancelled():
                waiter.seen.exception()  # asyncio logs an exception that was never retrieved

    def _notify_waiters(self, change: Change | Gap) -> None:
        for waiter in tuple(self.waiters):
            if not isinstance(change, Gap) and waiter.matches(change) and not waiter.seen.done():
                waiter.seen.set_result(None)

    def end(self, reason: Exception | None) -> None:
        """End all subscriptions and waiters.

        ``reason`` is the error that stopped the client; ``None``: its block was left.
        """
        for subscribers in self._all_sets:
            for subscription in subscribers:
                subscription.end(reason)
                subscribers.discard(subscription)
        for queue in self.callbacks.queues:
            queue.end(reason)
        for waiter in self.waiters:
            if not waiter.seen.done():
                waiter.seen.set_exception(reason or ClientClosed())
