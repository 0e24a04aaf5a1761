"""Pauses in the work of a thread, so that the event loop of the process stays responsive.

A thread that computes keeps the lock of Python's interpreter for 5 ms after another thread has
asked for it, and longer if the operating system suspends it meanwhile. An event loop asks for the
lock in each iteration. A thread that sleeps for a moment gives it the lock at once.
"""

from __future__ import annotations

import time

# Seconds of work between two pauses.
_SLICE = 0.001

# Seconds of one pause: long enough for the operating system to start another thread. A sleep of
# zero seconds is too short, and the thread would take the lock again itself.
_PAUSE = 0.0001


class Pauses:
    """Pauses of one thread. Call ``after_step`` after each step of its work."""

    def __init__(self) -> None:
        self._end = 0.0

    def after_step(self) -> None:
        """Sleep for a moment if the thread has worked for a millisecond since the last pause."""
        if time.monotonic() >= self._end:
            time.sleep(_PAUSE)
            self._end = time.monotonic() + _SLICE
