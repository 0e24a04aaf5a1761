"""Connector: checks the arguments of a connection and opens it.

Leaks that this module prevents:

- The credentials travel in a header, never in a URL, which servers and proxies log.
- Without TLS they go to this machine only, and through no proxy of the environment.
- A failed attempt raises a new exception (``translate_error``) outside the ``except`` block, so
  that no traceback frame of the WebSocket library, which holds the header, hangs on it. Whatever
  a server sends, translating raises nothing itself.
- After the handshake the header is removed from the library's request object.
"""

from __future__ import annotations

import asyncio
import re
import ssl as tls
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Required, TypedDict

from basix_ws_cti._internal.arguments import check_bool, check_integer, check_seconds, check_text
from basix_ws_cti._internal.callables import PlainFunction, callback_kind, check_function
from basix_ws_cti.exceptions import ConnectFailed, UsageError, printable
from basix_ws_cti.parsing.parser import MessageParser
from basix_ws_cti.terms import DEFAULT_LIMITS, MAX_FRAME_BYTES, Limits

from .address import ServerAddress, check_encryption, check_tls, request_target
from .connection import Connection
from .credentials import (
    Basic,
    Credentials,
    Ticket,
    await_credentials,
    basic_header,
    secret_forms,
)
from .frame_reader import FeedSocket
from .handshake import secret_header_values, translate_error
from .keepalive import check_pings
from .opening import WebSocketOpening
from .proxy import PROXY_ADVICE, split_proxy
from .redaction import NotPicklable, Redactor, SecretValue, scrub_traceback

# Form of a header's name (RFC 9110, section 5.6.2).
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# Headers that the handshake sets itself, or that would make the request something else.
_RESERVED_HEADERS = frozenset({"connection", "content-length", "host", "transfer-encoding"})
_RESERVED_PREFIX = ("sec-websocket-", "upgrade")


class ConnectOptions(TypedDict, total=False):
    """Keyword arguments of ``connect``, for type-checking code that passes them on.

    ``connect`` documents each of them.
    """

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


