"""A WebSocket that takes what the feed is made of straight from the stream.

The feed is binary messages, each in one frame. For those, what the library does frame by
frame (a generator, a queue, a coroutine) costs more than reading the message in them. So
whole frames of that sort are cut out of what has arrived right here; everything else
(control frames, text, fragments, what is against the protocol, what is too long) goes to the
library as it came, and from the first data frame among that the library has it all.

RFC 6455, section 5.2, is the layout of a frame.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConcurrencyError
from websockets.protocol import State

if TYPE_CHECKING:
    import asyncio

    from websockets.typing import Data

# Frames that may wait before reading pauses, and at which it goes on; the library's own. One
# read of the socket can bring more: what has arrived is kept.
HIGH_WATER, LOW_WATER = 16, 4

_BINARY = 0x82  # FIN, and the opcode of a binary message
_CONTROL = frozenset({0x88, 0x89, 0x8A})  # close, ping, pong

_END_OF_HEADERS = b"\r\n\r\n"


class FeedSocket(ClientConnection):
    """The library's connection, with ``receive`` and ``receive_waiting`` beside ``recv``.

    Once they are used ``recv`` is not to be, and the other way round. ``max_size`` is that of
    a message in bytes, ``None``: no limit.
    """

    def __init__(self, *args: Any, max_size: int | None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._max_size = math.inf if max_size is None else max_size
        self._head = b""  # the end of what came of the handshake's answer
        self._opened = False
        # Whether frames are cut out here: not while the library logs each of them.
        self._cuts = not self.protocol.debug
        self._arrived: deque[bytes] = deque()
        self._rest = bytearray()  # a frame that is not whole yet
        self._needed = 0  # bytes that it has to have, as far as is known
        self._waiter: asyncio.Future[None] | None = None
        self._holds_back = False

    async def receive(self) -> Data:
        """The next message: ``bytes``, or ``str`` for a text frame.

        Raises ``ConnectionClosed`` once the connection is closed and all was received, and
        ``ConcurrencyError`` when two receive at once.
        """
        while (message := self.receive_waiting()) is None:
            if not self._cuts:
                return await self.recv()
            if self._waiter is not None:
                raise ConcurrencyError("receive is running already")
            self._waiter = self.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return message

    def receive_waiting(self) -> bytes | None:
        """The next message if it has arrived and was cut out here, else ``None``."""
        arrived = self._arrived
        if not arrived:
            return None
        if self._holds_back and len(arrived) <= LOW_WATER + 1:
            self._holds_back = False
            if not self.recv_messages.paused:
                self.transport.resume_reading()
        return arrived.popleft()

    def data_received(self, data: bytes) -> None:
        """Cut out what can be, leave the rest to the library (asyncio's callback)."""
        if not self._opened:
            data = self._answer(data)
        if data:
            self._take(data)
            if self._arrived:
                self._wake()
                if len(self._arrived) > HIGH_WATER and not self._holds_back:
                    self._holds_back = True
                    self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what receives, once it has all there is (asyncio's callback)."""
        super().connection_lost(exc)
        self._cuts = False
        self._wake()

    def _answer(self, data: bytes) -> bytes:
        """Let the library have the handshake's answer, to its last byte; what is after it."""
        seen = self._head + data
        end = seen.find(_END_OF_HEADERS)
        if end < 0:
            self._head = seen[-len(_END_OF_HEADERS) + 1 :]
            super().data_received(data)
            return b""
        end += len(_END_OF_HEADERS) - len(self._head)
        super().data_received(data[:end])
        self._opened = True
        return data[end:]

    @property
    def _is_ours(self) -> bool:
        return self._cuts and self.protocol.state is State.OPEN

    def _take(self, data: bytes) -> None:
        rest = self._rest
        if rest:
            rest += data
            begin = self._needed if self._is_ours else 0
            if len(rest) < begin:
                return  # of a long message only the last part is worth a look
            with memoryview(rest) as view:  # a long message is copied once
                if begin:
                    self._arrived.append(bytes(view[_header(rest[1]) : begin]))
                data = bytes(view[begin:])
            rest.clear()
        begin = self._cut(data) if self._is_ours else 0
        if self._is_ours:
            rest += data[begin:]
        else:
            self._cuts = False
            super().data_received(data[begin:])
            self._wake()  # what comes now comes from the library

    def _cut(self, data: bytes) -> int:
        """Cut out the frames from the start of ``data`` on; where the first begins that is left.

        That one is not whole yet, then ``_needed`` says how many bytes it has at least; or it
        is nothing for us: then ``_cuts`` is false from now on.
        """
        size = len(data)
        at = self._needed = 0
        while size - at >= 2:
            opcode, length = data[at], data[at + 1]
            # Masked, which a server's frames are not; or long, which binary ones alone may be.
            if length > 127 or (length > 125 and opcode != _BINARY):
                self._cuts = False
                break
            begin = at + (2 if length < 126 else _header(length))
            if length > 125:
                if begin > size:
                    break
                length = int.from_bytes(data[at + 2 : begin], "big")
            end = begin + length
            if opcode == _BINARY and length <= self._max_size:
                if end > size:
                    self._needed = end - at
                    break
                self._arrived.append(data[begin:end])
            elif opcode in _CONTROL:
                if end > size:
                    break
                super().data_received(data[at:end])
                if self.protocol.state is not State.OPEN:
                    return end
            else:
                self._cuts = False
                break
            at = end
        return at

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _header(length: int) -> int:
    """Bytes before a frame's data, by the length that its second byte says."""
    return 2 if length < 126 else 4 if length == 126 else 10
