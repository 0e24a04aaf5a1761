"""Runs an asynchronous context manager in a thread with its own event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager


class ThreadRunner:
    """Thread in which an asynchronous context manager stays entered until ``stop()``."""

    def __init__(self, context: AbstractAsyncContextManager[object], name: str) -> None:
        self._context = context
        self._ready = threading.Event()
        self._error: BaseException | None = None
        # Both None before the context manager is entered, and after its block has ended.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread, and wait until the context manager is entered.

        Raises what entering raises.
        """
        self._thread.start()
        self._ready.wait()
        if self._stop is None:
            self.stop()

    def stop(self) -> None:
        """Exit the context manager, and wait for the end of the thread.

        Raises what exiting raises.
        """
        if self._stop is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 - raised by start() or stop()
            self._error = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        async with self._context:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            self._ready.set()
            try:
                await self._stop.wait()
            finally:
                self._loop = None
