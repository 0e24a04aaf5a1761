"""HttpApi: requests, responses, errors, and measures against leaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import random
import socket
import ssl
import sys
import threading
from unittest.mock import Mock

import pytest
import trustme
from support.free_ports import free_port
from support.networks import black_hole, hanging_look_ups, resolve_to
from support.secret_scanner import TOKEN, assert_clean, assert_no_secret_in_error

from basix_ws_cti import (
    AuthenticationError,
    Basic,
    BasixError,
    CertificateError,
    ConnectFailed,
    ConnectionLost,
    HttpApi,
    HttpApiAuthenticationError,
    HttpApiError,
    Ticket,
    UsageError,
)
from basix_ws_cti.transport.credentials import basic_header
from basix_ws_cti.transport.http_api import MAX_RESPONSE_BYTES

LOGIN = {"domain": "acme", "token": TOKEN}
UUIDS = ["8a5f0001-aaaa", "8a5f0002-bbbb"]


def response(body, status="200 OK", headers=()):
    """Return the bytes of a response. ``body``: bytes, or a value to send as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers, "", "")
    return "\r\n".join(lines).encode() + content


class Server:
    """Server that records each request, and answers it with the same bytes."""

    def __init__(self, answer):
        self.heads, self.bodies = [], []
        self.tasks = []
        self._answer = answer

    async def accept(self, reader, writer):
        self.tasks.append(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            size = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
            self.bodies.append(json.loads(await reader.readexactly(size)))
            if self._answer is None:
                await reader.read()
            else:
                writer.write(self._answer)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def api_server(answer, **options):
    """Run a server; yield it and an open ``HttpApi``. ``answer`` ``None``: it stays silent."""
    server = Server(answer if answer is None or isinstance(answer, bytes) else response(answer))
    async with await asyncio.start_server(server.accept, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        async with HttpApi(f"http://127.0.0.1:{server.port}", **{**LOGIN, **options}) as api:
            yield server, api
        await asyncio.gather(*server.tasks)


async def call_error(answer, cls=HttpApiError, **options):
    """Return the error of a ``call_user`` that gets this response."""
    async with api_server(answer, **options) as (_, api):
        with pytest.raises(cls) as caught:
            await api.call_user("1002", user_id=1)
    assert_no_secret_in_error(caught.value)
    return caught.value


# -- requests -------------------------------------------------------------------------


async def test_ticket_is_requested_for_the_target():
    async with api_server({"result_code": 0, "ticket": "abc"}) as (server, api):
        assert await api.ticket("/basix/api/ws_cti?app_name=x") == Ticket("abc")
    assert server.bodies == [{"uri": "/basix/api/ws_cti?app_name=x"}]
    lines = server.heads[0].split("\r\n")
    assert lines[0] == "POST /basix/api/gen_ws_ticket HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert f"Authorization: {basic_header(Basic('acme', TOKEN))}" in lines
    assert "Accept-Encoding: identity" in lines


@pytest.mark.parametrize(
    "user",
    [
        {"user_id": 10001001},
        {"user_id": "10001001"},
        {"user_name": "user1"},
        {"user_label": "佐藤 健"},
        {"user_extension": "1001"},
        {"user_did": "0500001001"},
        {"user_email": "user1@example.com"},
    ],
)
async def test_user_is_named_in_every_way(user):
    async with api_server({"result_code": 0, "uuids": UUIDS}) as (server, api):
        assert await api.call_user("0312345678", **user) == tuple(UUIDS)
    assert server.bodies == [{**user, "destination": "0312345678"}]
    assert "0312345678" not in server.heads[0]


async def test_all_parameters_of_call_user_are_sent():
    fields = {
        "user_id": 7,
        "destination": {
            "called_number": "0312345678",
            "calling_number": "0501234567",
            "end_user": {"id": "4711", "name": "山田"},
        },
        "answer_timeout": 30,
        "callback_url": "https://crm.example/answered",
        "auto_answer": False,
        "calling_name": "CRM",
        "group_resolver": "any:CALL_CENTER",
    }
    async with api_server({"result_code": 0, "uuids": []}) as (server, api):
        assert await api.call_user(**fields, extra={"new": [1]}) == ()
        await api.call_user("1", user_id=7, group_id=3)
    assert server.bodies == [
        {**fields, "new": [1]},
        {"user_id": 7, "destination": "1", "group_id": 3},
    ]


async def test_all_parameters_of_call_group_are_sent():
    fields = {
        "group_extension": "1900",
        "destination": "0312345678",
        "answer_timeout": 60,
        "member_answer_timeout": 15,
        "callback_url": "https://crm.example/answered",
        "calling_name": "CRM",
    }
    async with api_server({"result_code": 0, "uuids": UUIDS}) as (server, api):
        assert await api.call_group(**fields, extra={"new": None}) == tuple(UUIDS)
    assert server.heads[0].startswith("POST /basix/api/call_group HTTP/1.1\r\n")
    assert server.bodies == [{**fields, "new": None}]


async def test_requests_run_at_the_same_time():
    async with api_server({"result_code": 0, "uuids": UUIDS}) as (server, api):
        await asyncio.gather(*(api.call_user("1", user_id=n) for n in range(5)))
    assert sorted(body["user_id"] for body in server.bodies) == [0, 1, 2, 3, 4]


# -- errors of the API ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code", "error_id", "text"),
    [
        (
            {"result_code": 7, "error": {"id": "user_not_found"}},
            *(7, "user_not_found", "HTTP 200, result_code 7, user_not_found"),
        ),
        ({"result_code": 7}, 7, None, "HTTP 200, result_code 7"),
        ({"result_code": -1, "error": None}, -1, None, "HTTP 200, result_code -1"),
        ({"result_code": 0, "error": {"id": "odd"}}, 0, "odd", "HTTP 200, odd"),
        ({"error": {"id": "odd"}}, None, "odd", "HTTP 200, odd"),
        ({"result_code": 1, "error": {"id": 17}}, 1, "17", "HTTP 200, result_code 1, 17"),
        ({"result_code": 1, "error": "odd"}, 1, None, "HTTP 200, result_code 1"),
        ({"result_code": 1, "error": {"id": []}}, 1, None, "HTTP 200, result_code 1"),
        ({"result_code": 1, "error": {"id": "a\nb"}}, 1, "a\ufffdb", "HTTP 200, result_code 1, a"),
        ({"result_code": 1, "error": {"id": "x" * 99}}, 1, "x" * 59 + "…", "xxx…"),
        ({"uuids": UUIDS}, None, None, "the response has no result_code"),
        ({"result_code": False}, None, None, "the response has no result_code"),
        ({"result_code": "0"}, None, None, "the response has no result_code"),
        ({"result_code": 10**30}, None, None, "the response has no result_code"),
        ({"result_code": 0}, 0, None, "has no uuids; the call may have started"),
        ({"result_code": 0, "uuids": "x"}, 0, None, "has no uuids"),
        ({"result_code": 0, "uuids": [7]}, 0, None, "has no uuids"),
        ([], None, None, "not a JSON object"),
        (b"<html>", None, None, "not JSON"),
        (b"", None, None, "not JSON"),
        (b"\xff\xfe\x00", None, None, "not JSON"),
        (b"[" * 100_000, None, None, "not JSON"),
        (b'{"result_code": ' + b"9" * 5000 + b"}", None, None, "not JSON"),
    ],
)
async def test_error_in_a_response_with_status_200(answer, code, error_id, text):
    error = await call_error(response(answer))
    assert (error.status, error.result_code, error.error_id) == (200, code, error_id)
    assert str(error).startswith("the HTTP API reported an error: ")
    assert text in str(error)
    assert not isinstance(error, AuthenticationError)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("200 OK", {"result_code": 1, "error": {"id": "authentication_required"}}),
        ("401 Unauthorized", {"result_code": 1, "error": {"id": "authentication_required"}}),
        ("401 Unauthorized", b"go away"),
        ("403 Forbidden", b""),
    ],
)
async def test_refused_login_is_an_authentication_error(status, body):
    error = await call_error(response(body, status), AuthenticationError)
    assert isinstance(error, HttpApiAuthenticationError)
    assert error.status == int(status[:3])
    assert str(error).startswith(f"the HTTP API refused the login: HTTP {status[:3]}")


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "503 Busy"])
async def test_other_status_is_an_error_even_with_a_good_body(status):
    answer = response({"result_code": 0, "uuids": UUIDS}, status, ["Retry-After: 120"])
    error = await call_error(answer)
    assert (error.status, error.result_code, error.retry_after) == (int(status[:3]), 0, "120")


