"""Alerts of a live feed: drives an ``AlertMonitor`` with the feed's events and a timer.

Alerts are checked when everything that follows from a message has been delivered, and not while the
events that lead to a new snapshot are: in between, the figures are those of no moment.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from attrs import define

from basix_ws_cti.alerts.monitor import AlertMonitor
from basix_ws_cti.alerts.rule import Alert, AlertRule
from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.session.status import ClientState, Stopped, Synced

if TYPE_CHECKING:
    from .live_feed import FeedCore

_logger = logging.getLogger(__name__)

# Longest time of a timer, in seconds: the machine may be suspended, and its clock may be set.
_MAX_DELAY = 60.0

Deliver = Callable[[Alert], object]
"""Delivers an alert to one subscriber."""


@define(eq=False)
class _Subscriber:
    """One registration for the alerts of a rule."""

    deliver: Deliver
    is_ready: bool
    """False until it has received, or need not receive, an alert that holds already."""


class AlertWatch:
    """Watches the rules of a feed and delivers their alerts.

    - ``core``: that of the feed.
    - ``register``: registers a callback of the feed for an event; the third argument is the name of
      the callback's argument. Returns a function that unregisters it.
    """

    def __init__(
        self,
        core: FeedCore,
        register: Callable[[str, Callable[..., object], str], Callable[[], None]],
    ) -> None:
        self._core = core
        self._register = register
        self._numbers = itertools.count(1)
        self._is_registered = False  # for the feed's events, before the first rule
        self._time = core.pbx_time
        self._monitor = AlertMonitor(lambda: core.session.mirror.groups)
        self._subscribers: dict[AlertRule, list[_Subscriber]] = {}
        self._reported: set[AlertRule] = set()  # rules whose queue is unknown
        self._is_due = False  # something has changed since the last check
        self._loop: asyncio.AbstractEventLoop | None = None  # None while the feed does not run
        self._timer: asyncio.TimerHandle | None = None

    def add(self, rule: AlertRule, callback: Deliver) -> Callable[[], None]:
        """Call ``callback``, sync or async, for the alerts of a rule; return a function to end it.

        The feed must not have ended.
        """
        callbacks = self._core.dispatcher.callbacks
        event = f"alert {next(self._numbers)}"
        unregister = self._register(event, callback, "alert")
        self._register_once()
        unsubscribe = self._subscribe(rule, partial(callbacks.call, event))

        def remove() -> None:
            unsubscribe()
            unregister()
            callbacks.forget(event)

        return remove

    def _register_once(self) -> None:
        """Register for the feed's events, unless that is done."""
        if self._is_registered:
            return
        self._is_registered = True
        self._core.session.follow_calls()
        self._register("call", self.apply, "event")
        self._register("state", self.enter, "state")
        self._core.state.watch(self.check_if_due)
        if self._loop is not None:
            self._begin()
            self.enter(self._core.state.current)

    def _subscribe(self, rule: AlertRule, deliver: Deliver) -> Callable[[], None]:
        self._monitor.add(rule, self._core.session.calls.values())
        subscribers = self._subscribers.setdefault(rule, [])
        subscriber = _Subscriber(deliver, is_ready=self._loop is None)
        subscribers.append(subscriber)
        if self._loop is not None:
            self._loop.call_soon(self._welcome, rule, subscriber)

        def remove() -> None:
            if subscriber in subscribers:
                subscribers.remove(subscriber)
            if not subscribers and self._subscribers.get(rule) is subscribers:
                del self._subscribers[rule]
                self._monitor.remove(rule)

        return remove

    def start(self) -> None:
        """Start to watch: the feed runs, and has no state yet."""
        self._loop = asyncio.get_running_loop()
        if self._is_registered:
            self._begin()

    def _begin(self) -> None:
        self._monitor.feed_lost(self._time.now())
        self._check()

    def stop(self) -> None:
        """Deliver no alerts from now on."""
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()

    def apply(self, event: CallEvent) -> None:
        """Update the figures with a call event."""
        is_recent = self._core.session.is_settled and self._monitor.is_live
        self._time.observe(event, is_recent=is_recent)
        self._monitor.apply(event)
        self._is_due = True

    def enter(self, state: ClientState) -> None:
        """Note that the feed has a new state."""
        if isinstance(state, Stopped):
            self.stop()
            return
        if isinstance(state, Synced):
            self._time.synchronise(self._core.session.calls.values())
            self._monitor.feed_live()
        else:
            self._monitor.feed_lost(self._time.now())
        self._is_due = True
        self.check_if_due()

    def check_if_due(self) -> None:
        """Check the rules if something has changed, and the figures are those of one moment."""
        if self._is_due and self._core.session.is_settled:
            self._check()

    def _welcome(self, rule: AlertRule, subscriber: _Subscriber) -> None:
        """Deliver an alert that holds already to a new subscriber, or check a new rule."""
        if subscriber not in self._subscribers.get(rule, ()):
            return
        subscriber.is_ready = True
        raised = self._monitor.raised(rule)
        if raised is not None:
            subscriber.deliver(raised)
            return
        self._is_due = True
        self.check_if_due()

    def _check(self) -> None:
        """Check the rules now, and at the next time at which one may change without an event."""
        if self._loop is None or not self._subscribers:
            return
        self._is_due = False
        for alert in self._monitor.check(self._time.now()):
            for subscriber in tuple(self._subscribers.get(alert.rule, ())):
                if subscriber.is_ready:
                    subscriber.deliver(alert)
        if self._monitor.is_live:
            self._report_unknown_queues()
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        until = self._monitor.next_check()
        if until is not None and self._loop is not None:
            delay = self._time.delay(until, self._loop.time())
            self._timer = self._loop.call_later(min(delay, _MAX_DELAY), self._expire)

    def _expire(self) -> None:
        self._is_due = True
        self.check_if_due()

    def _report_unknown_queues(self) -> None:
        for rule in self._monitor.unknown_queues():
            if rule not in self._reported:
                self._reported.add(rule)
                _logger.warning("an alert rule names a queue that the PBX does not have")
                self._core.dispatcher.callbacks.report(
                    UsageError(f"alert rule '{rule}': the PBX has no queue with this id or name")
                )
