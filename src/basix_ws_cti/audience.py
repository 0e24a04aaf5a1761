"""Those who want to know what a client finds out, and how they are told."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from .callbacks import Callbacks
from .exceptions import NotConnectedError
from .status import Gap
from .subscriptions import Subscribers

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterable

    from .calls.events import CallEvent
    from .messages import Message
    from .mirror import Change
    from .turns import Turns


@frozen
class Watch:
    """Somebody waits for a change."""

    fits: Callable[[Change], bool]
    seen: asyncio.Future[None] = field(factory=lambda: asyncio.get_running_loop().create_future())


class Audience:
    """The subscribers of each sort of item, the callbacks, and whoever waits for one change.

    Items are told in their order, and to all the same: a change before the events of calls
    that came of it.
    """

    def __init__(self) -> None:
        self.changes: Subscribers[Any] = Subscribers()
        self.messages: Subscribers[Any] = Subscribers()
        self.calls: Subscribers[Any] = Subscribers()
        self._sorts = (self.changes, self.messages, self.calls)
        self.callbacks: Callbacks = Callbacks()
        self.watches: set[Watch] = set()

    @property
    def lag(self) -> int:
        """How many items wait to be taken."""
        # A callback's subscription is in two places.
        return sum(one.waiting for one in {*chain(*self._sorts), *self.callbacks.queues})

    def tell_message(self, message: Message) -> None:
        """Tell of a message."""
        self.callbacks.call(type(message).__name__, message)
        self.messages.offer(message, self.callbacks.report)

    def tell(self, changes: Iterable[Change], events: Iterable[CallEvent]) -> None:
        """Tell of a few changes, and what happened to calls by them."""
        callbacks, report = self.callbacks, self.callbacks.report
        for change in changes:
            self.changes.offer(change, report)
            callbacks.call("change", change)
            if self.watches:
                self._see(change)
        for event in events:
            self.calls.offer(event, report)
            callbacks.call("call", event)

    async def tell_in_turns(
        self, changes: deque[Change | Gap], events: deque[CallEvent], turns: Turns
    ) -> None:
        """Tell of many, those who want to know by now: who comes later finds it in the mirror."""
        report = self.callbacks.report
        change_subscribers, call_subscribers = self.changes.of_now(), self.calls.of_now()
        call_for_change = self.callbacks.of_now("change")
        call_for_call = self.callbacks.of_now("call")
        while changes:  # and frees them one by one
            change = changes.popleft()
            change_subscribers.offer(change, report)
            call_for_change(change)
            self._see(change)
            if turns.are_over():
                await turns.pause()
        while events:
            event = events.popleft()
            call_subscribers.offer(event, report)
            call_for_call(event)
            if turns.are_over():
                await turns.pause()

    def _see(self, change: Change | Gap) -> None:
        for watch in tuple(self.watches):
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
        for watch in self.watches:
            if not watch.seen.done():
                watch.seen.set_exception(reason or NotConnectedError())
