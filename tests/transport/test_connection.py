from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import inspect
import itertools
import json
import logging
import socket
import ssl
import threading
import traceback
import typing
import zlib
from http import HTTPStatus
from unittest.mock import Mock
from urllib.parse import quote

import pytest
import trustme
from canaries import TOKEN, assert_clean, assert_no_secret_hangs_on, leaks_of
from frames import Atom
from frames import frame as framed
from waiting import PATIENCE, until
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidProxy, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response

import basix_ws_cti
import basix_ws_cti.transport.connector
from basix_ws_cti import (
    AuthenticationError,
    Basic,
    CertificateError,
    ConnectFailed,
    ConnectionLimitReached,
    ConnectionLost,
    ConnectionReplaced,
    DecodeError,
    HandshakeError,
    InitialInfo,
    MessageParser,
    Msg,
    ProtocolError,
    SystemMsg,
    Ticket,
    UsageError,
    connect,
)
from basix_ws_cti._internal.time_slice import SLICE_STEPS
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.transport.connection import BIG_FRAME
from basix_ws_cti.transport.connector import ConnectOptions, _checked_headers

DOMAIN = "acme"
HELLO = b"\x83h\x02d\x00\x03msgm\x00\x00\x00\x05hello"
ARGUMENTS = {"domain": DOMAIN, "token": TOKEN, "app_name": "tests"}


@pytest.fixture(autouse=True)
def library_at_debug(caplog):
    """In this file the WebSocket library says all it has to say: no canary may be in it."""
    caplog.set_level(logging.DEBUG, logger="websockets.client")


@contextlib.asynccontextmanager
async def server(handler=None, *, answer=None, **options):
    """A bare WebSocket server; ``answer(connection, request)`` may refuse the handshake."""

    async def stay(websocket):
        await websocket.wait_closed()

    async with serve(
        handler or stay, "127.0.0.1", 0, process_request=answer, **options
    ) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}"


def sends(*frames: bytes | str, close: int | None = 1000):
    async def handler(websocket):
        for frame in frames:
            await websocket.send(frame)
        if close is not None:
            await websocket.close(close, "that is all")

    return handler


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
    assert_no_secret_hangs_on(error)


async def test_a_wrong_token_is_refused_by_the_simulator():
    """The simulator checks domain and token, and says why it refuses."""
    async with Simulator(domain=DOMAIN, token="another") as simulator:
        with pytest.raises(AuthenticationError) as caught:
            async with connect(simulator.url, **ARGUMENTS):
                pass
    assert caught.value.status == 401
    assert_no_secret_hangs_on(caught.value)


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
    assert_no_secret_hangs_on(error)


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
    assert_no_secret_hangs_on(caught.value)


