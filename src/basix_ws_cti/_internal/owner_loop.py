"""Event loop that an object belongs to.

asyncio's futures, tasks and events belong to one event loop in one thread. From another one, a wait
never ends, and a write can damage what the owner is doing, without an error.
"""

from __future__ import annotations

import asyncio
import threading

from basix_ws_cti.exceptions import UsageError


class OwnerLoop:
    """Refuses the use of an object from an event loop or thread other than the object's own.

    ``subject`` names the object in errors, such as ``the client``. Nothing is refused before
    ``bind`` and after ``release``.
    """

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def bind(self) -> None:
        """Make the running event loop the owner."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def release(self) -> None:
        """Refuse nothing any more."""
        self._loop = None

    def check(self) -> None:
        """Raise ``UsageError`` if another event loop than the owner is running."""
        if self._loop is not None and asyncio.get_running_loop() is not self._loop:
            raise UsageError(
                f"{self._subject} runs in another event loop: await this in its own loop, "
                "from other threads with asyncio.run_coroutine_threadsafe(…, loop)"
            )

    def check_thread(self) -> None:
        """Raise ``UsageError`` if this is not the owner's thread."""
        if self._loop is not None and threading.get_ident() != self._thread:
            raise UsageError(
                f"{self._subject} runs in another thread: call this in its event loop, "
                "with loop.call_soon_threadsafe(…)"
            )
