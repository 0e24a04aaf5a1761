"""Fuzzing target: raw HTTP responses to the client's handshake, and what follows from them."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime

from support.http_responses import random_response
from support.secret_scanner import STEM, assert_clean, assert_no_secret_in_error
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidProxyStatus, InvalidStatus
from websockets.uri import parse_uri

from basix_ws_cti.client.backoff import MAX_RETRY_AFTER, Backoff
from basix_ws_cti.client.reconnect import ReconnectPolicy
from basix_ws_cti.exceptions import FeedError, HandshakeError, ProxyError
from basix_ws_cti.transport.handshake import translate_error
from basix_ws_cti.transport.redaction import Redactor

MAX_LEN = 16_384
NOW = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)
REDACTOR = Redactor([STEM])
URI = parse_uri("ws://pbx/")
SECRET_IN_ANY_CASE = re.compile(re.escape(STEM.encode()), re.IGNORECASE)


def seeds():
    """Yield random responses."""
    rng = random.Random(1)
    found = {random_response(rng).replace(b"SECRET", STEM.encode()) for _ in range(300)}
    yield from sorted(response for response in found if len(response) <= MAX_LEN)


def check(data):
    """Check that a response gives an error of the connection, or opens the WebSocket."""
    # The fuzzer changes upper and lower case. That is another secret, but not for the scanner.
    data = SECRET_IN_ANY_CASE.sub(STEM.encode(), data)
    protocol = ClientProtocol(URI)
    protocol.send_request(protocol.connect())
    protocol.receive_data(data)
    protocol.receive_eof()
    error = protocol.handshake_exc
    if error is None:
        return
    check_error(error)
    if isinstance(error, InvalidStatus):
        check_error(InvalidProxyStatus(error.response))


def check_error(error):
    """Check the translation of an error, and the decision about the next attempt."""
    translated = translate_error(error, REDACTOR, host="pbx", open_timeout=10)
    assert isinstance(translated, FeedError), translated
    assert_no_secret_in_error(translated)
    assert_clean(translated)
    assert str(translated).isprintable()
    if isinstance(error, InvalidStatus):
        assert isinstance(translated, HandshakeError)
        assert translated.status == error.response.status_code
    if isinstance(error, InvalidProxyStatus):
        assert isinstance(translated, ProxyError)
        assert translated.status == error.response.status_code
    policy = ReconnectPolicy(Backoff(maximum=60), None, fresh_credentials=False)
    is_final = policy.is_final(translated, was_synced=False)
    assert is_final is True or not (isinstance(error, InvalidStatus) and translated.status == 401)
    assert 0 < policy.delay_after(translated, 0.0, NOW) <= MAX_RETRY_AFTER + 60
