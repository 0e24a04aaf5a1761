"""Subscriptions to call events: filters, and subscriptions that end with the calls they follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


class LegFollower(CallFollower):
    """Follower of the calls that a user's phones ring for; one leg for each phone.

    It takes the active calls by id, and the arguments of ``Subscription``. Before ``begin``, when
    the uuids of the legs are not known, it keeps the newest event of each call, since any of them
    may turn out to be one of the calls.
    """

    def __init__(self, active_calls: Mapping[str, Call], *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.uuids: tuple[str, ...] = ()
        """Uuids of the legs; empty before ``begin``."""
        self.unseen: set[str] = set()
        """Uuids of the legs that no event has shown, and that are waited for. Once one phone is
        answered, the others ring no longer, and their legs are not waited for."""
        self.shown: dict[str, Call] = {}
        """Newest state of each of the calls that an event has shown, by call id."""
        self.answered_call: Call | None = None
        """The call as it was when the destination answered; ``None``: it has not answered."""
        self._joined_ids: set[str] = set()
        self._active_calls = active_calls
        # In the order of the events, so that the end of a call comes after those that joined it.
        self._early_events: dict[str, CallEvent] | None = {}

    @property
    def is_over(self) -> bool:
        """True once there is nothing left to follow, and no leg to wait for."""
        return super().is_over and not self.unseen

    def begin(self, uuids: Sequence[str]) -> None:
        """Follow the calls of the legs with these uuids.

        A call that had events before begins with a ``CallStarted`` that holds its state after the
        last of them; if that was its end, it is the only event.
        """
        self.uuids, self.unseen = tuple(uuids), set(uuids)
        early_events, self._early_events = self._early_events or {}, None
        for event in early_events.values():
            self.offer(event if isinstance(event, CallEnded) else CallStarted(event.call))
        if self.is_over:
            self.finish()

    def give_up_unseen(self) -> None:
        """Stop waiting for legs that have not been seen."""
        self.unseen.clear()
        if self.is_over:
            self.finish()

    def belongs(self, call: Call) -> bool:
        """Return True if one of the legs is, or was, in the call."""
        return super().belongs(call) or any(leg.uuid in self.uuids for leg in call.legs)

    def was_picked_up(self, call: Call) -> bool:
        """Return True if one of the legs was answered in the call."""
        return any(leg.uuid in self.uuids and leg.answered is not None for leg in call.legs)

    def offer(self, item: CallEvent) -> None:
        """Record and queue an event of the calls; before ``begin``, keep any event."""
        call = item.call
        if self._early_events is not None:
            self._early_events.pop(call.id, None)
            self._early_events[call.id] = item
        elif self.belongs(call):
            self._record(call)
            super().offer(item)

    def _record(self, call: Call) -> None:
        """Record the state of a call, and of the call that it has joined."""
        self.unseen.difference_update(leg.uuid for leg in call.legs)
        if self.was_picked_up(call):
            self.unseen.clear()
        shown = [call]
        if call.joined is not None:
            self._joined_ids.add(call.joined)
            if (joined := self._active_calls.get(call.joined)) is not None:
                shown.append(joined)
        for one in shown:
            self.shown[one.id] = one
            if self.answered_call is None and self._is_answered(one):
                self.answered_call = one

    def _is_answered(self, call: Call) -> bool:
        """Return True if the destination has answered.

        A call that was joined may have been answered before, by somebody else.
        """
        if call.id in self._joined_ids:
            return call.phase.kind == "talking"
        return call.answered is not None
