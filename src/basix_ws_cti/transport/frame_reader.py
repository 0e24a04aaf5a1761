"""Frame reader: a WebSocket with a fast path for the frames that the feed consists of.

The feed is binary messages of one frame each. For those, the WebSocket library's work per frame
(a generator, a queue, a coroutine) costs more than parsing the message. ``FeedSocket`` therefore
extracts them from the received bytes itself.

Invariant: **every received byte goes either to the fast path or to the library, in order, and
never to both.** Two states follow from it:

- *Extracting* (``_extracts`` is true). The library has consumed all bytes up to a frame
  boundary. From there on this module cuts the frames: a complete, unmasked, unfragmented binary
  frame of at most ``max_size`` bytes becomes a message in ``_messages``; a complete close, ping
  or pong frame is passed to the library, which answers it. The bytes of a frame that is not
  complete yet wait in ``_partial``.
- *Handed over* (``_extracts`` is false). At the first frame of any other kind (text, fragment,
  masked, reserved bit, too long, unknown opcode), and once the connection is closing or closed,
  the library gets that frame's bytes and every later byte. There is no way back: the library may
  be in the middle of a fragmented message. Messages then come from ``recv``, after those
  that ``_messages`` still holds.

Liveness: ``data_received`` counts all bytes, so that a long frame on a slow link is seen to arrive.
Complete frames are counted where they become complete: binary messages here, all others in
``process_event``, which the library calls for them.

The handshake's response goes to the library, up to its last byte. If the library's logger is at
DEBUG, it is to log every frame: the reader then starts in the second state. So it does if a version
of the library lacks an internal attribute that the first state needs.

RFC 6455, section 5.2, describes the layout of a frame.
"""

from __future__ import annotations

import math
import select
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConcurrencyError
from websockets.protocol import Event, State

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from websockets.typing import Data

# Numbers of unread messages at which reading from the socket pauses and resumes, the library's
# defaults. A single read may exceed the high mark: what has been received is kept.
HIGH_WATER, LOW_WATER = 16, 4

# First bytes of frames: the FIN bit and an opcode.
_BINARY = 0x82
_CONTROL_FRAMES = frozenset({0x88, 0x89, 0x8A})  # close, ping, pong

_END_OF_HEADERS = b"\r\n\r\n"

# Event of a connection whose peer has closed it. An error or a reset is always reported, too.
_POLL_HANG_UP: int = getattr(select, "POLLRDHUP", 0)

# Seconds for which the difference between the event loop's and the machine's clock is used: with
# many frames per second, reading both clocks for each would be noticeable.
CLOCK_INTERVAL = 1.0


