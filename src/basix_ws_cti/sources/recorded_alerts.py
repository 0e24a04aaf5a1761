"""Alerts of a recording, in the recording's time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from basix_ws_cti.alerts.monitor import AlertMonitor
from basix_ws_cti.alerts.rule import Alert, AlertRule
from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.calls.model import Call
from basix_ws_cti.client.pbx_time import PbxTime
from basix_ws_cti.elements import Group
from basix_ws_cti.session.status import Disconnected, Stopped, Synced, Syncing

_SECOND = 1_000_000  # in microseconds


class RecordedAlerts:
    """Watches the rules of a recording that is played.

    - ``groups``: returns the groups of the recorded PBX by id.
    - ``started``: time at which the recording starts, in microseconds since the epoch, as all times
      here.
    """

    def __init__(self, groups: Callable[[], Mapping[int, Group]], started: int) -> None:
        self._now = started
        self._time = PbxTime(lambda: self._now / _SECOND)
        self._monitor = AlertMonitor(groups)
        self._monitor.feed_lost(started)
        # One entry for each registration, also of equal callbacks.
        self._callbacks: dict[AlertRule, dict[object, Callable[[Alert], object]]] = {}
        self._is_settled = False  # the last step did not lead to a new state

    def add(
        self, rule: AlertRule, callback: Callable[[Alert], object], calls: Mapping[str, Call]
    ) -> Callable[[], None]:
        """Call ``callback(alert)`` for the alerts of a rule; return a function that ends that."""
        self._monitor.add(rule, calls.values())
        callbacks = self._callbacks.setdefault(rule, {})
        registration = object()
        callbacks[registration] = callback

        def remove() -> None:
            callbacks.pop(registration, None)
            if not callbacks and self._callbacks.get(rule) is callbacks:
                del self._callbacks[rule]
                self._monitor.remove(rule)

        return remove

    def apply(self, event: CallEvent) -> None:
        """Update the figures with a call event."""
        self._time.observe(event, is_recent=self._is_settled and self._monitor.is_live)
        self._monitor.apply(event)

    def enter(self, state: Syncing | Synced | Disconnected | Stopped) -> None:
        """Note the state of the recorded client."""
        if isinstance(state, Synced):
            self._monitor.feed_live()
        else:
            self._monitor.feed_lost(self._time.now())
        self._is_settled = False

    def advance(self, now: int) -> None:
        """Note the present time: that of the step that follows."""
        self._now = max(self._now, now)

    def check(self, now: int) -> None:
        """Report the alerts that begin and end at ``now``, after a step is complete."""
        self.advance(now)
        self._is_settled = True
        for alert in self._monitor.check(self._time.now()):
            for callback in tuple(self._callbacks.get(alert.rule, {}).values()):
                callback(alert)

    def next_check(self) -> int | None:
        """Return the time of the next check without an event; ``None``: none is needed."""
        at = self._monitor.next_check()
        return None if at is None else at - (self._time.now() - self._now)
