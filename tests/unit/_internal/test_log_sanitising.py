"""What a peer says stands in no log as it came: it is printable, and 256 characters at most."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import http.client
import json
import logging
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from support.etf_encoder import Atom, Charlist, frame, info_event, initial_info
from support.secret_scanner import LONGEST, TOKEN
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError, InvalidHandshake

import basix_ws_cti
from basix_ws_cti import Client, FeedError, ProtocolError, connect
from basix_ws_cti._internal.log_sanitising import SanitisingLogger
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.simulator.feed_server import ServerLogger

ARGUMENTS = {"domain": "acme", "token": TOKEN, "app_name": "tests"}

# What a peer says: escapes, line breaks, what turns the line around, and a long shout.
RUDE = "\x1b[2J\r\n\N{RIGHT-TO-LEFT OVERRIDE}\u2028\x9b1mERROR forged"
SHOUT = "Q" * 5000
LOUD = RUDE + SHOUT
POLITE = LOUD.encode()


@pytest.fixture
def said(caplog):
    """What was said at DEBUG: by us, and by the WebSocket library on our behalf."""
    loggers = ("basix_ws_cti", "websockets.client", "websockets.server")
    for name in loggers:
        caplog.set_level(logging.DEBUG, logger=name)

    def lines():
        return [one.getMessage() for one in caplog.records if one.name.startswith(loggers)]

    return lines


def assert_fit(lines, *, heard):
    """All lines are fit for a log; ``heard`` of them are of what a peer said."""
    for line in lines:
        assert line.isprintable(), line
        assert line.count("Q") <= LONGEST, line
    assert sum("QQQ" in line for line in lines) >= heard, lines


@contextlib.asynccontextmanager
async def raw_server(answer):
    """It answers each request with these bytes, and hangs up."""

    async def accept(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.sleep(0.01)


# In HTTP, what is allowed in a header: no control characters but C1's, which terminals obey too.
HEADER = ("\x9b2J\xa0\xad" + SHOUT).encode("latin-1")
SWITCH = b"HTTP/1.1 101 Yes\r\n"
BODY = b"Content-Length: %d\r\n\r\n%s" % (len(POLITE), POLITE)


@pytest.mark.parametrize(
    ("answer", "heard"),
    [
        (b"HTTP/1.1 503 " + HEADER + b"\r\nX: " + HEADER + b"\r\n" + BODY, 3),
        (b"HTTP/1.1 401 No\r\nRetry-After: " + HEADER + b"\r\n" + BODY, 2),
        (b"HTTP/1.1 302 No\r\nLocation: " + HEADER + b"\r\n" + BODY, 2),
        (SWITCH + b"Upgrade: " + HEADER + b"\r\nConnection: " + HEADER + b"\r\n\r\n", 2),
        (
            SWITCH + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + HEADER + b"\r\n\r\n",
            1,
        ),
        # Of what is no HTTP nothing is told.
        (b"HTTP/1.1 " + POLITE + b"\r\n\r\n", 0),
        (POLITE.replace(b"\r\n", b"") + b"\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\n" + POLITE.replace(b"\r\n", b"") + b"\r\n\r\n", 0),
    ],
)
async def test_an_answer_to_the_handshake(said, answer, heard):
    """Status lines, headers, bodies, and what is none of them."""
    async with raw_server(answer) as url:
        client = Client(url, **ARGUMENTS, backoff=Backoff(0.001, 0.001))
        async with client:
            errors = []
            client.on_error(errors.append)
            with contextlib.suppress(TimeoutError, FeedError):
                await client.synced(0.1)
        with pytest.raises(FeedError) as caught:
            async with connect(url, **ARGUMENTS):
                pass
    for error in (caught.value, *errors):
        assert_fit([str(error)], heard=0)
    assert any(line.startswith("no feed from") or "stops" in line for line in said())
    assert_fit(said(), heard=heard)


FRAMES = [
    frame((LOUD, 1)),
    frame((Atom("ping"), LOUD)),
    frame((Atom("field_spec"), Charlist(LOUD), [LOUD, LOUD])),
    info_event(LOUD, LOUD),
    initial_info(LOUD, (LOUD, LOUD)),
    initial_info(LOUD, LOUD),
    frame((Charlist(LOUD), 1)),
    frame(({LOUD: LOUD}, 1)),
    frame(LOUD),
    info_event("user", (LOUD,), LOUD),
    info_event(LOUD * 2, (LOUD, 1), LOUD),
    frame((Atom("system_msg"), [LOUD])),
    frame((Atom("system_msg"), LOUD)),
    frame((Atom("msg"), LOUD)),
    b"\x83" + POLITE,
    LOUD,
]


async def test_what_comes_in_frames(said):
    """Names, kinds, fields, events, texts, and the reason of a close."""

    async def handler(websocket):
        for one in FRAMES:
            with contextlib.suppress(Exception):
                await websocket.send(one)
        await websocket.close(1011, RUDE + "Q" * 80)

    errors = []
    async with serve(handler, "127.0.0.1", 0, logger=logging.getLogger("bare")) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with connect(url, **ARGUMENTS) as cti:
            with contextlib.suppress(StopAsyncIteration):
                while not errors or "close code" not in str(errors[-1]):
                    try:
                        await anext(cti)
                    except basix_ws_cti.BasixError as error:
                        errors.append(error)
        async with Client(url, **ARGUMENTS, backoff=Backoff(0.001, 0.01)) as client:
            client.on_error(errors.append)
            while client.stats.connects < 5:
                await asyncio.sleep(0.01)
    assert any(isinstance(error, ProtocolError) for error in errors)
    assert_fit(map(str, errors), heard=0)
    assert_fit(said(), heard=2)
    assert any(line.startswith("unknown message") for line in said())
    assert any(line.startswith("a frame could not be read") for line in said())


async def request(url, target, *headers):
    """Ask the simulator's port for something, in bytes of our own."""
    host, port = url.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [
        b"GET " + target + b" HTTP/1.1",
        b"Host: x",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *headers,
    ]
    writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
    with contextlib.suppress(OSError):
        await reader.read()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def test_what_a_client_says_to_the_simulator(said):
    """Its request, its app_name, its commands, as they are and as they should not be."""
    async with Simulator(calls=False) as pbx:
        loud = quote(LOUD).encode()
        feed = b"/basix/api/ws_cti?app_name="
        await request(pbx.url, b"/" + loud)
        await request(pbx.url, b"/\x9b\x1b[2J" + SHOUT.encode())
        await request(pbx.url, feed + loud, b"Authorization: Basic " + HEADER)
        await request(pbx.url, feed + loud, b"X: " + HEADER)
        await request(pbx.url, feed + b"a&user_name=" + loud)
        await request(pbx.url, feed + b"a", POLITE.replace(b"\r\n", b""))
        await request(pbx.url, feed + b"a", b"Upgrade: " + HEADER)
        args = {**pbx.connect_args, "app_name": LOUD}
        feeds = [connect(**args) for _ in range(3)]
        async with feeds[0] as cti, feeds[1], feeds[2]:
            for command in (
                {"cmd": LOUD},
                {"cmd": "hangup", "uuid": LOUD},
                {"cmd": "transfer", "uuid": LOUD, "destination": LOUD},
                {LOUD: LOUD},
                {"cmd": f"\ud800{LOUD}"},
            ):
                with contextlib.suppress(basix_ws_cti.UsageError):  # half a surrogate pair
                    await cti.send(command)
                await cti._socket.send(json.dumps(command))
            await cti._socket.send(POLITE)
            await cti._socket.send(POLITE.decode())
            await cti._socket.close(4000, RUDE + "Q" * 80)
        while pbx.connections:
            await asyncio.sleep(0.01)
    lines = said()
    assert any(line.startswith("client connected: app_name") for line in lines)
    assert any(line.startswith("connection limit reached") for line in lines)
    assert any(line.startswith("command ignored") for line in lines)
    assert_fit(lines, heard=5)


