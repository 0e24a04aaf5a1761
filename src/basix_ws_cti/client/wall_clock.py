"""Unix time that is steady within a connection."""

from __future__ import annotations

import time
from collections.abc import Callable


class WallClock:
    """Converts event-loop time to Unix time.

    A session needs Unix time for its gaps, and steady time for its quiet time. So the difference
    between the two clocks is measured when a connection opens or is lost, and kept in between: a
    clock that is set during a connection moves no event.

    ``unix_time`` returns the seconds since the epoch.
    """

    def __init__(self, unix_time: Callable[[], float] = time.time) -> None:
        self._unix_time = unix_time
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

    def last_heard(self, loop_time: float, last_sign: float) -> float:
        """Return the Unix time of a connection's last sign of life, and synchronise.

        ``loop_time`` is the current and ``last_sign`` the last sign's event-loop time. If the
        machine was suspended in between, the event loop's clock stood still, and the old difference
        gives the earlier, correct time. If the clock was set, the result is at most a gap that is
        too long.
        """
        by_old_difference = self.unix(last_sign)
        self.synchronise(loop_time)
        return min(by_old_difference, self.unix(last_sign))
