"""Connector: arguments in, an open connection out."""

from __future__ import annotations

import asyncio
import logging
import ssl as tls
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Required, TypedDict, cast

from basix_ws_cti._internal.callables import callback_kind
from basix_ws_cti.exceptions import (
    UsageError,
    printable,
)
from basix_ws_cti.parsing.parser import MessageParser
from basix_ws_cti.terms import DEFAULT_LIMITS, MAX_FRAME_BYTES, Limits

from .address import (
    Server,
    check_transport,
    request_target,
)
from .connection import Connection
from .credentials import Basic, Credentials, Ticket, basic_header, secret_forms
from .frame_reader import FeedSocket
from .handshake import Handshake, RedactingLogger, explain, header_secrets
from .redaction import NotPicklable, Redactor, SecretValue, scrub_traceback

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


class connect(NotPicklable):  # noqa: N801 - called like the function that it stands for
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
        mask = Redactor(secrets)
        try:
            websocket = await Handshake(
                f"{self._server}{self._target}",
                additional_headers=headers,
                logger=RedactingLogger(logging.getLogger("websockets.client"), mask),
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
) -> SecretValue[list[tuple[str, str]]]:
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
    return SecretValue(checked)


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
