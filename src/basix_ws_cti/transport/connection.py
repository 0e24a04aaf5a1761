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
import ssl as tls
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Required, TypedDict, cast

from websockets.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedOK,
)

from .callables import sort_of_callback
from .endpoint import (
    Basic,
    Server,
    Ticket,
    basic_header,
    check_transport,
    request_target,
    secret_forms,
)
from .exceptions import (
    BasixError,
    ConnectionLimitReached,
    ConnectionLost,
    ConnectionReplaced,
    UsageError,
    printable,
)
from .handshake import Handshake, MaskingLogger, explain, header_secrets
from .messages import Message, SystemMsg
from .parser import MessageParser
from .secrecy import Mask, Secretive, Veiled, discreet
from .terms import DEFAULT_LIMITS, MAX_FRAME_BYTES, Limits, inflated_size
from .turns import Turns, in_thread
from .websocket import FeedSocket

Credentials = Basic | Ticket | Callable[[str], Awaitable[Basic | Ticket]]
"""Who connects: a value, or an async function from the request target to one."""

_logger = logging.getLogger(__name__)


class ConnectOptions(TypedDict, total=False):
    """The keywords of ``connect``, for who passes them on."""

    app_name: Required[str]
    domain: str | None
    token: str | None
    credentials: Credentials | None
    full_events: bool
    force: bool
    user_id: int | str | None
    user_name: str | None
    user_label: str | None
    user_extension: str | None
    user_did: str | None
    user_email: str | None
    base_url: str | None
    limits: Limits
    ssl: tls.SSLContext | None
    additional_headers: Mapping[str, str] | Iterable[tuple[str, str]] | None
    proxy: str | None
    allow_insecure: bool
    open_timeout: float | None
    close_timeout: float | None
    ping_interval: float | None
    ping_timeout: float | None
    max_size: int | None
    on_frame: Callable[[bytes | str], object] | None


# Bytes beyond which a frame is read in a thread, lest it keep the loop too long: a fifth of a
# millisecond of what the feed is made of, 16 ms of empty records with 256 fields each.
BIG_FRAME = 4096

_ENDINGS: dict[str, type[BasixError]] = {
    "connection_limit_reached": ConnectionLimitReached,
    "connection_replaced": ConnectionReplaced,
}


class Connection(Secretive):
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
        mask: Mask,
        on_frame: Callable[[bytes | str], object] | None = None,
    ) -> None:
        self._socket = socket
        self._parser = parser
        self._name = name
        self._mask = mask
        self._on_frame = on_frame
        self._ending: BasixError | None = None
        self._turns = Turns()
        self._big: asyncio.Future[Message] | None = None  # what a thread makes of a big frame
        self._waits_for_big = False
        self.frames_read: int = 0
        self.bytes_read: int = 0

    def __repr__(self) -> str:
        return f"<Connection {self._name} {self._socket.state.name}>"

    def __aiter__(self) -> Connection:
        return self

    async def __anext__(self) -> Message:
        if self._turns.are_over():
            await self._turns.pause()
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
        self._turns.waited()
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
        self._turns.waited()
        return big.result()

    def _read(self, frame: bytes | str) -> Message | None:
        """The message; ``None``: a thread reads it."""
        self.frames_read += 1
        self.bytes_read += len(frame)
        if self._on_frame is not None:
            self._show(frame)
        if len(frame) > BIG_FRAME or inflated_size(frame) > BIG_FRAME:
            self._big = in_thread(partial(self._parser.parse, frame))
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