async def test_nobody_there():
    """A refused connection is a ConnectFailed."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ConnectFailed) as caught:
            async with connect(f"ws://127.0.0.1:{port}", **ARGUMENTS):
                pass
    assert str(port) in str(caught.value)
    assert_no_secret_hangs_on(caught.value)


async def test_a_host_without_an_address():
    """A name that does not resolve is a ConnectFailed that shows the name."""
    with pytest.raises(ConnectFailed, match=r"no-such-host\.invalid has no address") as caught:
        async with connect("no-such-host.invalid", **ARGUMENTS):
            pass
    assert_no_secret_hangs_on(caught.value)


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
    assert_no_secret_hangs_on(caught.value)


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
    assert_no_secret_hangs_on(caught.value)


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
    assert_no_secret_hangs_on(caught.value)


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
    assert_no_secret_hangs_on(caught.value)


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
        ({"domain": None}, "go together"),
        ({"token": None}, "go together"),
        ({"credentials": Basic("a", "b")}, "not both"),
        ({"domain": None, "token": None, "credentials": "acme:token"}, "not str"),
        (
            {"domain": None, "token": None, "credentials": Ticket("t"), "full_events": True},
            "full_events",
        ),
        ({"additional_headers": {"authorization": "x"}}, "drop one"),
        ({"additional_headers": {"X": "a\r\nY: b"}}, "line breaks"),
        ({"additional_headers": {"X": 1}}, "pairs of str"),
        ({"server": "ws://127.0.0.1", "ssl": ssl.create_default_context()}, "goes with wss"),
        ({"ssl": unverified()}, "does not verify"),
        ({"app_name": ""}, "app_name"),
        ({"user_id": 1, "user_name": "a"}, "one user filter"),
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
    with pytest.raises(UsageError, match="not str") as caught:
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


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("connection_limit_reached", ConnectionLimitReached),
        ("connection_replaced", ConnectionReplaced),
    ],
)
async def test_the_last_word_is_delivered_first(text, error):
    """A message that ends the connection is delivered, and then raised as what it means."""
    frame = b"\x83h\x02d\x00\nsystem_msgd" + len(text).to_bytes(2, "big") + text.encode()
    async with server(sends(HELLO, frame)) as url, connect(url, **ARGUMENTS) as cti:
        seen = []
        with pytest.raises(error):
            async for message in cti:
                seen.append(message)
        with pytest.raises(error):
            await anext(cti)
    assert seen == [Msg("hello"), SystemMsg(text)]


async def test_a_proper_close_ends_the_iteration():
    """After a close with 1000 the loop ends by itself, and stays ended."""
    async with server(sends(HELLO)) as url, connect(url, **ARGUMENTS) as cti:
        assert [message async for message in cti] == [Msg("hello")]
        assert [message async for message in cti] == []
        assert "CLOSED" in repr(cti)


async def test_a_close_for_a_reason_is_a_loss():
    """Any other close code is a ConnectionLost that says it, masked and printable."""

    async def handler(websocket):
        await websocket.close(1011, f"trouble\a with {TOKEN}")

    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        with pytest.raises(ConnectionLost) as caught:
            await anext(cti)
    assert caught.value.code == 1011
    assert caught.value.reason == "trouble\N{REPLACEMENT CHARACTER} with [secret]"
    assert_no_secret_hangs_on(caught.value)


async def test_a_broken_link_is_a_loss():
    """A connection that just breaks is a ConnectionLost with 1006, not a quiet end."""

    async def handler(websocket):
        await websocket.send(HELLO)
        websocket.transport.abort()

    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        assert await anext(cti) == Msg("hello")
        with pytest.raises(ConnectionLost) as caught:
            await anext(cti)
        assert caught.value.code == 1006
        with pytest.raises(ConnectionLost):
            await cti.send({"cmd": "hangup"})


async def test_a_bad_frame_does_not_end_the_connection():
    """Frames that can't be read raise, one by one; the next good one comes as ever."""
    frames = (b"\x83m\x00", "text", HELLO)
    async with server(sends(*frames)) as url, connect(url, **ARGUMENTS) as cti:
        with pytest.raises(DecodeError):
            await anext(cti)
        with pytest.raises(ProtocolError, match="text frame"):
            await anext(cti)
        assert await anext(cti) == Msg("hello")


async def test_a_message_beyond_max_size():
    """A message larger than max_size ends the connection and says so."""
    big = b"\x83m" + (2000).to_bytes(4, "big") + bytes(2000)
    async with (
        server(sends(big, close=None)) as url,
        connect(url, **ARGUMENTS, max_size=1000) as cti,
    ):
        with pytest.raises(ConnectionLost) as caught:
            await anext(cti)
    assert caught.value.code == 1009


async def test_a_large_snapshot_fits():
    """The default max_size has room for an initial_info of many megabytes."""
    users = 50_000
    record = b"h\x02b%bm\x00\x00\x00\x64" + b"x" * 100
    frames = [
        b"\x83h\x03d\x00\nfield_speck\x00\x04userl\x00\x00\x00\x02d\x00\x02idd\x00\x04namej",
        b"\x83h\x03d\x00\x0cinitial_infok\x00\x04userl"
        + users.to_bytes(4, "big")
        + b"".join(record.replace(b"%b", n.to_bytes(4, "big")) for n in range(users))
        + b"j",
    ]
    async with server(sends(*frames)) as url, connect(url, **ARGUMENTS) as cti:
        await anext(cti)
        snapshot = await anext(cti)
    assert len(snapshot.elements) == users


