"""HTTP API beside the feed: tickets and click-to-call.

Leaks that this module prevents:

- The credentials travel in a header of each request, and phone numbers in its body: never in a
  URL, which servers, proxies and log lines show.
- Without TLS they go to this machine only, and through no proxy of the environment.
- Redirects are not followed: they would send the credentials to another server.
- A failed request raises a new exception outside the ``except`` block, so that no traceback frame
  of the HTTP library, which holds the header, hangs on it.
- A filter redacts the HTTP library's log lines, which at DEBUG show the headers of a response.

The HTTP library's transport is used without its client. The client would keep cookies, and log
each response's status line, in which a server can repeat whatever it was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl as tls
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from basix_ws_cti.exceptions import (
    BasixError,
    CertificateError,
    ConnectFailed,
    ConnectionLost,
    HttpApiAuthenticationError,
    HttpApiError,
    UsageError,
    printable,
)

from .address import ServerAddress, check_encryption, check_tls
from .credentials import Basic, Ticket, basic_header, check_text, secret_forms
from .redaction import NotPicklable, Redactor, SecretValue, scrub_traceback

if TYPE_CHECKING:
    import httpx2

# Bytes of a response, of which a ticket or a list of uuids takes a few hundred: what a server can
# make a request hold in memory.
MAX_RESPONSE_BYTES = 1 << 20

# Loggers of the HTTP library.
_LOGGERS = tuple(
    logging.getLogger(f"httpcore2.{name}") for name in ("connection", "http11", "proxy", "socks")
)

_UNUSED_CONTEXT = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)  # trusts nobody

_PATH = "/basix/api/"
_AUTHENTICATION_REQUIRED = "authentication_required"  # the only documented error.id


class _RedactingFilter(logging.Filter):
    """Filter that replaces secrets in the log lines of the HTTP library, and drops none."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = printable(self._redactor(record.getMessage()), 1000), ()
        return True


