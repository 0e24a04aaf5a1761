"""connect(): one WebSocket to the feed, messages out, commands in.

Thin on purpose: one connection that ends when it ends. Staying connected is somebody
else's work.

What keeps the secret secret: the credentials travel in a header that this module makes
itself, not in a URL; the WebSocket library logs through an adapter that masks them; and
what goes wrong in a handshake is turned into an error of this package outside the
``except`` block, so that no frame of the library, which holds the header, hangs on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from websockets.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedOK,
)

from basix_ws_cti._internal.time_slice import TimeSlice, run_in_thread
from basix_ws_cti.exceptions import (
    BasixError,
    ConnectionLimitReached,
    ConnectionLost,
    ConnectionReplaced,
    UsageError,
    printable,
)
from basix_ws_cti.messages import Message, SystemMsg
from basix_ws_cti.parsing.parser import MessageParser
from basix_ws_cti.terms import inflated_size

from .frame_reader import FeedSocket
from .redaction import NotPicklable, Redactor

_logger = logging.getLogger(__name__)


# Bytes beyond which a frame is read in a thread, lest it keep the loop too long: a fifth of a
# millisecond of what the feed is made of, 16 ms of empty records with 256 fields each.
BIG_FRAME = 4096

_ENDINGS: dict[str, type[BasixError]] = {
    "connection_limit_reached": ConnectionLimitReached,
    "connection_replaced": ConnectionReplaced,
}


class Connection(NotPicklable):
    """An open connection: an async iterator of messages, and the way for commands.

    Iteration ends when the connection is closed properly. It raises
    ``ConnectionLost`` when it broke, and ``ConnectionLimitReached`` or
    ``ConnectionReplaced`` after the message that says so has been delivered. A frame
    that can't be read raises ``DecodeError`` or ``ProtocolError`` and leaves the
    connection open: iterating on reads the next one. Two loops at once over one connection
    are a ``UsageError``.

    However much there is to read, the event loop gets its turn: big frames are read in a
    thread, and a loop over what has arrived already pauses now and then. No message is lost
    if that is cancelled.
    """

    def __init__(
        self,
        socket: FeedSocket,
        parser: MessageParser,
        name: str,
        mask: Redactor,
        on_frame: Callable[[bytes | str], object] | None = None,
    ) -> None:
        self._socket = socket
        self._parser = parser
        self._name = name
        self._mask = mask
        self._on_frame = on_frame
        self._ending: BasixError | None = None
        self._time_slice = TimeSlice()
        self._big: asyncio.Future[Message] | None = None  # what a thread makes of a big frame
        self._waits_for_big = False
        self.frames_read: int = 0
        self.bytes_read: int = 0

    def __repr__(self) -> str:
        return f"<Connection {self._name} {self._socket.state.name}>"

    def __aiter__(self) -> Connection:
        return self

    async def __anext__(self) -> Message:
        if self._time_slice.expired():
            await self._time_slice.yield_to_loop()
        if (message := self.waiting()) is not None:
            return message
        if self._big is None and (message := await self._receive()) is not None:
            return message
        return await self._read_big(cast("asyncio.Future[Message]", self._big))

    def waiting(self) -> Message | None:
        """The next message, if it is there already; ``None``: iterate to wait for it.

        For who reads in bursts. A frame that can't be read raises what iterating would.
        """
        if self._ending is not None or self._big is not None:
            return None
        frame = self._socket.receive_waiting()
        return None if frame is None else self._read(frame)

    async def _receive(self) -> Message | None:
        """Wait for a frame; its message, or ``None``: it is a big one."""
        if self._ending is not None:
            raise self._ending
        lost = None
        try:
            frame = await self._socket.receive()
        except ConnectionClosedOK:
            raise StopAsyncIteration from None
        except ConcurrencyError:
            raise _two_loops() from None
        except ConnectionClosed as error:
            lost = self._lost(error)
        if lost is not None:
            raise lost
        self._time_slice.resumed()
        return self._read(frame)

    async def _read_big(self, big: asyncio.Future[Message]) -> Message:
        """Wait for what a thread makes of a big frame: again, if that was cancelled."""
        if self._waits_for_big:
            raise _two_loops()
        self._waits_for_big = True
        try:
            await asyncio.wait([big])
        finally:
            self._waits_for_big = False
        self._big = None
        self._time_slice.resumed()
        return big.result()

    def _read(self, frame: bytes | str) -> Message | None:
        """The message; ``None``: a thread reads it."""
        self.frames_read += 1
        self.bytes_read += len(frame)
        if self._on_frame is not None:
            self._show(frame)
        if len(frame) > BIG_FRAME or inflated_size(frame) > BIG_FRAME:
            self._big = run_in_thread(partial(self._parser.parse, frame))
            return None
        message = self._parser.parse(frame)
        if type(message) is SystemMsg and message.text in _ENDINGS:
            self._ending = _ENDINGS[message.text]()
        return message

    def _show(self, frame: bytes | str) -> None:
        try:
            self._on_frame(frame)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - a message is not lost for it
            # Not its text: it may quote the frame.
            _logger.error("on_frame raised %s", type(error).__name__)  # noqa: TRY400

    async def send(self, command: Mapping[str, Any]) -> None:
        """Send a command as a JSON text frame, ``{"cmd": …}``.

        The PBX does not reply; what a command does shows in later messages. Raises
        ``UsageError`` for what is no JSON, ``ConnectionLost`` when the connection
        is closed.
        """
        if not isinstance(command, Mapping):
            raise UsageError(f"a command is a JSON object, not {type(command).__name__}")
        try:
            text = json.dumps(dict(command), ensure_ascii=False, allow_nan=False)
            text.encode()  # half a surrogate pair would break the connection
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"a command is a JSON object: {type(error).__name__}") from None
        lost = None
        try:
            await self._socket.send(text)
        except ConnectionClosed as error:
            lost = self._lost(error)
        if lost is not None:
            raise lost

    async def ping(self) -> None:
        """Ping the PBX, and wait for its pong; ``ConnectionLost`` when the connection is closed."""
        lost = None
        try:
            pong = asyncio.ensure_future(await self._socket.ping())
            # Who gives up waiting leaves the library's own future alone.
            await asyncio.wait([pong])
            await pong
        except ConnectionClosed as error:
            lost = self._lost(error)
        if lost is not None:
            raise lost

    @property
    def holds_back(self) -> bool:
        """Whether nothing can come, not even a pong, before some of what is here is read."""
        return not self._socket.transport.is_reading()

    def abort(self) -> None:
        """End the TCP connection at once, without a word: whoever reads gets ``ConnectionLost``."""
        self._socket.transport.abort()

    async def close(self) -> None:
        """Close the connection; again is harmless. What has not been read is discarded.

        Who is cancelled meanwhile leaves it closed, too, without waiting for the PBX.
        """
        # Unread messages would keep the peer's own close from being seen, until the time-out.
        discarding = asyncio.create_task(self._discard(), name="basix_ws_cti close")
        try:
            await self._socket.close()
        finally:
            discarding.cancel()
            self.abort()  # nothing, if it is closed

    async def _discard(self) -> None:
        with contextlib.suppress(ConnectionClosed, ConcurrencyError):
            while True:
                await self._socket.receive()

    def _lost(self, error: ConnectionClosed) -> ConnectionLost:
        close = error.rcvd or error.sent  # ours says why where the peer's did not come
        if close is None:
            return ConnectionLost(1006)
        return ConnectionLost(close.code, printable(self._mask(close.reason)))


def _two_loops() -> UsageError:
    return UsageError("one loop at a time can read a connection")
