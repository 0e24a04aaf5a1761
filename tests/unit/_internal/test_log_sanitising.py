"""Log sanitising: texts of a peer in log lines are printable and have at most 256 characters."""

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
from support.simulator_clients import connect_websocket
from support.waiting import eventually
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError, InvalidHandshake

import basix_ws_cti
from basix_ws_cti import Client, FeedError, ProtocolError, Stopped, connect
from basix_ws_cti._internal.log_sanitising import SanitisingLogger
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.simulator.feed_server import ServerLogger

ARGUMENTS = {"domain": "acme", "token": TOKEN, "app_name": "tests"}

# Hostile texts of a peer: escapes, line breaks, a text direction override, and a long text.
ESCAPES = "\x1b[2J\r\n\N{RIGHT-TO-LEFT OVERRIDE}\u2028\x9b1mERROR forged"
LONG_TEXT = "Q" * 5000
HOSTILE_TEXT = ESCAPES + LONG_TEXT
HOSTILE_BYTES = HOSTILE_TEXT.encode()


@pytest.fixture
def logged_lines(caplog):
    """Return the lines logged at DEBUG by the package and by the WebSocket library."""
    loggers = ("basix_ws_cti", "websockets.client", "websockets.server")
    for name in loggers:
        caplog.set_level(logging.DEBUG, logger=name)

    def lines():
        return [one.getMessage() for one in caplog.records if one.name.startswith(loggers)]

    return lines


def assert_sanitised(lines, *, minimum):
    """Assert that all lines are sanitised and at least ``minimum`` contain a text of the peer."""
    for line in lines:
        assert line.isprintable(), line
        assert line.count("Q") <= LONGEST, line
    assert sum("QQQ" in line for line in lines) >= minimum, lines


@contextlib.asynccontextmanager
async def raw_server(answer):
    """Run a server that answers each request with these bytes and closes the connection."""

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


# HTTP headers may contain C1 control characters, which terminals obey, but no others.
HEADER = ("\x9b2J\xa0\xad" + LONG_TEXT).encode("latin-1")
SWITCH = b"HTTP/1.1 101 Yes\r\n"
BODY = b"Content-Length: %d\r\n\r\n%s" % (len(HOSTILE_BYTES), HOSTILE_BYTES)


@pytest.mark.parametrize(
    ("answer", "minimum"),
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
        # Nothing is logged of a response that is not HTTP.
        (b"HTTP/1.1 " + HOSTILE_BYTES + b"\r\n\r\n", 0),
        (HOSTILE_BYTES.replace(b"\r\n", b"") + b"\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\n" + HOSTILE_BYTES.replace(b"\r\n", b"") + b"\r\n\r\n", 0),
    ],
)
async def test_handshake_responses_are_sanitised(logged_lines, answer, minimum):
    """Status lines, headers and bodies of a response may be hostile."""
    async with raw_server(answer) as url:
        client = Client(url, **ARGUMENTS, backoff=Backoff(0.001, 0.001))
        async with client:
            errors = []
            client.on_error(errors.append)
            await eventually(lambda: errors or isinstance(client.state, Stopped))
        with pytest.raises(FeedError) as caught:
            async with connect(url, **ARGUMENTS):
                pass
    for error in (caught.value, *errors):
        assert_sanitised([str(error)], minimum=0)
    assert any(line.startswith("no feed from") or "stops" in line for line in logged_lines())
    assert_sanitised(logged_lines(), minimum=minimum)


FRAMES = [
    frame((HOSTILE_TEXT, 1)),
    frame((Atom("ping"), HOSTILE_TEXT)),
    frame((Atom("field_spec"), Charlist(HOSTILE_TEXT), [HOSTILE_TEXT, HOSTILE_TEXT])),
    info_event(HOSTILE_TEXT, HOSTILE_TEXT),
    initial_info(HOSTILE_TEXT, (HOSTILE_TEXT, HOSTILE_TEXT)),
    initial_info(HOSTILE_TEXT, HOSTILE_TEXT),
    frame((Charlist(HOSTILE_TEXT), 1)),
    frame(({HOSTILE_TEXT: HOSTILE_TEXT}, 1)),
    frame(HOSTILE_TEXT),
    info_event("user", (HOSTILE_TEXT,), HOSTILE_TEXT),
    info_event(HOSTILE_TEXT * 2, (HOSTILE_TEXT, 1), HOSTILE_TEXT),
    frame((Atom("system_msg"), [HOSTILE_TEXT])),
    frame((Atom("system_msg"), HOSTILE_TEXT)),
    frame((Atom("msg"), HOSTILE_TEXT)),
    b"\x83" + HOSTILE_BYTES,
    HOSTILE_TEXT,
]


