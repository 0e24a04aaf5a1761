from __future__ import annotations

import asyncio
import base64
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
from support.secret_scanner import TOKEN, assert_clean, assert_no_secret_in_error, leaks_of
from support.waiting import TIMEOUT
from websockets.http11 import Response

import basix_ws_cti
import basix_ws_cti.transport.connector
from basix_ws_cti import (
    AuthenticationError,
    Basic,
    CertificateError,
    ConnectFailed,
    HandshakeError,
    InitialInfo,
    Msg,
    Ticket,
    UsageError,
    connect,
)
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.transport.connector import ConnectOptions


@pytest.fixture(autouse=True)
def library_at_debug(caplog):
    """In this file the WebSocket library says all it has to say: no canary may be in it."""
    caplog.set_level(logging.DEBUG, logger="websockets.client")


async def test_the_feed_arrives_typed():
    """connect() to a PBX gives its initial picture as typed messages."""
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
async def test_a_refused_login_is_an_authentication_error(status):
    """401 and 403 are an AuthenticationError with the server's reason, cleaned of our secret."""

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


async def test_a_wrong_token_is_refused_by_the_simulator():
    """The simulator checks domain and token, and says why it refuses."""
    async with Simulator(domain=DOMAIN, token="another") as simulator:
        with pytest.raises(AuthenticationError) as caught:
            async with connect(simulator.url, **ARGUMENTS):
                pass
    assert caught.value.status == 401
    assert_no_secret_in_error(caught.value)


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_any_other_answer_is_a_handshake_error(status):
    """Other statuses keep their number and the Retry-After header."""

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
    """A redirect is an error: the credentials go to no place but the one that was named."""
    visitors = []

    def note(connection, request):
        visitors.append(request.path)

    async with server(answer=note) as elsewhere:

        def redirect(connection, request):
            response = connection.respond(HTTPStatus(status), "")
            response.headers["Location"] = f"{elsewhere}/there"
            return response

        async with server(answer=redirect) as url:
            with pytest.raises(HandshakeError, match="redirects are not followed") as caught:
                async with connect(url, **ARGUMENTS):
                    pass
    assert visitors == []
    assert_no_secret_in_error(caught.value)


async def test_nobody_there():
    """A refused connection is a ConnectFailed."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ConnectFailed) as caught:
            async with connect(f"ws://127.0.0.1:{port}", **ARGUMENTS):
                pass
    assert str(port) in str(caught.value)
    assert_no_secret_in_error(caught.value)


async def test_a_host_without_an_address():
    """A name that does not resolve is a ConnectFailed that shows the name."""
    with pytest.raises(
        ConnectFailed, match=r"no address found for no-such-host\.invalid"
    ) as caught:
        async with connect("no-such-host.invalid", **ARGUMENTS):
            pass
    assert_no_secret_in_error(caught.value)


async def test_a_silent_server():
    """A server that accepts and says nothing is given up after open_timeout."""
    silence = asyncio.Event()

    async def say_nothing(reader, writer):
        await silence.wait()
        writer.close()

    listening = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
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


async def test_a_server_that_is_none():
    """What does not speak HTTP is a ConnectFailed."""

    async def babble(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail ready\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(ConnectFailed, match="handshake") as caught:
            async with connect(f"ws://127.0.0.1:{port}", **ARGUMENTS):
                pass
    assert_no_secret_in_error(caught.value)


async def test_cancelling_the_handshake():
    """A connect that is cancelled is over at once, and its traceback shows no secret."""
    reached = asyncio.Event()
    silence = asyncio.Event()

    async def say_nothing(reader, writer):
        reached.set()
        await silence.wait()
        writer.close()

    async def attempt():
        async with connect(f"ws://127.0.0.1:{port}", **ARGUMENTS):
            pass

    listening = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
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


async def test_a_private_ca_is_given_by_ssl(authority):
    """With the CA's context the connection stands; the certificate is checked against it."""
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    async with server(sends(HELLO), ssl=server_context(authority, "localhost")) as url:
        secure = url.replace("ws://127.0.0.1", "wss://localhost")
        async with connect(secure, **ARGUMENTS, ssl=trusted) as cti:
            assert [message async for message in cti] == [Msg("hello")]


async def test_a_certificate_nobody_vouches_for(authority):
    """By default the certificate must lead to a known CA."""
    async with server(ssl=server_context(authority, "localhost")) as url:
        secure = url.replace("ws://127.0.0.1", "wss://localhost")
        with pytest.raises(CertificateError, match="certificate") as caught:
            async with connect(secure, **ARGUMENTS):
                pass
    assert_no_secret_in_error(caught.value)


