"""Receiver of a webhook: sends one request and reads the status of the answer, within limits.

Threats and measures:

- The URL may contain a secret in its path or query: only scheme, host and port are ever shown.
- Events have names and numbers: without TLS they go to this machine only. The HTTP library's
  transport is used without its client, so there are no redirects, no cookies and no proxies of the
  environment.
- A receiver may answer without end or very slowly: one deadline covers the request up to the
  status. The answer's body has its own, and only ``MAX_RESPONSE_BYTES`` of it are read, and thrown
  away.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl as tls
import time
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from attrs import frozen

from basix_ws_cti._internal.arguments import check_text
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.transport.address import ServerAddress, check_tls
from basix_ws_cti.transport.default_trust import default_trust
from basix_ws_cti.transport.dialling import Dial
from basix_ws_cti.transport.http_requests import (
    RequestProgress,
    describe_request_error,
    import_httpx,
)
from basix_ws_cti.transport.redaction import NotPicklable, SecretValue, scrub_traceback

if TYPE_CHECKING:
    import httpx2

# Bytes of an answer's body that are read, so that its connection can be used again. A larger body
# closes the connection.
MAX_RESPONSE_BYTES = 64 * 1024

# Seconds for which the body of an answer is read; the status has arrived, and is what counts.
_BODY_TIMEOUT = 2.0

# Seconds for which an address of the receiver's name is used.
_ADDRESS_LIFETIME = 60.0

# Seconds for which an idle connection is kept.
_KEEPALIVE = 20.0

_UNUSED_CONTEXT = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)  # trusts nobody


@frozen(kw_only=True)
class Answer:
    """Result of one attempt to send an event."""

    status: int | None
    """HTTP status; ``None``: no answer arrived."""

    retry_after: str | None = None
    """The Retry-After header as sent; ``None`` without that header."""

    problem: str | None = None
    """Reason for which no answer arrived; ``None`` if one did."""


class Receiver(NotPicklable):
    """Web server that receives events. Works within its ``async with`` block.

    - ``url``: ``https://…``, or ``http://…`` to the loopback interface.
    - ``timeout``: seconds for one request, from the look-up of the name to the status.
    - ``connections``: number of connections at a time.
    - ``ssl``: context with a private CA; ``None``: the default one.

    Raises ``UsageError`` for arguments that cannot work; its text shows no part of the URL.
    """

    @scrub_traceback
    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        connections: int,
        ssl: tls.SSLContext | None = None,
    ) -> None:
        self._httpx = import_httpx("a webhook", "webhook")
        self.address: ServerAddress = _checked_address(url)
        check_tls(self.address, ssl, allow_insecure=False)
        self._user_agent = f"basix_ws_cti/{version('basix_ws_cti')}"  # slow: it reads a file
        self._timeout = timeout
        self._ssl = ssl
        self._limits = self._httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=_KEEPALIVE,
        )
        try:
            self._url = SecretValue(self._httpx.URL(url))
        except Exception:  # noqa: BLE001 - its text may contain the URL
            raise UsageError("url is not a valid URL") from None
        self._transport: httpx2.AsyncHTTPTransport | None = None
        self._dialled: tuple[str, float] | None = None  # address, and until when it is used

    def __repr__(self) -> str:
        return f"<Receiver {self.address}>"

    async def __aenter__(self) -> Self:
        context = self._ssl or _UNUSED_CONTEXT
        if self._ssl is None and self.address.is_secure:
            context = await default_trust.context()
        self._transport = self._httpx.AsyncHTTPTransport(
            verify=context, trust_env=False, limits=self._limits
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    async def post(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Send a body once. Never raises, unless it is cancelled."""
        progress = RequestProgress()
        try:
            return await self._post(body, headers, progress)
        except asyncio.CancelledError:
            await progress.close_stream()
            raise
        except Exception as error:  # noqa: BLE001 - every failure of a request is retried
            await progress.close_stream()
            self._dialled = None
            problem = describe_request_error(error, self.address.host, self._timeout)
            return Answer(status=None, problem=problem or type(error).__name__)

    async def _post(
        self, body: bytes, headers: dict[str, str], progress: RequestProgress
    ) -> Answer:
        async with asyncio.timeout(self._timeout):
            response = await self._request_status(body, headers, progress)
        try:
            with contextlib.suppress(TimeoutError, self._httpx.TransportError):
                async with asyncio.timeout(_BODY_TIMEOUT):
                    await _skip_body(response)
        finally:
            await response.aclose()
        return Answer(status=response.status_code, retry_after=response.headers.get("Retry-After"))

    async def _request_status(
        self, body: bytes, headers: dict[str, str], progress: RequestProgress
    ) -> httpx2.Response:
        """Send a request; return the response, of which the body is not read yet."""
        if self._transport is None:
            raise UsageError("the receiver is not open: use `async with`")
        request = self._httpx.Request(
            "POST",
            self._url.value.copy_with(host=await self._find_address()),
            headers={
                "Host": self.address.netloc,
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",  # nothing to inflate
                "User-Agent": self._user_agent,
                **headers,
            },
            content=body,
            extensions={"trace": progress.trace, "sni_hostname": self.address.host},
        )
        return await self._transport.handle_async_request(request)

    async def _find_address(self) -> str:
        """Return the IP address to connect to.

        The HTTP library would look it up in the event loop's executor (``dialling``).
        """
        now = time.monotonic()
        if self._dialled is None or self._dialled[1] <= now:
            host = self.address.host
            found = await Dial(host, self.address.effective_port, host).find_address()
            self._dialled = (found, now + _ADDRESS_LIFETIME)
        return self._dialled[0]


async def _skip_body(response: httpx2.Response) -> None:
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > MAX_RESPONSE_BYTES:
            return


def _checked_address(url: Any) -> ServerAddress:
    """Return scheme, host and port of a receiver's URL."""
    check_text("url", url)
    try:
        parts = urlsplit(url)
        has_login = parts.username is not None or parts.password is not None
        has_host = bool(parts.hostname) and parts.port != 0  # an invalid port is a ValueError
    except ValueError:
        raise UsageError("url is not a valid URL") from None
    if parts.scheme not in {"https", "http"}:
        raise UsageError("url must start with https://, or http:// for this machine")
    if not has_host:
        raise UsageError("url has no valid host or port")
    if has_login:
        raise UsageError(
            "url must not contain a user or password: receivers verify the signature instead"
        )
    if parts.fragment:
        raise UsageError("url must not contain a fragment (#…)")
    address = ServerAddress.parse_http(f"{parts.scheme}://{parts.netloc}")
    if not address.is_secure and not address.is_loopback:
        raise UsageError(
            f"events would be sent unencrypted to {address}: use {address.secure_scheme}://"
        )
    return address
