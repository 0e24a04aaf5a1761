"""Handshake: log redaction, secret headers and translation of library errors."""

from __future__ import annotations

import logging
import socket
import ssl
from unittest.mock import Mock

from support.cases import for_each
from websockets.datastructures import Headers
from websockets.exceptions import (
    InvalidHandshake,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
)
from websockets.frames import Frame, Opcode
from websockets.http11 import Response

from basix_ws_cti.exceptions import (
    AuthenticationError,
    CertificateError,
    ConnectFailed,
    HandshakeError,
    ProxyError,
    UsageError,
)
from basix_ws_cti.transport.dialling import UnreachableHostError
from basix_ws_cti.transport.handshake import (
    MAX_REASON_BYTES,
    Handshake,
    RedactingLogger,
    secret_header_values,
    translate_error,
)
from basix_ws_cti.transport.redaction import Redactor


def test_log_lines_of_the_library_are_redacted(caplog):
    """Texts are printable, numbers stay numbers, and a frame is logged by its size."""
    caplog.set_level(logging.DEBUG, logger="websockets.client")
    logger = RedactingLogger(logging.getLogger("websockets.client"), Redactor(["s3cret-key"]))
    frame = Frame(Opcode.TEXT, b"s3cret")
    logger.debug("%s, %s, %d, %.1f, %s", ["s3cret-key"], "s3cret-key\n", 7, 1.5, frame)
    logger.error("it failed", exc_info=ValueError("problem"))
    logged, failed = caplog.records
    assert logged.getMessage() == "['[secret]'], [secret]\ufffd, 7, 1.5, TEXT [6 bytes]"
    assert (logged.levelno, logged.exc_info) == (logging.DEBUG, None)
    assert (failed.getMessage(), failed.levelno) == ("it failed", logging.ERROR)
    assert failed.exc_info[0] is ValueError


def test_fixed_word_of_a_log_line_stays_as_it_is(caplog):
    """The state of a connection is no secret, even if a secret has the same text."""
    caplog.set_level(logging.DEBUG, logger="websockets.client")
    logger = RedactingLogger(logging.getLogger("websockets.client"), Redactor(["Authorization"]))
    logger.debug("> %s: %s", "Authorization", "Authorization")
    assert caplog.messages == ["> Authorization: [secret]"]


def test_disabled_log_lines_are_not_rendered(caplog):
    caplog.set_level(logging.INFO, logger="websockets.client")
    logger = RedactingLogger(logging.getLogger("websockets.client"), Redactor([]))
    rendered = Mock(__str__=Mock(return_value="x"))
    logger.debug("%s", rendered)
    assert not rendered.__str__.called
    assert not caplog.records
    logger.info("%s", rendered)
    assert caplog.messages == ["x"]


def test_header_and_cookie_values_of_8_characters_are_secret():
    cookies = "a=12345678; b=1234567; c = abc=defgh ;d"
    assert secret_header_values([("Cookie", cookies), ("X-A", "1234567"), ("X-B", "87654321")]) == (
        *(cookies, "87654321"),
        *("12345678", "abc=defgh"),
    )


def refused(status: int, body: bytes | None = b"", **headers: str) -> InvalidStatus:
    return InvalidStatus(Response(status, "", Headers(headers), body))


def certificate_error() -> ssl.SSLError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "it has expired"
    return error


def tls_error(reason: str) -> ssl.SSLError:
    """Return an error as OpenSSL raises it."""
    error = ssl.SSLError(1, f"[SSL: {reason}] (_ssl.c:1)")
    error.reason = reason
    return error


LOGIN = "the server refused the login with HTTP 401"
REDACTOR = Redactor(["s3cret-key"])


