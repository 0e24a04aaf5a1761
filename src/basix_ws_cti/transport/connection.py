"""Connection: one open WebSocket to the feed; yields messages and sends commands.

A connection ends when its WebSocket ends. Reconnecting is the task of ``client``.

Large frames: parsing one in the event loop would block the loop, so a thread parses it. The
result is kept in ``_threaded_parse`` until the caller has received it. While it is set, no other
frame is read, so that messages keep their order, and a cancelled iteration loses no message.
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

from basix_ws_cti._internal.callback_errors import CallbackErrors
from basix_ws_cti._internal.owner_loop import OwnerLoop
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
from .keepalive import Keepalive
from .redaction import NotPicklable, Redactor

_logger = logging.getLogger(__name__)

# Bytes (of a compressed frame: after inflating) above which a thread parses a frame. Parsing this
# many takes 0.2 ms for typical records, and 16 ms for empty records with 256 fields each.
BIG_FRAME_BYTES = 4096

# Texts of a system_msg after which the PBX closes the connection, and the error to raise then.
_FINAL_ERRORS: dict[str, type[BasixError]] = {
    "connection_limit_reached": ConnectionLimitReached,
    "connection_replaced": ConnectionReplaced,
}


class Connection(NotPicklable):
    """An open connection to the feed: an async iterator of messages that also sends commands.

    ``connect`` creates it. Iteration

    - ends when the PBX closes the connection normally;
    - raises ``ConnectionLost`` when the connection breaks or is closed with an error code;
    - raises ``ConnectionLimitReached`` or ``ConnectionReplaced`` after yielding the
      ``SystemMsg`` that announces it;
    - raises ``DecodeError`` or ``ProtocolError`` for a frame that cannot be parsed. The
      connection stays open: continue iterating to get the next message;
    - raises ``UsageError`` if another task is iterating over the same connection.

    A connection belongs to the event loop in which it was opened. What is awaited raises
    ``UsageError`` in another one.

    Iterating does not block the event loop for long, even if many messages have arrived: a
    thread parses large frames, and the iterator yields to the loop from time to time.
    Cancelling loses no message.
    """

    def __init__(
        self,
        socket: FeedSocket,
        parser: MessageParser,
        name: str,
        redactor: Redactor,
        on_frame: Callable[[bytes | str], object] | None = None,
    ) -> None:
        self._socket = socket
        self._parser = parser
        self._name = name
        self._redactor = redactor
        self._on_frame = on_frame
        self._callback_errors = CallbackErrors(_logger)
        self._final_error: BasixError | None = None
        self._time_slice = TimeSlice()
        self._owner = OwnerLoop("the connection")
        self._owner.bind()
        self._threaded_parse: asyncio.Future[Message] | None = None
        self._awaiting_parse = False
        self._abort_reason = ""
        self._keepalive: asyncio.Task[None] | None = None
        self.frames_read: int = 0
        """Number of frames received, including those that could not be parsed."""
        self.bytes_read: int = 0
        """Total size of these frames in bytes; a text frame counts its characters."""

    def __repr__(self) -> str:
        return f"<Connection {self._name} {self._socket.state.name}>"

    def __aiter__(self) -> Connection:
        return self

    async def __anext__(self) -> Message:
        if self._time_slice.expired():
            await self._time_slice.yield_to_loop()
        if (message := self.receive_nowait()) is not None:
            return message
        if self._threaded_parse is None and (message := await self._receive()) is not None:
            return message
        return await self._await_parse(cast("asyncio.Future[Message]", self._threaded_parse))

    def receive_nowait(self) -> Message | None:
        """Return the next message if it is available without waiting.

        ``None``: iterate to wait for one; there may also be a large frame that a thread is
        parsing. Raises ``DecodeError`` or ``ProtocolError`` for a frame that cannot be parsed,
        as iterating does. Use it to process a burst of messages without suspending.
        """
        if self._final_error is not None or self._threaded_parse is not None:
            return None
        frame = self._socket.receive_nowait()
        return None if frame is None else self._parse(frame)

    async def _receive(self) -> Message | None:
        """Wait for a frame and return its message; ``None``: a thread is parsing it."""
        self._owner.check()
        if self._final_error is not None:
            raise self._final_error
        lost = None
        try:
            frame = await self._socket.receive()
        except ConnectionClosedOK:
            raise StopAsyncIteration from None
        except ConcurrencyError:
            raise _concurrent_iteration() from None
        except ConnectionClosed as error:
            lost = self._connection_lost(error)
        if lost is not None:
            raise lost  # outside the except block, so that no context holds the secret
        self._time_slice.resumed()
        return self._parse(frame)

    async def _await_parse(self, parse: asyncio.Future[Message]) -> Message:
        """Wait for the thread that parses a large frame; may be called again if cancelled."""
        self._owner.check()
        if self._awaiting_parse:
            raise _concurrent_iteration()
        self._awaiting_parse = True
        try:
            await asyncio.wait([parse])
        finally:
            self._awaiting_parse = False
        self._threaded_parse = None
        self._time_slice.resumed()
        return parse.result()

    def _parse(self, frame: bytes | str) -> Message | None:
        """Return the frame's message; ``None``: a thread parses it (``_threaded_parse``)."""
        self.frames_read += 1
        self.bytes_read += len(frame)
        if self._on_frame is not None:
            self._call_on_frame(frame)
        if len(frame) > BIG_FRAME_BYTES or inflated_size(frame) > BIG_FRAME_BYTES:
            self._threaded_parse = run_in_thread(partial(self._parser.parse, frame))
            return None
        message = self._parser.parse(frame)
        if type(message) is SystemMsg and message.text in _FINAL_ERRORS:
            self._final_error = _FINAL_ERRORS[message.text]()
        return message

    def _call_on_frame(self, frame: bytes | str) -> None:
        try:
            self._on_frame(frame)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - a failing callback must not lose the message
            self._callback_errors.log(error, self._on_frame)

    async def send(self, command: Mapping[str, Any]) -> None:
        """Send a command, a JSON object ``{"cmd": …}``, as a text frame.

        The text is that of JavaScript's ``JSON.stringify``: without spaces, keys in their order.
        The PBX does not reply; later messages show the effect of the command. Raises
        ``UsageError`` if ``command`` cannot be encoded as JSON, and ``ConnectionLost`` if the
        connection is closed.
        """
        if not isinstance(command, Mapping):
            raise UsageError(f"command must be a mapping, got {type(command).__name__}")
        self._owner.check()
        try:
            text = json.dumps(
                dict(command), ensure_ascii=False, allow_nan=False, separators=(",", ":")
            )
            text.encode()  # a lone surrogate would break the connection
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"command cannot be encoded as JSON: {type(error).__name__}") from None
        lost = None
        try:
            await self._socket.send(text)
        except ConnectionClosed as error:
            lost = self._connection_lost(error)
        if lost is not None:
            raise lost

    async def ping(self) -> None:
        """Send a ping and wait for its pong, without a time limit.

        Raises ``ConnectionLost`` if the connection is closed.
        """
        lost = None
        try:
            pong = asyncio.ensure_future(await self._socket.ping())
            # Not ``await pong`` alone: if cancelled, that would cancel the library's future.
            await asyncio.wait([pong])
            await pong
        except ConnectionClosed as error:
            lost = self._connection_lost(error)
        if lost is not None:
            raise lost

    @property
    def is_paused(self) -> bool:
        """True while reading from the socket is paused because too many messages wait.

        Until some of them are received nothing more arrives, not even a pong.
        """
        return not self._socket.transport.is_reading()

    @property
    def has_unread_end(self) -> bool:
        """True if the connection has ended while reading is paused; not on every system.

        Linux shows it, and so does uvloop for a connection with TLS.
        ``call_when_lost`` reports it only after the messages before it.
        """
        return self._socket.has_unread_end

    @property
    def bytes_received(self) -> int:
        """Number of bytes received so far, those of incomplete frames and of pongs included."""
        return self._socket.bytes_received

    @property
    def partial_bytes(self) -> int:
        """Number of bytes received of a frame that is not complete yet."""
        return self._socket.partial_bytes

    @property
    def last_heard(self) -> float:
        """Event-loop time of the last sign of life; everything sent before has been received.

        A sign of life is a complete frame of any kind (a pong too), or the end of the stream; at
        first it is the handshake.
        """
        return self._socket.last_heard

    @property
    def last_heard_unix(self) -> float:
        """Unix time of ``last_heard`` in seconds, by the machine's clock of then."""
        return self._socket.last_heard_unix

    def start_keepalive(self, interval: float | None, timeout: float | None) -> None:
        """Watch the connection until it is closed; see ``Keepalive`` for the parameters."""
        self._keepalive = asyncio.create_task(
            Keepalive(self, interval=interval, timeout=timeout).run(),
            name="basix_ws_cti keepalive",
        )

    def call_when_lost(self, callback: Callable[[ConnectionLost], object] | None) -> None:
        """Call ``callback(error)`` at once when the TCP connection is lost; ``None``: no longer.

        Iterating raises the same error only after all messages that have arrived. A connection that
        the PBX closed normally has the code 1000.
        """
        if callback is None:
            self._socket.on_lost = None
            return

        def report() -> None:
            error = self._socket.protocol.close_exc
            is_normal = isinstance(error, ConnectionClosedOK)
            callback(ConnectionLost(1000) if is_normal else self._connection_lost(error))

        self._socket.on_lost = report

    def abort(self, reason: str = "") -> None:
        """Drop the TCP connection at once, without a closing handshake.

        A task that is iterating gets ``ConnectionLost`` with this ``reason``.
        """
        self._abort_reason = self._abort_reason or reason
        self._socket.transport.abort()

    async def close(self) -> None:
        """Close the connection and discard unread messages.

        Does nothing if it is closed already. If cancelled, it drops the TCP connection
        instead of waiting for the PBX's answer.
        """
        self._owner.check()
        if self._keepalive is not None:
            self._keepalive.cancel()
            self._keepalive = None
        # While unread messages pause reading, the peer's close frame would not be seen, and
        # closing would take until the time-out.
        discarding = asyncio.create_task(self._discard(), name="basix_ws_cti close")
        try:
            await self._socket.close()
        finally:
            self._callback_errors.log_counts()
            discarding.cancel()
            self.abort()  # does nothing if the connection is closed

    async def _discard(self) -> None:
        with contextlib.suppress(ConnectionClosed, ConcurrencyError):
            while True:
                await self._socket.receive()

    def _connection_lost(self, error: ConnectionClosed) -> ConnectionLost:
        """Return this package's error for a closed connection, with secrets redacted."""
        close = error.rcvd or error.sent  # without the peer's close frame, ours gives the reason
        if close is None:
            return ConnectionLost(1006, self._abort_reason)
        return ConnectionLost(close.code, printable(self._redactor(close.reason)))


def _concurrent_iteration() -> UsageError:
    return UsageError("another task is iterating over this connection: only one may at a time")
