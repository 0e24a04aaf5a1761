"""Handling of Ctrl-C and SIGTERM: both end a command with ``KeyboardInterrupt``."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def run_interruptible(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine like ``asyncio.run``, with SIGTERM handled like Ctrl-C.

    Raises ``KeyboardInterrupt`` when a signal cancelled the coroutine.
    """
    import asyncio  # imported here because a command's --help does not need it

    async def until_terminated() -> T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None  # noqa: S101 - for the type checker

        def cancel(*_: object) -> None:  # like asyncio's own handler for Ctrl-C
            task.cancel()
            loop.call_soon_threadsafe(lambda: None)  # wakes the loop up

        before = signal.signal(signal.SIGTERM, cancel)
        try:
            return await main
        finally:
            signal.signal(signal.SIGTERM, before)

    try:
        return asyncio.run(until_terminated())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


@contextlib.contextmanager
def interrupt_blocking_call() -> Iterator[None]:
    """Let signals interrupt a call in the block that blocks the event loop, such as a read.

    The event loop's signal handlers only cancel the current task, which takes effect after the
    blocking call. In the block, signals raise ``KeyboardInterrupt`` at once instead; a signal
    that arrived before the block raises it on entry.
    """
    import asyncio

    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with contextlib.suppress(RuntimeError):  # no event loop is running
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise KeyboardInterrupt
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