async def test_redirect_is_not_followed():
    async with api_server({"result_code": 0, "uuids": UUIDS}) as (target, _):
        location = f"Location: http://127.0.0.1:{target.port}/basix/api/call_user"
        for status in ("301 Moved", "307 Temporary Redirect"):
            error = await call_error(response(b"", status, [location]))
            assert "redirects are not followed" in str(error)
        assert target.heads == []


async def test_response_is_bounded():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    error = await call_error(head + chunk * (MAX_RESPONSE_BYTES // 0x10000 + 1))
    assert f"exceeds {MAX_RESPONSE_BYTES} bytes" in str(error)


async def test_response_at_the_bound_is_read():
    body = json.dumps({"result_code": 0, "uuids": UUIDS}).encode().ljust(MAX_RESPONSE_BYTES)
    async with api_server(response(body)) as (_, api):
        assert await api.call_user("1", user_id=1) == tuple(UUIDS)


@pytest.mark.parametrize("answer", [{}, {"ticket": 7}, {"ticket": ""}, {"ticket": "é"}])
async def test_response_without_ticket_is_an_error(answer):
    async with api_server({"result_code": 0, **answer}) as (_, api):
        with pytest.raises(HttpApiError, match="the response has no ticket"):
            await api.ticket("/basix/api/ws_cti?app_name=x")


async def test_text_of_the_server_shows_no_secret():
    """A server that repeats the credentials does not bring them into an error."""
    header = basic_header(Basic("acme", TOKEN))
    error = await call_error(
        response({"result_code": 1, "error": {"id": header}}, headers=[f"Retry-After: {header}"])
    )
    assert "[secret]" in error.error_id
    assert "[secret]" in error.retry_after


async def test_log_of_the_http_library_shows_no_secret(caplog):
    caplog.set_level("DEBUG")
    header = basic_header(Basic("acme", TOKEN))
    await call_error(response(b"", headers=[f"X-Echo: {header}"]))
    assert "X-Echo: Basic [secret]" not in caplog.text  # the library shows pairs of bytes
    assert "[secret]" in caplog.text
    assert_clean(caplog.text)


async def test_ordinary_word_as_token_keeps_fixed_texts(caplog):
    """Texts of the server that contain it are left out; words of the API and the library stay."""
    caplog.set_level("DEBUG")
    answer = response(
        {"result_code": 1, "error": {"id": "authentication_required"}}, headers=["Retry-After: red"]
    )
    error = await call_error(answer, HttpApiAuthenticationError, token="re")
    assert str(error) == ("the HTTP API refused the login: HTTP 200, authentication_required")
    assert error.retry_after is None
    steps = [record.getMessage() for record in caplog.records if "httpcore2" in record.name]
    assert "receive_response_headers.started [secret]" in steps


# -- errors of the connection ---------------------------------------------------------


async def test_refused_connection_is_connect_failed():
    async with HttpApi(f"http://127.0.0.1:{free_port()}", **LOGIN) as api:
        with pytest.raises(ConnectFailed):
            await api.call_user("1", user_id=1)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        b"220 mail\r\n",
        b"HTTP/1.1 2000 x\r\n",
    ],
)
async def test_broken_response_leaves_the_outcome_unknown(answer):
    error = await call_error(answer, ConnectionLost)
    assert "no response to call_user" in str(error)
    assert "the call may have started" in str(error)


