"""A transport that can be made to treat what is written as bad networks do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any

# Bytes held back, at most: a connection that has more to say is cut off.
MAX_HELD = 1 << 26


class Pipe:
    """Stands in front of a connection's transport; all but writing is the transport's own.

    It is plain until one of its methods is called. What is held back is written, in order,
    before a proper close.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._piece = 0  # bytes that go out at once; 0: all that there is
        self._delay: float | None = None  # seconds that a write waits for others
        self._silent = False
        self._closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    # -- what the connection calls ----------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write, or hold back, or lose."""
        if self._silent:
            return
        if self._delay is None and not self._piece and self._timer is None:
            self._transport.write(data)
            return
        self._held += data
        if len(self._held) > MAX_HELD:
            self._transport.abort()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._delay or 0, self._release)

    def close(self) -> None:
        """Close, when what is held back has been written."""
        self._closing = True
        if self._timer is None:
            self._transport.close()

    def write_eof(self) -> None:
        """Nothing: what is held back may still have to go out, and a close follows."""

    def can_write_eof(self) -> bool:
        """No."""
        return False

    # -- what a fault calls -----------------------------------------------------------

    def split(self, size: int) -> None:
        """From now on no more than ``size`` bytes go out at once; 0: as many as there are."""
        self._piece = size

    def coalesce(self, seconds: float) -> None:
        """From now on what is written goes out together, every so many seconds."""
        self._delay = seconds or None

    def stall(self, seconds: float) -> None:
        """Hold everything back for so many seconds."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._release)

    def go_silent(self) -> None:
        """From now on all that is written is lost, pongs and closing frames too."""
        self._silent = True

    def drop(self) -> None:
        """End the TCP connection, without a closing handshake; what is held back is lost."""
        self.go_silent()
        if self._transport.get_write_buffer_size():
            self._transport.abort()  # or it would wait for a peer that does not read
        else:
            self._transport.close()

    def reset(self) -> None:
        """End the TCP connection with an RST; what is held back is lost."""
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # it is gone already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def half_close(self) -> None:
        """Say that nothing more will be written, and go on reading; over TLS, just end it."""
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self.go_silent()
        else:
            self.drop()

    def _release(self) -> None:
        self._timer = None
        size = self._piece or len(self._held)
        data = bytes(self._held[:size])
        del self._held[:size]
        if not self._silent and not self._transport.is_closing():
            self._transport.write(data)
        if self._held:
            self._timer = self._loop.call_later(0, self._release)
        elif self._closing:
            self._transport.close()