async def test_frames_are_shown_before_they_are_read():
    """``on_frame`` is given each frame as it came, those that can't be read too, in order."""
    shown = []
    sent = [HELLO, b"\x83", "text", HELLO]
    async with server(sends(*sent)) as url, connect(url, **ARGUMENTS, on_frame=shown.append) as cti:
        assert await anext(cti) == Msg("hello")
        assert shown[-1] == HELLO
        with pytest.raises(DecodeError):
            await anext(cti)
        with pytest.raises(ProtocolError):
            await anext(cti)
        assert [message async for message in cti] == [Msg("hello")]
    assert shown == sent


async def test_what_on_frame_raises_takes_no_message(caplog):
    """What ``on_frame`` raises is logged by its class alone, and no message is lost for it."""

    def fail(frame):
        raise ValueError(f"about {frame}")

    async with (
        server(sends(HELLO, HELLO)) as url,
        connect(url, **ARGUMENTS, on_frame=fail) as cti,
    ):
        assert [message async for message in cti] == [Msg("hello")] * 2
    own = [one.message for one in caplog.records if one.name == "basix_ws_cti.transport.connection"]
    assert own == ["on_frame raised ValueError"] * 2


@pytest.mark.parametrize("nonsense", [asyncio.sleep, 7])
def test_on_frame_is_a_synchronous_function(nonsense):
    """``on_frame`` that nobody could call, or would await, is a UsageError."""
    with pytest.raises(UsageError, match="on_frame (must be|is)"):
        connect("bcs.example.com", **ARGUMENTS, on_frame=nonsense)


async def test_commands_are_json_text():
    """A command arrives as one JSON text frame; what is no JSON is a UsageError."""
    arrived = asyncio.Queue()

    async def handler(websocket):
        async for frame in websocket:
            arrived.put_nowait(frame)

    command = {"cmd": "hangup", "uuid": "あ"}
    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        await cti.send(command)
        frame = await arrived.get()
        for nonsense in ({"cmd": object()}, {"cmd": float("nan")}):
            with pytest.raises(UsageError, match="JSON"):
                await cti.send(nonsense)
        await cti.close()
        await cti.close()
        with pytest.raises(ConnectionLost):
            await cti.send(command)
    assert isinstance(frame, str)
    assert json.loads(frame) == command


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
    assert_no_secret_hangs_on(caught.value)


async def test_a_proxy_that_is_none():
    """A proxy URL that can't be read is a UsageError that does not repeat its password."""
    with pytest.raises(UsageError, match="proxy") as caught:
        async with connect("host", **ARGUMENTS, proxy=f"gopher://u:{quote(TOKEN, safe='')}@p"):
            pass
    assert_no_secret_hangs_on(caught.value)


async def test_one_block_at_a_time():
    """The same connect() can be entered again after its block, not within it."""
    async with server() as url:
        feed = connect(url, **ARGUMENTS)
        async with feed:
            with pytest.raises(UsageError, match="in use"):
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
        await asyncio.wait_for(closed.wait(), PATIENCE)


async def test_closing_may_be_cancelled():
    """Who does not wait for a peer that answers no close leaves no open connection behind."""
    over = asyncio.Event()

    async def handler(websocket):
        websocket.transport.pause_reading()
        await over.wait()
        websocket.transport.resume_reading()

    async with server(handler) as url:
        cti = await connect(url, **ARGUMENTS, close_timeout=2 * PATIENCE).__aenter__()
        closing = asyncio.create_task(cti.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        try:
            await asyncio.wait_for(cti._socket.wait_closed(), PATIENCE)
        finally:
            over.set()
    assert closing.cancelled()


async def test_one_loop_reads_at_a_time():
    """A second reader is told so; the first one goes on."""
    go = asyncio.Event()

    async def handler(websocket):
        await go.wait()
        await websocket.send(HELLO)
        await websocket.wait_closed()

    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        first = asyncio.ensure_future(anext(cti))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="one loop at a time"):
            await anext(cti)
        go.set()
        assert await first == Msg("hello")


async def test_a_timeout_around_a_read_loses_nothing():
    """A read that is timed out leaves the next message for the next read."""
    go = asyncio.Event()

    async def handler(websocket):
        await go.wait()
        await websocket.send(HELLO)
        await websocket.wait_closed()

    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(cti)
        go.set()
        assert await anext(cti) == Msg("hello")


BIG = framed((Atom("msg"), "x" * BIG_FRAME))
PLAIN = BIG[1:]
PACKED = b"\x83P" + len(PLAIN).to_bytes(4, "big") + zlib.compress(PLAIN)


