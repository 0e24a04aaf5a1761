"""Long work without blocking the event loop: in time slices, or in a thread."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Seconds. The event loop must not be blocked for 20 ms; the last step of a slice, and other load on
# the machine, take the rest.
SLICE_SECONDS = 0.005

# Steps of one slice. A step may add an item to a subscriber's queue, so that a slice must have
# fewer steps than a queue holds items.
SLICE_STEPS = 256


class TimeSlice:
    """Budget of time and steps, after which long work yields to the event loop.

    After each step of the work::

        if time_slice.expired():
            await time_slice.yield_to_loop()
    """

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._steps = 0
        self.resumed()

    def resumed(self) -> None:
        """Restart the time of the slice after an ``await``; its steps continue to count.

        An ``await`` that does not suspend lets no other task run, so that it must not reset the
        number of steps.
        """
        self.now: float = self._clock()
        self._end = self.now + SLICE_SECONDS

    def expired(self) -> bool:
        """Count a step; return True once this time slice is used up.

        Sets ``now`` to the current time of the event loop's clock.
        """
        self._steps += 1
        self.now = now = self._clock()
        return now >= self._end or self._steps >= SLICE_STEPS

    async def yield_to_loop(self) -> None:
        """Let other tasks run, then start a new slice."""
        self._steps = 0
        await asyncio.sleep(0)
        self.resumed()


def run_in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Call ``function`` in a new thread; return a future of its result or exception.

    Python switches threads every 5 ms, so that the event loop keeps running. If the future is
    cancelled or the loop ends, nothing waits for the thread. A new thread is used since those of
    an executor may all be busy.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)
            future.exception()  # asyncio would log an exception that is never retrieved

    def run() -> None:
        result = error = None
        try:
            result = function()
        except BaseException as raised:  # noqa: BLE001 - passed on through the future
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop has been closed

    threading.Thread(target=run, name="basix_ws_cti parser", daemon=True).start()
    return future
