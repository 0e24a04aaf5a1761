"""Subscriptions to call events: filters, and subscriptions that end with the calls they follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from basix_ws_cti._internal.callables import PlainFunction, check_function
from basix_ws_cti.calls.events import CallEnded, CallEvent, CallStarted
from basix_ws_cti.calls.model import Call

from .subscriptions import Subscription


def make_call_filter(
    where: Callable[[CallEvent], bool] | None,
) -> Callable[[CallEvent], bool] | None:
    """Return the filter for the argument ``where`` of ``Client.call_events``; ``None``: all events.

    Raises ``UsageError`` for anything but a plain function that accepts the event.
    """
    if where is None:
        return None
    check_function("where", where, "event")
    return PlainFunction("where", where)


class CallFollower(Subscription[CallEvent]):
    """Subscription to the events of some calls, which ends with the last of these calls.

    It takes the arguments of ``Subscription``. When a call becomes a part of another one, the
    follower goes on with that other call, whose end is always reported later.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.active_ids: set[str] = set()
        """Ids of the calls whose end has not been offered yet."""

    @property
    def is_over(self) -> bool:
        """True once there is nothing left to follow."""
        return not self.active_ids

    def begin_with(self, call: Call) -> None:
        """Follow an active call; its present state is the first event.

        Call this in the same time slice in which ``call`` was looked up: then no event is missed,
        and none is delivered that the state includes already.
        """
        self.active_ids.add(call.id)
        self.offer(CallStarted(call))

    def belongs(self, call: Call) -> bool:
        """Return True if the call is one of those to follow."""
        return call.id in self.active_ids

    def offer(self, item: CallEvent) -> None:
        """Queue an event of the calls; finish after the last one."""
        call = item.call
        if not self.belongs(call):
            return
        super().offer(item)
        self.active_ids.add(call.id)
        if isinstance(item, CallEnded):
            self.active_ids.remove(call.id)
            if call.joined is not None:
                self.active_ids.add(call.joined)
        if self.is_over:
            self.finish()