def test_what_is_said_to_the_api(said):
    """The HTTP API's log holds nothing of a request."""
    with Simulator(calls=False, api=True) as pbx:
        host = pbx.api_url.removeprefix("http://")
        for method, path in (("POST", "/" + SHOUT), (SHOUT, "/"), ("GET", "/\x9b" + SHOUT)):
            connection = http.client.HTTPConnection(host, timeout=10)
            connection.putrequest(method, quote(path), skip_host=True)
            connection.putheader("Authorization", HEADER)
            connection.endheaders()
            with contextlib.suppress(http.client.HTTPException):
                connection.getresponse().read()
            connection.close()
    assert any("API request" in line for line in said())
    assert not [line for line in said() if "QQ" in line]


def test_the_plain_logger(caplog):
    """Numbers stay, texts are cut, exceptions are a text until they are errors; levels are kept."""
    inner = logging.getLogger("a library")
    caplog.set_level(logging.INFO, logger="a library")
    logger = SanitisingLogger(inner)
    logger.debug("not at this level: %s", LOUD)
    logger.info("%d and %.1f and %s", 5, 2.5, LOUD, extra={"websocket": LOUD})
    assert not logger.isEnabledFor(logging.DEBUG)
    for log in (logger.info, logger.error):
        try:
            int(LOUD)
        except ValueError:
            log("oh", exc_info=True)
    first, second, third = caplog.records
    assert first.getMessage().startswith("5 and 2.5 and \N{REPLACEMENT CHARACTER}[2J")
    assert_fit([first.getMessage(), second.getMessage()], heard=2)
    assert not hasattr(first, "websocket")
    assert second.exc_info is None
    assert third.exc_info[0] is ValueError


