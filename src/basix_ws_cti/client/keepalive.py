"""Keepalive: detects a peer that has fallen silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from basix_ws_cti.exceptions import FeedError
from basix_ws_cti.transport.connection import Connection


class Keepalive:
    """Pings an idle connection, and aborts it if neither a frame nor a pong arrives.

    The WebSocket library's own keepalive is off: in a flood of events a pong waits behind
    everything that has not been read yet, and a healthy connection would be aborted. Here every
    frame counts as a sign of life.

    ``interval`` and ``timeout`` are in seconds; ``None`` for the interval disables pings.
    ``last_frame`` returns the event-loop time of the last frame that was read.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        interval: float | None,
        timeout: float | None,
        last_frame: Callable[[], float | None],
    ) -> None:
        self._connection = connection
        self._interval = interval
        self._timeout = timeout
        self._last_frame = last_frame
        self._last_pong = asyncio.get_running_loop().time()
        self.timed_out: bool = False

    @property
    def last_heard(self) -> float:
        """Event-loop time of the last frame or pong; at first that of the connection's start."""
        return max(self._last_pong, self._last_frame() or self._last_pong)

    async def run(self) -> None:
        """Watch the connection until it ends or falls silent."""
        connection, loop = self._connection, asyncio.get_running_loop()
        while self._interval is not None:
            frames = connection.frames_read
            await asyncio.sleep(self._interval)
            if connection.frames_read != frames:
                continue
            try:
                async with asyncio.timeout(self._timeout):
                    await connection.ping()
                self._last_pong = loop.time()
            except TimeoutError:
                # Reading is paused while the client is busy: the pong may have arrived unread.
                if connection.frames_read == frames and not connection.is_paused:
                    self.timed_out = True
                    connection.abort()
                    return
            except FeedError:
                return  # the reading task gets the same error