class _Progress:
    """Progress of a request, as the HTTP library traces it."""

    def __init__(self) -> None:
        self.is_sent: bool = False
        """True once any part of the request may have been sent."""
        self._stream: Any = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note an event of the HTTP library."""
        if event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
        self.is_sent = self.is_sent or event == "http11.send_request_headers.started"

    async def close_stream(self) -> None:
        """Close the connection of a failed request, if there is one.

        The HTTP library leaves it open if it is cancelled during the TLS handshake.
        """
        if self._stream is not None:
            with contextlib.suppress(Exception):  # it has failed before
                await self._stream.aclose()


class HttpApi(NotPicklable):
    """Client of the HTTP API beside the feed, open inside its ``async with`` block.

    It needs the extra ``http``: ``pip install 'basix_ws_cti[http]'``. Several tasks may use it at
    the same time. Each request opens a connection of its own, and none is sent twice.

    - ``server``: ``host``, ``host:port``, ``https://host:port`` or ``http://host:port``; ``wss://``
      and ``ws://`` mean the same as ``https://`` and ``http://``.
    - ``domain``, ``token``: name of the PBX domain, and its API token.
    - ``credentials``: instead of ``domain`` and ``token``, a ``Basic``.
    - ``timeout``: maximum time for a request, in seconds; ``None``: no limit. Default: 10.
    - ``ssl``: an ``ssl.SSLContext``, for example with a private CA; ``None``: the default
      context. The context must verify the server unless ``allow_insecure`` is set.
    - ``proxy``: URL of a proxy, ``http://host:port``; ``None``: no proxy. Proxies of the
      environment are not used.
    - ``allow_insecure``: allow unencrypted ``http://`` to another machine, and an ``ssl`` context
      that does not verify the server.

    Redirects are refused. Creating it raises ``UsageError`` for invalid or contradictory
    arguments, and if the extra is not installed. The methods raise

    - ``HttpApiError`` if the PBX reports an error or its response is not valid,
      ``HttpApiAuthenticationError`` if it refuses the login;
    - ``CertificateError`` or ``ConnectFailed`` if the request was not sent;
    - ``ConnectionLost`` if it was sent and the response did not arrive: a call may have started;
    - ``UsageError`` for invalid arguments, and outside the block.
    """

    @scrub_traceback
    def __init__(
        self,
        server: str,
        *,
        domain: str | None = None,
        token: str | None = None,
        credentials: Basic | None = None,
        timeout: float | None = 10,
        ssl: tls.SSLContext | None = None,
        proxy: str | None = None,
        allow_insecure: bool = False,
    ) -> None:
        httpx = _import_httpx()
        self._server = ServerAddress.parse_http(server)
        basic = _checked_basic(domain, token, credentials)
        if timeout is not None and not timeout > 0:
            raise UsageError(f"timeout must be a positive number of seconds, got {timeout!r}")
        check_encryption(self._server, proxy=proxy, allow_insecure=allow_insecure)
        check_tls(self._server, ssl, allow_insecure=allow_insecure)
        self._timeout = timeout
        self._header = SecretValue(basic_header(basic))
        self._redactor = Redactor(secret_forms(basic))
        self._log_filter = _RedactingFilter(self._redactor)
        # Without TLS no context is used, and the default one takes long to load.
        loads_default = ssl is None and self._server.is_secure
        context = tls.create_default_context() if loads_default else ssl or _UNUSED_CONTEXT
        try:
            self._url = httpx.URL(f"{self._server}{_PATH}")
            self._options = SecretValue[dict[str, Any]](
                {
                    "verify": context,
                    "trust_env": False,
                    "proxy": None if proxy is None else httpx.Proxy(proxy),
                    # An idle connection may be closed just when a request goes out on it: nobody
                    # would know whether the PBX has received the request.
                    "limits": httpx.Limits(max_keepalive_connections=0),
                }
            )
        except Exception:  # noqa: BLE001 - its text may contain the proxy's password
            self._refuse_url(proxy)
        self._transport: httpx2.AsyncHTTPTransport | None = None

    @staticmethod
    def _refuse_url(proxy: str | None) -> NoReturn:
        if proxy is None:
            raise UsageError("server is not a valid host name for HTTP") from None
        raise UsageError("proxy is not a valid URL: use http://host:port") from None

    def __repr__(self) -> str:
        return f"<HttpApi {self._server}>"

    async def __aenter__(self) -> Self:
        if self._transport is not None:
            raise UsageError("this HttpApi is already in use: create another one")
        self._transport = _import_httpx().AsyncHTTPTransport(**self._options.value)
        for logger in _LOGGERS:
            logger.addFilter(self._log_filter)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            try:
                await transport.aclose()
            finally:
                for logger in _LOGGERS:
                    logger.removeFilter(self._log_filter)

    # -- methods of the API -----------------------------------------------------------

    async def ticket(self, target: str) -> Ticket:
        """Return a ticket for one connection to ``target``, the feed's path and query.

        Pass this method itself as ``credentials`` of ``connect`` or ``Client``, which call it
        for each attempt to connect.
        """
        check_text("target", target)
        answer = await self._request("gen_ws_ticket", {"uri": target})
        ticket = answer.get("ticket")
        if not isinstance(ticket, str) or not ticket or not ticket.isascii():
            raise HttpApiError(200, 0, reason="the response has no ticket")
        return Ticket(ticket)

    async def call_user(
        self,
        destination: str | Mapping[str, object],
        *,
        user_id: int | str | None = None,
        user_name: str | None = None,
        user_label: str | None = None,
        user_extension: str | None = None,
        user_did: str | None = None,
        user_email: str | None = None,
        answer_timeout: int | None = None,
        callback_url: str | None = None,
        auto_answer: bool | None = None,
        calling_name: str | None = None,
        group_id: int | str | None = None,
        group_name: str | None = None,
        group_label: str | None = None,
        group_extension: str | None = None,
        group_did: str | None = None,
        group_resolver: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> tuple[str, ...]:
        """Ring a user's phones, and once one of them is answered, call ``destination``.

        Returns the uuids of the channels that ring, one for each of the user's endpoints. The
        phones ring after the PBX has answered the request.

        - ``destination``: a number or an extension, or ``media_plug`` for a channel that listens
          in on calls (``Client.eavesdrop``). For a number outside also a mapping with
          ``called_number`` and, if wanted, ``calling_number`` and ``end_user``, a mapping.
        - ``user_id``, ``user_name``, ``user_label``, ``user_extension``, ``user_did``,
          ``user_email``: the user. Exactly one of them.
        - ``answer_timeout``: seconds for which the phones ring; ``None``: 180.
        - ``callback_url``: HTTP or HTTPS URL to which the PBX reports whether the user answered.
        - ``auto_answer``: ask phones that can do so to answer by themselves; ``None``: no.
        - ``calling_name``: name that the phones show, in ASCII.
        - ``group_id``, ``group_name``, ``group_label``, ``group_extension``, ``group_did``,
          ``group_resolver``: the group on whose behalf the user is called. At most one of them.
          ``group_resolver`` is ``*`` for any group of the user, or ``any:CALL_CENTER``.
        - ``extra``: further fields of the request's JSON object.
        """
        user = {
            "user_id": user_id,
            "user_name": user_name,
            "user_label": user_label,
            "user_extension": user_extension,
            "user_did": user_did,
            "user_email": user_email,
        }
        group = {
            "group_id": group_id,
            "group_name": group_name,
            "group_label": group_label,
            "group_extension": group_extension,
            "group_did": group_did,
            "group_resolver": group_resolver,
        }
        return await self._call(
            "call_user",
            {
                **_one_of(user),
                **_one_of(group, required=False),
                "destination": _checked_destination(destination),
                "answer_timeout": _checked_seconds("answer_timeout", answer_timeout),
                "callback_url": callback_url,
                "auto_answer": auto_answer,
                "calling_name": _checked_ascii("calling_name", calling_name),
            },
            extra,
        )

    async def call_group(
        self,
        destination: str | Mapping[str, object],
        *,
        group_id: int | str | None = None,
        group_name: str | None = None,
        group_label: str | None = None,
        group_extension: str | None = None,
        group_did: str | None = None,
        answer_timeout: int | None = None,
        member_answer_timeout: int | None = None,
        callback_url: str | None = None,
        calling_name: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> tuple[str, ...]:
        """Ring the members of a group, and once one of them answers, call ``destination``.

        Returns the uuids of the channels that ring.

        - ``group_id``, ``group_name``, ``group_label``, ``group_extension``, ``group_did``: the
          group. Exactly one of them.
        - ``answer_timeout``: seconds for which the group is called; ``None``: as set for it.
        - ``member_answer_timeout``: seconds for which each member's phone rings; ``None``: as set
          for the group.
        - ``destination``, ``callback_url``, ``calling_name``, ``extra``: as for ``call_user``.
        """
        group = {
            "group_id": group_id,
            "group_name": group_name,
            "group_label": group_label,
            "group_extension": group_extension,
            "group_did": group_did,
        }
        timeout = _checked_seconds("member_answer_timeout", member_answer_timeout)
        return await self._call(
            "call_group",
            {
                **_one_of(group),
                "destination": _checked_destination(destination),
                "answer_timeout": _checked_seconds("answer_timeout", answer_timeout),
                "member_answer_timeout": timeout,
                "callback_url": callback_url,
                "calling_name": _checked_ascii("calling_name", calling_name),
            },
            extra,
        )

    # -- requests ---------------------------------------------------------------------

    async def _call(
        self, method: str, fields: dict[str, object], extra: Mapping[str, object] | None
    ) -> tuple[str, ...]:
        given = {name: value for name, value in fields.items() if value is not None}
        for name in extra or ():
            if name in fields:
                raise UsageError(f"extra contains {name}: pass it as a keyword argument")
        answer = await self._request(method, {**given, **(extra or {})})
        uuids = answer.get("uuids")
        if not isinstance(uuids, list) or not all(isinstance(uuid, str) for uuid in uuids):
            raise HttpApiError(
                200, 0, reason="the response has no uuids; the call may have started"
            )
        return tuple(uuids)

    async def _request(self, method: str, fields: Mapping[str, object]) -> dict[str, Any]:
        """Send a request, and return the object in the response."""
        try:
            body = json.dumps(fields, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError):
            raise UsageError(f"{method}: the arguments must be values that JSON can hold") from None
        answer = await self._send(method, body)
        if isinstance(answer, BaseException):
            raise answer  # here, where neither a local variable nor a context holds the secret
        return answer

    async def _send(self, method: str, body: bytes) -> dict[str, Any] | BaseException:
        """Send a request; return the object in the response, or the error to raise.

        The error is returned because the local variables here hold the secret: raised from here,
        its traceback would show them.
        """
        httpx = _import_httpx()
        if self._transport is None:
            return UsageError("the HttpApi is not open: use `async with HttpApi(...) as api:`")
        progress = _Progress()
        request = httpx.Request(
            "POST",
            self._url.join(method),
            headers={
                "Authorization": self._header.value,
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # nothing to inflate
                "User-Agent": "basix_ws_cti",
            },
            content=body,
            extensions={"trace": progress.trace},
        )
        content = bytearray()
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._transport.handle_async_request(request)
                try:
                    async for chunk in response.aiter_raw():
                        content += chunk
                        if len(content) > MAX_RESPONSE_BYTES:
                            break
                finally:
                    await response.aclose()
        except asyncio.CancelledError as error:
            await progress.close_stream()
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - no exception may carry the header out
            await progress.close_stream()
            return self._translate_error(method, error, is_sent=progress.is_sent)
        return self._read(response.status_code, response.headers.get("Retry-After"), bytes(content))

    def _translate_error(self, method: str, error: Exception, *, is_sent: bool) -> BasixError:
        """Return this package's error for one of the HTTP library."""
        text = printable(self._redactor(str(error))) or type(error).__name__
        if isinstance(error, TimeoutError):
            text = f"no answer within {self._timeout:g} s"
        if is_sent:
            unknown = "" if method == "gen_ws_ticket" else "; the call may have started"
            return ConnectionLost(1006, f"no response to {method}: {text}{unknown}")
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, tls.SSLCertVerificationError):
                return CertificateError(f"invalid certificate: {cause.verify_message}")
            cause = cause.__cause__ or cause.__context__
        return ConnectFailed(text)

    def _read(
        self, status: int, retry_after: str | None, content: bytes
    ) -> dict[str, Any] | HttpApiError:
        """Return the object in a response, or the error to raise."""
        answer: Any = None
        reason = None
        if len(content) > MAX_RESPONSE_BYTES:
            reason = f"the response exceeds {MAX_RESPONSE_BYTES} bytes"
        else:
            try:
                answer = json.loads(content)
            except (ValueError, RecursionError):
                reason = "the response is not JSON"
        if not isinstance(answer, dict):
            reason = reason or "the response is not a JSON object"
            answer = {}
        code, error = answer.get("result_code"), answer.get("error")
        if 200 <= status < 300 and type(code) is int and code == 0 and not error:
            return dict(answer)
        error_id = error.get("id") if isinstance(error, dict) else None
        shown_id = self._shown(error_id) if isinstance(error_id, str | int) else None
        refused = status in {401, 403} or error_id == _AUTHENTICATION_REQUIRED
        cls = HttpApiAuthenticationError if refused else HttpApiError
        if type(code) is not int or abs(code) > _MAX_RESULT_CODE:
            code = None
            reason = reason or ("the response has no result_code" if not error else None)
        after = None if retry_after is None else printable(self._redactor(retry_after), 60)
        return cls(status, code, shown_id, reason, after)

    def _shown(self, text: object) -> str:
        return printable(self._redactor(str(text)), 60)