class connect(Secretive):  # noqa: N801 - called like the function that it stands for
    """``async with connect(…) as cti``: connect, and close at the end of the block.

    ``server`` is ``host``, ``host:port`` or ``wss://host:port``. Who connects is
    ``domain`` and ``token``, or ``credentials``: a ``Basic`` or ``Ticket``, or an
    async function that is given the request target (path and query, what a ticket is bound
    to) and returns one, called for each attempt. A session's cookie goes into
    ``additional_headers`` instead of any of them.

    ``app_name`` names the application; the PBX allows two connections for each and user.
    ``full_events`` asks for every channel of the PBX, otherwise one of the ``user_…``
    filters names whose. ``force`` makes room at the limit by closing the oldest connection.
    ``base_url`` and ``limits`` are ``MessageParser``'s.

    TLS is verified; ``ssl`` takes a context for a private CA. Plain ``ws://`` is for this
    machine alone unless ``allow_insecure``. No proxy is used unless ``proxy`` names one
    (``http://host:port``), redirects are refused, compression is off. Times are in
    seconds, ``max_size`` in bytes.

    ``on_frame(frame)`` is called with each frame as it came, ``bytes``, or ``str`` for a text
    frame, before it is read, in their order: for a recording, say. It is synchronous, and
    reading waits for it. What it raises is logged, by the name of its class, and takes nothing
    from who iterates.

    Entering raises ``UsageError`` for what can't work, ``AuthenticationError``
    for a refused login, ``HandshakeError`` for any other answer,
    ``CertificateError`` and ``ConnectFailed`` when there was none, and whatever
    the ``credentials`` function raises.
    """

    @discreet
    def __init__(
        self,
        server: str,
        *,
        app_name: str,
        domain: str | None = None,
        token: str | None = None,
        credentials: Credentials | None = None,
        full_events: bool = False,
        force: bool = False,
        user_id: int | str | None = None,
        user_name: str | None = None,
        user_label: str | None = None,
        user_extension: str | None = None,
        user_did: str | None = None,
        user_email: str | None = None,
        base_url: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
        ssl: tls.SSLContext | None = None,
        additional_headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        proxy: str | None = None,
        allow_insecure: bool = False,
        open_timeout: float | None = 10,
        close_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        max_size: int | None = MAX_FRAME_BYTES,
        on_frame: Callable[[bytes | str], object] | None = None,
    ) -> None:
        if on_frame is not None and sort_of_callback("on_frame", on_frame) != "sync":
            raise UsageError("on_frame is a coroutine function, and a connection does not await it")
        self._on_frame = on_frame
        self._server = Server.parse(server)
        self._full_events = full_events
        self._target = request_target(
            app_name,
            full_events=full_events,
            force=force,
            user_id=user_id,
            user_name=user_name,
            user_label=user_label,
            user_extension=user_extension,
            user_did=user_did,
            user_email=user_email,
        )
        self._app_name = app_name
        self._headers = _checked_headers(additional_headers)
        self._credentials = _checked_credentials(domain, token, credentials)
        names = {name.lower() for name, _ in self._headers.value}
        if self._credentials is not None and "authorization" in names:
            raise UsageError("an Authorization header beside credentials: drop one")
        self._check_value(self._credentials)
        if self._credentials is not None or names:
            check_transport(self._server, proxy=proxy, allow_insecure=allow_insecure)
        _check_tls(self._server, ssl, allow_insecure=allow_insecure)
        self._open_timeout = open_timeout
        options: dict[str, Any] = {
            "proxy": proxy,
            "open_timeout": open_timeout,
            "close_timeout": close_timeout,
            "ping_interval": ping_interval,
            "ping_timeout": ping_timeout,
            "max_size": max_size,
            "create_connection": partial(FeedSocket, max_size=max_size),
            "compression": None,
        }
        if self._server.is_secure:
            options["ssl"] = ssl or tls.create_default_context()
        self._options = Veiled(options)
        self._parser_options: dict[str, Any] = {"base_url": base_url, "limits": limits}
        self._connection: Connection | None = None
        self._entered = False

    def __repr__(self) -> str:
        return f"<connect {self._name}>"

    @property
    def _name(self) -> str:
        return f"{self._server} app_name={printable(self._app_name, 60)!r}"

    async def __aenter__(self) -> Connection:
        if self._entered:
            raise UsageError("this connect() is in use already: make another one")
        self._entered = True
        opened: Connection | BaseException | None = None
        try:
            opened = await self._open()
        finally:
            self._entered = isinstance(opened, Connection)
        if isinstance(opened, BaseException):
            raise opened  # here, where no local variable and no context holds the secret
        self._connection = opened
        return opened

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection, self._connection = self._connection, None
        self._entered = False
        if connection is not None:
            await connection.close()

    async def _open(self) -> Connection | BaseException:
        """Make one attempt; what went wrong is returned."""
        credentials = self._credentials
        if callable(credentials):
            fresh: object = await credentials(self._target)
            if not isinstance(fresh, Basic | Ticket):
                return UsageError(
                    "the credentials function returns Basic(…) or Ticket(…), "
                    f"not {type(fresh).__name__}"
                )
            self._check_value(fresh)
            credentials = fresh
        headers = list(self._headers.value)
        secrets = header_secrets(headers)
        if credentials is not None:
            headers.append(("Authorization", basic_header(credentials)))
            secrets += secret_forms(credentials)
        mask = Mask(secrets)
        try:
            websocket = await Handshake(
                f"{self._server}{self._target}",
                additional_headers=headers,
                logger=MaskingLogger(logging.getLogger("websockets.client"), mask),
                **self._options.value,
            )
        except asyncio.CancelledError as error:
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - whatever it is must not carry the header out
            host = "the proxy" if self._options.value["proxy"] else self._server.host
            return explain(error, mask, host=host, open_timeout=self._open_timeout)
        for name in {name.lower() for name, _ in headers}:
            # No longer needed, and readable in there.
            del websocket.request.headers[name]  # type: ignore[union-attr]
        parser = MessageParser(**self._parser_options)
        return Connection(cast("FeedSocket", websocket), parser, self._name, mask, self._on_frame)

    def _check_value(self, credentials: object) -> None:
        if isinstance(credentials, Ticket) and self._full_events:
            raise UsageError("a ticket can't have full_events: use a domain and token")