async def test_missing_response_leaves_the_outcome_unknown():
    error = await call_error(None, ConnectionLost, timeout=0.05)
    assert "no answer within 0.05 s; the call may have started" in str(error)


async def test_lost_ticket_request_starts_no_call():
    async with api_server(b"") as (_, api):
        with pytest.raises(ConnectionLost) as caught:
            await api.ticket("/basix/api/ws_cti?app_name=x")
    assert "may have started" not in str(caught.value)


async def test_tls_handshake_without_answer_is_connect_failed():
    """The request has not been sent, so no call has started."""
    hold = asyncio.Event()

    async def stay(_, writer):
        await hold.wait()
        writer.close()

    async with await asyncio.start_server(stay, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with HttpApi(f"127.0.0.1:{port}", timeout=0.05, **LOGIN) as api:
            with pytest.raises(ConnectFailed, match="no answer within 0.05 s"):
                await api.call_user("1", user_id=1)
        hold.set()


@pytest.mark.slow
async def test_certificate_is_verified():
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    server = Server(response({"result_code": 0, "uuids": UUIDS}))
    async with await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=context) as listening:
        address = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with HttpApi(address, **LOGIN) as api:
            with pytest.raises(CertificateError) as caught:
                await api.call_user("1", user_id=1)
            assert_no_secret_in_error(caught.value)
        assert server.heads == []
        trusting = ssl.create_default_context()
        ca.configure_trust(trusting)
        async with HttpApi(f"https://{address}", ssl=trusting, **LOGIN) as api:
            assert await api.call_user("1", user_id=1) == tuple(UUIDS)