async def test_a_certificate_for_another_host(authority):
    """The certificate must be that of the host that was named."""
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    async with server(ssl=server_context(authority, "other.example")) as url:
        secure = url.replace("ws://127.0.0.1", "wss://localhost")
        with pytest.raises(CertificateError, match="(?i)hostname"):
            async with connect(secure, **ARGUMENTS, ssl=trusted):
                pass


async def test_tls_against_a_server_without():
    """TLS spoken to a plain server is a ConnectFailed."""
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
        ({"additional_headers": {"X": "a\r\nY: b"}}, "line breaks"),
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
def test_what_can_not_work_is_refused_at_once(arguments, fragment):
    """Contradictions and leaks are a UsageError before anything is opened."""
    given = {"server": "host", **ARGUMENTS, **arguments}
    with pytest.raises(UsageError, match=fragment) as caught:
        connect(given.pop("server"), **given)
    assert_clean(str(caught.value))
    assert isinstance(caught.value, ValueError)


def test_insecure_is_possible_when_said():
    """allow_insecure lets plain ws and an unverified context through."""
    connect("ws://example.com", **ARGUMENTS, allow_insecure=True)
    connect("example.com", **ARGUMENTS, ssl=unverified(), allow_insecure=True)
    connect("ws://example.com", app_name="nobody's secret")


async def test_what_the_server_sees():
    """The request holds the target as documented, the Basic header, and asks no compression."""
    seen = []

    def note(connection, request):
        seen.append(request)

    async with (
        server(answer=note) as url,
        connect(url, **ARGUMENTS, force=True, user_extension="1001"),
    ):
        pass
    (request,) = seen
    assert request.path == (
        "/basix/api/ws_cti?app_name=tests&force=true&forced=true&user_extension=1001"
    )
    assert base64.b64decode(request.headers["Authorization"][6:]).decode() == f"{DOMAIN}:{TOKEN}"
    assert "Sec-WebSocket-Extensions" not in request.headers


async def test_credentials_are_fetched_for_every_attempt():
    """The function is given the exact target each time; what it returns is sent."""
    asked, seen = [], []

    async def fresh(target):
        asked.append(target)
        return Ticket(f"{TOKEN}{len(asked)}")

    def note(connection, request):
        seen.append((request.path, base64.b64decode(request.headers["Authorization"][6:]).decode()))

    async with server(answer=note) as url:
        feed = connect(url, credentials=fresh, app_name="a b")
        for _ in range(2):
            async with feed:
                pass
    assert asked == ["/basix/api/ws_cti?app_name=a%20b"] * 2
    assert seen == [
        (asked[0], f"ws_ticket:{TOKEN}1"),
        (asked[1], f"ws_ticket:{TOKEN}2"),
    ]


async def test_a_credentials_function_that_fails():
    """Its own exception passes through; a wrong value, or a ticket too much, is a UsageError."""

    async def broken(target):
        raise LookupError("no vault")

    async def nonsense(target):
        return TOKEN

    async def ticket(target):
        return Ticket(TOKEN)

    with pytest.raises(LookupError, match="no vault"):
        async with connect("host", credentials=broken, app_name="a"):
            pass
    with pytest.raises(UsageError, match="got str") as caught:
        async with connect("host", credentials=nonsense, app_name="a"):
            pass
    assert_clean(str(caught.value))
    with pytest.raises(UsageError, match="full_events"):
        async with connect("host", credentials=ticket, app_name="a", full_events=True):
            pass


async def test_a_session_cookie_instead(caplog):
    """A cookie goes out as an additional header, alone, and its value is in no log."""
    seen = []

    def note(connection, request):
        seen.append(request.headers)

    async with (
        server(answer=note) as url,
        connect(url, app_name="a", additional_headers=[("Cookie", f"session={quote(TOKEN)}")]),
    ):
        pass
    assert seen[0]["Cookie"] == f"session={quote(TOKEN)}"
    assert "Authorization" not in seen[0]
    assert "[secret]" in caplog.text


async def test_a_cookie_that_is_echoed():
    """A server that repeats a cookie's value alone finds it masked, and no dump shows it."""
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


async def test_the_headers_are_logged_masked(caplog):
    """At DEBUG the WebSocket library's own lines are there, with the secret taken out."""
    async with server() as url, connect(url, **ARGUMENTS) as cti:
        assert_clean(repr(cti))
        gc.collect()
        assert_clean(str([repr(thing) for thing in vars(cti).values()]))
        request = cti._socket.request
        assert "Authorization" not in request.headers
    ours = [record.getMessage() for record in caplog.records if record.name == "websockets.client"]
    assert "> Authorization: Basic [secret]" in ours
    assert any(line.startswith("> GET /basix/api/ws_cti") for line in ours)


@pytest.mark.parametrize("nonsense", [asyncio.sleep, 7])
def test_on_frame_is_a_synchronous_function(nonsense):
    """``on_frame`` that nobody could call, or would await, is a UsageError."""
    with pytest.raises(UsageError, match="^on_frame"):
        connect("bcs.example.com", **ARGUMENTS, on_frame=nonsense)