class FeedSocket(ClientConnection):
    """The library's client connection with a fast path: ``receive`` and ``receive_nowait``.

    Use either these two or the library's ``recv``, never both on one connection.
    ``max_size`` is the maximum size of a message in bytes; ``None``: no limit.
    """

    bytes_received: int
    """Number of bytes received so far, of the handshake and of incomplete frames too."""

    last_heard: float
    """Event-loop time of the last complete frame of any kind, or of the end of the stream; at
    first that of the handshake."""

    def __init__(self, *args: Any, max_size: int | None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._max_size = math.inf if max_size is None else max_size
        self._response_tail = b""  # last bytes of the handshake response received so far
        self._handshake_done = False
        self._extracts = not getattr(self.protocol, "debug", True)
        self.bytes_received = 0
        self._clock_read_at = -math.inf  # event-loop time
        self._note_frame()
        self._messages: deque[bytes] = deque()  # extracted, not received by the caller yet
        self._partial = bytearray()  # an incomplete frame from its first byte on
        self._partial_size = 0  # bytes of that frame when complete; 0: not known yet
        self._receiver: asyncio.Future[None] | None = None  # wakes a waiting ``receive``
        self._paused = False  # whether reading is paused because of ``_messages``
        self.on_lost: Callable[[], object] | None = None
        """Called at once when the TCP connection is lost; messages may still be unread."""

    async def receive(self) -> Data:
        """Wait for a message and return it: ``bytes``, or ``str`` for a text frame.

        Cancelling it loses no message. Raises ``ConnectionClosed`` once the connection is
        closed and every message has been received, and ``ConcurrencyError`` if another task is
        waiting in ``receive`` already.
        """
        while (message := self.receive_nowait()) is None:
            if not self._handshake_done:
                # The library got the handshake's response another way, not by ``data_received``.
                self._extracts = False
            if not self._extracts:
                return await self.recv()
            if self._receiver is not None:
                raise ConcurrencyError("receive is running already")
            self._receiver = self.loop.create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None
        return message

    def receive_nowait(self) -> bytes | None:
        """Return the next message if the fast path has extracted one, else ``None``."""
        messages = self._messages
        if not messages:
            return None
        if self._paused and len(messages) <= LOW_WATER + 1:
            self._paused = False
            if not self.recv_messages.paused:  # the library may have its own reason to pause
                self.transport.resume_reading()
        return messages.popleft()

    def data_received(self, data: bytes) -> None:
        """Process bytes from the socket (asyncio's callback)."""
        self.bytes_received += len(data)
        if not self._handshake_done:
            data = self._feed_handshake(data)
        if data:
            count = len(self._messages)
            self._feed(data)
            if len(self._messages) > count:
                self._note_frame()
            if self._messages:
                self._wake_receiver()
                if len(self._messages) > HIGH_WATER and not self._paused:
                    self._paused = True
                    self.transport.pause_reading()

    def eof_received(self) -> None:
        """Note the end of the stream (asyncio's callback).

        TCP keeps the order: everything that the peer sent before has been received.
        """
        if not self.partial_bytes:
            self._note_frame()
        super().eof_received()

    def process_event(self, event: Event) -> None:
        """Note a complete frame, or the handshake's response (the library's callback)."""
        self._note_frame()
        super().process_event(event)

    @property
    def last_heard_unix(self) -> float:
        """The moment of ``last_heard`` in seconds since the Unix epoch, by the machine's clock.

        Setting the clock, or a suspension, shows after ``CLOCK_INTERVAL`` at the latest.
        """
        return self.last_heard + self._clock_offset

    @property
    def has_unread_end(self) -> bool:
        """True if the connection has ended while reading is paused.

        The end is behind unread bytes, so that reading would show it too late. The operating system
        Linux reports it nevertheless, and so does uvloop for a connection with TLS; elsewhere this
        is always false.
        """
        transport = self.transport
        if transport.is_closing():
            return self._paused
        sock = transport.get_extra_info("socket")
        if transport.is_reading() or sock is None or not _POLL_HANG_UP:
            return False
        poll = select.poll()
        poll.register(sock, _POLL_HANG_UP)
        return bool(poll.poll(0))

    @property
    def partial_bytes(self) -> int:
        """Number of bytes received of a frame that is not complete yet.

        Once the library reads the frames, these are the bytes since the read in which the last
        frame was complete.
        """
        if self._extracts:
            return len(self._partial)
        return self.bytes_received - self._bytes_at_frame

    def connection_lost(self, exc: Exception | None) -> None:
        """Let ``receive`` raise once it has returned all messages (asyncio's callback)."""
        super().connection_lost(exc)
        self._extracts = False
        self._wake_receiver()
        if self.on_lost is not None:
            self.on_lost()

    def _note_frame(self) -> None:
        self._bytes_at_frame = self.bytes_received
        self.last_heard = now = self.loop.time()
        if now - self._clock_read_at >= CLOCK_INTERVAL:
            self._clock_read_at = now
            self._clock_offset = time.time() - now

    def _feed_handshake(self, data: bytes) -> bytes:
        """Pass the handshake response to the library; return the bytes that follow it."""
        seen = self._response_tail + data
        end = seen.find(_END_OF_HEADERS)
        if end < 0:
            self._response_tail = seen[-len(_END_OF_HEADERS) + 1 :]
            super().data_received(data)
            return b""
        end += len(_END_OF_HEADERS) - len(self._response_tail)
        super().data_received(data[:end])
        self._handshake_done = True
        self._extracts = self._extracts and self._library_fits()
        return data[end:]

    def _library_fits(self) -> bool:
        """Return True if the library has the internals that extracting frames relies on."""
        paused = getattr(getattr(self, "recv_messages", None), "paused", None)
        state = getattr(self.protocol, "state", None)
        return type(paused) is bool and isinstance(state, State)

    @property
    def _may_extract(self) -> bool:
        return self._extracts and self.protocol.state is State.OPEN

    def _feed(self, data: bytes) -> None:
        """Extract messages from ``data``; keep an incomplete frame or hand over for good."""
        partial = self._partial
        if partial:
            partial += data
            begin = self._partial_size if self._may_extract else 0
            if len(partial) < begin:
                return  # so that the header of a long message is parsed once, not per read
            with memoryview(partial) as view:  # copies a long message only once
                if begin:
                    self._messages.append(bytes(view[_header_size(partial[1]) : begin]))
                data = bytes(view[begin:])
            partial.clear()
        begin = self._extract_frames(data) if self._may_extract else 0
        if self._may_extract:
            partial += data[begin:]
        else:
            self._extracts = False
            super().data_received(data[begin:])
            self._wake_receiver()  # ``receive`` has to wait in the library from now on

    def _extract_frames(self, data: bytes) -> int:
        """Extract the complete frames at the start of ``data``; return the offset of the rest.

        The rest is empty, or starts with an incomplete frame (``_partial_size`` is its size if
        that is known, else 0), or with a frame for the library: then ``_extracts`` is false.
        """
        size = len(data)
        at = self._partial_size = 0
        while size - at >= 2:
            opcode, length = data[at], data[at + 1]
            # Above 127 the frame is masked, which a server must not do; above 125 it has an
            # extended length, which is for binary frames only among those extracted here.
            if length > 127 or (length > 125 and opcode != _BINARY):
                self._extracts = False
                break
            begin = at + (2 if length < 126 else _header_size(length))
            if length > 125:
                if begin > size:
                    break
                length = int.from_bytes(data[at + 2 : begin], "big")
            end = begin + length
            if opcode == _BINARY and length <= self._max_size:
                if end > size:
                    self._partial_size = end - at
                    break
                self._messages.append(data[begin:end])
            elif opcode in _CONTROL_FRAMES:
                if end > size:
                    break
                super().data_received(data[at:end])
                if self.protocol.state is not State.OPEN:
                    return end
            else:
                self._extracts = False
                break
            at = end
        return at

    def _wake_receiver(self) -> None:
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)


def _header_size(length: int) -> int:
    """Return the size of a frame's header in bytes, given the second byte of the frame."""
    return 2 if length < 126 else 4 if length == 126 else 10
