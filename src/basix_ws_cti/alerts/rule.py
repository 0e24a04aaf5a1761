"""Rule of an alert, and the event that reports that an alert began or ended."""

from __future__ import annotations

import math
from typing import Any, Literal

import attrs
from attrs import field, frozen

from basix_ws_cti._internal.arguments import (
    check_choice,
    check_instance,
    check_integer,
    check_number,
    check_seconds,
)
from basix_ws_cti.exceptions import UsageError

from .grammar import FIGURES, AlertFigure, format_text, parse_text, quoted

DEFAULT_WITHIN = 20.0
"""Longest wait that counts as within the service level, in seconds."""

DEFAULT_WINDOW = 3600.0
"""Time over which the service level is computed, in seconds."""

# An alert of a wait or a number of calls ends at this share of the limit, unless the rule says so.
_END_SHARE = 0.8


@frozen
class AlertRule:
    """Condition that raises an alert, and the value at which the alert ends again.

    ====================  ==================================  ============================
    ``figure``            the alert is raised                 unit of ``limit``, ``end``
    ====================  ==================================  ============================
    ``"longest_wait"``    a call waits longer than the limit  seconds
    ``"waiting"``         more calls wait than the limit      calls
    ``"service_level"``   the level is below the limit        share from 0 to 1
    ``"feed_lost"``       there is no feed for longer         seconds; without ``end``
    ====================  ==================================  ============================

    The figures are those of ``QueueStats``; the service level is ``service_level_of_offered``.

    ``AlertRule.parse`` reads a rule from a text, and ``str`` writes it. Raises ``UsageError`` for
    values that cannot work.
    """

    figure: AlertFigure
    """Figure that the rule watches."""
    limit: float
    """Value beyond which the alert is raised."""
    end: float | None = field(default=None, kw_only=True)
    """Value at which the alert ends: at most the limit, for ``"service_level"`` at least.
    ``None``: ``end_value`` has the default. ``"feed_lost"`` ends with the next current state."""
    queue: int | str | None = field(default=None, kw_only=True)
    """Queue that the rule watches: the group's id, or its id, extension, name or label as text.
    ``None``: all queues together."""
    within: float = field(default=DEFAULT_WITHIN, kw_only=True)
    """For ``"service_level"``: longest wait that counts as in time, in seconds."""
    window: float = field(default=DEFAULT_WINDOW, kw_only=True)
    """For ``"service_level"``: time over which it is computed, in seconds."""
    min_calls: int = field(default=1, kw_only=True)
    """For ``"service_level"``: number of waits that must have ended within the window; with fewer
    of them, the level counts as unknown."""

    def __attrs_post_init__(self) -> None:
        check_choice("figure", self.figure, FIGURES)
        if self.figure in {"longest_wait", "feed_lost"}:
            check_seconds("limit", self.limit)
        elif self.figure == "waiting":
            check_integer("limit", self.limit, at_least=0)
        else:
            check_number("limit", self.limit)
            if self.limit > 1:
                raise UsageError(f"limit must be a share from 0 to 1, got {self.limit:g}")
        self._check_end()
        self._check_queue()
        self._check_service_level()

    @classmethod
    def parse(cls, text: str) -> AlertRule:
        """Return the rule that a text such as ``longest-wait>60@sales`` describes.

        Raises ``UsageError``, which names the rule, the place and the remedy.
        """
        figure, limit, parameters = parse_text(text)
        try:
            return cls(figure, limit, **parameters)
        except UsageError as error:
            raise UsageError(f"alert rule {quoted(text)}: {error}") from None

    def __str__(self) -> str:
        parameters = {
            one.name: getattr(self, one.name)
            for one in attrs.fields(type(self))
            if one.kw_only and getattr(self, one.name) != one.default
        }
        return format_text(self.figure, self.limit, parameters)

    @property
    def end_value(self) -> float:
        """Value at which the alert ends: ``end``, or the default.

        The default is four fifths of the limit, rounded down for ``"waiting"``. For
        ``"service_level"`` it lies above the limit by a quarter of what is missing to 1. For
        ``"feed_lost"`` it is 0.
        """
        if self.end is not None:
            return self.end
        match self.figure:
            case "longest_wait":
                return round(self.limit * _END_SHARE, 6)
            case "waiting":
                return math.floor(self.limit * _END_SHARE)
            case "service_level":
                return round(self.limit + (1 - self.limit) / 4, 6)
        return 0.0

    def is_beyond_limit(self, value: float) -> bool:
        """Return True if a value of the figure raises the alert."""
        return value < self.limit if self.figure == "service_level" else value > self.limit

    def is_at_end(self, value: float) -> bool:
        """Return True if a value of the figure ends the alert."""
        if self.figure == "service_level":
            return value >= self.end_value
        return value <= self.end_value

    def _check_end(self) -> None:
        if self.end is None:
            return
        if self.figure == "feed_lost":
            raise UsageError("end must be None for feed_lost: the alert ends when the feed is back")
        check_number("end", self.end, at_least=0)
        if self.figure == "service_level":
            if not self.limit <= self.end <= 1:
                raise UsageError(f"end must lie between the limit and 1, got {self.end:g}")
        elif self.end > self.limit:
            raise UsageError(f"end must not exceed the limit, got {self.end:g}")

    def _check_queue(self) -> None:
        if self.queue is None:
            return
        if self.figure == "feed_lost":
            raise UsageError("queue must be None for feed_lost: the feed is that of all queues")
        is_id = isinstance(self.queue, int) and not isinstance(self.queue, bool)
        if not is_id:
            check_instance("queue", self.queue, str, "a group's id or name", optional=True)
        if self.queue == "":
            raise UsageError("queue must not be empty: pass None for all queues")

    def _check_service_level(self) -> None:
        check_seconds("within", self.within, at_least=0)
        check_seconds("window", self.window)
        check_integer("min_calls", self.min_calls)
        if self.figure == "service_level":
            return
        for name, value, default in (
            ("within", self.within, DEFAULT_WITHIN),
            ("window", self.window, DEFAULT_WINDOW),
            ("min_calls", self.min_calls, 1),
        ):
            if value != default:
                raise UsageError(f"{name} has no meaning for {self.figure}: leave it out")


@frozen(kw_only=True)
class Alert:
    """Report that an alert was raised, or has ended."""

    rule: AlertRule
    """The rule."""
    state: Literal["raised", "ended"]
    """``"raised"``: the figure went beyond the limit. ``"ended"``: it has reached ``end_value``, or
    there is nothing to compute it from any more."""
    value: float | None
    """Value of the figure, in the unit of the rule's limit. ``None``: there is nothing to compute
    it from."""
    group_id: int | None
    """Id of the group whose queue the rule watches; ``None``: all queues."""
    at: int
    """Time of the change by the PBX's clock, in microseconds since the epoch. While there is no
    feed, that clock is estimated."""
    raised_at: int
    """Time at which the alert was raised; of a raised one, the same as ``at``."""

    def to_dict(self) -> dict[str, Any]:
        """Return the alert as JSON values, with the rule as text and its figure and limits."""
        return {
            "rule": str(self.rule),
            "figure": self.rule.figure,
            "limit": self.rule.limit,
            "end": self.rule.end_value,
            "state": self.state,
            "value": self.value,
            "group_id": self.group_id,
            "time": self.at,
            "raised": self.raised_at,
        }
