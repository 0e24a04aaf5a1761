"""Parts of an HTTP request that every user of the HTTP library needs."""

from __future__ import annotations

import contextlib
import socket
import ssl as tls
from collections.abc import Iterator, Mapping
from typing import Any

from basix_ws_cti._internal.os_errors import describe_os_error
from basix_ws_cti.exceptions import UsageError

from .dialling import UnreachableHostError


class RequestProgress:
    """Progress of a request, as the HTTP library traces it."""

    def __init__(self) -> None:
        self.is_sent: bool = False
        """True once any part of the request may have been sent."""
        self._stream: Any = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note an event of the HTTP library."""
        if event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
        if event == "http11.send_request_headers.started":
            # CONNECT opens a tunnel through a proxy; the request itself follows in it.
            self.is_sent = self.is_sent or info["request"].method != b"CONNECT"

    async def close_stream(self) -> None:
        """Close the connection of a failed request, if it opened one.

        The HTTP library leaves it open if it is cancelled during the TLS handshake.
        """
        if self._stream is not None:
            with contextlib.suppress(Exception):  # it has failed before
                await self._stream.aclose()


def describe_request_error(error: Exception, host: str, timeout: float | None) -> str | None:
    """Return a text of this package about an error of a request, or ``None`` without one.

    - ``host``: what the text calls the server.
    - ``timeout``: time limit of the request, in seconds; ``None``: it has none.
    """
    match error:
        case TimeoutError(errno=None):
            return "no answer in time" if timeout is None else f"no answer within {timeout:g} s"
        case UnreachableHostError():
            return str(error)
        case socket.gaierror():
            return f"no address found for {host}: {describe_os_error(error)}"
    for cause in with_causes(error):
        if isinstance(cause, tls.SSLError) and cause.reason:
            return f"TLS failed: {describe_os_error(cause)}"
        if isinstance(cause, OSError) and cause.errno:
            return f"{host}: {describe_os_error(cause)}"
    return None


def with_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and the errors that led to it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def import_httpx(user: str, extra: str) -> Any:
    """Return the HTTP library. Raises ``UsageError`` if the ``user``'s extra is not installed."""
    try:
        import httpx2  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise UsageError(
            f"{user} needs an HTTP client: pip install 'basix_ws_cti[{extra}]'"
        ) from None
    return httpx2
