"""Runs the timeline of a simulated PBX in real time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, TypeVar

from basix_ws_cti._internal.arguments import check_number

from .model import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from .pbx import Pbx
    from .timeline import Timeline

R = TypeVar("R")

# Steps taken before other tasks of the event loop get their turn, when many are due.
_STEPS_PER_SLICE = 50


class Pacer:
    """Moves the PBX's clock as real time passes, ``speed`` times as fast.

    The clock stands still until ``start()``. From then on, the PBX's time should be
    ``_origin`` plus the real time since ``_started``, times ``speed``. The difference between
    that and the PBX's clock is the lag. ``run()`` waits until the lag reaches the timeline's
    next step, and takes the step.

    Attributes:
        speed: speed of the PBX's time; 1 is real time. Raises ``UsageError`` if it is set to
            anything but a positive number.
    """

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.reset()

    @property
    def speed(self) -> float:
        """Speed of the PBX's time; 1 is real time."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        check_number("speed", speed)
        self._speed = speed

    def reset(self) -> None:
        """Stop the clock, and use the event loop in which ``run()`` is called next."""
        self._started: float | None = None  # monotonic seconds
        self._wake_up = asyncio.Event()

    def attach(self, pbx: Pbx, timeline: Timeline) -> None:
        """Run the timeline of this PBX from now on."""
        self._pbx = pbx
        self._timeline = timeline
        self._origin = pbx.now  # microseconds since the epoch
        if self._started is not None:
            self._started = time.monotonic()

    def start(self) -> None:
        """Start the clock; without effect if it runs already."""
        if self._started is None:
            self._started = time.monotonic()
            self._wake_up.set()

    def lag(self) -> float:
        """Return how far the PBX's clock is behind, in seconds of PBX time."""
        if self._started is None:
            return 0
        passed = (time.monotonic() - self._started) * self.speed
        return max(0, passed - (self._pbx.now - self._origin) / SECOND)

    def run_now(self, action: Callable[[], R]) -> R:
        """Move the clock to the present, and run an action that may change the timeline.

        The clock does not pass the timeline's next step. If the action itself moves the clock
        on, real time does not have to pass for that.
        """
        pbx, lag, time_to_next = self._pbx, self.lag(), self._timeline.time_to_next
        seconds = lag if time_to_next is None else max(0, min(lag, time_to_next))
        pbx.now += round(seconds * SECOND)
        before = pbx.now
        try:
            return action()
        finally:
            if self._pbx is pbx:
                self._origin += pbx.now - before
            self._wake_up.set()

    async def run(self) -> None:
        """Take the timeline's steps when they are due, for ever."""
        while True:
            self._wake_up.clear()
            steps = 0
            wait = self._time_to_next()
            while wait is not None and wait <= self.lag():
                self._timeline.step()
                wait = self._time_to_next()
                steps += 1
                if steps % _STEPS_PER_SLICE == 0:
                    await asyncio.sleep(0)
            timeout = None if wait is None else max(0, wait - self.lag()) / self.speed
            # Not wait_for(): before Python 3.12 it can lose a cancellation.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._wake_up.wait()

    def _time_to_next(self) -> float | None:
        return self._timeline.time_to_next if self._started is not None else None
