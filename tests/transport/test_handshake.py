from __future__ import annotations

import logging
import socket
import ssl
from unittest.mock import Mock

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidProxy, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response

from basix_ws_cti.exceptions import (
    AuthenticationError,
    CertificateError,
    ConnectFailed,
    HandshakeError,
    UsageError,
)
from basix_ws_cti.transport.handshake import Handshake, RedactingLogger, explain, header_secrets
from basix_ws_cti.transport.redaction import Redactor


def test_what_the_library_logs_is_masked(caplog):
    """Texts are masked and printable, numbers stay numbers, frames are their sizes."""
    caplog.set_level(logging.DEBUG, logger="websockets.client")
    logger = RedactingLogger(logging.getLogger("websockets.client"), Redactor(["s3cret"]))
    frame = Frame(Opcode.TEXT, b"s3cret")
    logger.debug("%s, %s, %d, %.1f, %s", ["s3cret"], "s3cret\n", 7, 1.5, frame)
    logger.error("it broke", exc_info=ValueError("odd"))
    said, broke = caplog.records
    assert said.getMessage() == "['[secret]'], [secret]\ufffd, 7, 1.5, TEXT [6 bytes]"
    assert (said.levelno, said.exc_info) == (logging.DEBUG, None)
    assert (broke.getMessage(), broke.levelno) == ("it broke", logging.ERROR)
    assert broke.exc_info[0] is ValueError


def test_what_is_not_logged_is_not_made(caplog):
    """Below the level nothing is rendered: a megabyte's frame is not turned into text."""
    caplog.set_level(logging.INFO, logger="websockets.client")
    logger = RedactingLogger(logging.getLogger("websockets.client"), Redactor([]))
    rendered = Mock(__str__=Mock(return_value="x"))
    logger.debug("%s", rendered)
    assert not rendered.__str__.called
    assert not caplog.records
    logger.info("%s", rendered)
    assert caplog.messages == ["x"]


def test_what_of_headers_is_secret():
    """Values are, and the values of cookies in them, from a length of eight characters on."""
    cookies = "a=12345678; b=1234567; c = abc=defgh ;d"
    assert header_secrets([("Cookie", cookies), ("X-A", "1234567"), ("X-B", "87654321")]) == (
        *(cookies, "87654321"),
        *("12345678", "abc=defgh"),
    )


def refusal(status, body=b"", **headers):
    return InvalidStatus(Response(status, "", Headers(headers), body))


def untrusted():
    error = ssl.SSLCertVerificationError()
    error.verify_message = "self-signed"
    return error


@pytest.mark.parametrize(
    ("error", "cls", "text"),
    [
        (refusal(401, b"s3cret\n"), AuthenticationError, "401: [secret]"),
        (refusal(403), AuthenticationError, "403"),
        (refusal(503, **{"Retry-After": "7\x9b"}), HandshakeError, "503"),
        (untrusted(), CertificateError, "the certificate: self-signed"),
        (ssl.SSLError(1, "s3cret"), ConnectFailed, "TLS: [secret]"),
        (TimeoutError(), ConnectFailed, "no answer within 3 s"),
        (TimeoutError(110, "s3cret"), ConnectFailed, "[Errno 110] [secret]"),
        (socket.gaierror("s3cret"), ConnectFailed, "pbx has no address: [secret]"),
        (OSError(), ConnectFailed, "OSError"),
        (InvalidProxy("http://u:p@x", "no"), UsageError, "the proxy is no valid URL"),
        (InvalidHandshake("s3cret"), ConnectFailed, "the handshake: [secret]"),
        (TypeError("s3cret"), UsageError, "an argument that can't work: [secret]"),
        (LookupError("s3cret\n"), ConnectFailed, "LookupError: [secret]\ufffd"),
    ],
)
def test_each_failure_has_a_name(error, cls, text):
    """What fails in the library is an error of this package, in words without secrets."""
    explained = explain(error, Redactor(["s3cret"]), host="pbx", open_timeout=3)
    assert type(explained) is cls
    assert text in str(explained)
    if cls is HandshakeError:
        assert explained.retry_after == "7\ufffd"


def test_redirects_are_not_followed():
    """Where a server points to is nobody to whom the credentials go."""
    error = refusal(301, Location="ws://elsewhere")
    assert Handshake("ws://127.0.0.1").process_redirect(error) is error
