"""Connection: messages, commands, errors, big frames, backpressure and closing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import sys
import threading
import time
import zlib
from functools import partial

import pytest
from support.bare_server import ARGUMENTS, HELLO, sends, server
from support.etf_encoder import Atom
from support.etf_encoder import frame as framed
from support.faulty_proxy import Proxy
from support.secret_scanner import TOKEN, assert_no_secret_in_error
from support.waiting import TIMEOUT, eventually
from websockets.asyncio.client import connect as websocket_connect
from websockets.frames import Frame, Opcode

from basix_ws_cti import (
    ConnectionLimitReached,
    ConnectionLost,
    ConnectionReplaced,
    DecodeError,
    MessageParser,
    Msg,
    ProtocolError,
    SystemMsg,
    UsageError,
    connect,
)
from basix_ws_cti._internal.time_slice import SLICE_STEPS
from basix_ws_cti.client import commands
from basix_ws_cti.transport.connection import BIG_FRAME_BYTES, Connection
from basix_ws_cti.transport.frame_reader import FeedSocket
from basix_ws_cti.transport.redaction import Redactor


@pytest.fixture(autouse=True)
def _library_at_debug(caplog):
    """Let the WebSocket library log at DEBUG: its log lines contain no secret either."""
    caplog.set_level(logging.DEBUG, logger="websockets.client")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("connection_limit_reached", ConnectionLimitReached),
        ("connection_replaced", ConnectionReplaced),
    ],
)
async def test_final_message_is_delivered_before_its_error(text, error):
    """A message that ends the connection is delivered, and then its error is raised."""
    frame = b"\x83h\x02d\x00\nsystem_msgd" + len(text).to_bytes(2, "big") + text.encode()
    async with server(sends(HELLO, frame)) as url, connect(url, **ARGUMENTS) as cti:
        seen = []
        with pytest.raises(error):
            async for message in cti:
                seen.append(message)
        with pytest.raises(error):
            await anext(cti)
    assert seen == [Msg("hello"), SystemMsg(text)]


async def test_close_with_1000_ends_the_iteration():
    """A second iteration ends at once."""
    async with server(sends(HELLO)) as url, connect(url, **ARGUMENTS) as cti:
        assert [message async for message in cti] == [Msg("hello")]
        assert [message async for message in cti] == []
        assert "CLOSED" in repr(cti)


async def test_other_close_codes_raise_connection_lost():
    """The reason is redacted and printable."""

    async def handler(websocket):
        await websocket.close(1011, f"trouble\a with {TOKEN}")

    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        with pytest.raises(ConnectionLost) as caught:
            await anext(cti)
    assert caught.value.code == 1011
    assert caught.value.reason == "trouble\N{REPLACEMENT CHARACTER} with [secret]"
    assert_no_secret_in_error(caught.value)


async def test_broken_connection_raises_connection_lost_1006():
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


async def test_invalid_frames_do_not_end_the_connection():
    """Each invalid frame raises once, and the next valid one is delivered."""
    frames = (b"\x83m\x00", "text", HELLO)
    async with server(sends(*frames)) as url, connect(url, **ARGUMENTS) as cti:
        with pytest.raises(DecodeError):
            await anext(cti)
        with pytest.raises(ProtocolError, match="text frame"):
            await anext(cti)
        assert await anext(cti) == Msg("hello")


async def test_message_over_max_size_ends_the_connection():
    """The close code is 1009."""
    big = b"\x83m" + (2000).to_bytes(4, "big") + bytes(2000)
    async with (
        server(sends(big, close=None)) as url,
        connect(url, **ARGUMENTS, max_size=1000) as cti,
    ):
        with pytest.raises(ConnectionLost) as caught:
            await anext(cti)
    assert caught.value.code == 1009


@pytest.mark.slow
async def test_default_max_size_allows_a_large_snapshot():
    """The snapshot has several megabytes."""
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


async def test_on_frame_gets_each_frame_before_it_is_parsed():
    """It also gets frames that cannot be parsed, in order."""
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


async def test_on_frame_error_is_logged_and_loses_no_message(caplog):
    """The log names function, class and line once, then the count, and never the error's text."""

    def fail(frame):
        raise ValueError(f"about {frame}")

    async with (
        server(sends(HELLO, HELLO)) as url,
        connect(url, **ARGUMENTS, on_frame=fail) as cti,
    ):
        assert [message async for message in cti] == [Msg("hello")] * 2
    own = [one.message for one in caplog.records if one.name == "basix_ws_cti.transport.connection"]
    first, count = own
    assert ".fail raised ValueError at " in first
    assert f"{__file__}:" in first
    assert count == f"{first} (2 times)"