@pytest.fixture
def reading(monkeypatch, caplog):
    """Who reads frames, and which; big ones wait for ``reading.go``."""
    caplog.set_level(logging.INFO, logger="websockets.client")  # or the library cuts them out

    class Reading:
        def __init__(self):
            self.threads = []
            self.go = threading.Event()
            self.begun = threading.Event()

    def parse(parser, data):
        it.threads.append((threading.current_thread(), len(data)))
        if threading.current_thread() is not threading.main_thread():
            it.begun.set()
            assert it.go.wait(PATIENCE)
        return original(parser, data)

    it = Reading()
    original = MessageParser.parse
    monkeypatch.setattr(MessageParser, "parse", parse)
    yield it
    it.go.set()


@pytest.mark.parametrize("big", [BIG, PACKED], ids=["plain", "packed"])
async def test_a_big_frame_is_read_aside(reading, big):
    """While a thread reads a big frame, packed or not, the loop goes on; the order is kept."""
    async with server(sends(HELLO, big, HELLO)) as url, connect(url, **ARGUMENTS) as cti:
        read = asyncio.ensure_future(anext(cti))
        assert await read == Msg("hello")
        read = asyncio.ensure_future(anext(cti))
        await until(reading.begun.is_set)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not read.done()
        await until(lambda: cti._socket._arrived)
        assert cti.waiting() is None  # though another has arrived
        assert cti.frames_read == 2
        reading.go.set()
        assert len((await read).text) == BIG_FRAME
        assert [message async for message in cti] == [Msg("hello")]
    main = threading.main_thread()
    assert [thread is main for thread, _ in reading.threads] == [True, False, True]


async def test_a_frame_that_is_not_big(reading):
    """A frame of the size that is not big yet is read at once."""
    frames = [framed((Atom("msg"), "x" * (size - len(HELLO) + 5))) for size in (BIG_FRAME, 6)]
    assert len(frames[0]) <= BIG_FRAME
    async with server(sends(*frames)) as url, connect(url, **ARGUMENTS) as cti:
        assert len([message async for message in cti]) == 2
    assert {thread for thread, _ in reading.threads} == {threading.main_thread()}


async def test_a_big_frame_that_is_bad(reading):
    """What is wrong with a big frame is raised to who iterates, and the next one is read."""
    reading.go.set()
    async with server(sends(BIG[:-1], HELLO)) as url, connect(url, **ARGUMENTS) as cti:
        with pytest.raises(DecodeError):
            await anext(cti)
        assert await anext(cti) == Msg("hello")


async def test_a_timeout_around_a_big_frame_loses_nothing(reading):
    """A read that is timed out while a thread reads leaves the message for the next one."""
    async with server(sends(BIG, HELLO)) as url, connect(url, **ARGUMENTS) as cti:
        read = asyncio.ensure_future(anext(cti))
        await until(reading.begun.is_set)
        with pytest.raises(UsageError, match="one loop at a time"):
            await asyncio.wait_for(anext(cti), PATIENCE)
        read.cancel()
        await asyncio.wait([read])
        reading.go.set()
        assert [len(message.text) async for message in cti] == [BIG_FRAME, 5]


async def test_closing_waits_for_no_thread(reading):
    """A connection is closed while a thread reads a frame of it, and nobody hears of that."""
    defects = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: defects.append(context))
    async with server(sends(BIG[:-1], close=None)) as url:
        async with connect(url, **ARGUMENTS) as cti:
            read = asyncio.ensure_future(anext(cti))
            await until(reading.begun.is_set)
            read.cancel()
        assert not reading.go.is_set()
        thread = next(one for one, _ in reading.threads)
        reading.go.set()
        await asyncio.to_thread(thread.join, 60)
        await asyncio.sleep(0)
        del cti, read
        gc.collect()
    assert defects == []


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO], ids=["library", "cut out"])
async def test_a_loop_over_what_has_arrived_gives_way(level, caplog):
    """However many messages have arrived, others have their turn between a few hundred."""
    caplog.set_level(level, logger="websockets.client")
    count, counts = 0, []
    loop = asyncio.get_running_loop()

    def tick():
        counts.append(count)
        loop.call_soon(tick)

    async with server() as url, connect(url, **ARGUMENTS) as cti:
        cti._socket.data_received(Frame(Opcode.BINARY, HELLO).serialize(mask=False) * 1000)
        tick()
        while count < 1000:
            assert await anext(cti) == Msg("hello")
            count += 1
    assert max(b - a for a, b in itertools.pairwise(counts)) <= SLICE_STEPS


