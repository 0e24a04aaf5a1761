"""A transport that can simulate network faults for the data written to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any

# Maximum number of bytes held back (64 MiB), so that a long stall cannot fill memory. A
# connection that exceeds it is aborted.
MAX_HELD = 1 << 26


class FaultyTransport:
    """Wrapper around a connection's transport that delays, splits or discards written data.

    Everything but writing and closing is passed on to the transport. Data is passed on
    unchanged until a fault method is called. ``close()`` waits until all data that is held
    back has been written, in order.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._max_write = 0  # maximum number of bytes per write; 0: no limit
        self._delay: float | None = None  # seconds for which data is collected; None: not at all
        self._silent = False
        self._closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    @property
    def is_delaying(self) -> bool:
        """True while written data is held back until a timer runs out."""
        return self._timer is not None

    # -- interface of a transport -----------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write data, hold it back or discard it."""
        if self._silent:
            return
        if self._delay is None and not self._max_write and self._timer is None:
            self._transport.write(data)
            return
        self._held += data
        if len(self._held) > MAX_HELD:
            self._transport.abort()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._delay or 0, self._release)

    def close(self) -> None:
        """Close the transport after all data that is held back has been written."""
        self._closing = True
        if self._timer is None:
            self._transport.close()

    def write_eof(self) -> None:
        """Do nothing: data may still be held back, and a close follows."""

    def can_write_eof(self) -> bool:
        """Return False, so that the connection does not rely on ``write_eof()``."""
        return False

    # -- faults -----------------------------------------------------------------------

    def split(self, size: int) -> None:
        """Write at most ``size`` bytes at once from now on; 0: no limit."""
        self._max_write = size

    def coalesce(self, seconds: float) -> None:
        """Collect data from now on, and write it every ``seconds`` seconds; 0: do not collect."""
        self._delay = seconds or None

    def stall(self, seconds: float) -> None:
        """Hold all data back for ``seconds`` seconds."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._release)

    def go_silent(self) -> None:
        """Discard all data from now on, pongs and closing frames included."""
        self._silent = True

    def drop(self) -> None:
        """End the TCP connection without a closing handshake; discard data held back."""
        self.go_silent()
        if self._transport.get_write_buffer_size():
            self._transport.abort()  # close() would wait for a peer that does not read
        else:
            self._transport.close()

    def reset(self) -> None:
        """End the TCP connection with an RST; discard data held back."""
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the socket is closed already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def half_close(self) -> None:
        """Close the writing side, and keep reading; over TLS, end the connection."""
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self.go_silent()
        else:
            self.drop()

    def _release(self) -> None:
        self._timer = None
        size = self._max_write or len(self._held)
        data = bytes(self._held[:size])
        del self._held[:size]
        if not self._silent and not self._transport.is_closing():
            self._transport.write(data)
        if self._held:
            self._timer = self._loop.call_later(0, self._release)
        elif self._closing:
            self._transport.close()