@for_each(
    "error, cls, text",
    [
        (refused(401, None), AuthenticationError, LOGIN),
        (refused(401, b" no\xff\n"), AuthenticationError, f"{LOGIN}: no\ufffd"),
        (refused(401, b"s3cret-key"), AuthenticationError, f"{LOGIN}: [secret]"),
        (refused(403), AuthenticationError, "the server refused the login with HTTP 403"),
        (refused(503), HandshakeError, "the server answered the handshake with HTTP 503"),
        (
            certificate_error(),
            CertificateError,
            "cannot connect: invalid certificate: it has expired",
        ),
        (
            ssl.SSLError(1, "problem s3cret-key"),
            ConnectFailed,
            "cannot connect: TLS failed: problem [secret]",
        ),
        (TimeoutError(), ConnectFailed, "cannot connect: no answer within 3 s"),
        (TimeoutError(110, "late"), ConnectFailed, "cannot connect: pbx: Connection timed out"),
        (OSError(5, "problem"), ConnectFailed, "cannot connect: pbx: Input/output error"),
        (OSError("problem s3cret-key"), ConnectFailed, "cannot connect: problem [secret]"),
        (
            UnreachableHostError("pbx, port 443: Connection refused"),
            ConnectFailed,
            "cannot connect: pbx, port 443: Connection refused",
        ),
        (
            tls_error("WRONG_VERSION_NUMBER"),
            ConnectFailed,
            "cannot connect: TLS failed: wrong version number",
        ),
        (OSError(), ConnectFailed, "cannot connect: OSError"),
        (
            socket.gaierror(-2, "unknown"),
            ConnectFailed,
            "cannot connect: no address found for pbx: unknown",
        ),
        (
            InvalidProxy("http://u:s3cret-key@h", "problem"),
            UsageError,
            "proxy is not a valid URL: use http://host:port",
        ),
        (
            ssl.SSLCertVerificationError(1, "problem s3cret-key"),
            CertificateError,
            "cannot connect: invalid certificate: problem [secret]",
        ),
        (
            InvalidProxyMessage("problem s3cret-key"),
            ConnectFailed,
            "cannot connect: the proxy did not send a valid HTTP response",
        ),
        (
            InvalidHandshake("problem s3cret-key"),
            ConnectFailed,
            "cannot connect: WebSocket handshake failed: problem [secret]",
        ),
        (TypeError("problem s3cret-key"), UsageError, "invalid option: problem [secret]"),
        (ValueError("problem"), UsageError, "invalid option: problem"),
        (ImportError("problem"), UsageError, "invalid option: problem"),
        (LookupError("s3cret-key\n"), ConnectFailed, "cannot connect: LookupError: [secret]\ufffd"),
        (RuntimeError("x" * 300), ConnectFailed, f"cannot connect: RuntimeError: {'x' * 255}…"),
    ],
)
def test_library_errors_are_translated(error, cls, text):
    """The texts are redacted and bounded."""
    translated = translate_error(error, REDACTOR, host="pbx", open_timeout=3)
    assert type(translated) is cls
    assert str(translated) == text


def test_repeated_retry_after_is_joined():
    error = InvalidStatus(
        Response(503, "", Headers([("Retry-After", "1"), ("retry-after", "s3cret-key")]))
    )
    translated = translate_error(error, REDACTOR, host="pbx", open_timeout=3)
    assert translated.retry_after == "1, [secret]"


@for_each("headers, retry_after", [({}, None), ({"Retry-After": "5 s3cret-key"}, "5 [secret]")])
@for_each("status", [401, 403, 407, 503])
def test_refusal_of_a_proxy_is_a_proxy_error(status, headers, retry_after):
    """It is no refused login at the PBX."""
    error = InvalidProxyStatus(Response(status, "", Headers(headers)))
    translated = translate_error(error, REDACTOR, host="the proxy", open_timeout=3)
    assert type(translated) is ProxyError
    assert (translated.status, translated.retry_after) == (status, retry_after)


def test_timeout_error_says_what_did_not_answer():
    translated = translate_error(
        TimeoutError(), REDACTOR, host="pbx", open_timeout=3, waits_for="the name servers"
    )
    assert str(translated) == "cannot connect: no answer within 3 s from the name servers"


def test_error_whose_text_fails_is_named_by_its_class():
    """Translating raises nothing: an exception from there would lead to the secret."""

    class OddError(Exception):
        def __str__(self):
            raise LookupError("s3cret-key")

    translated = translate_error(OddError(), REDACTOR, host="pbx", open_timeout=3)
    assert type(translated) is ConnectFailed
    assert str(translated) == "cannot connect: OddError"
    assert (translated.__cause__, translated.__context__) == (None, None)


def test_error_of_this_package_stays_and_loses_what_it_leads_to():
    error = UsageError("problem")
    error.__context__ = error.__cause__ = LookupError("s3cret-key")
    translated = translate_error(error, REDACTOR, host="pbx", open_timeout=3)
    assert translated is error
    assert (error.__cause__, error.__context__, error.__traceback__) == (None, None, None)


def test_long_body_is_cut_before_it_is_searched():
    """Searching a body of a megabyte for secrets would block the event loop."""
    searched = []

    def redactor(text):
        searched.append(len(text))
        return text

    error = refused(503, b"x" * 1_000_000, **{"Retry-After": "y" * 100_000})
    translated = translate_error(error, redactor, host="pbx", open_timeout=3)
    assert searched == [MAX_REASON_BYTES] * 2
    assert len(translated.reason) == 256


@for_each(
    "sent, shown",
    [
        ("9" * 60, "9" * 60),
        ("9" * 61, "9" * 59 + "…"),
        ("s3cret-key", "[secret]"),
        ("7\x9b", "7\ufffd"),
    ],
)
@for_each("status", [401, 503])
def test_retry_after_is_redacted_and_shortened(status, sent, shown):
    """It has at most 60 printable characters."""
    error = refused(status, **{"Retry-After": sent})
    translated = translate_error(error, REDACTOR, host="pbx", open_timeout=3)
    assert (translated.retry_after, translated.reason) == (shown, None)


def test_retry_after_becomes_none_without_the_header():
    """Without a Retry-After header ``retry_after`` is ``None``."""
    translated = translate_error(refused(401), REDACTOR, host="pbx", open_timeout=3)
    assert translated.retry_after is None


def test_redirects_are_not_followed():
    """A redirect stays an error: the credentials go to no other server."""
    error = refused(301, Location="ws://elsewhere")
    assert Handshake("ws://127.0.0.1").process_redirect(error) is error
