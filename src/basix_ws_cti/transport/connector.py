"""Connector: checks the arguments of a connection and opens it.

Leaks that this module prevents:

- The credentials travel in a header, never in a URL, which servers and proxies log.
- Without TLS they go to this machine only, and through no proxy of the environment.
- A failed attempt raises a new exception (``translate_error``) outside the ``except`` block, so
  that no traceback frame of the WebSocket library, which holds the header, hangs on it.
- After the handshake the header is removed from the library's request object.
"""

from __future__ import annotations

import asyncio
import logging
import ssl as tls
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Required, TypedDict, cast

from basix_ws_cti._internal.callables import callback_kind
from basix_ws_cti.exceptions import UsageError, printable
from basix_ws_cti.parsing.parser import MessageParser
from basix_ws_cti.terms import DEFAULT_LIMITS, MAX_FRAME_BYTES, Limits

from .address import ServerAddress, check_encryption, check_tls, request_target
from .connection import Connection
from .credentials import Basic, Credentials, Ticket, basic_header, secret_forms
from .frame_reader import FeedSocket
from .handshake import Handshake, RedactingLogger, secret_header_values, translate_error
from .redaction import NotPicklable, Redactor, SecretValue, scrub_traceback


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
    - ``full_events``: subscribe to every channel of the PBX. Not possible with a ticket.
    - ``force``: at the connection limit, replace the oldest connection.
    - ``user_id``, ``user_name``, ``user_label``, ``user_extension``, ``user_did``,
      ``user_email``: without ``full_events``, subscribe to the channels of this user. At most
      one of them; ``None``: not used.
    - ``base_url``, ``limits``: options of ``MessageParser``.
    - ``ssl``: an ``ssl.SSLContext``, for example with a private CA; ``None``: the default
      context. The context must verify the server unless ``allow_insecure`` is set.
    - ``additional_headers``: HTTP headers to send, as a mapping or pairs. A session cookie goes
      here, instead of any credentials.
    - ``proxy``: URL of a proxy, ``http://host:port``; ``None``: no proxy. Proxies of the
      environment are not used.
    - ``allow_insecure``: allow unencrypted ``ws://`` to another machine, and an ``ssl`` context
      that does not verify the server.
    - ``open_timeout``: maximum time to open the connection. Default: 10.
    - ``close_timeout``: maximum time to wait for the PBX when closing. Default: 10.
    - ``ping_interval``: time between two pings; ``None``: no pings. Default: 20.
    - ``ping_timeout``: maximum time to wait for a pong. Default: 20.
    - ``max_size``: maximum size of a message in bytes; ``None``: no limit.
    - ``on_frame``: synchronous function that is called with each frame before it is parsed:
      ``bytes``, or ``str`` for a text frame. Reading waits for it. If it raises, the name of the
      exception's class is logged, and the message is delivered nevertheless.

    Redirects are refused, and compression is off.

    Creating it raises ``UsageError`` for invalid or contradictory arguments. Entering raises

    - ``AuthenticationError`` if the login is refused, ``HandshakeError`` for any other HTTP
      response;
    - ``CertificateError`` or ``ConnectFailed`` if there is no response;
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
        if on_frame is not None and callback_kind("on_frame", on_frame) != "sync":
            raise UsageError("on_frame must be a synchronous function, got a coroutine function")
        self._on_frame = on_frame
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
        self._options = SecretValue(options)
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
        """Try to connect once; return the connection, or the error to raise.

        The error is returned because the local variables here hold the secret: raised from here,
        its traceback would show them.
        """
        credentials = self._credentials
        if callable(credentials):
            fresh: object = await credentials(self._target)
            if not isinstance(fresh, Basic | Ticket):
                return UsageError(
                    "the credentials function must return Basic(…) or Ticket(…), "
                    f"got {type(fresh).__name__}"
                )
            self._check_ticket(fresh)
            credentials = fresh
        headers = list(self._headers.value)
        secrets = secret_header_values(headers)
        if credentials is not None:
            headers.append(("Authorization", basic_header(credentials)))
            secrets += secret_forms(credentials)
        redactor = Redactor(secrets)
        try:
            websocket = await Handshake(
                f"{self._server}{self._target}",
                additional_headers=headers,
                logger=RedactingLogger(logging.getLogger("websockets.client"), redactor),
                **self._options.value,
            )
        except asyncio.CancelledError as error:
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - no exception may carry the header out
            host = "the proxy" if self._options.value["proxy"] else self._server.host
            return translate_error(error, redactor, host=host, open_timeout=self._open_timeout)
        for name in {name.lower() for name, _ in headers}:
            # No longer needed, and anyone with the object could read the secret there.
            del websocket.request.headers[name]  # type: ignore[union-attr]
        parser = MessageParser(**self._parser_options)
        return Connection(
            cast("FeedSocket", websocket), parser, self._name, redactor, self._on_frame
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
        if any(char in text for text in (name, value) for char in "\r\n\0"):
            raise UsageError("additional_headers must not contain line breaks or NUL characters")
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
    if not isinstance(credentials, Basic | Ticket) and not callable(credentials):
        raise UsageError(
            "credentials: expected Basic(…), Ticket(…) or an async function, "
            f"got {type(credentials).__name__}"
        )
    return credentials