async def test_an_unknown_failure_is_still_ours(monkeypatch):
    """Whatever else the WebSocket library raises becomes a ConnectFailed, masked."""

    class Broken:
        def __init__(self, *args, **kwargs):
            raise RuntimeError(f"odd: {TOKEN}")

    monkeypatch.setattr(basix_ws_cti.transport.connector, "Handshake", Broken)
    with pytest.raises(ConnectFailed, match=r"RuntimeError: odd: \[secret\]") as caught:
        async with connect("host", **ARGUMENTS):
            pass
    assert_no_secret_hangs_on(caught.value)


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


async def test_leaving_with_messages_unread():
    """Leaving the block does not wait for messages that nobody reads."""

    async def handler(websocket):
        for _ in range(200):
            await websocket.send(HELLO)
        await websocket.wait_closed()

    async with server(handler) as url:
        async with asyncio.timeout(30):  # half of the close time-out that it would take
            async with connect(url, **ARGUMENTS, close_timeout=60) as cti:
                await anext(cti)
        assert [message async for message in cti] == []
    assert not [task for task in asyncio.all_tasks() if "basix" in task.get_name()]


async def test_what_is_held_back():
    """While enough waits to be read nothing more is let in, and it can be seen that this is so."""

    async def handler(websocket):
        for _ in range(2000):
            await websocket.send(HELLO)
        await websocket.wait_closed()

    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        await until(lambda: cti.holds_back)
        for _ in range(2000):
            await anext(cti)
        assert not cti.holds_back


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


async def test_headers_of_one_name():
    """Headers may be repeated, in any case; all of them are sent."""
    seen = []

    def note(connection, request):
        seen.extend(request.headers.get_all("X-A"))

    pairs = [("X-A", "1"), ("x-a", "2")]
    async with server(answer=note) as url, connect(url, **ARGUMENTS, additional_headers=pairs):
        pass
    assert seen == ["1", "2"]


async def test_a_command_that_would_break_the_connection():
    """Half a surrogate pair, endless nesting and what is no object are refused, not sent."""
    nested: list = []
    nested.append(nested)
    async with server(sends(HELLO, close=None)) as url, connect(url, **ARGUMENTS) as cti:
        for nonsense in ({"cmd": "\ud800"}, {"cmd": nested}, [1], "hangup", None):
            with pytest.raises(UsageError, match="JSON object"):
                await cti.send(nonsense)
        assert await anext(cti) == Msg("hello")


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
        with pytest.raises(UsageError, match="can't work"):
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


def refused_login(body: bytes | None, **headers: str) -> InvalidStatus:
    return InvalidStatus(Response(401, "Unauthorized", Headers(headers), body))


def certificate_error() -> ssl.SSLError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "it has expired"
    return error


