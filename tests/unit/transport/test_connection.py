from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import logging
import threading
import zlib

import pytest
from support.bare_server import ARGUMENTS, HELLO, sends, server
from support.etf_encoder import Atom
from support.etf_encoder import frame as framed
from support.secret_scanner import TOKEN, assert_no_secret_in_error
from support.waiting import TIMEOUT, eventually
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
from basix_ws_cti.transport.connection import BIG_FRAME_BYTES


@pytest.fixture(autouse=True)
def library_at_debug(caplog):
    """In this file the WebSocket library says all it has to say: no canary may be in it."""
    caplog.set_level(logging.DEBUG, logger="websockets.client")


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
    assert_no_secret_in_error(caught.value)


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
    assert own == ["on_frame callback failed: ValueError"] * 2


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
            with pytest.raises(UsageError, match="cannot be encoded as JSON"):
                await cti.send(nonsense)
        await cti.close()
        await cti.close()
        with pytest.raises(ConnectionLost):
            await cti.send(command)
    assert isinstance(frame, str)
    assert json.loads(frame) == command


async def test_closing_may_be_cancelled():
    """Who does not wait for a peer that answers no close leaves no open connection behind."""
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
            await asyncio.wait_for(cti._socket.wait_closed(), TIMEOUT)
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
        with pytest.raises(UsageError, match="only one may at a time"):
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


BIG = framed((Atom("msg"), "x" * BIG_FRAME_BYTES))
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
            assert it.go.wait(TIMEOUT)
        return original(parser, data)

    it = Reading()
    original = MessageParser.parse
    monkeypatch.setattr(MessageParser, "parse", parse)
    yield it
    it.go.set()


@pytest.mark.parametrize("big", [BIG, PACKED], ids=["plain", "packed"])
async def test_a_big_frame_is_read_aside(reading, big):
    """While a thread reads a big frame, packed or not, the loop goes on; the order is kept."""

    async def handler(websocket):
        await sends(HELLO, big, HELLO, close=None)(websocket)
        await websocket.wait_closed()

    async with server(handler) as url, connect(url, **ARGUMENTS) as cti:
        assert await anext(cti) == Msg("hello")
        read = asyncio.ensure_future(anext(cti))
        await eventually(reading.begun.is_set)
        await cti.ping()  # its pong comes after the last frame
        assert not read.done()
        assert cti.receive_nowait() is None  # although another frame has arrived
        assert cti.frames_read == 2
        reading.go.set()
        assert len((await read).text) == BIG_FRAME_BYTES
        assert cti.receive_nowait() == Msg("hello")
    main = threading.main_thread()
    assert [thread is main for thread, _ in reading.threads] == [True, False, True]


async def test_a_frame_that_is_not_big(reading):
    """A frame of the size that is not big yet is read at once."""
    frames = [framed((Atom("msg"), "x" * (size - len(HELLO) + 5))) for size in (BIG_FRAME_BYTES, 6)]
    assert len(frames[0]) <= BIG_FRAME_BYTES
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
        await eventually(reading.begun.is_set)
        with pytest.raises(UsageError, match="only one may at a time"):
            await asyncio.wait_for(anext(cti), TIMEOUT)
        read.cancel()
        await asyncio.wait([read])
        reading.go.set()
        assert [len(message.text) async for message in cti] == [BIG_FRAME_BYTES, 5]


async def test_closing_waits_for_no_thread(reading):
    """A connection is closed while a thread reads a frame of it, and nobody hears of that."""
    defects = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: defects.append(context))
    async with server(sends(BIG[:-1], close=None)) as url:
        async with connect(url, **ARGUMENTS) as cti:
            read = asyncio.ensure_future(anext(cti))
            await eventually(reading.begun.is_set)
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
        await eventually(lambda: cti.is_paused)
        for _ in range(2000):
            await anext(cti)
        assert not cti.is_paused


async def test_a_command_that_would_break_the_connection():
    """Half a surrogate pair, endless nesting and what is no object are refused, not sent."""
    nested: list = []
    nested.append(nested)
    async with server(sends(HELLO, close=None)) as url, connect(url, **ARGUMENTS) as cti:
        for nonsense in ({"cmd": "\ud800"}, {"cmd": nested}, [1], "hangup", None):
            with pytest.raises(UsageError, match="^command"):
                await cti.send(nonsense)
        assert await anext(cti) == Msg("hello")


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


REPLACED = b"\x83h\x02d\x00\x0asystem_msgm\x00\x00\x00\x13connection_replaced"


async def test_what_has_arrived_is_read_without_waiting(caplog):
    """``receive_nowait()`` returns what has arrived, raises what iterating would, and counts it.

    It returns ``None`` if nothing has arrived or the last message was read.
    """
    caplog.set_level(logging.WARNING, logger="websockets.client")  # at DEBUG nothing waits

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


async def test_ping():
    """ping() waits for the pong; whoever gives up waiting may ping again."""
    async with server() as url, connect(url, **ARGUMENTS, ping_interval=None) as cti:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await cti.ping()
        async with asyncio.timeout(TIMEOUT):
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
        await asyncio.wait(tasks, timeout=TIMEOUT)
        done.set()
        for task in tasks:
            with pytest.raises(ConnectionLost) as caught:
                task.result()
            assert caught.value.code == 1006
