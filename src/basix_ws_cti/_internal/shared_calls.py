"""Blocking calls in daemon threads of their own, shared by all callers that want the same.

The event loop's default executor does not fit calls that may hang, such as a name look-up: its
threads keep the process alive (``asyncio.run`` waits for them), and an application whose own work
occupies all of them delays the call. Daemon threads do neither.

Invariant: the number of threads is bounded, however often a call that hangs is repeated. A caller
joins the pending call of the same key. Only if that one has been running for ``patience`` seconds,
a second one starts beside it, since the cause may have gone; there is never a third. Calls beyond
``max_threads`` wait until a thread is free.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from copy import copy
from typing import Generic, TypeVar

from attrs import define, field

T = TypeVar("T")


@define(eq=False)
class _Call(Generic[T]):
    """A pending call; ``future`` holds its result, or its exception as a result."""

    key: Hashable
    function: Callable[[], T]
    future: Future[T | Exception] = field(factory=Future)
    began: float = field(factory=time.monotonic)


class SharedCalls(Generic[T]):
    """Runs blocking functions in daemon threads; use it from any number of event loops.

    - ``name``: name of the threads.
    - ``max_threads``: maximum number of threads at a time.
    - ``patience``: seconds after which a call counts as hanging.
    """

    def __init__(self, name: str, *, max_threads: int, patience: float = 30.0) -> None:
        self._name = name
        self._max_threads = max_threads
        self._patience = patience
        self._forget()
        with contextlib.suppress(AttributeError):  # Windows has no fork
            # A forked process has none of the threads, so that their calls would never end.
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[Hashable, list[_Call[T]]] = {}  # by key; at most two, oldest first
        self._queue: deque[_Call[T]] = deque()  # calls without a thread so far
        self._threads = 0

    @property
    def threads(self) -> int:
        """Number of threads that are running."""
        return self._threads

    async def run(self, key: Hashable, function: Callable[[], T]) -> T:
        """Return the result of ``function``, or of the pending call with the same key.

        Cancelling it does not end the call. Raises what ``function`` raises, as a copy: several
        callers may get it, and each adds its own frames to the traceback. Raises
        ``RuntimeError`` if no thread can be started.
        """
        result = await asyncio.wrap_future(self._join(key, function))
        if isinstance(result, Exception):
            raise copy(result)
        return result

    def _join(self, key: Hashable, function: Callable[[], T]) -> Future[T | Exception]:
        """Return the future of the pending call with this key, or of a new one."""
        with self._lock:
            pending = self._pending.get(key, [])
            if len(pending) == 2 or (
                pending and time.monotonic() - pending[0].began < self._patience
            ):
                return pending[-1].future
            call = _Call(key, function)
            # From here on, a caller that is cancelled does not cancel it for the others.
            call.future.set_running_or_notify_cancel()
            if self._threads < self._max_threads:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
                self._threads += 1
            self._pending[key] = [*pending, call]
            self._queue.append(call)
        return call.future

    def _work(self) -> None:
        """Make calls until none is waiting (body of a thread)."""
        while True:
            with self._lock:
                if not self._queue:
                    self._threads -= 1
                    return
                call = self._queue.popleft()
            result: T | Exception
            try:
                result = call.function()
            except Exception as error:  # noqa: BLE001 - passed on to the callers
                result = error.with_traceback(None)
            with self._lock:
                pending = self._pending.pop(call.key, [])
                if others := [one for one in pending if one is not call]:
                    self._pending[call.key] = others
            call.future.set_result(result)