async def test_command_is_sent_as_json_text():
    """The text is that of JSON.stringify; what cannot be encoded raises UsageError."""
    arrived = asyncio.Queue()

    async def handler(websocket):
        async for frame in websocket:
            arrived.put_nowait(frame)

    command = {"cmd": "hangup", "uuid": "あ", "timeout": 60}
    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        await cti.send(command)
        frame = await arrived.get()
        for invalid in ({"cmd": object()}, {"cmd": float("nan")}):
            with pytest.raises(UsageError, match="cannot be encoded as JSON"):
                await cti.send(invalid)
        await cti.close()
        await cti.close()
        with pytest.raises(ConnectionLost):
            await cti.send(command)
    assert frame == '{"cmd":"hangup","uuid":"あ","timeout":60}'


# Frames recorded from version 1.4.0 of the JavaScript library, and the commands here.
UUID, PLUG = "5714495a-b8a1-4fff-8420-78648863ecd1", "6f1e2d3c-0000-4111-8222-333344445555"
RECORDED_COMMANDS = [
    (f'{{"cmd":"hangup","uuid":"{UUID}"}}', commands.hangup(UUID)),
    (f'{{"cmd":"park","uuid":"{UUID}","timeout":60}}', commands.park(UUID, 60)),
    (f'{{"cmd":"park","uuid":"{UUID}"}}', commands.park(UUID)),
    (
        (
            f'{{"cmd":"transfer","uuid":"{UUID}","user_id":10001001,"user_name":"user1",'
            '"destination":"1002"}'
        ),
        commands.transfer(UUID, "1002", user_id=10001001, user_name="user1"),
    ),
    (
        (
            f'{{"cmd":"transfer","uuid":"{UUID}","user_id":10001001,"user_name":'
            '"佐藤 健 \\"x\\" \\\\ / \\t\\n\u2028\x7f\\u0001","destination":"09012345678"}'
        ),
        commands.transfer(
            UUID,
            "09012345678",
            user_id=10001001,
            user_name='佐藤 健 "x" \\ / \t\n\u2028\x7f\x01',
        ),
    ),
    (
        f'{{"cmd":"eavesdrop","uuid":"{PLUG}","target_uuid":"{UUID}","subcommand":"listen"}}',
        commands.eavesdrop(PLUG, UUID, "listen"),
    ),
]


async def test_commands_have_the_bytes_of_the_javascript_library():
    arrived = asyncio.Queue()

    async def handler(websocket):
        async for frame in websocket:
            arrived.put_nowait(frame)

    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        for recorded, command in RECORDED_COMMANDS:
            await cti.send(command.sent)
            assert await arrived.get() == recorded


async def test_cancelled_close_leaves_no_open_connection():
    """The peer answers no close frame."""
    over = asyncio.Event()

    async def handler(websocket):
        websocket.transport.pause_reading()
        await over.wait()
        websocket.transport.resume_reading()

    async with server(handler) as url:
        cti = await connect(url, **ARGUMENTS, close_timeout=2 * TIMEOUT).__aenter__()
        closing = asyncio.create_task(cti.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        try:
            await eventually(lambda: repr(cti).endswith(" CLOSED>"))
        finally:
            over.set()
    assert closing.cancelled()


async def test_second_concurrent_reader_is_refused():
    """The first reader continues."""
    released = asyncio.Event()

    async def handler(websocket):
        await released.wait()
        await websocket.send(HELLO)
        await websocket.wait_closed()

    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        first = asyncio.ensure_future(anext(cti))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="only one may at a time"):
            await anext(cti)
        released.set()
        assert await first == Msg("hello")


@pytest.mark.parametrize(
    "use",
    [anext, lambda cti: cti.send({"cmd": "x"}), lambda cti: cti.close()],
    ids=["iteration", "send", "close"],
)
async def test_use_in_another_event_loop_is_a_usage_error(use):
    """The connection itself keeps working."""

    async def in_other_loop(cti):
        return await use(cti)

    async with server(lambda socket: socket.wait_closed()) as url, connect(url, **ARGUMENTS) as cti:
        with pytest.raises(UsageError, match="^the connection runs in another event loop"):
            await asyncio.to_thread(asyncio.run, in_other_loop(cti))
        await cti.send({"cmd": "x"})


async def test_timeout_around_a_read_loses_no_message():
    released = asyncio.Event()

    async def handler(websocket):
        await released.wait()
        await websocket.send(HELLO)
        await websocket.wait_closed()

    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(cti)
        released.set()
        assert await anext(cti) == Msg("hello")