class connect(NotPicklable):  # noqa: N801 - used like a function
    """Async context manager that opens a connection and closes it at the end of the block.

    ``async with connect(…) as cti`` gives a ``Connection``. The same object can be entered again
    after its block. All times are in seconds; ``None`` turns a time limit off.

    - ``server``: ``host``, ``host:port``, ``wss://host:port`` or ``ws://host:port``.
    - ``app_name``: name of the application. The PBX allows two connections per user and
      ``app_name``.
    - ``domain``, ``token``: name of the PBX domain, and its API token.
    - ``credentials``: instead of ``domain`` and ``token``, a ``Basic`` or ``Ticket``, or an async
      function that returns one. The function is called for each attempt with the request target
      (path and query), to which a ticket is bound.
    - ``full_events``: subscribe to every channel of the PBX. Not possible with a ticket. Without
      it and without a user, a session gets the channels of its user; a token, which identifies
      no user, gets every channel according to the README of the JavaScript library.
    - ``force``: at the connection limit, replace the oldest connection.
    - ``user_id``, ``user_name``, ``user_label``, ``user_extension``, ``user_did``,
      ``user_email``: without ``full_events``, subscribe to the channels of this user. At most
      one of them; ``None``: not used.
    - ``base_url``, ``limits``: options of ``MessageParser``.
    - ``ssl``: an ``ssl.SSLContext``, for example with a private CA; ``None``: the default
      context, which all connections share. The context must verify the server unless
      ``allow_insecure`` is set.
    - ``additional_headers``: HTTP headers to send, as a mapping or pairs. A session cookie goes
      here, instead of any credentials.
    - ``proxy``: URL of a proxy, ``http://host:port``; ``None``: no proxy. Proxies of the
      environment are not used.
    - ``allow_insecure``: allow unencrypted ``ws://`` to another machine, and an ``ssl`` context
      that does not verify the server.
    - ``open_timeout``: maximum time to open the connection, and before that for the
      ``credentials`` function.
    - ``close_timeout``: maximum time to wait for the PBX when closing.
    - ``ping_interval``: time without a received byte after which the connection is pinged;
      ``None``: no pings.
    - ``ping_timeout``: maximum time to wait for a pong, or for any other byte.
    - ``max_size``: maximum size of a message in bytes; ``None``: no limit.
    - ``on_frame``: synchronous function that is called with each frame before it is parsed:
      ``bytes``, or ``str`` for a text frame. Reading waits for it. If it raises, the name of the
      exception's class is logged, and the message is delivered nevertheless.

    Redirects are refused, and compression is off. Of several addresses of a server or proxy, the
    first one that answers is used.

    Creating it raises ``UsageError`` for invalid or contradictory arguments. Entering raises

    - ``AuthenticationError`` if the login is refused, ``HandshakeError`` for any other HTTP
      response of the server, ``ProxyError`` if the proxy refuses the connection to it;
    - ``CertificateError`` or ``ConnectFailed`` if there is no valid response, or if the
      ``credentials`` function does not return in time;
    - ``UsageError`` for options that the WebSocket library refuses, or if it is entered already;
    - any exception of the ``credentials`` function.
    """

    @scrub_traceback
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
        check_function("on_frame", on_frame, "frame", optional=True)
        check_bool("allow_insecure", allow_insecure)
        check_seconds("open_timeout", open_timeout, optional=True)
        check_seconds("close_timeout", close_timeout, at_least=0, optional=True)
        check_pings(ping_interval, ping_timeout)
        check_integer("max_size", max_size, optional=True)
        _check_proxy(proxy)
        self._on_frame = None if on_frame is None else PlainFunction("on_frame", on_frame)
        self._server = ServerAddress.parse(server)
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
            raise UsageError(
                "additional_headers contains Authorization next to credentials: remove one of them"
            )
        self._check_ticket(self._credentials)
        if self._credentials is not None or names:
            check_encryption(self._server, proxy=proxy, allow_insecure=allow_insecure)
        check_tls(self._server, ssl, allow_insecure=allow_insecure)
        self._open_timeout = open_timeout
        self._ping_interval = ping_interval
        self._ping_timeout = ping_timeout
        options: dict[str, Any] = {
            "proxy": proxy,
            "open_timeout": None,  # it covers dialling, too
            "close_timeout": close_timeout,
            "ping_interval": None,  # see Keepalive
            "max_size": max_size,
            "create_connection": partial(FeedSocket, max_size=max_size),
            "compression": None,
        }
        if ssl is not None:
            options["ssl"] = ssl
        self._options = SecretValue(options)
        self._parser_options: dict[str, Any] = {"base_url": base_url, "limits": limits}
        MessageParser(**self._parser_options)  # an invalid option is an error here
        self._connection: Connection | None = None
        self._entered = False

    def __repr__(self) -> str:
        return f"<connect {self._name}>"

    def make_parser(self, **options: Any) -> MessageParser:
        """Return the parser of the next connection; for subclasses that change the frames.

        ``options`` are those of ``MessageParser``.
        """
        return MessageParser(**options)

    @property
    def _name(self) -> str:
        return f"{self._server} app_name={printable(self._app_name, 60)!r}"

    async def __aenter__(self) -> Connection:
        if self._entered:
            raise UsageError("this connect() is already in use: create another one")
        self._entered = True
        opened: Connection | BaseException | None = None
        try:
            opened = await self._open()
        finally:
            self._entered = isinstance(opened, Connection)
        if isinstance(opened, BaseException):
            raise opened  # here, where neither a local variable nor a context holds the secret
        self._connection = opened
        if self._ping_interval is not None:
            opened.start_keepalive(self._ping_interval, self._ping_timeout)
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
        """Try to connect once; return the connection, or the error to raise."""
        parser = self.make_parser(**self._parser_options)
        credentials = self._credentials
        if callable(credentials):
            fresh: object = await self._call_credentials(credentials)
            if isinstance(fresh, ConnectFailed):
                return fresh
            if not isinstance(fresh, Basic | Ticket):
                return UsageError(
                    "the credentials function must return Basic(…) or Ticket(…), "
                    f"got {type(fresh).__name__}"
                )
            self._check_ticket(fresh)
            credentials = fresh
        return await self._attempt(credentials, parser)

    async def _attempt(
        self, credentials: Basic | Ticket | None, parser: MessageParser
    ) -> Connection | BaseException:
        """Try to connect with these credentials; return the connection, or the error to raise.

        The error is returned because the local variables here hold the secret: raised from here,
        its traceback would show them.
        """
        headers = list(self._headers.value)
        secrets = secret_header_values(headers)
        if credentials is not None:
            headers.append(("Authorization", basic_header(credentials)))
            secrets += secret_forms(credentials)
        redactor = Redactor(secrets)
        opening = WebSocketOpening(self._server, self._target, self._options.value)
        try:
            async with asyncio.timeout(self._open_timeout):
                websocket = await opening.run(headers, redactor)
        except asyncio.CancelledError as error:
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - no exception may carry the header out
            return translate_error(
                error,
                redactor,
                host=opening.shown_host,
                open_timeout=self._open_timeout,
                waits_for=opening.waits_for,
            )
        for name in {name.lower() for name, _ in headers}:
            # No longer needed, and anyone with the object could read the secret there.
            del websocket.request.headers[name]  # type: ignore[union-attr]
        return Connection(websocket, parser, self._name, redactor, self._on_frame)

    async def _call_credentials(
        self, function: Callable[[str], Awaitable[object]]
    ) -> object | ConnectFailed:
        """Return the function's result, or an error if it takes longer than ``open_timeout``.

        The function runs in a task, which is cancelled and not waited for: one that ignores its
        cancellation must not hang the connection.
        """
        call = asyncio.ensure_future(await_credentials(function, self._target))
        try:
            await asyncio.wait([call], timeout=self._open_timeout)
        finally:
            call.cancel()  # does nothing if the function has returned
            # asyncio would log an exception that nobody retrieves.
            call.add_done_callback(lambda call: call.cancelled() or call.exception())
        if call.done():
            return call.result()
        return ConnectFailed(
            f"the credentials function did not return within {self._open_timeout:g} s"
        )

    def _check_ticket(self, credentials: object) -> None:
        if isinstance(credentials, Ticket) and self._full_events:
            raise UsageError("full_events=True is not possible with a ticket: use domain and token")


