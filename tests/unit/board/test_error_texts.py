"""Texts of exceptions in the language of the reader."""

from __future__ import annotations

import contextvars

import pytest

from basix_ws_cti._internal.translation import use_language
from basix_ws_cti.board.error_texts import error_text
from basix_ws_cti.exceptions import (
    AuthenticationError,
    CertificateError,
    ClientClosed,
    ConnectFailed,
    ConnectionLimitReached,
    ConnectionLost,
    ConnectionReplaced,
    DecodeError,
    HandshakeError,
    HttpApiAuthenticationError,
    HttpApiError,
    LoggedOut,
    ProxyError,
    RecordingError,
    ResyncRequired,
    SubscriberLagged,
    SyncTimeout,
    UsageError,
)

TRANSLATED = [
    ConnectFailed("no answer within 10 s"),
    CertificateError("TLS failed: self-signed certificate"),
    ProxyError(407),
    ProxyError(502, "60"),
    HandshakeError(301),
    HandshakeError(404, "not found"),
    HandshakeError(500),
    AuthenticationError(401),
    AuthenticationError(403, "no licence"),
    ConnectionLost(1006),
    ConnectionLost(1008, "bye {name}"),
    ConnectionLimitReached(),
    ConnectionReplaced(),
    LoggedOut(),
    SyncTimeout(12.5),
    ResyncRequired(DecodeError(3, "truncated")),
    RecordingError("day.rec", 7, "not JSON"),
]
ENGLISH_ONLY = [
    UsageError("no server"),
    HttpApiError(200, 7),
    HttpApiAuthenticationError(401),
    ClientClosed(),
    SubscriberLagged(5),
]


@pytest.mark.parametrize("error", [*TRANSLATED, *ENGLISH_ONLY], ids=repr)
def test_text_in_english_is_that_of_the_exception(error):
    assert error_text(error) == str(error)


@pytest.mark.parametrize("error", TRANSLATED, ids=repr)
def test_text_is_translated_and_keeps_the_details(error):
    def text():
        use_language("ja")
        return error_text(error)

    japanese = contextvars.Context().run(text)
    assert japanese != str(error)
    for detail in error.args:
        if isinstance(detail, str) and not isinstance(error, ProxyError):
            assert detail in japanese