@pytest.mark.parametrize("error", [InvalidHandshake(LOUD), ConnectionClosedError(None, None)])
async def test_a_client_that_goes_before_its_handshake(caplog, error):
    """It is no error of the simulator's, in whatever way the library puts it."""
    caplog.set_level(logging.DEBUG, logger="websockets.server")
    logger = ServerLogger(logging.getLogger("websockets.server"))
    async with Simulator(calls=False) as pbx:
        _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(pbx.url).port)
        writer.close()
        async with connect(**pbx.connect_args):
            pass
    with contextlib.suppress(type(error)), contextlib.ExitStack() as stack:
        stack.callback(logger.debug, "! invalid handshake", exc_info=True)
        stack.callback(logger.exception, "opening handshake failed")
        raise error
    logger.error("connection handler failed")
    *others, last = caplog.records
    assert max(record.levelno for record in others) == logging.INFO
    assert not any(record.exc_info for record in others)
    assert others[-1].levelno == logging.DEBUG
    assert others[-2].getMessage().startswith("opening handshake failed: ")
    assert_fit([others[-2].getMessage()], heard=0)
    assert (last.levelno, last.getMessage()) == (logging.ERROR, "connection handler failed")


def log_calls():
    """Every call of a logger in the package, as (module, text of its format)."""
    root = Path(basix_ws_cti.__file__).parent
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(ast.Attribute(ast.Name("_logger")), [ast.Constant(text), *_]):
                    yield str(path.relative_to(root)), text


def test_every_log_call_is_known():
    """A new log call must be looked at: does it show a peer's text, and is that fit for a log?"""
    assert sorted(log_calls()) == sorted(KNOWN)


KNOWN = [
    # Shows what a peer said: in a test above.
    ("client/feed_loop.py", "no feed from %s: %s"),
    ("client/feed_loop.py", "the client of %s stops: %s"),
    ("client/feed_loop.py", "a frame could not be read: %s"),
    ("transport/connection.py", "on_frame callback failed: %s"),
    ("parsing/parser.py", "unknown message %s: delivered as UnknownMessage"),
    ("simulator/client_handler.py", "client connected: app_name %s"),
    ("simulator/client_handler.py", "client disconnected: app_name %s, %d frames sent"),
    ("simulator/client_handler.py", "connection limit reached: app_name %s, client refused"),
    ("simulator/client_handler.py", "command ignored: %s"),
    # Shows nothing of a peer's.
    ("client/callbacks.py", "a callback raised %s"),
    ("client/callbacks.py", "a cancelled callback does not end"),
    (
        "client/callbacks.py",
        "slow callback: %s for %s blocked the client for %.1f s; make it async",
    ),
    ("client/feed_loop.py", "the client has a defect"),
    ("simulator/http_api.py", "API request answered: status %s"),
    ("simulator/server.py", "simulated PBX stopped: unexpected error"),
]