BIG = framed((Atom("msg"), "x" * BIG_FRAME_BYTES))
PLAIN = BIG[1:]
COMPRESSED = b"\x83P" + len(PLAIN).to_bytes(4, "big") + zlib.compress(PLAIN)


class Parsing(MessageParser):
    """Parser that records the thread of each frame; big frames wait for ``released``."""

    def __init__(self):
        super().__init__()
        self.threads = []
        self.released = threading.Event()
        self.begun = threading.Event()

    def parse(self, frame):
        self.threads.append((threading.current_thread(), len(frame)))
        if threading.current_thread() is not threading.main_thread():
            self.begun.set()
            assert self.released.wait(TIMEOUT)
        return super().parse(frame)

    @contextlib.asynccontextmanager
    async def connected(self, url):
        """Connect to a server, and let this object parse the frames."""
        socket = await websocket_connect(
            url, create_connection=partial(FeedSocket, max_size=None), compression=None, proxy=None
        )
        connection = Connection(socket, self, "tests", Redactor(()))
        try:
            yield connection
        finally:
            await connection.close()


@pytest.fixture
def parsing(caplog):
    # At DEBUG the library splits the frames.
    caplog.set_level(logging.INFO, logger="websockets.client")
    parsing = Parsing()
    yield parsing
    parsing.released.set()


@pytest.mark.parametrize("big", [BIG, COMPRESSED], ids=["plain", "compressed"])
async def test_big_frame_is_parsed_in_a_thread(parsing, big):
    """The event loop continues meanwhile, and the order of messages is kept."""

    async def handler(websocket):
        await sends(HELLO, big, HELLO, close=None)(websocket)
        await websocket.wait_closed()

    async with server(handler) as url, parsing.connected(url) as cti:
        assert await anext(cti) == Msg("hello")
        read = asyncio.ensure_future(anext(cti))
        await eventually(parsing.begun.is_set)
        await cti.ping()  # its pong comes after the last frame
        assert not read.done()
        assert cti.receive_nowait() is None  # although another frame has arrived
        assert cti.frames_read == 2
        parsing.released.set()
        assert len((await read).text) == BIG_FRAME_BYTES
        assert cti.receive_nowait() == Msg("hello")
    main = threading.main_thread()
    assert [thread is main for thread, _ in parsing.threads] == [True, False, True]


async def test_frame_of_up_to_big_frame_bytes_is_parsed_in_the_main_thread(parsing):
    frames = [framed((Atom("msg"), "x" * (size - len(HELLO) + 5))) for size in (BIG_FRAME_BYTES, 6)]
    assert len(frames[0]) <= BIG_FRAME_BYTES
    async with server(sends(*frames)) as url, parsing.connected(url) as cti:
        assert len([message async for message in cti]) == 2
    assert {thread for thread, _ in parsing.threads} == {threading.main_thread()}


async def test_error_of_a_big_frame_is_raised_to_the_reader(parsing):
    """The next frame is read."""
    parsing.released.set()
    async with server(sends(BIG[:-1], HELLO)) as url, parsing.connected(url) as cti:
        with pytest.raises(DecodeError):
            await anext(cti)
        assert await anext(cti) == Msg("hello")


async def test_timeout_while_a_thread_parses_loses_no_message(parsing):
    async with server(sends(BIG, HELLO)) as url, parsing.connected(url) as cti:
        read = asyncio.ensure_future(anext(cti))
        await eventually(parsing.begun.is_set)
        with pytest.raises(UsageError, match="only one may at a time"):
            await asyncio.wait_for(anext(cti), TIMEOUT)
        read.cancel()
        await asyncio.wait([read])
        parsing.released.set()
        assert [len(message.text) async for message in cti] == [BIG_FRAME_BYTES, 5]


async def test_close_does_not_wait_for_a_parsing_thread(parsing):
    """An error of the thread is not reported to the event loop."""
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    async with server(sends(BIG[:-1], close=None)) as url:
        async with parsing.connected(url) as cti:
            read = asyncio.ensure_future(anext(cti))
            await eventually(parsing.begun.is_set)
            read.cancel()
        assert not parsing.released.is_set()
        thread = next(one for one, _ in parsing.threads)
        parsing.released.set()
        await asyncio.to_thread(thread.join, 60)
        await asyncio.sleep(0)
        del cti, read
        gc.collect()
    assert reported == []


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO], ids=["library", "own reader"])
async def test_loop_over_arrived_messages_yields_to_the_event_loop(level, caplog):
    """It yields after at most SLICE_STEPS messages."""
    caplog.set_level(level, logger="websockets.client")
    count, counts = 0, []
    loop = asyncio.get_running_loop()

    def tick():
        counts.append(count)
        loop.call_soon(tick)

    async with server() as url, connect(url, **ARGUMENTS) as cti:
        frames = Frame(Opcode.BINARY, HELLO).serialize(mask=False) * 1000
        cti._socket.data_received(frames)  # noqa: SLF001 - over a network they come in pieces
        tick()
        while count < 1000:
            assert await anext(cti) == Msg("hello")
            count += 1
    assert max(b - a for a, b in itertools.pairwise(counts)) <= SLICE_STEPS


