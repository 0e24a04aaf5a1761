"""Wake queue: lets waiting subscribers run in time slices, however many they are.

An item for 2,000 subscribers wakes 2,000 tasks. If all of them ran in one iteration of the event
loop, they would block it. So only some are woken in each iteration, in the order in which they were
notified, and all subscribers share one time slice per iteration.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable

from basix_ws_cti._internal.time_slice import SLICE_SECONDS

# Subscribers woken in one iteration of the event loop. A task that takes one item and waits again
# takes 10 to 20 µs.
WAKES_PER_ITERATION = 64

# Seconds that the feed waits, at most, for subscribers that keep pace: they wait for items, or do
# not await anything else between two items. Those that do more work for each item than there is
# time for fall behind, and do not stop the feed.
MAX_WAIT = 20 * SLICE_SECONDS


class WakeQueue:
    """Wakes the tasks that wait for events, a limited number in each iteration of the loop."""

    def __init__(self) -> None:
        # Events to set, and True for those of subscribers that keep pace with the feed.
        self._queue: deque[tuple[asyncio.Event, bool]] = deque()
        self._in_pace = 0  # number of those in the queue
        self._woken = 0  # in this iteration
        self._slice_end: float | None = None  # event-loop time; None: no item taken yet
        # The event loop's, kept because looking up the running loop is a system call.
        self._clock: Callable[[], float] = time.monotonic
        self._is_scheduled = False
        self.iterations: int = 0
        """Number of iterations in which subscribers took items."""

    def wake(self, event: asyncio.Event) -> None:
        """Set an event, in a later iteration if enough events were set in this one."""
        if self._queue or self._woken >= WAKES_PER_ITERATION:
            self._queue.append((event, True))
            self._in_pace += 1
        else:
            self._woken += 1
            event.set()
        self._schedule()

    def expired(self) -> bool:
        """Return True once the subscribers have used up their time in this iteration."""
        if self._slice_end is not None:
            return self._clock() >= self._slice_end
        self._clock = asyncio.get_running_loop().time
        self._slice_end = self._clock() + SLICE_SECONDS
        self._schedule()
        return False

    async def next_slice(self, *, in_pace: bool) -> None:
        """Wait for a time slice that is not used up.

        ``in_pace``: the feed waits for the subscriber, since it only takes items.
        Returns after one step if the event loop does not run: somebody drives a coroutine by hand.
        """
        iterations, event = self.iterations, asyncio.Event()
        self._queue.append((event, in_pace))
        self._in_pace += in_pace
        self._schedule()
        await asyncio.sleep(0)
        if self.iterations == iterations:
            self._queue.remove((event, in_pace))
            self._in_pace -= in_pace
            return
        await event.wait()
        while self.expired():
            event = asyncio.Event()
            # It has waited longer than those that come now.
            self._queue.appendleft((event, in_pace))
            self._in_pace += in_pace
            self._schedule()
            await event.wait()

    async def drained(self) -> None:
        """Wait until all subscribers that keep pace have taken their items.

        Waits no longer than ``MAX_WAIT`` for subscribers that take long for each item.
        """
        if not self._in_pace:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MAX_WAIT):
                while self._in_pace:
                    marker = asyncio.Event()
                    self._queue.append((marker, False))
                    await marker.wait()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:  # a subscription is closed after its event loop has ended
                self._woken = 0
                return
            self._is_scheduled = True
            loop.call_soon(self._start_iteration)

    def _start_iteration(self) -> None:
        self._is_scheduled = False
        self.iterations += 1
        self._woken, self._slice_end = 0, None
        while self._queue and self._woken < WAKES_PER_ITERATION:
            event, in_pace = self._queue.popleft()
            self._in_pace -= in_pace
            self._woken += 1
            event.set()
        if self._woken:
            self._schedule()
