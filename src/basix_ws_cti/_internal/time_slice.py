"""What keeps the event loop free: long work goes on in slices, or in a thread."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Seconds of one turn. Nobody is to wait for 20 ms; a step of a turn, and a machine that does
# something else as well, take what is left of that.
SLICE_SECONDS = 0.005

# Steps of one turn: fewer items than a subscriber's queue holds.
SLICE_STEPS = 256


class TimeSlice:
    """Work in slices. After each step: ``if time_slice.expired(): await time_slice.yield_to_loop()``."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._steps = 0
        self.resumed()

    def resumed(self) -> None:
        """Others could have their turn. Steps are counted on: not every wait lets them."""
        self.now: float = self._clock()
        self._end = self.now + SLICE_SECONDS

    def expired(self) -> bool:
        """Whether others are to have their turn. ``now`` is when that was asked last."""
        self._steps += 1
        self.now = now = self._clock()
        return now >= self._end or self._steps >= SLICE_STEPS

    async def yield_to_loop(self) -> None:
        """Let others have their turn."""
        self._steps = 0
        await asyncio.sleep(0)
        self.resumed()


def run_in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """What ``function`` returns or raises, called in a thread of its own.

    Python's threads take time_slice of 5 ms, so that the loop goes on. Nobody waits for the thread
    if the future is cancelled or the loop ends; and none of an executor's is taken, which may
    all be busy.
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
            future.exception()  # it is no defect if nobody asks

    def run() -> None:
        result = error = None
        try:
            result = function()
        except BaseException as raised:  # noqa: BLE001 - who waits for it is to know
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop is closed

    threading.Thread(target=run, name="basix_ws_cti parser", daemon=True).start()
    return future
