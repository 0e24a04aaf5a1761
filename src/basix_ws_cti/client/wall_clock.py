"""Unix time that is steady within a connection."""

from __future__ import annotations

import time
from collections.abc import Callable


class WallClock:
    """Converts event-loop time to Unix time.

    A session needs Unix time for its gaps, and steady time for its quiet time. So the difference
    between the two clocks is measured when a connection opens or is lost, and kept in between: a
    clock that is set during a connection moves no event.

    ``unix_time`` returns the seconds since the epoch; ``None``: the machine's clock.
    """

    def __init__(self, unix_time: Callable[[], float] | None = None) -> None:
        self._unix_time = unix_time or time.time
        self._offset = 0.0

    def synchronise(self, loop_time: float) -> None:
        """Measure the difference between the clocks."""
        self._offset = self._unix_time() - loop_time

    def unix(self, loop_time: float) -> float:
        """Convert event-loop time to Unix time."""
        return loop_time + self._offset

    def loop(self, unix_time: float) -> float:
        """Convert Unix time to event-loop time."""
        return unix_time - self._offset

    def gap_start(self, loop_time: float, last_heard: float, last_heard_unix: float) -> float:
        """Return the Unix time of a lost connection's last sign of life, and synchronise.

        - ``loop_time``: the current event-loop time.
        - ``last_heard``: that of the last sign of life.
        - ``last_heard_unix``: what the machine's clock showed then.

        If the machine was suspended since, the event loop's clock stood still, and the machine's
        clock shows the time that has passed. If the machine's clock was set back since, the event
        loop's clock shows it. The earlier of the two times is therefore returned: it is never
        later than now. If the clock was set forward, it is too early, and the gap too long.
        """
        self.synchronise(loop_time)
        return min(last_heard_unix, self.unix(min(last_heard, loop_time)))