@pytest.mark.slow
async def test_texts_in_frames_are_sanitised(logged_lines):
    """Names, kinds, fields, events, texts and the close reason may be hostile."""

    async def handler(websocket):
        for one in FRAMES:
            with contextlib.suppress(Exception):
                await websocket.send(one)
        await websocket.close(1011, ESCAPES + "Q" * 80)

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
    assert_sanitised(map(str, errors), minimum=0)
    assert_sanitised(logged_lines(), minimum=2)
    assert any(line.startswith("unknown message") for line in logged_lines())
    assert any(line.startswith("a frame could not be read") for line in logged_lines())


async def request(url, target, *headers):
    """Send a request with these bytes to the port of the simulator."""
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


async def test_requests_and_commands_to_the_simulator_are_sanitised(logged_lines):
    """Requests, app_names and commands may be hostile or malformed."""
    async with Simulator(calls=False) as pbx:
        quoted = quote(HOSTILE_TEXT).encode()
        feed = b"/basix/api/ws_cti?app_name="
        await request(pbx.url, b"/" + quoted)
        await request(pbx.url, b"/\x9b\x1b[2J" + LONG_TEXT.encode())
        await request(pbx.url, feed + quoted, b"Authorization: Basic " + HEADER)
        await request(pbx.url, feed + quoted, b"X: " + HEADER)
        await request(pbx.url, feed + b"a&user_name=" + quoted)
        await request(pbx.url, feed + b"a", HOSTILE_BYTES.replace(b"\r\n", b""))
        await request(pbx.url, feed + b"a", b"Upgrade: " + HEADER)
        args = {**pbx.connect_args, "app_name": HOSTILE_TEXT}
        feeds = [connect(**args) for _ in range(3)]
        async with feeds[0] as cti, feeds[1], feeds[2], connect_websocket(pbx) as socket:
            for command in (
                {"cmd": HOSTILE_TEXT},
                {"cmd": "hangup", "uuid": HOSTILE_TEXT},
                {"cmd": "transfer", "uuid": HOSTILE_TEXT, "destination": HOSTILE_TEXT},
                {HOSTILE_TEXT: HOSTILE_TEXT},
                {"cmd": f"\ud800{HOSTILE_TEXT}"},
            ):
                with contextlib.suppress(basix_ws_cti.UsageError):  # half a surrogate pair
                    await cti.send(command)
                await socket.send(json.dumps(command))
            await socket.send(HOSTILE_BYTES)
            await socket.send(HOSTILE_BYTES.decode())
            await socket.close(4000, ESCAPES + "Q" * 80)
        while pbx.connections:
            await asyncio.sleep(0.01)
    lines = logged_lines()
    assert any(line.startswith("client connected: app_name") for line in lines)
    assert any(line.startswith("connection limit reached") for line in lines)
    assert any(line.startswith("command ignored") for line in lines)
    assert_sanitised(lines, minimum=5)


def test_http_api_logs_nothing_of_a_request(logged_lines):
    with Simulator(calls=False) as pbx:
        host = pbx.api_url.removeprefix("http://")
        for path in ("/" + LONG_TEXT, "/\x9b" + LONG_TEXT):
            connection = http.client.HTTPConnection(host, timeout=10)
            connection.putrequest("POST", quote(path), skip_host=True)
            connection.putheader("Authorization", HEADER)
            connection.endheaders()
            with contextlib.suppress(http.client.HTTPException):
                connection.getresponse().read()
            connection.close()
    assert any("API request" in line for line in logged_lines())
    assert not [line for line in logged_lines() if "QQ" in line]