_MAX_RESULT_CODE = 1 << 63  # no number of more digits in an error's text


def _import_httpx() -> Any:
    try:
        import httpx2  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise UsageError("HttpApi needs an HTTP client: pip install 'basix_ws_cti[http]'") from None
    return httpx2


def _checked_basic(domain: str | None, token: str | None, credentials: Basic | None) -> Basic:
    if credentials is None:
        if domain is None or token is None:
            raise UsageError("no credentials: pass domain and token")
        return Basic(domain, token)
    if domain is not None or token is not None:
        raise UsageError("pass either domain and token or credentials, not both")
    if not isinstance(credentials, Basic):
        raise UsageError(f"credentials: expected Basic(…), got {type(credentials).__name__}")
    return credentials


def _one_of(choices: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    """Return the only choice that is not ``None``; an empty dict if none is, unless required."""
    given = {name: value for name, value in choices.items() if value is not None}
    if len(given) > 1:
        raise UsageError(f"expected only one of {' and '.join(given)}")
    if not given and required:
        raise UsageError(f"expected one of {', '.join(choices)}")
    for name, value in given.items():
        if isinstance(value, bool) or not (
            isinstance(value, str) or (name.endswith("_id") and isinstance(value, int))
        ):
            raise UsageError(f"{name}: expected a str, got {type(value).__name__}")
        check_text(name, str(value))
        if value == "":
            raise UsageError(f"{name} must not be empty")
    return given


def _checked_destination(destination: object) -> object:
    if isinstance(destination, Mapping):
        return dict(destination)
    check_text("destination", destination)
    if not destination:
        raise UsageError("destination must not be empty")
    return destination


def _checked_seconds(name: str, seconds: int | None) -> int | None:
    if seconds is not None and (type(seconds) is not int or seconds <= 0):
        raise UsageError(f"{name} must be a positive int of seconds, got {seconds!r}")
    return seconds


def _checked_ascii(name: str, text: str | None) -> str | None:
    if text is not None:
        check_text(name, text)
        if not text.isascii():
            raise UsageError(f"{name} must be ASCII")
    return text