async def test_leaving_the_block_does_not_wait_for_unread_messages():
    async def handler(websocket):
        for _ in range(200):
            await websocket.send(HELLO)
        await websocket.wait_closed()

    async with server(handler) as url:
        async with asyncio.timeout(30):  # half of close_timeout
            async with connect(url, **ARGUMENTS, close_timeout=60) as cti:
                await anext(cti)
        assert [message async for message in cti] == []
    assert not [task for task in asyncio.all_tasks() if "basix" in task.get_name()]


async def test_connection_pauses_while_many_messages_wait():
    """``is_paused`` shows this state."""

    async def handler(websocket):
        for _ in range(2000):
            await websocket.send(HELLO)
        await websocket.wait_closed()

    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        await eventually(lambda: cti.is_paused)
        for _ in range(2000):
            await anext(cti)
        assert not cti.is_paused


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not report it")
@pytest.mark.parametrize("ending", ["close", "abort"])
async def test_end_of_the_connection_is_seen_while_reading_is_paused(ending):
    """``has_unread_end`` shows it; the unread messages are received nevertheless."""
    go_on = asyncio.Event()

    async def handler(websocket):
        for _ in range(100):
            await websocket.send(HELLO)
        await go_on.wait()
        getattr(websocket.transport, ending)()

    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        assert not cti.has_unread_end
        await eventually(lambda: cti.is_paused)
        await asyncio.sleep(0.02)
        assert not cti.has_unread_end
        go_on.set()
        await eventually(lambda: cti.has_unread_end)
        for _ in range(100):
            assert await anext(cti) == Msg("hello")
        with pytest.raises(ConnectionLost):
            await anext(cti)
        assert not cti.has_unread_end


async def test_invalid_commands_are_refused_and_not_sent():
    """A lone surrogate, a cyclic object and a value that is no object are invalid."""
    nested: list = []
    nested.append(nested)
    async with server(sends(HELLO, close=None)) as url, connect(url, **ARGUMENTS) as cti:
        for invalid in ({"cmd": "\ud800"}, {"cmd": nested}, [1], "hangup", None):
            with pytest.raises(UsageError, match="^command"):
                await cti.send(invalid)
        assert await anext(cti) == Msg("hello")


async def test_repr_shows_url_app_name_and_state():
    """The connection counts the frames and bytes that it read."""
    named = {**ARGUMENTS, "app_name": "é" * 60}

    async def send_twice(websocket):
        await websocket.send(HELLO)
        await websocket.send(HELLO)
        await websocket.wait_closed()

    async with server(send_twice) as url:
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


REPLACED = b"\x83h\x02d\x00\x0asystem_msgm\x00\x00\x00\x13connection_replaced"


async def test_receive_nowait_returns_arrived_messages(caplog):
    """``receive_nowait()`` returns messages, raises errors and counts frames like iterating.

    It returns ``None`` if nothing has arrived or the last message was read.
    """
    # At DEBUG the library keeps the messages.
    caplog.set_level(logging.WARNING, logger="websockets.client")

    async def handler(websocket):
        await websocket.recv()
        for frame in (HELLO, b"\x83", REPLACED, HELLO):
            await websocket.send(frame)
        await websocket.wait_closed()

    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        assert cti.receive_nowait() is None
        await cti.send({})
        seen = []
        async with asyncio.timeout(TIMEOUT):
            while len(seen) < 3:
                await asyncio.sleep(0)
                try:
                    message = cti.receive_nowait()
                except DecodeError as error:
                    message = error
                if message is not None:
                    seen.append(message)
        assert [seen[0], seen[2]] == [Msg("hello"), SystemMsg("connection_replaced")]
        assert isinstance(seen[1], DecodeError)
        assert (cti.frames_read, cti.bytes_read) == (3, len(HELLO) + 1 + len(REPLACED))
        await asyncio.sleep(0.05)
        assert cti.receive_nowait() is None
        with pytest.raises(ConnectionReplaced):
            await anext(cti)