LOGIN = "the server refused the login with HTTP 401"


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (refused_login(None), AuthenticationError, LOGIN),
        (refused_login(b" no\xff\n"), AuthenticationError, f"{LOGIN}: no\ufffd"),
        (refused_login(TOKEN.encode()), AuthenticationError, f"{LOGIN}: [secret]"),
        (certificate_error(), CertificateError, "cannot connect: the certificate: it has expired"),
        (ssl.SSLError(1, "odd"), ConnectFailed, "cannot connect: TLS: odd"),
        (TimeoutError(), ConnectFailed, "cannot connect: no answer within 10 s"),
        (TimeoutError(110, "late"), ConnectFailed, "cannot connect: [Errno 110] late"),
        (OSError(5, "odd"), ConnectFailed, "cannot connect: [Errno 5] odd"),
        (
            socket.gaierror(-2, "unknown"),
            ConnectFailed,
            "cannot connect: pbx has no address: [Errno -2] unknown",
        ),
        (
            InvalidProxy(f"http://u:{TOKEN}@h", "odd"),
            UsageError,
            "the proxy is no valid URL: use http://host:port",
        ),
        (InvalidHandshake("odd"), ConnectFailed, "cannot connect: the handshake: odd"),
        (TypeError("odd"), UsageError, "an argument that can't work: odd"),
        (ValueError("odd"), UsageError, "an argument that can't work: odd"),
        (ImportError("odd"), UsageError, "an argument that can't work: odd"),
        (RuntimeError(f"odd {TOKEN}"), ConnectFailed, "cannot connect: RuntimeError: odd [secret]"),
        (RuntimeError("x" * 300), ConnectFailed, f"cannot connect: RuntimeError: {'x' * 255}…"),
    ],
)
async def test_what_went_wrong_in_words(monkeypatch, error, kind, text):
    """Each failure of a handshake has one text, without secrets and of a bounded length."""
    monkeypatch.setattr(basix_ws_cti.transport.connector, "Handshake", Mock(side_effect=error))
    with pytest.raises(kind) as caught:
        await connect("pbx", **ARGUMENTS).__aenter__()
    assert type(caught.value) is kind
    assert str(caught.value) == text
    assert_no_secret_hangs_on(caught.value)


async def test_a_proxy_without_an_address(monkeypatch):
    """A proxy that can't be looked up is not named: its URL may hold a password."""
    lookup = Mock(side_effect=socket.gaierror(-2, "unknown"))
    monkeypatch.setattr(basix_ws_cti.transport.connector, "Handshake", lookup)
    with pytest.raises(ConnectFailed) as caught:
        await connect("pbx", **ARGUMENTS, proxy="http://u:p@proxy").__aenter__()
    text = "cannot connect: the proxy has no address: [Errno -2] unknown"
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("sent", "shown"), [("9" * 60, "9" * 60), ("9" * 61, "9" * 59 + "…"), (TOKEN, "[secret]")]
)
async def test_retry_after_as_sent(monkeypatch, sent, shown):
    """A Retry-After header is passed on, masked and cut to 60 characters."""
    error = refused_login(b"", **{"Retry-After": sent})
    monkeypatch.setattr(basix_ws_cti.transport.connector, "Handshake", Mock(side_effect=error))
    with pytest.raises(AuthenticationError) as caught:
        await connect("pbx", **ARGUMENTS).__aenter__()
    assert caught.value.retry_after == shown
    assert caught.value.reason is None


async def test_no_retry_after(monkeypatch):
    """Without a Retry-After header there is none."""
    monkeypatch.setattr(
        basix_ws_cti.transport.connector, "Handshake", Mock(side_effect=refused_login(b""))
    )
    with pytest.raises(AuthenticationError) as caught:
        await connect("pbx", **ARGUMENTS).__aenter__()
    assert caught.value.retry_after is None


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
    assert str(caught.value) == "this connect() is in use already: make another one"


async def test_what_a_connection_shows():
    """A connection shows where it leads, for whom, and its state; it counts what it reads."""
    named = {**ARGUMENTS, "app_name": "é" * 60}

    async def twice(websocket):
        await websocket.send(HELLO)
        await websocket.send(HELLO)
        await websocket.wait_closed()

    async with server(twice) as url:
        feed = connect(url, **named)
        assert repr(feed) == f"<connect {url} app_name={'é' * 60!r}>"
        async with feed as cti:
            assert repr(cti) == f"<Connection {url} app_name={'é' * 60!r} OPEN>"
            assert (cti.frames_read, cti.bytes_read) == (0, 0)
            await anext(cti)
            await anext(cti)
            assert (cti.frames_read, cti.bytes_read) == (2, 2 * len(HELLO))
    named["app_name"] += "é"
    assert repr(connect("pbx", **named)) == f"<connect wss://pbx app_name={'é' * 59 + '…'!r}>"