def _checked_headers(
    headers: Mapping[str, str] | Iterable[tuple[str, str]] | None,
) -> SecretValue[list[tuple[str, str]]]:
    try:
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        checked = [(name, value) for name, value in pairs]
    except (TypeError, ValueError):
        raise UsageError(
            "additional_headers must be a mapping or (name, value) pairs of str"
        ) from None
    for name, value in checked:
        if not (isinstance(name, str) and isinstance(value, str)):
            raise UsageError("additional_headers: names and values must be str")
        if not _HEADER_NAME.fullmatch(name):
            raise UsageError(
                "additional_headers: a name must consist of letters, digits and hyphens"
            )
        if name.lower() in _RESERVED_HEADERS or name.lower().startswith(_RESERVED_PREFIX):
            raise UsageError(f"additional_headers must not contain {name}: the handshake sets it")
        if any(unicodedata.category(char) in {"Cc", "Cs"} and char != "\t" for char in value):
            raise UsageError("additional_headers: a value must not contain control characters")
    return SecretValue(checked)


def _checked_credentials(
    domain: str | None, token: str | None, credentials: Credentials | None
) -> Credentials | None:
    if credentials is None:
        if domain is None and token is None:
            return None
        if domain is None or token is None:
            raise UsageError("domain and token must be given together")
        return Basic(domain, token)
    if domain is not None or token is not None:
        raise UsageError("pass either domain and token or credentials, not both")
    if isinstance(credentials, Basic | Ticket):
        return credentials
    if isinstance(credentials, type) or not callable(credentials):
        found = credentials if isinstance(credentials, type) else type(credentials)
        raise UsageError(
            "credentials must be Basic(…), Ticket(…) or an async function, "
            f"got {'the class ' if isinstance(credentials, type) else ''}{found.__name__}"
        )
    if callback_kind("credentials", credentials, "target") == "generator":
        raise UsageError("credentials must be an async function, got an async generator")
    return credentials


def _check_proxy(proxy: object) -> None:
    """Raise ``UsageError`` unless it is ``None`` or a URL, which may hold a password."""
    if proxy is None:
        return
    check_text("proxy", proxy)
    if split_proxy(str(proxy)) is None:
        raise UsageError(PROXY_ADVICE)
