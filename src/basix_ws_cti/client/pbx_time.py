"""Present time of the PBX, for durations that go on without events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.calls.model import Call
from basix_ws_cti.calls.pbx_clock import MAX_AHEAD, PbxClock

_SECOND = 1_000_000  # in microseconds

# Seconds over which the speed of a given clock is measured, and the longest delay before that.
_MEASURED = 0.1


class PbxTime:
    """Time of the PBX: estimated from the feed, or given by a function.

    - ``unix_time``: returns the seconds since the epoch by this machine's clock; ``None``: the
      system's clock.
    - ``pbx_time``: returns the seconds since the epoch by the PBX's clock, which may run at any
      speed; ``None``: the clock is estimated from the calls.
    """

    def __init__(
        self,
        unix_time: Callable[[], float] | None = None,
        pbx_time: Callable[[], float] | None = None,
    ) -> None:
        self._unix_time = unix_time or time.time
        self._pbx_time = pbx_time
        self._estimate = PbxClock()
        # Largest difference between a timestamp and our time; None: there was no timestamp.
        self._bound: int | None = None
        self._started: tuple[float, float] | None = None  # event-loop time and the given time

    def now(self) -> int:
        """Return the present time of the PBX, in microseconds since the epoch."""
        if self._pbx_time is not None:
            return round(self._pbx_time() * _SECOND)
        now = self._machine_time()
        has_bound = self._bound is not None and not self._estimate.has_observations
        return now + self._estimate.offset_from(
            [now + (self._bound or 0)] if has_bound else (), now
        )

    def observe(self, event: CallEvent, *, is_recent: bool = True) -> None:
        """Use a call event; ``is_recent``: it has just happened."""
        now = self._machine_time()
        self._estimate.observe(event, now, is_recent=is_recent)
        self._note(event.call, now)

    def synchronise(self, calls: Iterable[Call]) -> None:
        """Use the calls of a state that has become current."""
        self._bound, now = None, self._machine_time()
        for call in calls:
            self._note(call, now)

    def delay(self, until: int, loop_time: float) -> float:
        """Return the seconds after which a time of the PBX may be reached.

        - ``until``: that time, in microseconds since the epoch.
        - ``loop_time``: the present event-loop time.
        """
        seconds = max(0.0, (until - self.now()) / _SECOND)
        if self._pbx_time is None:
            return seconds
        if self._started is None:
            self._started = loop_time, self._pbx_time()
        elapsed = loop_time - self._started[0]
        passed = self._pbx_time() - self._started[1]
        if elapsed < _MEASURED or passed <= 0:
            return min(seconds, _MEASURED)
        return seconds * elapsed / passed

    def _note(self, call: Call, now: int) -> None:
        """Note a timestamp: the PBX's time is not before it."""
        bound = call.phase.started - now
        if bound <= MAX_AHEAD and (self._bound is None or bound > self._bound):
            self._bound = bound

    def _machine_time(self) -> int:
        return round(self._unix_time() * _SECOND)