@contextlib.asynccontextmanager
async def http_proxy(answer, port=None):
    """Run a proxy that gives each CONNECT this answer; yield its URL and a list of requests.

    ``port``: of the server on this machine to which it then passes the bytes; ``None``: it closes.
    """
    heads, tasks = [], []

    async def close(writer):
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def copy(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        await close(writer)

    async def accept(reader, writer):
        tasks.append(asyncio.current_task())
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if port is None:
            await close(writer)
            return
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, server_writer), copy(server_reader, writer))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", heads
        await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 407 Login\r\nContent-Length: 0\r\n\r\n", "proxy refused the connection: 407"),
        (b"", "disconnected"),
        (b"\xff\r\n\r\n", "illegal status line"),
        # The tunnel ends in the TLS handshake.
        (b"HTTP/1.1 200 OK\r\n\r\n", "cannot connect"),
    ],
)
async def test_failure_of_the_proxy_is_connect_failed(answer, text):
    """The request has not been sent, so no call has started."""
    async with (
        http_proxy(answer) as (proxy, heads),
        HttpApi("pbx.example", proxy=proxy, **LOGIN) as api,
    ):
        with pytest.raises(ConnectFailed, match=text) as caught:
            await api.call_user("1", user_id=1)
        assert_no_secret_in_error(caught.value)
    (head,) = heads
    assert head.startswith(b"CONNECT pbx.example:443")
    assert basic_header(Basic("acme", TOKEN)).encode() not in head


