"""Monitor: decides which alerts begin and end. No I/O, no clock.

A driver passes call events and the state of the feed, calls ``check`` after each change and at the
time that ``next_check`` returns, and delivers the alerts that ``check`` returns.

Invariants:

- An alert is raised when the figure is beyond the rule's limit, and ends when it has reached the
  rule's ``end_value``. In between nothing changes, so that each crossing is reported once.
- Without a feed the figures are stale: only ``"feed_lost"`` changes. With the next current state,
  the others are compared with the figures of that moment; what held in between is not reported.
- Waits grow without events. ``next_check`` therefore returns the time at which the longest wait
  will be beyond the limit. A service level changes when a call leaves the window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from attrs import Factory, define

from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.calls.model import Call
from basix_ws_cti.calls.stats import QueueStats
from basix_ws_cti.elements import Group

from .rule import Alert, AlertRule

_SECOND: Final = 1_000_000  # in microseconds


@define(eq=False)
class _Watched:
    """A rule, and the alert that it has raised."""

    rule: AlertRule
    group_id: int | None
    """Id of the group; ``None``: all queues, or the queue is not known yet."""
    is_known: bool
    """False as long as no group has the name in the rule."""
    raised: Alert | None = None
    """Alert that has not ended."""


@define(eq=False)
class AlertMonitor:
    """Raises and ends the alerts of rules. Times are the PBX's, in microseconds since the epoch."""

    groups: Callable[[], Mapping[int, Group]]
    """Function that returns the groups of the PBX by id, in which names of queues are looked up."""
    _rules: dict[AlertRule, _Watched] = Factory(dict)
    # Figures by service-level threshold and window, in seconds: rules share them.
    _stats: dict[tuple[float, float], QueueStats] = Factory(dict)
    # Time at which the feed was lost; None: the state is current.
    _lost_at: int | None = None

    @property
    def is_live(self) -> bool:
        """True while the figures are current."""
        return self._lost_at is None

    def add(self, rule: AlertRule, calls: Iterable[Call]) -> None:
        """Watch a rule; ``calls`` are the calls that are active now."""
        if rule in self._rules:
            return
        if isinstance(rule.queue, str):
            self._rules[rule] = _Watched(rule, None, is_known=False)
        else:
            self._rules[rule] = _Watched(rule, rule.queue, is_known=True)
        key = rule.within, rule.window
        if rule.figure != "feed_lost" and key not in self._stats:
            self._stats[key] = QueueStats(rule.window, rule.within, calls=calls)

    def remove(self, rule: AlertRule) -> None:
        """Watch a rule no longer."""
        self._rules.pop(rule, None)
        used = {(one.within, one.window) for one in self._rules if one.figure != "feed_lost"}
        for key in self._stats.keys() - used:
            del self._stats[key]

    def raised(self, rule: AlertRule) -> Alert | None:
        """Return the alert that a rule has raised and that has not ended."""
        watched = self._rules.get(rule)
        return None if watched is None else watched.raised

    def unknown_queues(self) -> list[AlertRule]:
        """Return the rules whose queue the PBX does not have, as far as is known."""
        return [one.rule for one in self._rules.values() if not self._resolve(one)]

    def apply(self, event: CallEvent) -> None:
        """Update the figures with a call event."""
        for stats in self._stats.values():
            stats.apply((event,))

    def feed_lost(self, now: int) -> None:
        """Note that the figures are stale from now on."""
        if self._lost_at is None:
            self._lost_at = now

    def feed_live(self) -> None:
        """Note that the figures are current again."""
        self._lost_at = None

    def check(self, now: int) -> list[Alert]:
        """Return the alerts that begin and end at ``now``."""
        changed = []
        for watched in self._rules.values():
            alert = self._check_rule(watched, now)
            if alert is not None:
                watched.raised = alert if alert.state == "raised" else None
                changed.append(alert)
        return changed

    def next_check(self) -> int | None:
        """Return the time of the next ``check`` without an event; ``None``: none is needed."""
        times = [self._next_check_of(watched) for watched in self._rules.values()]
        return min((time for time in times if time is not None), default=None)

    def _check_rule(self, watched: _Watched, now: int) -> Alert | None:
        rule, raised = watched.rule, watched.raised
        if rule.figure != "feed_lost" and not (self.is_live and self._resolve(watched)):
            return None
        value = self._value(watched, now)
        if raised is None:
            if value is None or not rule.is_beyond_limit(value):
                return None
            return Alert(
                rule=rule,
                state="raised",
                value=value,
                group_id=watched.group_id,
                at=now,
                raised_at=now,
            )
        if value is not None and not rule.is_at_end(value):
            return None
        return Alert(
            rule=rule,
            state="ended",
            value=value,
            group_id=watched.group_id,
            at=max(now, raised.raised_at),  # the estimate of the PBX's clock may go back
            raised_at=raised.raised_at,
        )

    def _value(self, watched: _Watched, now: int) -> float | None:
        """Return the rule's figure at ``now``; ``None``: there is nothing to compute it from."""
        rule, group_id = watched.rule, watched.group_id
        match rule.figure:
            case "feed_lost":
                return 0.0 if self._lost_at is None else (now - self._lost_at) / _SECOND
            case "waiting":
                return len(self._stats_of(rule).waiting_since(group_id))
            case "longest_wait":
                entered = min(self._stats_of(rule).waiting_since(group_id), default=now)
                return max(0, now - entered) / _SECOND
            case "service_level":
                in_time, ended = self._stats_of(rule).answered_in_time(now, group_id)
                return None if ended < rule.min_calls else in_time / ended

    def _next_check_of(self, watched: _Watched) -> int | None:
        rule = watched.rule
        if rule.figure == "feed_lost":
            if self._lost_at is None or watched.raised is not None:
                return None
            return _after(self._lost_at, rule.limit)
        if not (self.is_live and watched.is_known):
            return None
        if rule.figure == "service_level":
            return self._stats_of(rule).next_expiry(watched.group_id)
        if rule.figure == "longest_wait" and watched.raised is None:
            entered = self._stats_of(rule).waiting_since(watched.group_id)
            return _after(min(entered), rule.limit) if entered else None
        return None

    def _stats_of(self, rule: AlertRule) -> QueueStats:
        return self._stats[rule.within, rule.window]

    def _resolve(self, watched: _Watched) -> bool:
        """Look the rule's queue up, unless it is known; return True if it is."""
        if not watched.is_known:
            found = find_queue(str(watched.rule.queue), self.groups())
            if found is not None:
                watched.group_id, watched.is_known = found, True
        return watched.is_known


def find_queue(name: str, groups: Mapping[int, Group]) -> int | None:
    """Return the id of the group with this id, extension, name or label, in this order.

    ``None``: there is none.
    """
    for attribute in ("id", "main_extension", "name", "label"):
        for key, group in groups.items():
            value = getattr(group, attribute)
            if value is not None and str(value) == name:
                return key
    return None


def _after(time: int, seconds: float) -> int:
    """Return the first microsecond that is more than ``seconds`` after a time."""
    return time + round(seconds * _SECOND) + 1
