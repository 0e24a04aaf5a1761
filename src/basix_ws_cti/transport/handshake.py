"""The handshake: what of it may be seen, and what its failures are called.

The WebSocket library holds the headers, and so the secret, wherever it fails, and logs them at
DEBUG.
"""

from __future__ import annotations

import logging
import socket
import ssl as tls

from websockets.asyncio.client import connect as websocket_connect
from websockets.exceptions import InvalidHandshake, InvalidProxy, InvalidStatus
from websockets.frames import Frame

from basix_ws_cti._internal.log_sanitising import SanitisingLogger
from basix_ws_cti.exceptions import (
    AuthenticationError,
    BasixError,
    CertificateError,
    ConnectFailed,
    HandshakeError,
    UsageError,
    printable,
)

from .redaction import Redactor


class Handshake(websocket_connect):
    """Refuses redirects: they would carry the credentials to wherever a server points."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Let what was to be redirected fail."""
        return exc


class RedactingLogger(SanitisingLogger):
    """What the WebSocket library logs to, which at DEBUG is every header it sends."""

    def __init__(self, logger: logging.Logger, mask: Redactor) -> None:
        super().__init__(logger)
        self._mask = mask

    def shown(self, arg: object) -> object:
        """What stands in the line for an argument: no secret, and nothing of a frame."""
        if isinstance(arg, Frame):
            # Not its contents, which come cut and escaped: no secret could be found in them.
            return f"{arg.opcode.name} [{len(arg.data)} bytes]"
        return arg if isinstance(arg, int | float) else printable(self._mask(str(arg)))


def header_secrets(headers: list[tuple[str, str]]) -> tuple[str, ...]:
    """What of the headers is to be masked: their values, and the values of cookies in them."""
    values = [value for _, value in headers]
    cookies = [pair.partition("=")[2].strip() for value in values for pair in value.split(";")]
    # What is shorter is no secret, and would blot out half of an error's text.
    return tuple(value for value in (*values, *cookies) if len(value) >= 8)


def explain(
    error: Exception, mask: Redactor, *, host: str, open_timeout: float | None
) -> BasixError:
    """The error of this package for an exception out of the handshake.

    ``host`` is whose name was looked up, and ``open_timeout`` the seconds that it might take.
    """
    text = printable(mask(str(error))) or type(error).__name__  # some have none
    match error:
        case InvalidStatus(response=response):
            status = response.status_code
            body = (response.body or b"").decode(errors="replace").strip()
            cls = AuthenticationError if status in {401, 403} else HandshakeError
            retry_after = response.headers.get("Retry-After")
            return cls(
                status,
                printable(mask(body)) or None,
                None if retry_after is None else printable(mask(retry_after), 60),
            )
        case tls.SSLCertVerificationError():
            return CertificateError(f"the certificate: {error.verify_message}")
        case tls.SSLError():
            return ConnectFailed(f"TLS: {text}")
        case TimeoutError(errno=None):  # with a number it is the system's own
            return ConnectFailed(f"no answer within {open_timeout} s")
        case socket.gaierror():
            return ConnectFailed(f"{host} has no address: {text}")
        case OSError():
            return ConnectFailed(text)
        case InvalidProxy():  # its text holds the proxy's URL, and that a password
            return UsageError("the proxy is no valid URL: use http://host:port")
        case InvalidHandshake():
            return ConnectFailed(f"the handshake: {text}")
        case TypeError() | ValueError() | ImportError():
            return UsageError(f"an argument that can't work: {text}")
    return ConnectFailed(f"{type(error).__name__}: {text}")
