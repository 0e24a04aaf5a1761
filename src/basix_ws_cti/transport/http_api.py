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
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast

from basix_ws_cti._internal.arguments import (
    check_bool,
    check_filled_text,
    check_instance,
    check_integer,
    check_names,
    check_seconds,
    check_text,
)
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
from .credentials import Basic, Ticket, basic_header, secret_forms
from .default_trust import default_trust
from .dialling import Dial
from .http_requests import (
    RequestProgress,
    describe_request_error,
    import_httpx,
    with_causes,
)
from .proxy import PROXY_ADVICE, split_proxy, with_host
from .redaction import REPLACEMENT, NotPicklable, Redactor, SecretValue, scrub_traceback

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
        # The first word is the name of a step, a word of the library.
        step, space, details = record.getMessage().partition(" ")
        shown = (self._redactor(details) or REPLACEMENT) if details else ""
        record.msg, record.args = printable(f"{step}{space}{shown}", 1000), ()
        return True


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
        check_seconds("timeout", timeout, optional=True)
        check_bool("allow_insecure", allow_insecure)
        check_encryption(self._server, proxy=proxy, allow_insecure=allow_insecure)
        check_tls(self._server, ssl, allow_insecure=allow_insecure)
        self._timeout = timeout
        self._header = SecretValue(basic_header(basic))
        self._redactor = Redactor(secret_forms(basic))
        self._log_filter = _RedactingFilter(self._redactor)
        self._ssl = ssl
        self._proxy = SecretValue(proxy)
        try:
            self._url = httpx.URL(f"{self._server}{_PATH}")
            self._options = SecretValue[dict[str, Any]](
                {
                    "trust_env": False,
                    # An idle connection may be closed just when a request goes out on it: nobody
                    # would know whether the PBX has received the request.
                    "limits": httpx.Limits(max_keepalive_connections=0),
                }
            )
            if proxy is not None:
                httpx.Proxy(proxy)
        except Exception:  # noqa: BLE001 - its text may contain the proxy's password
            self._refuse_url(proxy)
        self._is_open = False

    @staticmethod
    def _refuse_url(proxy: str | None) -> NoReturn:
        if proxy is None:
            raise UsageError("server is not a valid host name for HTTP") from None
        raise UsageError(PROXY_ADVICE) from None

    def __repr__(self) -> str:
        return f"<HttpApi {self._server}>"

    async def __aenter__(self) -> Self:
        if self._is_open:
            raise UsageError("this HttpApi is already in use: create another one")
        self._is_open = True
        for logger in _LOGGERS:
            logger.addFilter(self._log_filter)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_open:
            self._is_open = False
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
        _check_choice_of_name(user)
        _check_choice_of_name(group, required=False)
        return await self._call(
            "call_user",
            {
                **user,
                **group,
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
        _check_choice_of_name(group)
        timeout = _checked_seconds("member_answer_timeout", member_answer_timeout)
        return await self._call(
            "call_group",
            {
                **group,
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
        if not isinstance(extra, Mapping | None):
            raise UsageError(f"extra: expected a mapping, got {type(extra).__name__}")
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
        if not self._is_open:
            return UsageError("the HttpApi is not open: use `async with HttpApi(...) as api:`")
        progress = RequestProgress()
        request = httpx.Request(
            "POST",
            self._url.join(method),
            headers={
                "Host": self._server.netloc,
                "Authorization": self._header.value,
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # nothing to inflate
                "User-Agent": "basix_ws_cti",
            },
            content=body,
            extensions={"trace": progress.trace, "sni_hostname": self._server.host},
        )
        content = bytearray()
        try:
            async with asyncio.timeout(self._timeout), contextlib.AsyncExitStack() as stack:
                transport = await stack.enter_async_context(await self._new_transport(request))
                response = await transport.handle_async_request(request)
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

    async def _new_transport(self, request: httpx2.Request) -> httpx2.AsyncHTTPTransport:
        """Return a transport for a request, after replacing the name to dial by an IP address.

        The HTTP library would look it up in the event loop's executor (``dialling``).
        """
        httpx = _import_httpx()
        context = self._ssl or _UNUSED_CONTEXT
        if self._ssl is None and self._server.is_secure:
            context = await default_trust.context()
        proxy = self._proxy.value
        if proxy is None:
            host, port = self._server.host, self._server.effective_port
            request.url = request.url.copy_with(host=await Dial(host, port, host).find_address())
        elif (parts := split_proxy(proxy)) is not None and parts.scheme == "http":
            # Other proxies are verified by their name, or look names up themselves.
            dial = Dial(cast("str", parts.hostname), parts.port or 80, "the proxy")
            proxy = with_host(parts, await dial.find_address())
        transport: httpx2.AsyncHTTPTransport = httpx.AsyncHTTPTransport(
            **self._options.value,
            verify=context,
            proxy=None if proxy is None else httpx.Proxy(proxy),
        )
        return transport

    def _translate_error(self, method: str, error: Exception, *, is_sent: bool) -> BasixError:
        """Return this package's error for one of the HTTP library."""
        text = self._describe(error)
        if is_sent:
            unknown = "" if method == "gen_ws_ticket" else "; the call may have started"
            return ConnectionLost(1006, f"no response to {method}: {text}{unknown}")
        for cause in with_causes(error):
            if isinstance(cause, tls.SSLCertVerificationError):
                return CertificateError(f"invalid certificate: {cause.verify_message}")
        return ConnectFailed(text)

    def _describe(self, error: Exception) -> str:
        """Return the text of an error of the HTTP library; only words from outside are redacted."""
        host = self._server.host if self._proxy.value is None else "the proxy"
        if (described := describe_request_error(error, host, self._timeout)) is not None:
            return described
        text = printable(self._redactor(str(error))) or type(error).__name__
        if isinstance(error, _import_httpx().ProxyError):
            return f"the proxy refused the connection: {text}"
        return text

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
        shown_id = None
        if error_id == _AUTHENTICATION_REQUIRED:  # a known word, whatever the token is
            shown_id = _AUTHENTICATION_REQUIRED
        elif isinstance(error_id, str | int):
            shown_id = self._shown(error_id)
        refused = status in {401, 403} or error_id == _AUTHENTICATION_REQUIRED
        cls = HttpApiAuthenticationError if refused else HttpApiError
        if type(code) is not int or abs(code) > _MAX_RESULT_CODE:
            code = None
            reason = reason or ("the response has no result_code" if not error else None)
        after = None if retry_after is None else self._shown(retry_after)
        return cls(status, code, shown_id, reason, after)

    def _shown(self, text: object) -> str | None:
        """Return a text of the server as errors show it; ``None`` if the redactor withholds it."""
        return printable(self._redactor(str(text)), 60) or None


_MAX_RESULT_CODE = 1 << 63  # no number of more digits in an error's text


def _import_httpx() -> Any:
    return import_httpx("HttpApi", "http")


def _checked_basic(domain: str | None, token: str | None, credentials: Basic | None) -> Basic:
    if credentials is None:
        if domain is None or token is None:
            raise UsageError("no credentials: pass domain and token")
        return Basic(domain, token)
    if domain is not None or token is not None:
        raise UsageError("pass either domain and token or credentials, not both")
    check_instance("credentials", credentials, Basic, "Basic(…)")
    return credentials


def _check_choice_of_name(choices: dict[str, Any], *, required: bool = True) -> None:
    """Check that at most one of the names of a user or group is given; if required, exactly one."""
    given = {name: value for name, value in choices.items() if value is not None}
    if len(given) > 1:
        raise UsageError(f"expected only one of {' and '.join(given)}")
    if not given and required:
        raise UsageError(f"expected one of {', '.join(choices)}")
    check_names(given)


def _checked_destination(destination: object) -> object:
    if isinstance(destination, Mapping):
        return dict(destination)
    check_filled_text("destination", destination)
    return destination


def _checked_seconds(name: str, seconds: int | None) -> int | None:
    check_integer(name, seconds, optional=True)
    return seconds


def _checked_ascii(name: str, text: str | None) -> str | None:
    if text is not None:
        check_text(name, text)
        if not text.isascii():
            raise UsageError(f"{name} must be ASCII")
    return text
