"""Requests over HTTP: what was sent, the texts of errors, and the optional library."""

from __future__ import annotations

import builtins
import os
import socket
import ssl
from types import SimpleNamespace

import pytest
from support.cases import for_each

from basix_ws_cti import UsageError
from basix_ws_cti.transport.dialling import UnreachableHostError
from basix_ws_cti.transport.http_requests import (
    RequestProgress,
    describe_request_error,
    import_httpx,
    with_causes,
)


class FakeStream:
    """Connection whose end raises ``error``, if there is one."""

    def __init__(self, error=None):
        self.error = error
        self.closed = False

    async def aclose(self):
        self.closed = True
        if self.error is not None:
            raise self.error


def request(method):
    return {"request": SimpleNamespace(method=method)}


async def test_connect_to_a_proxy_sends_nothing_of_the_request():
    progress = RequestProgress()
    await progress.trace("connection.connect_tcp.started", {})
    await progress.trace("http11.send_request_headers.started", request(b"CONNECT"))
    assert not progress.is_sent
    await progress.trace("http11.send_request_headers.started", request(b"POST"))
    await progress.trace("http11.send_request_headers.started", request(b"CONNECT"))
    assert progress.is_sent


@pytest.mark.parametrize("error", [None, OSError(9, "closed already")])
async def test_connection_of_a_failed_request_is_closed(error):
    progress, stream = RequestProgress(), FakeStream(error)
    await progress.close_stream()
    await progress.trace("connection.connect_tcp.complete", {"return_value": stream})
    await progress.close_stream()
    assert stream.closed


def tls_error():
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] (_ssl.c:1)")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


def caused_by(cause):
    error = RuntimeError("the library's own words")
    error.__cause__ = cause
    return error


@for_each(
    "error, text",
    [
        (TimeoutError(), "no answer within 3 s"),
        (TimeoutError(110, "late"), f"pbx: {os.strerror(110)}"),
        (UnreachableHostError("pbx, port 443: Connection refused"),) * 2,
        (socket.gaierror(-2, "unknown name"), "no address found for pbx: unknown name"),
        (caused_by(tls_error()), "TLS failed: wrong version number"),
        (caused_by(caused_by(OSError(111, "refused"))), f"pbx: {os.strerror(111)}"),
        (caused_by(OSError("without a number")), None),
        (RuntimeError("secret"), None),
    ],
)
def test_errors_are_described_without_the_words_of_the_library(error, text):
    described = describe_request_error(error, "pbx", 3)
    assert described == (text if text is None else str(text))


def test_end_of_a_request_without_a_time_limit_names_no_seconds():
    assert describe_request_error(TimeoutError(), "pbx", None) == "no answer in time"


def test_causes_include_the_errors_that_were_being_handled():
    first, second, third = ValueError("1"), ValueError("2"), ValueError("3")
    third.__cause__, second.__context__ = second, first
    assert [*with_causes(third)] == [third, second, first]


def test_missing_library_is_named_with_its_extra(monkeypatch):
    real_import = builtins.__import__

    def refuse(name, *args, **options):
        if name == "httpx2":
            raise ImportError(name)
        return real_import(name, *args, **options)

    assert import_httpx("HttpApi", "http").__name__ == "httpx2"
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UsageError) as caught:
        import_httpx("HttpApi", "http")
    assert str(caught.value) == "HttpApi needs an HTTP client: pip install 'basix_ws_cti[http]'"