async def test_a_credentials_function_that_returns_nonsense():
    """What the credentials function returns is named by its type alone."""

    async def nonsense(target):
        return TOKEN

    with pytest.raises(UsageError) as caught:
        await connect("pbx", app_name="a", credentials=nonsense).__aenter__()
    assert str(caught.value) == ("the credentials function returns Basic(…) or Ticket(…), not str")


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        (5, "additional_headers are a mapping, or pairs of str"),
        ([("X-A", "s3cret", "c")], "additional_headers are a mapping, or pairs of str"),
        ("X-A: s3cret", "additional_headers are a mapping, or pairs of str"),
        ({"X-A": 5}, "additional_headers are pairs of str"),
        ({b"X-A": "s3cret"}, "additional_headers are pairs of str"),
        ({"X-A": "s3cret\r"}, "additional_headers must not contain line breaks"),
        ({"X-A": "s3cret\n"}, "additional_headers must not contain line breaks"),
        ({"X-A\n": "s3cret"}, "additional_headers must not contain line breaks"),
        ({"X-A": "s3cret\0"}, "additional_headers must not contain line breaks"),
    ],
)
def test_bad_headers_are_refused_without_being_repeated(headers, problem):
    """Headers that can't be sent are a UsageError that says why, and shows none of them."""
    with pytest.raises(UsageError) as caught:
        connect("host", **ARGUMENTS, additional_headers=headers)
    assert str(caught.value) == problem
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize("headers", [{"X-A": "X", "X-B": ""}, [("X-A", "X"), ("X-B", "")]])
def test_headers_are_kept_unseen(headers):
    """Headers are a mapping or pairs, and no repr shows them."""
    checked = _checked_headers(headers)
    assert checked.value == [("X-A", "X"), ("X-B", "")]
    assert repr(checked) == "SecretValue()"
    assert _checked_headers(None).value == []


REPLACED = b"\x83h\x02d\x00\x0asystem_msgm\x00\x00\x00\x13connection_replaced"


async def test_what_has_arrived_is_read_without_waiting(caplog):
    """waiting() gives what has arrived, raises what iterating would, and counts it; nothing has,
    or the last message was read: it gives None.
    """
    caplog.set_level(logging.WARNING, logger="websockets.client")  # at DEBUG nothing waits

    async def handler(websocket):
        await websocket.recv()
        for frame in (HELLO, b"\x83", REPLACED, HELLO):
            await websocket.send(frame)
        await websocket.wait_closed()

    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        assert cti.waiting() is None
        await cti.send({})
        seen = []
        async with asyncio.timeout(PATIENCE):
            while len(seen) < 3:
                await asyncio.sleep(0)
                try:
                    message = cti.waiting()
                except DecodeError as error:
                    message = error
                if message is not None:
                    seen.append(message)
        assert [seen[0], seen[2]] == [Msg("hello"), SystemMsg("connection_replaced")]
        assert isinstance(seen[1], DecodeError)
        assert (cti.frames_read, cti.bytes_read) == (3, len(HELLO) + 1 + len(REPLACED))
        await asyncio.sleep(0.05)
        assert cti.waiting() is None
        with pytest.raises(ConnectionReplaced):
            await anext(cti)


async def test_ping():
    """ping() waits for the pong; whoever gives up waiting may ping again."""
    async with server() as url, connect(url, **ARGUMENTS, ping_interval=None) as cti:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await cti.ping()
        async with asyncio.timeout(PATIENCE):
            await cti.ping()
    with pytest.raises(ConnectionLost, match="1000"):
        await cti.ping()


async def test_abort():
    """abort() ends the connection at once, though the PBX is deaf: who reads, and who waits for a
    pong, gets ConnectionLost.
    """

    done = asyncio.Event()

    async def deaf(websocket):
        websocket.transport.pause_reading()
        await websocket.send(HELLO)
        await done.wait()
        websocket.transport.abort()

    async with server(deaf) as url, connect(url, **ARGUMENTS) as cti:
        assert await anext(cti) == Msg("hello")
        tasks = asyncio.create_task(cti.ping()), asyncio.create_task(anext(cti))
        assert await asyncio.wait(tasks, timeout=0.05) == (set(), {*tasks})
        cti.abort()
        await asyncio.wait(tasks, timeout=PATIENCE)
        done.set()
        for task in tasks:
            with pytest.raises(ConnectionLost) as caught:
                task.result()
            assert caught.value.code == 1006


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
        with pytest.raises(ConnectFailed, match="TLS: .+") as caught:
            async with connect(f"wss://127.0.0.1:{port}", **ARGUMENTS):
                pass
        assert not isinstance(caught.value, CertificateError)
    assert_no_secret_hangs_on(caught.value)


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
