"""How Ctrl-C and SIGTERM end a command: with ``KeyboardInterrupt``, whatever it is doing."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` that ends for SIGTERM as it does for Ctrl-C."""
    import asyncio  # of what every command starts with, nothing else needs it

    async def until_terminated() -> T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None  # noqa: S101 - for the type checker

        def cancel(*_: object) -> None:  # as asyncio does it for Ctrl-C
            task.cancel()
            loop.call_soon_threadsafe(lambda: None)  # wakes it

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
def at_once() -> Iterator[None]:
    """While something in the block waits for a person or a pipe, and the event loop with it.

    The loop's handlers cancel the command, of which it would hear only afterwards; what they
    did before the block counts too.
    """
    import asyncio

    before = {
        sign: signal.signal(sign, signal.default_int_handler)
        for sign in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with contextlib.suppress(RuntimeError):  # there is no loop yet
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise KeyboardInterrupt
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
