"""WebSocket handshake: no redirects, redacted logs, and this package's own errors.

The WebSocket library keeps the request headers, and so the secret, in its objects, logs them at
DEBUG, and raises exceptions whose tracebacks lead to them. Leaks that this module prevents:

- ``Handshake`` refuses redirects: they would send the credentials to another server.
- ``RedactingLogger`` replaces secrets in the library's log lines.
- ``translate_error`` turns the library's exceptions into new ones with redacted texts. The new
  exception has no reference to the old one.
"""

from __future__ import annotations

import logging
import socket
import ssl as tls

from websockets.asyncio.client import connect as websocket_connect
from websockets.exceptions import (
    InvalidHandshake,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
)
from websockets.frames import Frame
from websockets.http11 import Response

from basix_ws_cti._internal.log_sanitising import SanitisingLogger
from basix_ws_cti._internal.os_errors import describe_os_error
from basix_ws_cti.exceptions import (
    AuthenticationError,
    BasixError,
    CertificateError,
    ConnectFailed,
    HandshakeError,
    ProxyError,
    UsageError,
    printable,
)

from .dialling import UnreachableHostError
from .proxy import PROXY_ADVICE
from .redaction import REPLACEMENT, Redactor

# Characters from which on a header or cookie value is redacted. Shorter values are no secrets
# (``X-Tenant: 1``), and redacting them would make error texts unreadable.
MIN_SECRET_LENGTH = 8

# Bytes of a response's body that are searched for secrets; an error shows 256 characters of them.
# Searching a body of the size that the WebSocket library accepts would block the event loop.
MAX_REASON_BYTES = 1 << 16


# Formats of log lines whose first argument is a word of the library or of this package: the state
# of the connection, and the name of a header that the client sends.
_FORMATS_WITH_FIXED_WORD = frozenset({"= connection is %s", "> %s: %s"})


class Handshake(websocket_connect):
    """Opening handshake of the WebSocket library, without redirects.

    A redirect would send the credentials to whichever server the response names.
    """

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Return the error unchanged, so that a redirect fails like any other response."""
        return exc


class RedactingLogger(SanitisingLogger):
    """Logger for the WebSocket library, which at DEBUG logs every header that it sends."""

    def __init__(self, logger: logging.Logger, redactor: Redactor) -> None:
        super().__init__(logger)
        self._redactor = redactor

    def shown_arguments(self, msg: str, args: tuple[object, ...]) -> list[object]:
        """Return the logged values of the arguments; a fixed word stays as it is."""
        values = super().shown_arguments(msg, args)
        if msg in _FORMATS_WITH_FIXED_WORD:
            values[:1] = map(str, args[:1])
        return values

    def shown(self, arg: object) -> object:
        """Return a log argument with secrets redacted; a frame as its opcode and size."""
        if isinstance(arg, Frame):
            # The library shortens and escapes the contents, so that a redactor would not find
            # a secret in them.
            return f"{arg.opcode.name} [{len(arg.data)} bytes]"
        if isinstance(arg, int | float):
            return arg
        text = str(arg)
        return printable(self._redactor(text) or REPLACEMENT) if text else text


def secret_header_values(headers: list[tuple[str, str]]) -> tuple[str, ...]:
    """Return the texts in ``headers`` to redact: all values, and each cookie's own value.

    A server may repeat a single cookie without the rest of its header. Values shorter than
    ``MIN_SECRET_LENGTH`` are left out.
    """
    values = [value for _, value in headers]
    cookies = [pair.partition("=")[2].strip() for value in values for pair in value.split(";")]
    return tuple(value for value in (*values, *cookies) if len(value) >= MIN_SECRET_LENGTH)


def translate_error(
    error: Exception,
    redactor: Redactor,
    *,
    host: str,
    open_timeout: float | None,
    waits_for: str | None = None,
) -> BasixError:
    """Return this package's error for an exception raised while opening. Never raises.

    - ``host``: the name that was looked up.
    - ``open_timeout``: the time limit in seconds.
    - ``waits_for``: what has not answered; ``None``: the server, during the handshake.
    """
    try:
        return _translated(
            error, redactor, host=host, open_timeout=open_timeout, waits_for=waits_for
        )
    except Exception:  # noqa: BLE001 - an exception from here would lead to the secret
        return ConnectFailed(type(error).__name__)


def _translated(
    error: Exception,
    redactor: Redactor,
    *,
    host: str,
    open_timeout: float | None,
    waits_for: str | None,
) -> BasixError:
    match error:
        case InvalidStatus(response=response):
            return _refusal(response, redactor)
        case InvalidProxyStatus(response=response):
            return ProxyError(response.status_code, _retry_after(response, redactor))
        case BasixError():
            error.__cause__ = error.__context__ = None
            return error.with_traceback(None)
        case OSError():
            return _translated_os_error(
                error, redactor, host=host, open_timeout=open_timeout, waits_for=waits_for
            )
    text = printable(redactor(str(error))) or type(error).__name__  # some have no text
    match error:
        case InvalidProxy():  # its text contains the proxy's URL and so its password
            return UsageError(PROXY_ADVICE)
        case InvalidProxyMessage():
            return ConnectFailed("the proxy did not send a valid HTTP response")
        case InvalidHandshake():
            return ConnectFailed(f"WebSocket handshake failed: {text}")
        case TypeError() | ValueError() | ImportError():
            return UsageError(f"invalid option: {text}")
    return ConnectFailed(f"{type(error).__name__}: {text}")


def _translated_os_error(
    error: OSError,
    redactor: Redactor,
    *,
    host: str,
    open_timeout: float | None,
    waits_for: str | None,
) -> ConnectFailed:
    """Return the error for one of the operating system or of OpenSSL.

    Their own words are fixed texts without secrets. Only a text of unknown origin is redacted.
    """
    match error:
        case UnreachableHostError():
            return ConnectFailed(str(error))
        case tls.SSLCertVerificationError(verify_message=str(problem)):
            return CertificateError(f"invalid certificate: {printable(problem)}")
        case tls.SSLError(reason=str()):
            return ConnectFailed(f"TLS failed: {describe_os_error(error)}")
        case TimeoutError(errno=None):  # one with a number comes from the operating system
            source = "" if waits_for is None else f" from {waits_for}"
            return ConnectFailed(f"no answer within {open_timeout} s{source}")
        case socket.gaierror():
            return ConnectFailed(f"no address found for {host}: {describe_os_error(error)}")
    text = printable(redactor(str(error))) or type(error).__name__
    match error:
        case tls.SSLCertVerificationError():
            return CertificateError(f"invalid certificate: {text}")
        case tls.SSLError():
            return ConnectFailed(f"TLS failed: {text}")
        case OSError(errno=int()):
            return ConnectFailed(f"{host}: {describe_os_error(error)}")
    return ConnectFailed(text)


def _refusal(response: Response, redactor: Redactor) -> HandshakeError:
    """Return the error for a server's response with another status than 101."""
    status = response.status_code
    body = bytes(response.body or b"")[:MAX_REASON_BYTES].decode(errors="replace").strip()
    cls = AuthenticationError if status in {401, 403} else HandshakeError
    return cls(status, printable(redactor(body)) or None, _retry_after(response, redactor))


def _retry_after(response: Response, redactor: Redactor) -> str | None:
    # A header that may occur only once can nevertheless be repeated (RFC 9110, section 5.3).
    values = response.headers.get_all("Retry-After")
    return printable(redactor(", ".join(values)[:MAX_REASON_BYTES]), 60) or None