async def test_no_proxy_from_the_environment(monkeypatch):
    """Proxies that the environment names are not used: the token goes where it was sent."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:1")
    async with server(sends(HELLO)) as url, connect(url, **ARGUMENTS) as cti:
        assert await anext(cti) == Msg("hello")


async def test_a_proxy_that_is_named(authority):
    """A named proxy is asked to CONNECT, and is shown no credentials."""
    heard = []

    async def relay(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        heard.append(head)
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(ConnectFailed) as caught:
            async with connect("host", **ARGUMENTS, proxy=f"http://127.0.0.1:{port}"):
                pass
    assert heard[0].startswith(b"CONNECT host:443 ")
    assert b"uthorization" not in heard[0]
    assert_no_secret_in_error(caught.value)


async def test_a_proxy_that_is_none():
    """A proxy URL that can't be read is a UsageError that does not repeat its password."""
    with pytest.raises(UsageError, match="proxy") as caught:
        async with connect("host", **ARGUMENTS, proxy=f"gopher://u:{quote(TOKEN, safe='')}@p"):
            pass
    assert_no_secret_in_error(caught.value)


async def test_one_block_at_a_time():
    """The same connect() can be entered again after its block, not within it."""
    async with server() as url:
        feed = connect(url, **ARGUMENTS)
        async with feed:
            with pytest.raises(UsageError, match="already in use"):
                await feed.__aenter__()
        async with feed:
            pass
    assert repr(feed) == f"<connect {url} app_name='tests'>"


async def test_leaving_early_closes_the_connection():
    """An exception in the block closes the connection on its way out."""
    closed = asyncio.Event()

    async def handler(websocket):
        await websocket.wait_closed()
        closed.set()

    async with server(handler) as url:
        with pytest.raises(KeyError):
            async with connect(url, **ARGUMENTS):
                raise KeyError
        await asyncio.wait_for(closed.wait(), TIMEOUT)


async def test_an_unknown_failure_is_still_ours(monkeypatch):
    """Whatever else the WebSocket library raises becomes a ConnectFailed, masked."""

    class Broken:
        def __init__(self, *args, **kwargs):
            raise RuntimeError(f"odd: {TOKEN}")

    monkeypatch.setattr(basix_ws_cti.transport.connector, "Handshake", Broken)
    with pytest.raises(ConnectFailed, match=r"RuntimeError: odd: \[secret\]") as caught:
        async with connect("host", **ARGUMENTS):
            pass
    assert_no_secret_in_error(caught.value)


async def test_a_response_without_a_body():
    """An answer without a body has no reason."""

    def refuse(connection, request):
        response = connection.respond(HTTPStatus.BAD_GATEWAY, "")
        return Response(response.status_code, response.reason_phrase, response.headers)

    async with server(answer=refuse) as url:
        with pytest.raises(HandshakeError) as caught:
            async with connect(url, **ARGUMENTS):
                pass
    assert caught.value.reason is None


async def test_a_ticket_for_an_international_host(monkeypatch):
    """The target that credentials are made for is the one that is sent, whatever the host."""
    seen, asked = [], []

    async def fresh(target):
        asked.append(target)
        return Ticket(TOKEN)

    def note(connection, request):
        seen.append(request.path)

    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **named: resolve("127.0.0.1", *rest, **named)
    )
    async with server(answer=note) as url:
        there = url.replace("127.0.0.1", "例え.jp")
        async with connect(
            there, credentials=fresh, app_name="a b", user_label="太郎", allow_insecure=True
        ):
            pass
    assert seen == asked
    assert "%2520" not in seen[0]


@pytest.mark.parametrize("headers", [{"X-A": "1", "X-B": ""}, [("X-A", "1"), ("X-B", "")]])
async def test_additional_headers_are_a_mapping_or_pairs(headers):
    """Headers are sent as given, from a mapping or pairs."""
    seen = []

    def note(connection, request):
        seen.append(request.headers)

    async with server(answer=note) as url, connect(url, **ARGUMENTS, additional_headers=headers):
        pass
    assert (seen[0]["X-A"], seen[0]["X-B"]) == ("1", "")


async def test_repeated_headers_are_all_sent():
    """Several headers with one name, in any case, are all sent."""
    seen = []

    def note(connection, request):
        seen.extend(request.headers.get_all("X-A"))

    pairs = [("X-A", "1"), ("x-a", "2")]
    async with server(answer=note) as url, connect(url, **ARGUMENTS, additional_headers=pairs):
        pass
    assert seen == ["1", "2"]