async def test_ping_waits_for_the_pong():
    """A ping after a cancelled one works."""
    async with server() as url, connect(url, **ARGUMENTS, ping_interval=None) as cti:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await cti.ping()
        async with asyncio.timeout(TIMEOUT):
            await cti.ping()
    with pytest.raises(ConnectionLost, match="1000"):
        await cti.ping()


async def test_abort_raises_connection_lost_in_waiting_tasks():
    """``abort()`` ends the connection at once, even if the PBX does not read.

    Tasks that read or wait for a pong get ConnectionLost.
    """

    done = asyncio.Event()

    async def stop_reading(websocket):
        websocket.transport.pause_reading()
        await websocket.send(HELLO)
        await done.wait()
        websocket.transport.abort()

    async with server(stop_reading) as url, connect(url, **ARGUMENTS) as cti:
        assert await anext(cti) == Msg("hello")
        tasks = asyncio.create_task(cti.ping()), asyncio.create_task(anext(cti))
        assert await asyncio.wait(tasks, timeout=0.05) == (set(), {*tasks})
        cti.abort()
        await asyncio.wait(tasks, timeout=TIMEOUT)
        done.set()
        for task in tasks:
            with pytest.raises(ConnectionLost) as caught:
                task.result()
            assert caught.value.code == 1006


@pytest.mark.parametrize("code", [1000, 1012])
async def test_loss_is_reported_before_the_messages_are_read(code):
    """``call_when_lost(None)`` ends the reports."""
    lost, ignored = [], []

    async def handler(websocket):
        await websocket.send(HELLO)
        await websocket.close(code)

    for callback in (lost.append, None):
        async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
            cti.call_when_lost(ignored.append)
            cti.call_when_lost(callback)
            await eventually(lambda cti=cti: "CLOSED" in repr(cti))
            assert [error.code for error in lost] == [code]
            assert await anext(cti) == Msg("hello")
    assert ignored == []


async def test_abort_reason_is_in_the_error():
    async with server() as url, connect(url, **ARGUMENTS) as cti:
        cti.abort("the first reason")
        cti.abort("another reason")
        with pytest.raises(ConnectionLost) as caught:
            await anext(cti)
        assert caught.value.code == 1006
        assert caught.value.reason == "the first reason"


def keepalive_tasks():
    return [task for task in asyncio.all_tasks() if task.get_name() == "basix_ws_cti keepalive"]


async def test_silent_peer_is_detected_by_pings():
    """The server reads nothing, so that it answers no ping."""

    done = asyncio.Event()

    async def handler(websocket):
        websocket.transport.pause_reading()
        await done.wait()
        websocket.transport.abort()

    async with server(handler) as url:
        async with connect(
            url, **ARGUMENTS, ping_interval=0.01, ping_timeout=0.02, close_timeout=0
        ) as cti:
            with pytest.raises(ConnectionLost) as caught:
                await anext(cti)
            assert caught.value.reason == "no answer to a ping within 0.02 s"
        done.set()
        await eventually(lambda: not keepalive_tasks())


async def test_answered_pings_keep_a_connection():
    async with server() as url:
        async with connect(url, **ARGUMENTS, ping_interval=0.005, ping_timeout=TIMEOUT) as cti:
            heard, received = cti.last_heard, cti.bytes_received
            await eventually(lambda: cti.bytes_received >= received + 5 * 6)
            assert len(keepalive_tasks()) == 1
            assert cti.last_heard > heard
            assert cti.last_heard_unix == pytest.approx(time.time(), abs=60)
            assert cti.partial_bytes == 0
        await eventually(lambda: not keepalive_tasks())


async def test_without_ping_interval_nothing_watches_the_connection():
    async with server() as url, connect(url, **ARGUMENTS, ping_interval=None):
        assert keepalive_tasks() == []


@pytest.mark.slow
async def test_frame_on_a_slow_link_outlasts_the_keepalive():
    """The frame takes several times as long as the ping interval and the time-out together."""
    text = b"\x83h\x02d\x00\x03msgm" + (150_000).to_bytes(4, "big") + b"x" * 150_000

    async def handler(websocket):
        await websocket.send(text)
        await websocket.wait_closed()

    async with server(handler) as url, Proxy(int(url.rpartition(":")[2])) as proxy:
        proxy.on_link = lambda link: setattr(link.down, "rate", 200_000)
        slow = f"ws://127.0.0.1:{proxy.port}"
        async with connect(slow, **ARGUMENTS, ping_interval=0.1, ping_timeout=0.1) as cti:
            assert await anext(cti) == Msg("x" * 150_000)
