"""Frames that wait for one browser."""

from __future__ import annotations

import asyncio
from collections import deque

from attrs import Factory, define

MAX_FRAMES = 100
"""Frames that may wait for a browser: those of 20 s at least. They are shared with all other
browsers of the view, so that a stalled one costs little memory."""


@define(eq=False)
class Mailbox:
    """Frames that one browser has not received yet. The stream ends when they are too many."""

    is_closed: bool = False
    """True once the stream has to end."""

    _frames: deque[bytes] = Factory(deque)
    _news: asyncio.Event = Factory(asyncio.Event)
    _timeout: asyncio.Timeout | None = None

    def put(self, frame: bytes) -> None:
        """Add a frame; if too many wait already, end the stream."""
        if len(self._frames) >= MAX_FRAMES:
            self.close()
        elif not self.is_closed:
            self._frames.append(frame)
            self._news.set()

    def end_by(self, timeout: asyncio.Timeout) -> None:
        """Use this time limit of the stream's task to end it, even while it waits for the network.

        A mailbox that is closed already ends it at once.
        """
        self._timeout = timeout
        if self.is_closed:
            self._expire()

    def close(self) -> None:
        """End the stream."""
        self.is_closed = True
        self._frames.clear()
        self._expire()

    async def take(self) -> bytes:
        """Wait for frames, and return all that wait now as one piece."""
        await self._news.wait()
        self._news.clear()
        frames = b"".join(self._frames)
        self._frames.clear()
        return frames

    def _expire(self) -> None:
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time())
