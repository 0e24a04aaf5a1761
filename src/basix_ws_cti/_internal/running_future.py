"""Futures for results that a thread computes."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def make_running_future() -> Future[T]:
    """Return a future that nobody can cancel, so that a thread can always set its result.

    A coroutine that awaits it through ``asyncio.wrap_future`` can be cancelled: the future stays
    as it is.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    return future