@pytest.mark.slow
async def test_request_passes_a_proxy_encrypted():
    """The certificate is that of the server, and a lost response leaves the outcome unknown."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    ca.configure_trust(trusting)
    server = Server(b"")
    async with await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=context) as listening:
        port = listening.sockets[0].getsockname()[1]
        established = b"HTTP/1.1 200 OK\r\n\r\n"
        async with http_proxy(established, port) as (proxy, _):
            address = f"127.0.0.1:{port}"
            async with HttpApi(address, proxy=proxy, **LOGIN) as api:
                with pytest.raises(CertificateError):
                    await api.call_user("1", user_id=1)
            assert server.heads == []
            async with HttpApi(address, proxy=proxy, ssl=trusting, **LOGIN) as api:
                with pytest.raises(ConnectionLost, match="the call may have started"):
                    await api.call_user("1", user_id=1)
    assert len(server.heads) == 1


async def test_cancelled_request_is_cancelled():
    async with api_server(None) as (server, api):
        task = asyncio.create_task(api.call_user("1", user_id=1))
        while not server.bodies:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    assert_no_secret_in_error(caught.value)


# -- arguments ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "options", "text"),
    [
        ("pbx.example", {"token": None}, "no credentials: pass domain and token"),
        ("pbx.example", {"domain": None}, "no credentials"),
        ("pbx.example", {"credentials": Basic("a", "b")}, "not both"),
        (
            "pbx.example",
            {"domain": None, "token": None, "credentials": Ticket("x")},
            r"must be Basic\(…\), got Ticket",
        ),
        ("http://pbx.example", {}, "unencrypted to http://pbx.example: use https://"),
        ("ws://pbx.example", {}, "unencrypted to http://pbx.example: use https://"),
        ("http://127.0.0.1", {"proxy": "http://proxy:1"}, "unencrypted"),
        ("http://localhost.evil.example", {}, "unencrypted"),
        ("ftp://pbx.example", {}, "server must start with"),
        ("pbx.example/basix", {}, "must not contain a path"),
        (7, {}, "server must be a str, got int"),
        ("999.1.1.1", {}, "server is not a valid host name for HTTP"),
        ("pbx.example", {"timeout": 0}, "timeout must be a positive number"),
        ("pbx.example", {"timeout": float("nan")}, "timeout must be"),
        ("pbx.example", {"ssl": 7}, "ssl must be an ssl.SSLContext"),
        ("http://127.0.0.1", {"ssl": ssl.create_default_context()}, "requires a https:// server"),
        ("pbx.example", {"proxy": f"nonsense://a:{TOKEN}@x"}, "proxy is not a valid URL"),
    ],
)
def test_invalid_arguments_are_refused(server, options, text):
    with pytest.raises(UsageError, match=text) as caught:
        HttpApi(server, **{**LOGIN, **options})
    assert_no_secret_in_error(caught.value)


def test_unverified_tls_needs_allow_insecure():
    context = ssl.create_default_context()
    context.check_hostname = False
    with pytest.raises(UsageError, match="does not verify"):
        HttpApi("pbx.example", ssl=context, **LOGIN)
    HttpApi("pbx.example", ssl=context, allow_insecure=True, proxy="http://proxy:1", **LOGIN)
    HttpApi("http://pbx.example", allow_insecure=True, **LOGIN)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "expected one of user_id, user_name"),
        ({"user_id": 1, "user_did": "1"}, "expected only one of user_id and user_did"),
        ({"user_id": True}, "user_id must be an int or a str, got bool"),
        ({"user_id": ""}, "user_id must not be empty"),
        ({"user_name": 7}, "user_name must be a str, got int"),
        ({"user_name": "\ud800"}, "lone surrogate"),
        ({"user_id": 1, "destination": ""}, "destination must not be empty"),
        ({"user_id": 1, "destination": 7}, "destination must be a str, got int"),
        ({"user_id": 1, "destination": {"a": object()}}, "values that JSON can hold"),
        ({"user_id": 1, "group_id": 1, "group_resolver": "*"}, "only one of group_id and group_re"),
        ({"user_id": 1, "answer_timeout": 0}, "answer_timeout must be an int of 1 or more"),
        ({"user_id": 1, "answer_timeout": True}, "answer_timeout must be an int of 1 or more"),
        ({"user_id": 1, "calling_name": "佐藤"}, "calling_name must be ASCII"),
        ({"user_id": 1, "calling_name": 7}, "calling_name must be a str"),
        ({"user_id": 1, "extra": {"user_id": 2}}, "extra contains user_id"),
        ({"user_id": 1, "extra": {"user_name": "x"}}, "extra contains user_name"),
        ({"user_id": 1, "extra": {"calling_name": "x"}}, "extra contains calling_name"),
        ({"user_id": 1, "extra": ["x"]}, "extra: expected a mapping, got list"),
        ({"user_id": 1, "extra": {"x": float("nan")}}, "values that JSON can hold"),
    ],
)
async def test_invalid_call_is_refused_before_anything_is_sent(arguments, text):
    async with api_server({"result_code": 0, "uuids": UUIDS}) as (server, api):
        with pytest.raises(UsageError, match=text):
            await api.call_user(**{"destination": "1002", **arguments})
        assert server.heads == []


async def test_methods_work_inside_the_block_only():
    async with api_server({"result_code": 0, "uuids": UUIDS}) as (_, api):
        with pytest.raises(UsageError, match="already in use"):
            await api.__aenter__()
    with pytest.raises(UsageError, match="not open"):
        await api.call_user("1", user_id=1)
    await api.__aexit__(None, None, None)


async def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(UsageError, match=r"pip install 'basix_ws_cti\[http\]'"):
        HttpApi("pbx.example", **LOGIN)


def test_secret_is_neither_shown_nor_pickled():
    api = HttpApi("pbx.example", credentials=Basic("acme", TOKEN))
    assert repr(api) == "<HttpApi https://pbx.example>"
    assert_clean(api, *vars(api).values())
    with pytest.raises(UsageError, match="cannot be pickled"):
        pickle.dumps(api)


async def test_environment_has_no_influence(monkeypatch):
    """Neither its proxies nor the credentials in a netrc file are used."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with api_server({"result_code": 0, "uuids": UUIDS}) as (_, api):
        assert await api.call_user("1", user_id=1) == tuple(UUIDS)


# -- hostile servers ------------------------------------------------------------------