async def test_echoed_frames_are_logged_by_their_size(caplog):
    """At DEBUG a frame is its kind and length: a token that comes back in one is not shown."""
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
def test_wrong_types_and_half_characters(arguments):
    """What is no text that can be sent is a UsageError that does not show it."""
    with pytest.raises(UsageError) as caught:
        connect("host", **{**ARGUMENTS, **arguments})
    assert "canary" not in str(caught.value)


async def test_an_option_of_the_wrong_type():
    """An option that the WebSocket library can't take is a UsageError, not a failure to retry."""
    async with server() as url:
        with pytest.raises(UsageError, match="invalid option"):
            async with connect(url, **ARGUMENTS, open_timeout="5"):
                pass


async def test_two_entries_at_once():
    """Of two tasks that enter the same connect(), one is told no, and nothing is left open."""
    async with server() as url:
        feed = connect(url, **ARGUMENTS)
        results = await asyncio.gather(feed.__aenter__(), feed.__aenter__(), return_exceptions=True)
        assert [type(result).__name__ for result in results] == ["Connection", "UsageError"]
        await feed.__aexit__(None, None, None)


async def test_a_short_header_is_no_secret():
    """A header's short value does not blot out an error's text."""
    with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1"):
        async with connect("ws://127.0.0.1:1", **ARGUMENTS, additional_headers={"X-Tenant": "1"}):
            pass


async def test_a_proxy_without_an_address(monkeypatch):
    """A proxy that can't be looked up is not named: its URL may hold a password."""
    lookup = Mock(side_effect=socket.gaierror(-2, "unknown"))
    monkeypatch.setattr(basix_ws_cti.transport.connector, "Handshake", lookup)
    with pytest.raises(ConnectFailed) as caught:
        await connect("pbx", **ARGUMENTS, proxy="http://u:p@proxy").__aenter__()
    text = "cannot connect: no address found for the proxy: [Errno -2] unknown"
    assert str(caught.value) == text


async def test_again_after_a_failure(monkeypatch):
    """A connect() that failed can be entered again; one in use can't, and says so."""
    monkeypatch.setattr(
        basix_ws_cti.transport.connector, "Handshake", Mock(side_effect=OSError("odd"))
    )
    feed = connect("pbx", **ARGUMENTS)
    for _ in range(2):
        with pytest.raises(ConnectFailed):
            await feed.__aenter__()
    monkeypatch.undo()
    async with server() as url:
        feed = connect(url, **ARGUMENTS)
        async with feed:
            with pytest.raises(UsageError) as caught:
                await feed.__aenter__()
    assert str(caught.value) == "this connect() is already in use: create another one"


async def test_a_credentials_function_that_returns_nonsense():
    """What the credentials function returns is named by its type alone."""

    async def nonsense(target):
        return TOKEN

    with pytest.raises(UsageError) as caught:
        await connect("pbx", app_name="a", credentials=nonsense).__aenter__()
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
        ({"X-A": "s3cret\r"}, "additional_headers must not contain line breaks or NUL characters"),
        ({"X-A": "s3cret\n"}, "additional_headers must not contain line breaks or NUL characters"),
        ({"X-A\n": "s3cret"}, "additional_headers must not contain line breaks or NUL characters"),
        ({"X-A": "s3cret\0"}, "additional_headers must not contain line breaks or NUL characters"),
    ],
)
def test_bad_headers_are_refused_without_being_repeated(headers, problem):
    """Headers that can't be sent are a UsageError that says why, and shows none of them."""
    with pytest.raises(UsageError) as caught:
        connect("host", **ARGUMENTS, additional_headers=headers)
    assert str(caught.value) == problem
    assert caught.value.__context__ is None or caught.value.__suppress_context__


async def test_leaving_twice():
    """Leaving a block that was left is harmless."""
    async with server() as url:
        feed = connect(url, **ARGUMENTS)
        async with feed:
            pass
        await feed.__aexit__(None, None, None)


async def test_a_server_without_tls():
    """A server that answers TLS with something else is a failed attempt that says so."""

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


async def test_a_failure_without_a_text():
    """A server that hangs up on TLS is an error without a text: then its name says what it is."""

    async def hang_up(reader, writer):
        await reader.read(65536)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(ConnectFailed, match=r"cannot connect: Connection\w+Error"):
            async with connect(f"wss://127.0.0.1:{port}", **ARGUMENTS):
                pass


def test_the_options_are_connect_s_own():
    """``ConnectOptions``, which types Client's keywords, has connect's, with the same types."""
    keywords = typing.get_type_hints(connect.__init__)
    del keywords["server"], keywords["return"]
    assert typing.get_type_hints(ConnectOptions) == keywords
    whole = typing.get_type_hints(ConnectOptions, include_extras=True)
    required = {name for name in whole if typing.get_origin(whole[name]) is typing.Required}
    given = inspect.signature(connect).parameters.values()
    assert required | {"server"} == {one.name for one in given if one.default is one.empty}