def _checked_headers(
    headers: Mapping[str, str] | Iterable[tuple[str, str]] | None,
) -> Veiled[list[tuple[str, str]]]:
    try:
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        checked = [(name, value) for name, value in pairs]
    except (TypeError, ValueError):
        raise UsageError("additional_headers are a mapping, or pairs of str") from None
    for name, value in checked:
        if not (isinstance(name, str) and isinstance(value, str)):
            raise UsageError("additional_headers are pairs of str")
        if any(char in text for text in (name, value) for char in "\r\n\0"):
            raise UsageError("additional_headers must not contain line breaks")
    return Veiled(checked)


def _checked_credentials(
    domain: str | None, token: str | None, credentials: Credentials | None
) -> Credentials | None:
    if credentials is None:
        if domain is None and token is None:
            return None
        if domain is None or token is None:
            raise UsageError("domain and token go together")
        return Basic(domain, token)
    if domain is not None or token is not None:
        raise UsageError("give either domain and token or credentials, not both")
    if not isinstance(credentials, Basic | Ticket) and not callable(credentials):
        raise UsageError(
            f"credentials are Basic(…), Ticket(…) or an async function, "
            f"not {type(credentials).__name__}"
        )
    return credentials


def _check_tls(server: Server, context: tls.SSLContext | None, *, allow_insecure: bool) -> None:
    if context is None:
        return
    if not isinstance(context, tls.SSLContext):
        raise UsageError(f"ssl is an SSLContext, not {type(context).__name__}")
    if not server.is_secure:
        raise UsageError("ssl= goes with wss://, and the server is ws://")
    verifies = context.verify_mode is tls.CERT_REQUIRED and context.check_hostname
    if not verifies and not allow_insecure:
        raise UsageError(
            "the ssl context does not verify the server: load its CA with "
            "ssl.create_default_context(cafile=…), or pass allow_insecure=True"
        )