PIECES = [
    *(b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/9.9 ", b"200", b"401", b"99", b"-1", b"600", b" OK"),
    *(b"\r\n", b"\r\n\r\n", b"\n", b"\x00", b"\xff", b" ", b"Content-Length: ", b"7", b"-7"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n", b"Content-Encoding: br"),
    *(b"Retry-After: x\x7f\r\n", b"Set-Cookie: a=b\r\n", b"1\r\n{\r\n0\r\n\r\n", b"ffffffffff\r\n"),
    *(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    *(b'{"result_code": 0}', b'{"result_code": 1, "error": {"id": "x"}}', b"null", b"[", b"9" * 99),
    response({"result_code": 0, "uuids": []}),
    response({"result_code": 1e999}),
]


@pytest.mark.parametrize("seed", range(10))
async def test_any_response_gives_uuids_or_an_error_of_the_package(seed):
    chance = random.Random(seed)
    for _ in range(12):
        answer = b"".join(chance.choices(PIECES, k=chance.randrange(1, 9)))
        if chance.random() < 0.7:
            answer = b"HTTP/1.1 200 OK\r\n" + answer
        async with api_server(answer) as (_, api):
            result = (await asyncio.gather(api.call_user("1", user_id=1), return_exceptions=True))[
                0
            ]
        assert isinstance(result, tuple | BasixError), (answer, result)
        if isinstance(result, BasixError):
            assert_no_secret_in_error(result)
            assert str(result).isprintable(), answer


# -- dialling --------------------------------------------------------------------------------


async def test_second_address_is_used_if_the_first_drops_packets(monkeypatch):
    async with api_server({"result_code": 0, "ticket": "t"}) as (server, _):
        resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")
        with black_hole("127.0.0.2", server.port):
            async with HttpApi(f"http://localhost:{server.port}", **LOGIN) as api:
                assert await api.ticket("/x") == Ticket("t")
    assert f"\r\nHost: localhost:{server.port}\r\n" in server.heads[0]


async def test_look_ups_do_not_use_the_executor(monkeypatch):
    """A name server that does not answer would keep the process alive."""

    def refuse(*_):
        raise AssertionError("the event loop's executor is used")

    monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", refuse)
    async with api_server({"result_code": 0, "ticket": "t"}) as (server, _):
        localhost = f"http://localhost:{server.port}"
        async with HttpApi(localhost, **LOGIN) as api:
            assert await api.ticket("/x") == Ticket("t")
        options = {"proxy": localhost, "allow_insecure": True}
        async with HttpApi("http://pbx.example", **LOGIN, **options) as api:
            assert await api.ticket("/x") == Ticket("t")
    assert "\r\nHost: pbx.example\r\n" in server.heads[1]


async def test_https_proxy_keeps_its_name(monkeypatch):
    """The library verifies it by that name."""
    looked_up = resolve_to(monkeypatch, "127.0.0.1", host="proxy.example")
    proxy = f"https://proxy.example:{free_port()}"
    async with HttpApi("http://pbx.example", **LOGIN, proxy=proxy, allow_insecure=True) as api:
        with pytest.raises(ConnectFailed):
            await api.ticket("/x")
    assert looked_up == ["proxy.example"]


async def test_hanging_look_up_ends_with_the_timeout(monkeypatch):
    with hanging_look_ups(monkeypatch):
        async with HttpApi("pbx.example", **LOGIN, timeout=0.05) as api:
            with pytest.raises(ConnectFailed, match=r"no answer within 0\.05 s") as caught:
                await api.ticket("/x")
    assert_no_secret_in_error(caught.value)


@pytest.mark.parametrize(
    ("options", "shown"), [({}, "pbx.example"), ({"proxy": "http://u:p@pbx.example"}, "the proxy")]
)
async def test_name_without_an_address_raises_connect_failed(options, shown, monkeypatch):
    failure = Mock(side_effect=socket.gaierror(-2, "unknown"))
    monkeypatch.setattr(socket, "getaddrinfo", failure)
    async with HttpApi("pbx.example", **LOGIN, **options) as api:
        with pytest.raises(ConnectFailed, match=f"no address found for {shown}: .*unknown"):
            await api.ticket("/x")


async def test_default_tls_context_is_not_loaded_in_the_event_loop(monkeypatch):
    threads = []
    create = ssl.create_default_context

    def load():
        threads.append(threading.current_thread())
        return create()

    monkeypatch.setattr(ssl, "create_default_context", load)
    async with HttpApi(f"127.0.0.1:{free_port()}", **LOGIN) as api:
        for _ in range(2):
            with pytest.raises(ConnectFailed):
                await api.ticket("/x")
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_error_has_the_number_of_addresses(monkeypatch):

    async def time_out(*_):
        raise TimeoutError(110, "timed out")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", time_out)
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", 1))] * 2
    )
    async with HttpApi("pbx.example", **LOGIN, timeout=None) as api:
        with pytest.raises(ConnectFailed, match="none of 2 addresses of pbx.example"):
            await api.ticket("/x")
