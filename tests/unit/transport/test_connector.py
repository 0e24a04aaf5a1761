"""Connector: login, handshake, TLS, proxies, options and errors."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import inspect
import logging
import socket
import ssl
import traceback
import typing
from http import HTTPStatus
from unittest.mock import Mock
from urllib.parse import quote

import pytest
import trustme
from support.bare_server import ARGUMENTS, DOMAIN, HELLO, sends, server
from support.free_ports import free_port
from support.secret_scanner import TOKEN, assert_clean, assert_no_secret_in_error, leaks_of
from support.waiting import TIMEOUT
from websockets.http11 import Response

import basix_ws_cti
import basix_ws_cti.transport.opening
from basix_ws_cti import (
    AuthenticationError,
    Basic,
    CertificateError,
    ConnectFailed,
    HandshakeError,
    InitialInfo,
    Msg,
    ProxyError,
    Ticket,
    UsageError,
    connect,
)
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.transport.connector import ConnectOptions


@pytest.fixture(autouse=True)
def _library_at_debug(caplog):
    """Let the WebSocket library log at DEBUG: its log lines contain no secret either."""
    caplog.set_level(logging.DEBUG, logger="websockets.client")


async def test_connect_delivers_typed_elements():
    """The simulated PBX sends its snapshot."""
    async with Simulator(domain=DOMAIN, token=TOKEN, calls=False) as simulator:
        arguments = simulator.connect_args
        async with connect(**arguments, base_url="https://xyz.com") as cti:
            kinds = {}
            async for message in cti:
                if isinstance(message, InitialInfo):
                    kinds[message.element_name] = message.elements
                if len(kinds) == 6:
                    break
    user = kinds["user"][10001001]
    assert user.label == "佐藤 健"
    assert user.avatar == "https://xyz.com/static/icons/user.png"
    assert kinds["channel"] == {}


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_login_raises_authentication_error(status):
    """The reason comes from the server and is redacted."""

    def refuse(connection, request):
        sent = request.headers["Authorization"]
        return connection.respond(HTTPStatus(status), f"not you: {sent}\x1b[31m {TOKEN}\n")

    async with server(answer=refuse) as url:
        with pytest.raises(AuthenticationError) as caught:
            async with connect(url, **ARGUMENTS):
                pass
    error = caught.value
    assert error.status == status
    assert error.reason == "not you: Basic [secret]\N{REPLACEMENT CHARACTER}[31m [secret]"
    assert_no_secret_in_error(error)


async def test_simulator_refuses_a_wrong_token():
    async with Simulator(domain=DOMAIN, token="another") as simulator:
        with pytest.raises(AuthenticationError) as caught:
            async with connect(simulator.url, **ARGUMENTS):
                pass
    assert caught.value.status == 401
    assert_no_secret_in_error(caught.value)


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_other_statuses_raise_handshake_error(status):
    """The error has the status and the Retry-After header."""

    def refuse(connection, request):
        response = connection.respond(HTTPStatus(status), "x" * 1000)
        response.headers["Retry-After"] = "7"
        return response

    async with server(answer=refuse) as url:
        with pytest.raises(HandshakeError) as caught:
            async with connect(url, **ARGUMENTS):
                pass
    error = caught.value
    assert not isinstance(error, AuthenticationError)
    assert (error.status, error.retry_after, len(error.reason)) == (status, "7", 256)
    assert_no_secret_in_error(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status):
    """The credentials reach no other server."""
    paths = []

    def record_request(connection, request):
        paths.append(request.path)

    async with server(answer=record_request) as other_server:

        def redirect(connection, request):
            response = connection.respond(HTTPStatus(status), "")
            response.headers["Location"] = f"{other_server}/path"
            return response

        async with server(answer=redirect) as url:
            with pytest.raises(HandshakeError, match="redirects are not followed") as caught:
                async with connect(url, **ARGUMENTS):
                    pass
    assert paths == []
    assert_no_secret_in_error(caught.value)


async def test_refused_connection_raises_connect_failed():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ConnectFailed) as caught:
            async with connect(f"ws://127.0.0.1:{port}", **ARGUMENTS):
                pass
    assert str(port) in str(caught.value)
    assert_no_secret_in_error(caught.value)


async def test_unresolvable_host_raises_connect_failed():
    """The error shows the host."""
    with pytest.raises(
        ConnectFailed, match=r"no address found for no-such-host\.invalid"
    ) as caught:
        async with connect("no-such-host.invalid", **ARGUMENTS):
            pass
    assert_no_secret_in_error(caught.value)


async def test_silent_server_raises_connect_failed_after_open_timeout():
    silence = asyncio.Event()

    async def stay_silent(reader, writer):
        await silence.wait()
        writer.close()

    listening = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        with pytest.raises(ConnectFailed, match="no answer within 0.2 s") as caught:
            async with connect(f"ws://127.0.0.1:{port}", **ARGUMENTS, open_timeout=0.2):
                pass
    finally:
        silence.set()
        listening.close()
        await listening.wait_closed()
    assert_no_secret_in_error(caught.value)


async def test_server_without_http_raises_connect_failed():
    async def answer_like_a_mail_server(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail ready\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer_like_a_mail_server, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(ConnectFailed, match="handshake") as caught:
            async with connect(f"ws://127.0.0.1:{port}", **ARGUMENTS):
                pass
    assert_no_secret_in_error(caught.value)


async def test_cancelled_handshake_ends_at_once_without_secrets():
    """The traceback contains no secret."""
    reached = asyncio.Event()
    silence = asyncio.Event()

    async def stay_silent(reader, writer):
        reached.set()
        await silence.wait()
        writer.close()

    async def attempt():
        async with connect(f"ws://127.0.0.1:{port}", **ARGUMENTS):
            pass

    listening = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        task = asyncio.create_task(attempt())
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    finally:
        silence.set()
        listening.close()
        await listening.wait_closed()
    assert not [*leaks_of(caught.value)]


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def server_context(authority, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_ssl_context_of_a_private_ca_is_used(authority):
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    async with server(sends(HELLO), ssl=server_context(authority, "localhost")) as url:
        secure = url.replace("ws://127.0.0.1", "wss://localhost")
        async with connect(secure, **ARGUMENTS, ssl=trusted) as cti:
            assert [message async for message in cti] == [Msg("hello")]


async def test_certificate_of_an_unknown_ca_is_refused(authority):
    async with server(ssl=server_context(authority, "localhost")) as url:
        secure = url.replace("ws://127.0.0.1", "wss://localhost")
        with pytest.raises(CertificateError, match="certificate") as caught:
            async with connect(secure, **ARGUMENTS):
                pass
    assert_no_secret_in_error(caught.value)


async def test_certificate_of_another_host_is_refused(authority):
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    async with server(ssl=server_context(authority, "other.example")) as url:
        secure = url.replace("ws://127.0.0.1", "wss://localhost")
        with pytest.raises(CertificateError, match="(?i)hostname"):
            async with connect(secure, **ARGUMENTS, ssl=trusted):
                pass


async def test_tls_to_an_unencrypted_server_raises_connect_failed():
    async with server() as url:
        with pytest.raises(ConnectFailed) as caught:
            async with connect(url.replace("ws://", "wss://"), **ARGUMENTS):
                pass
    assert_no_secret_in_error(caught.value)


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        ({"server": "ws://example.com"}, "unencrypted"),
        ({"server": "ws://localhost.evil"}, "unencrypted"),
        ({"server": "ws://127.0.0.1", "proxy": "http://proxy:1"}, "unencrypted"),
        (
            {
                "server": "ws://example.com",
                "domain": None,
                "token": None,
                "additional_headers": {"Cookie": "s=1"},
            },
            "unencrypted",
        ),
        ({"domain": None}, "given together"),
        ({"token": None}, "given together"),
        ({"credentials": Basic("a", "b")}, "not both"),
        ({"domain": None, "token": None, "credentials": "acme:token"}, "got str"),
        (
            {"domain": None, "token": None, "credentials": Ticket("t"), "full_events": True},
            "full_events",
        ),
        ({"additional_headers": {"authorization": "x"}}, "remove one of them"),
        ({"additional_headers": {"X": "a\r\nY: b"}}, "control characters"),
        ({"additional_headers": {"X": 1}}, "must be str"),
        (
            {"server": "ws://127.0.0.1", "ssl": ssl.create_default_context()},
            "requires a wss:// server",
        ),
        ({"ssl": unverified()}, "does not verify"),
        ({"app_name": ""}, "app_name"),
        ({"user_id": 1, "user_name": "a"}, "at most one user filter"),
    ],
)
def test_invalid_arguments_are_refused_before_connecting(arguments, fragment):
    options = {"server": "host", **ARGUMENTS, **arguments}
    with pytest.raises(UsageError, match=fragment) as caught:
        connect(options.pop("server"), **options)
    assert_clean(str(caught.value))
    assert isinstance(caught.value, ValueError)


def test_allow_insecure_permits_ws_and_unverified_tls():
    connect("ws://example.com", **ARGUMENTS, allow_insecure=True)
    connect("example.com", **ARGUMENTS, ssl=unverified(), allow_insecure=True)
    connect("ws://example.com", app_name="no secret")


async def test_request_has_documented_target_and_basic_header():
    """The request does not offer compression."""
    seen = []

    def record_request(connection, request):
        seen.append(request)

    async with (
        server(answer=record_request) as url,
        connect(url, **ARGUMENTS, force=True, user_extension="1001"),
    ):
        pass
    (request,) = seen
    assert request.path == (
        "/basix/api/ws_cti?app_name=tests&force=true&forced=true&user_extension=1001"
    )
    assert base64.b64decode(request.headers["Authorization"][6:]).decode() == f"{DOMAIN}:{TOKEN}"
    assert "Sec-WebSocket-Extensions" not in request.headers


async def test_credentials_function_is_called_for_each_attempt():
    """It gets the exact request target."""
    targets, seen = [], []

    async def get_ticket(target):
        targets.append(target)
        return Ticket(f"{TOKEN}{len(targets)}")

    def record_request(connection, request):
        seen.append((request.path, base64.b64decode(request.headers["Authorization"][6:]).decode()))

    async with server(answer=record_request) as url:
        feed = connect(url, credentials=get_ticket, app_name="a b")
        for _ in range(2):
            async with feed:
                pass
    assert targets == ["/basix/api/ws_cti?app_name=a%20b"] * 2
    assert seen == [
        (targets[0], f"ws_ticket:{TOKEN}1"),
        (targets[1], f"ws_ticket:{TOKEN}2"),
    ]


async def test_credentials_function_errors_pass_through():
    """A return value of a wrong type, and a Ticket for full_events, raise UsageError."""

    async def broken(target):
        raise LookupError("no vault")

    async def invalid(target):
        return TOKEN

    async def ticket(target):
        return Ticket(TOKEN)

    with pytest.raises(LookupError, match="no vault"):
        async with connect("host", credentials=broken, app_name="a"):
            pass
    with pytest.raises(UsageError, match="got str") as caught:
        async with connect("host", credentials=invalid, app_name="a"):
            pass
    assert_clean(str(caught.value))
    with pytest.raises(UsageError, match="full_events"):
        async with connect("host", credentials=ticket, app_name="a", full_events=True):
            pass


async def test_session_cookie_replaces_credentials(caplog):
    """The value of the cookie is in no log line."""
    seen = []

    def record_request(connection, request):
        seen.append(request.headers)

    async with (
        server(answer=record_request) as url,
        connect(url, app_name="a", additional_headers=[("Cookie", f"session={quote(TOKEN)}")]),
    ):
        pass
    assert seen[0]["Cookie"] == f"session={quote(TOKEN)}"
    assert "Authorization" not in seen[0]
    assert "[secret]" in caplog.text


async def test_echoed_cookie_is_redacted():
    """No traceback with local variables shows it."""
    cookie = "canary-cookie-value"

    def refuse(connection, request):
        return connection.respond(HTTPStatus.UNAUTHORIZED, f"expired: {cookie}")

    async with server(answer=refuse) as url:
        feed = connect(
            url, app_name="a", additional_headers={"Cookie": f"theme=dark; session={cookie}"}
        )
        assert cookie not in str(vars(feed))
        with pytest.raises(AuthenticationError, match=r"expired: \[secret\]") as caught:
            await feed.__aenter__()
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    inside = [summary for summary in report.stack if "basix_ws_cti/" in summary.filename]
    assert inside
    assert cookie not in "".join(str(summary.locals) for summary in inside)
    proxied = connect("host", app_name="a", proxy=f"http://u:{cookie}@proxy:1")
    assert cookie not in str(vars(proxied))


async def test_logged_headers_are_redacted(caplog):
    """The WebSocket library logs them at DEBUG."""
    async with server() as url, connect(url, **ARGUMENTS) as cti:
        assert_clean(repr(cti))
        gc.collect()
        assert_clean(str([repr(thing) for thing in vars(cti).values()]))
        request = cti._socket.request  # noqa: SLF001 - what a crash reporter would find
        assert "Authorization" not in request.headers
    ours = [record.getMessage() for record in caplog.records if record.name == "websockets.client"]
    assert "> Authorization: Basic [secret]" in ours
    assert any(line.startswith("> GET /basix/api/ws_cti") for line in ours)


@pytest.mark.parametrize("invalid", [asyncio.sleep, 7])
def test_on_frame_must_be_a_synchronous_function(invalid):
    with pytest.raises(UsageError, match="^on_frame"):
        connect("bcs.example.com", **ARGUMENTS, on_frame=invalid)


async def test_proxies_from_the_environment_are_ignored(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:1")
    async with server(sends(HELLO)) as url, connect(url, **ARGUMENTS) as cti:
        assert await anext(cti) == Msg("hello")


async def test_proxy_gets_connect_without_credentials(authority):
    received = []

    async def relay(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        received.append(head)
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(ProxyError) as caught:
            async with connect("host", **ARGUMENTS, proxy=f"http://127.0.0.1:{port}"):
                pass
    assert caught.value.status == 407
    assert received[0].startswith(b"CONNECT host:443 ")
    assert b"uthorization" not in received[0]
    assert_no_secret_in_error(caught.value)


async def test_invalid_proxy_url_is_refused_without_its_password():
    with pytest.raises(UsageError, match="proxy") as caught:
        async with connect("host", **ARGUMENTS, proxy=f"gopher://u:{quote(TOKEN, safe='')}@p"):
            pass
    assert_no_secret_in_error(caught.value)


async def test_connect_can_be_entered_once_at_a_time():
    """It can be entered a second time after its block."""
    async with server() as url:
        feed = connect(url, **ARGUMENTS)
        async with feed:
            with pytest.raises(UsageError, match="already in use"):
                await feed.__aenter__()
        async with feed:
            pass
    assert repr(feed) == f"<connect {url} app_name='tests'>"


async def test_exception_in_the_block_closes_the_connection():
    closed = asyncio.Event()

    async def handler(websocket):
        await websocket.wait_closed()
        closed.set()

    async with server(handler) as url:
        with pytest.raises(KeyError):
            async with connect(url, **ARGUMENTS):
                raise KeyError
        await asyncio.wait_for(closed.wait(), TIMEOUT)


async def test_unknown_library_error_becomes_connect_failed(monkeypatch):
    """The text is redacted."""

    class Broken:
        def __init__(self, *args, **kwargs):
            raise RuntimeError(f"problem: {TOKEN}")

    monkeypatch.setattr(basix_ws_cti.transport.opening, "Handshake", Broken)
    async with server() as url:
        with pytest.raises(ConnectFailed, match=r"RuntimeError: problem: \[secret\]") as caught:
            async with connect(url, **ARGUMENTS):
                pass
    assert_no_secret_in_error(caught.value)


async def test_response_without_a_body_has_no_reason():
    def refuse(connection, request):
        response = connection.respond(HTTPStatus.BAD_GATEWAY, "")
        return Response(response.status_code, response.reason_phrase, response.headers)

    async with server(answer=refuse) as url:
        with pytest.raises(HandshakeError) as caught:
            async with connect(url, **ARGUMENTS):
                pass
    assert caught.value.reason is None


async def test_credentials_get_the_target_that_is_sent(monkeypatch):
    """This also holds for an international host name."""
    seen, targets = [], []

    async def get_ticket(target):
        targets.append(target)
        return Ticket(TOKEN)

    def record_request(connection, request):
        seen.append(request.path)

    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **named: resolve("127.0.0.1", *rest, **named)
    )
    async with server(answer=record_request) as url:
        international_url = url.replace("127.0.0.1", "例え.jp")
        async with connect(
            international_url,
            credentials=get_ticket,
            app_name="a b",
            user_label="太郎",
            allow_insecure=True,
        ):
            pass
    assert seen == targets
    assert "%2520" not in seen[0]


@pytest.mark.parametrize("headers", [{"X-A": "1", "X-B": ""}, [("X-A", "1"), ("X-B", "")]])
async def test_additional_headers_may_be_a_mapping_or_pairs(headers):
    seen = []

    def record_request(connection, request):
        seen.append(request.headers)

    async with (
        server(answer=record_request) as url,
        connect(url, **ARGUMENTS, additional_headers=headers),
    ):
        pass
    assert (seen[0]["X-A"], seen[0]["X-B"]) == ("1", "")


async def test_repeated_headers_are_all_sent():
    """The case of their names does not matter."""
    seen = []

    def record_request(connection, request):
        seen.extend(request.headers.get_all("X-A"))

    pairs = [("X-A", "1"), ("x-a", "2")]
    async with (
        server(answer=record_request) as url,
        connect(url, **ARGUMENTS, additional_headers=pairs),
    ):
        pass
    assert seen == ["1", "2"]


async def test_frames_are_logged_by_type_and_size(caplog):
    """A token in a frame is not in the log."""
    frame = b"\x83h\x02d\x00\x03msgm" + len(TOKEN.encode()).to_bytes(4, "big") + TOKEN.encode()
    async with server(sends(frame)) as url, connect(url, **ARGUMENTS) as cti:
        assert await anext(cti) == Msg(TOKEN)
    lines = [record.getMessage() for record in caplog.records if record.name == "websockets.client"]
    assert f"< BINARY [{len(frame)} bytes]" in lines


@pytest.mark.parametrize(
    "arguments",
    [
        {"token": "canary\udcff"},
        {"token": 5},
        {"domain": b"acme"},
        {"app_name": "a\ud800"},
        {"app_name": b"a"},
        {"user_name": "\ud800"},
        {"ssl": True},
        {"additional_headers": "Cookie: a"},
        {"additional_headers": 5},
    ],
)
def test_arguments_that_cannot_be_sent_are_refused(arguments):
    """The error does not repeat the value."""
    with pytest.raises(UsageError) as caught:
        connect("host", **{**ARGUMENTS, **arguments})
    assert "canary" not in str(caught.value)


def test_option_of_a_wrong_type_raises_usage_error():
    with pytest.raises(UsageError, match="open_timeout must be a positive number of seconds"):
        connect("pbx.example", **ARGUMENTS, open_timeout="5")


async def test_second_concurrent_entry_is_refused():
    async with server() as url:
        feed = connect(url, **ARGUMENTS)
        results = await asyncio.gather(feed.__aenter__(), feed.__aenter__(), return_exceptions=True)
        assert [type(result).__name__ for result in results] == ["Connection", "UsageError"]
        await feed.__aexit__(None, None, None)


async def test_short_header_values_are_not_redacted():
    with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1"):
        async with connect("ws://127.0.0.1:1", **ARGUMENTS, additional_headers={"X-Tenant": "1"}):
            pass


async def test_unresolvable_proxy_is_not_named(monkeypatch):
    """The URL of the proxy may contain a password."""
    monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=socket.gaierror(-2, "unknown")))
    with pytest.raises(ConnectFailed) as caught:
        await connect("pbx", **ARGUMENTS, proxy="http://u:p@proxy").__aenter__()
    text = "cannot connect: no address found for the proxy: unknown"
    assert str(caught.value) == text


async def test_connect_can_be_entered_again_after_a_failure():
    feed = connect(f"ws://127.0.0.1:{free_port()}", **ARGUMENTS)
    for _ in range(2):
        with pytest.raises(ConnectFailed):
            await feed.__aenter__()
    async with server() as url:
        feed = connect(url, **ARGUMENTS)
        async with feed:
            with pytest.raises(UsageError) as caught:
                await feed.__aenter__()
    assert str(caught.value) == "this connect() is already in use: create another one"


async def test_wrong_credentials_type_is_named():
    """The error contains the type of the value, not the value."""

    async def invalid(target):
        return TOKEN

    with pytest.raises(UsageError) as caught:
        await connect("pbx", app_name="a", credentials=invalid).__aenter__()
    assert (
        str(caught.value) == "the credentials function must return Basic(…) or Ticket(…), got str"
    )


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        (5, "additional_headers must be a mapping or (name, value) pairs of str"),
        (
            [("X-A", "s3cret", "c")],
            "additional_headers must be a mapping or (name, value) pairs of str",
        ),
        ("X-A: s3cret", "additional_headers must be a mapping or (name, value) pairs of str"),
        ({"X-A": 5}, "additional_headers: names and values must be str"),
        ({b"X-A": "s3cret"}, "additional_headers: names and values must be str"),
        (
            {"X-A": "s3cret\r"},
            "additional_headers: a value must not contain control characters",
        ),
        (
            {"X-A": "s3cret\n"},
            "additional_headers: a value must not contain control characters",
        ),
        (
            {"X-A\n": "s3cret"},
            "additional_headers: a name must consist of letters, digits and hyphens",
        ),
        (
            {"X-A": "s3cret\0"},
            "additional_headers: a value must not contain control characters",
        ),
        (
            {"X-A": "s3cret\ud800"},
            "additional_headers: a value must not contain control characters",
        ),
        (
            {"Sec-WebSocket-Key": "s3cret"},
            "additional_headers must not contain Sec-WebSocket-Key: the handshake sets it",
        ),
    ],
)
def test_invalid_headers_are_refused_without_repeating_them(headers, problem):
    with pytest.raises(UsageError) as caught:
        connect("host", **ARGUMENTS, additional_headers=headers)
    assert str(caught.value) == problem
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_value_of_a_header_may_contain_tabs():
    connect("host", **ARGUMENTS, additional_headers={"X-A": "a\tb"})


async def test_second_exit_has_no_effect():
    async with server() as url:
        feed = connect(url, **ARGUMENTS)
        async with feed:
            pass
        await feed.__aexit__(None, None, None)


async def test_http_answer_to_tls_raises_connect_failed():
    async def answer(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(ConnectFailed, match="TLS failed: .+") as caught:
            async with connect(f"wss://127.0.0.1:{port}", **ARGUMENTS):
                pass
        assert not isinstance(caught.value, CertificateError)
    assert_no_secret_in_error(caught.value)


async def test_error_without_text_is_named_by_its_class():
    async def hang_up(reader, writer):
        await reader.read(65536)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(ConnectFailed, match=r"cannot connect: Connection\w+Error"):
            async with connect(f"wss://127.0.0.1:{port}", **ARGUMENTS):
                pass


def test_connect_options_equal_the_keywords_of_connect():
    keywords = typing.get_type_hints(connect.__init__)
    del keywords["server"], keywords["return"]
    assert typing.get_type_hints(ConnectOptions) == keywords
    hints = typing.get_type_hints(ConnectOptions, include_extras=True)
    required = {name for name in hints if typing.get_origin(hints[name]) is typing.Required}
    parameters = inspect.signature(connect).parameters.values()
    assert required | {"server"} == {one.name for one in parameters if one.default is one.empty}


async def _generator(target):
    yield target


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"additional_headers": {"Upgrade": "x"}}, "must not contain Upgrade: the handshake sets"),
        ({"proxy": "http://[::1"}, "proxy is not a valid URL"),
        ({"proxy": "proxy:8080"}, "proxy is not a valid URL"),
        (
            {"domain": None, "token": None, "credentials": _generator},
            "credentials must be an async function, got an async generator",
        ),
    ],
)
def test_option_that_cannot_work_is_refused_before_connecting(options, message):
    with pytest.raises(UsageError, match=message):
        connect("pbx.example", **{**ARGUMENTS, **options})


async def test_credentials_function_that_hangs_is_an_error():
    """``open_timeout`` bounds the credentials function as well."""
    cancelled = []

    async def hanging(_):
        try:
            await asyncio.sleep(TIMEOUT)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    feed = connect("pbx", app_name="a", credentials=hanging, open_timeout=0.01)
    for _ in range(2):
        with pytest.raises(ConnectFailed) as caught:
            await feed.__aenter__()
        assert caught.value.reason == "the credentials function did not return within 0.01 s"
    await asyncio.sleep(0)
    assert cancelled == [True, True]


async def test_credentials_function_that_ignores_its_cancellation_is_not_waited_for():
    released = asyncio.Event()

    async def stubborn(_):
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()
        raise LookupError

    feed = connect("pbx", app_name="a", credentials=stubborn, open_timeout=0.01)
    with pytest.raises(ConnectFailed):
        await feed.__aenter__()
    entering = asyncio.create_task(connect("pbx", app_name="a", credentials=stubborn).__aenter__())
    await asyncio.sleep(0.01)
    entering.cancel()
    await asyncio.wait([entering], timeout=TIMEOUT)
    assert entering.cancelled()
    released.set()


async def test_timeout_error_of_the_credentials_function_passes_through():
    error = TimeoutError("of the token service")

    async def failing(_):
        raise error

    with pytest.raises(TimeoutError) as caught:
        await connect("pbx", app_name="a", credentials=failing).__aenter__()
    assert caught.value is error


async def test_without_open_timeout_the_credentials_function_may_take_any_time():
    async def slow(_):
        await asyncio.sleep(0.01)
        return Basic(DOMAIN, TOKEN)

    async with server(sends(HELLO)) as url:
        feed = connect(url, app_name="a", credentials=slow, open_timeout=None, ping_interval=None)
        async with feed as cti:
            assert await anext(cti) == Msg("hello")
