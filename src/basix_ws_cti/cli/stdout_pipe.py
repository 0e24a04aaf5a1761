"""Writing to stdout from an event loop: never blocks it, and notices that the reader is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import stat
import sys
from collections.abc import Iterator
from typing import Any

# Windows has none of these; ``_stdout_descriptor`` returns None there.
_poll: Any = getattr(select, "poll", None)
_POLLOUT: int = getattr(select, "POLLOUT", 0)
_PIPE_BUF: int = getattr(select, "PIPE_BUF", 0)


async def write_stdout(text: str) -> None:
    """Write to stdout without buffering; a slow reader does not block the event loop.

    Raises ``BrokenPipeError`` if the reader is gone. Where stdout cannot be polled, as on
    Windows, the write blocks.
    """
    descriptor = _stdout_descriptor()
    if descriptor is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    sys.stdout.flush()
    remaining = memoryview(text.encode(sys.stdout.encoding, sys.stdout.errors or "replace"))
    while remaining:
        if not _poll_events(descriptor, _POLLOUT):
            await _until_writable(descriptor)
        # A pipe that is ready takes PIPE_BUF bytes without blocking (POSIX).
        with contextlib.suppress(BlockingIOError):
            remaining = remaining[os.write(descriptor, remaining[:_PIPE_BUF]) :]


@contextlib.contextmanager
def stop_when_reader_closes() -> Iterator[None]:
    """Cancel the block and raise ``BrokenPipeError`` as soon as stdout's reader is gone.

    This works while nothing is written, too. Where a pipe cannot be watched, as on Windows,
    only the next write finds out.
    """
    loop, task, descriptor = (
        asyncio.get_running_loop(),
        asyncio.current_task(),
        _watchable_descriptor(),
    )
    assert task is not None  # noqa: S101 - for the type checker
    if descriptor is None:
        yield
        return
    is_closed = False

    def check() -> None:
        nonlocal is_closed
        loop.remove_reader(descriptor)
        if _poll_events(descriptor, 0):  # reports errors only: the reader is gone
            is_closed = True
            task.cancel()

    with contextlib.suppress(NotImplementedError, OSError):
        # The writing end of a pipe becomes readable when the reader closes its end; asyncio's
        # own pipe transports rely on this.
        loop.add_reader(descriptor, check)
    try:
        yield
    except asyncio.CancelledError:
        if is_closed and task.uncancel() == 0:
            raise BrokenPipeError from None
        raise
    finally:
        with contextlib.suppress(NotImplementedError):
            loop.remove_reader(descriptor)


def _stdout_descriptor() -> int | None:
    """Return stdout's file descriptor; ``None`` if it has none or cannot be polled."""
    if _poll is None:
        return None
    try:
        return sys.stdout.fileno()
    except (OSError, ValueError):
        return None


def _watchable_descriptor() -> int | None:
    """Return stdout's file descriptor if it is a pipe or socket, else ``None``."""
    descriptor = _stdout_descriptor()
    if descriptor is None:
        return None
    mode = os.fstat(descriptor).st_mode
    return descriptor if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


def _poll_events(descriptor: int, wanted: int) -> int:
    """Return which of the ``wanted`` events, or errors, a descriptor has now; 0 for none."""
    poll = _poll()
    poll.register(descriptor, wanted)
    return next((events for _, events in poll.poll(0)), 0)


async def _until_writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(descriptor, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
