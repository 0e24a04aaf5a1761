"""Standard output beside an event loop: it keeps nothing waiting, and shows who is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import stat
import sys
from collections.abc import Iterator
from typing import Any

# Windows has none of them; ``_number`` says so.
_poll: Any = getattr(select, "poll", None)
_OUT: int = getattr(select, "POLLOUT", 0)
_PIPE_BUF: int = getattr(select, "PIPE_BUF", 0)


async def write(text: str) -> None:
    """Write to stdout, at once; whoever is slow to read keeps the event loop from nothing.

    Raises ``BrokenPipeError`` when nobody reads any more.
    """
    number = _number()
    if number is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    sys.stdout.flush()
    left = memoryview(text.encode(sys.stdout.encoding, sys.stdout.errors or "replace"))
    while left:
        if not _state(number, _OUT):
            await _writable(number)
        # What is ready takes so many bytes without blocking (POSIX, pipes).
        with contextlib.suppress(BlockingIOError):
            left = left[os.write(number, left[:_PIPE_BUF]) :]


@contextlib.contextmanager
def while_read() -> Iterator[None]:
    """Leave the block with ``BrokenPipeError`` when stdout's reader goes, even in between lines.

    Where the platform does not tell, the next line finds out.
    """
    loop, task, number = asyncio.get_running_loop(), asyncio.current_task(), _pipe()
    assert task is not None  # noqa: S101 - for the type checker
    if number is None:
        yield
        return
    gone = False

    def look() -> None:
        nonlocal gone
        loop.remove_reader(number)
        if _state(number, 0):  # errors alone: nobody reads
            gone = True
            task.cancel()

    with contextlib.suppress(NotImplementedError, OSError):
        # A pipe that nobody reads becomes readable at its other end (asyncio's own rely on it).
        loop.add_reader(number, look)
    try:
        yield
    except asyncio.CancelledError:
        if gone and task.uncancel() == 0:
            raise BrokenPipeError from None
        raise
    finally:
        with contextlib.suppress(NotImplementedError):
            loop.remove_reader(number)


def _number() -> int | None:
    """Where stdout goes, by file descriptor; ``None``: it is none, or can't be polled."""
    if _poll is None:
        return None
    try:
        return sys.stdout.fileno()
    except (OSError, ValueError):
        return None


def _pipe() -> int | None:
    """The same, if it is a pipe or a socket that can be watched."""
    number = _number()
    if number is None:
        return None
    mode = os.fstat(number).st_mode
    return number if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


def _state(number: int, wanted: int) -> int:
    """Which of the ``wanted`` events there are for a descriptor, besides errors."""
    poll = _poll()
    poll.register(number, wanted)
    return next((events for _, events in poll.poll(0)), 0)


async def _writable(number: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(number, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_writer(number)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