def test_sanitising_logger_shortens_texts_and_keeps_numbers(caplog):
    """An exception is logged as text below ERROR; levels are kept."""
    inner = logging.getLogger("a library")
    caplog.set_level(logging.INFO, logger="a library")
    logger = SanitisingLogger(inner)
    logger.debug("not at this level: %s", HOSTILE_TEXT)
    logger.info("%d and %.1f and %s", 5, 2.5, HOSTILE_TEXT, extra={"websocket": HOSTILE_TEXT})
    assert not logger.isEnabledFor(logging.DEBUG)
    for log in (logger.info, logger.error):
        try:
            int(HOSTILE_TEXT)
        except ValueError:
            log("oh", exc_info=True)
    first, second, third = caplog.records
    assert first.getMessage().startswith("5 and 2.5 and \N{REPLACEMENT CHARACTER}[2J")
    assert_sanitised([first.getMessage(), second.getMessage()], minimum=2)
    assert not hasattr(first, "websocket")
    assert second.exc_info is None
    assert third.exc_info[0] is ValueError


@pytest.mark.parametrize(
    "error", [InvalidHandshake(HOSTILE_TEXT), ConnectionClosedError(None, None)]
)
async def test_client_that_leaves_before_its_handshake_is_no_error(caplog, error):
    """The simulator logs no error, whichever exception the library raises."""
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
    assert_sanitised([others[-2].getMessage()], minimum=0)
    assert (last.levelno, last.getMessage()) == (logging.ERROR, "connection handler failed")


def log_calls():
    """Yield every call of a logger in the package as (module, format text)."""
    root = Path(basix_ws_cti.__file__).parent
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    ast.Attribute(ast.Name("_logger") | ast.Attribute(attr="_logger")),
                    [ast.Constant(text), *_],
                ):
                    yield str(path.relative_to(root)), text


@pytest.mark.slow
def test_all_log_calls_are_listed():
    """Each log call in the list was checked for texts of the peer; check new calls as well."""
    assert sorted(log_calls()) == sorted(LOG_CALLS)


LOG_CALLS = [
    # Shows a text of the peer; covered by a test above.
    ("client/feed_loop.py", "no feed from %s: %s"),
    ("client/feed_loop.py", "the client of %s stops: %s"),
    ("client/feed_loop.py", "a frame could not be read: %s"),
    ("parsing/parser.py", "%s %s: delivered as UnknownMessage"),
    ("simulator/client_handler.py", "client connected: app_name %s"),
    ("simulator/client_handler.py", "client disconnected: app_name %s, %d frames sent"),
    ("simulator/client_handler.py", "connection limit reached: app_name %s, client refused"),
    ("simulator/client_handler.py", "command ignored: %s"),
    # Shows no text of the peer.
    ("_internal/callback_errors.py", "callback error: %s raised %s%s%s"),
    ("client/alert_watch.py", "an alert rule names a queue that the PBX does not have"),
    ("client/callbacks.py", "callback does not end after its cancellation: %s"),
    (
        "client/callbacks.py",
        "slow callback: %s for %s blocked the client for %.1f s; make it async",
    ),
    ("client/eavesdropping.py", "media plug was not hung up: %s"),
    ("client/feed_loop.py", "the client has a defect"),
    ("fanout/command_executor.py", "a command of a follower raised an error: %s"),
    ("fanout/command_executor.py", "a command of a follower waits for Redis: %s"),
    ("fanout/command_executor.py", "a request of a follower is unreadable: it has another version"),
    ("fanout/command_executor.py", "command of a follower: %s, %s"),
    ("fanout/command_executor.py", "commands of followers are no longer executed: %s"),
    ("fanout/command_executor.py", "commands of followers cannot be read: %s"),
    ("fanout/follow_loop.py", "no feed from %s: %s"),
    ("fanout/follow_loop.py", "the follower has a defect"),
    ("fanout/follow_loop.py", "the follower of %s stops: %s"),
    ("fanout/publisher.py", "fan-out: no longer leading: %s"),
    ("fanout/term.py", "fan-out: leading, epoch %d"),
    ("fanout/term.py", "fan-out: deposed by epoch %d"),
    ("fanout/term.py", "fan-out: stream replaced: newest entry %s"),
    ("simulator/http_api.py", "API request answered: status %d"),
    ("simulator/simulator.py", "simulated PBX stopped: unexpected error"),
    ("web/commands.py", "command failed: %s by %s: %s"),
    ("web/commands.py", "command: %s by %s"),
    ("web/gatekeeper.py", "access file ignored: %s"),  # place and kind of a mistake
    ("web/gatekeeper.py", "access file ignored: %s"),  # an error of the system
]
