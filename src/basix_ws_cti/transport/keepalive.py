"""Keepalive: detects a peer that has fallen silent, or that sends too slowly to be of use.

Any received byte is a sign of life. On a slow link a snapshot frame takes minutes, and a pong waits
behind it: only the bytes that arrive show that the peer is there. Two rules bound a peer:

- *Silence*: after ``interval`` without a byte the connection is pinged. If no byte arrives within
  ``timeout`` after the ping, the connection is aborted.
- *Trickle*: a frame must become complete within ``TRICKLE_TIME``, or its bytes must arrive at
  ``MIN_RATE`` on average. Otherwise a peer could send a byte now and then, and keep a connection
  alive that carries no messages.

Neither counts time in which the client itself did not read: while reading is paused, and while
something else blocked the event loop.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from basix_ws_cti._internal.arguments import check_seconds
from basix_ws_cti.exceptions import FeedError

# Seconds. Shorter intervals would send pings as fast as possible; tests use a few milliseconds.
MIN_PING_INTERVAL = 0.001

# Seconds after which an incomplete frame must arrive at MIN_RATE.
TRICKLE_TIME = 60.0

# Bytes per second. The slowest mobile networks in use carry ten times as much.
MIN_RATE = 1000.0

# Seconds by which a timer may be late. A later one means that the event loop was blocked.
LATE = 1.0


def check_pings(ping_interval: object, ping_timeout: object) -> None:
    """Raise ``UsageError`` unless a keepalive can use these times; ``None`` is valid for both."""
    check_seconds("ping_interval", ping_interval, at_least=MIN_PING_INTERVAL, optional=True)
    check_seconds("ping_timeout", ping_timeout, optional=True)


class WatchedConnection(Protocol):
    """Part of ``Connection`` that a keepalive uses."""

    frames_read: int

    @property
    def bytes_received(self) -> int:
        """Number of bytes received so far."""

    @property
    def partial_bytes(self) -> int:
        """Number of bytes received of a frame that is not complete yet."""

    @property
    def last_heard(self) -> float:
        """Event-loop time of the last complete frame."""

    @property
    def is_paused(self) -> bool:
        """True while nothing is read from the socket."""

    async def ping(self) -> None:
        """Send a ping and wait for its pong."""

    def abort(self, reason: str = "") -> None:
        """Drop the connection; ``reason`` is a text for its error."""


class Keepalive:
    """Pings an idle connection, and aborts it if the peer is silent or trickles.

    The WebSocket library's own keepalive is off: it accepts nothing but a pong, which may wait
    behind a long frame, or behind everything that has not been read yet.

    ``interval`` and ``timeout`` are in seconds. ``None`` for the interval: no pings and no limits;
    for the timeout: no time limit for a pong.
    """

    def __init__(
        self, connection: WatchedConnection, *, interval: float | None, timeout: float | None
    ) -> None:
        self._connection = connection
        self._interval = interval
        self._timeout = timeout
        self._clock = asyncio.get_running_loop().time
        self._restart_measurement()

    async def run(self) -> None:
        """Watch the connection until it ends or is aborted."""
        while self._interval is not None:
            progress = self._progress()
            is_on_time = await self._sleep(self._interval)
            if self._is_trickling(is_on_time=is_on_time):
                self._connection.abort(f"a frame arrived at less than {MIN_RATE:,g} bytes/s")
                return
            if self._progress() != progress:
                continue
            try:
                if not await self._answers():
                    self._connection.abort(f"no answer to a ping within {self._timeout:g} s")
                    return
            except FeedError:
                return  # the reading task gets the same error

    def _progress(self) -> tuple[int, int]:
        """Return a value that changes whenever something is received or read."""
        return self._connection.bytes_received, self._connection.frames_read

    async def _sleep(self, seconds: float) -> bool:
        """Sleep; return False if the event loop was blocked at the end."""
        end = self._clock() + seconds
        await asyncio.sleep(seconds)
        return self._clock() <= end + LATE

    async def _answers(self) -> bool:
        """Ping, and return True if a byte arrives in time."""
        connection = self._connection
        progress = self._progress()
        try:
            async with asyncio.timeout(self._timeout):
                await connection.ping()
        except TimeoutError:
            # If the event loop was blocked, the answer may have arrived unread. Some event loops
            # run timers before they read.
            for _ in range(2):
                await asyncio.sleep(0)
            # Reading is paused while the client is busy: the answer may wait in the socket.
            return self._progress() != progress or connection.is_paused
        return True

    def _restart_measurement(self) -> None:
        connection = self._connection
        self._measured_from = self._clock()
        self._bytes_before = connection.bytes_received
        self._frame_before = connection.last_heard, connection.frames_read

    def _is_trickling(self, *, is_on_time: bool) -> bool:
        """Return True if the bytes of an incomplete frame arrive too slowly."""
        connection = self._connection
        if (
            not is_on_time
            or connection.is_paused
            or not connection.partial_bytes
            or (connection.last_heard, connection.frames_read) != self._frame_before
        ):
            self._restart_measurement()
            return False
        seconds = self._clock() - self._measured_from
        count = connection.bytes_received - self._bytes_before
        return seconds > TRICKLE_TIME and count < MIN_RATE * seconds
