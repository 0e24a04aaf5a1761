"""Frame reader: compared with the WebSocket library byte by byte."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import socket
import sys
import time
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConcurrencyError, ConnectionClosed, ConnectionClosedError
from websockets.frames import Close, Frame, Opcode
from websockets.uri import parse_uri
from websockets.utils import accept_key

from basix_ws_cti.transport.frame_reader import HIGH_WATER, LOW_WATER, FeedSocket

MAX_SIZE = 70_000
QUIET = logging.getLogger("test.quiet")
QUIET.setLevel(logging.CRITICAL)


class Transport:
    """Fake transport that records writes and pauses."""

    def __init__(self):
        self.written = bytearray()
        self.paused = False
        self.pauses = 0
        self.closing = False

    def write(self, data):
        self.written += data

    def writelines(self, parts):
        self.write(b"".join(parts))

    def pause_reading(self):
        assert not self.paused
        self.paused = True
        self.pauses += 1

    def resume_reading(self):
        assert self.paused
        self.paused = False

    def can_write_eof(self):
        return True

    def is_reading(self):
        return not self.paused

    def is_closing(self):
        return self.closing

    def get_extra_info(self, _):
        return None

    def nothing(self, *_, **__):
        pass

    write_eof = close = abort = set_write_buffer_limits = nothing


def make(cls, logger=QUIET, protocol_class=ClientProtocol, **options):
    protocol = protocol_class(parse_uri("ws://127.0.0.1/"), max_size=MAX_SIZE, logger=logger)
    connection = cls(protocol, ping_interval=None, close_timeout=0.01, **options)
    connection.connection_made(Transport())
    return connection


def answer(connection):
    key = connection.request.headers["Sec-WebSocket-Key"]
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n"
    ).encode()


def chunks(data, cuts):
    """Yield ``data`` in pieces whose lengths cycle through ``cuts``."""
    at = 0
    for length in itertools.cycle(cuts):
        if at >= len(data):
            return
        yield data[at : at + length]
        at += length


async def run(connection, receive, stream, cuts):
    """Return the messages of a byte stream after the handshake, and the end of the connection."""
    handshake = asyncio.create_task(connection.handshake())
    await asyncio.sleep(0)
    messages = []

    async def read():
        with pytest.raises(ConnectionClosed):
            while True:
                messages.append(await receive())

    reading = asyncio.create_task(read())
    connection.transport.written.clear()
    for chunk in chunks(answer(connection) + stream, cuts):
        connection.data_received(chunk)
        await asyncio.sleep(0)
    connection.eof_received()
    connection.connection_lost(None)
    await handshake
    await reading
    return messages, connection.close_code, connection.close_reason, connection.transport.written


def library(stream, cuts):
    async def main():
        connection = make(ClientConnection)
        return await run(connection, connection.recv, stream, cuts)

    return asyncio.run(main())


def ours(stream, cuts):
    async def main():
        connection = make(FeedSocket, max_size=MAX_SIZE)
        return await run(connection, connection.receive, stream, cuts)

    return asyncio.run(main())


def frame(opcode, data=b"", *, mask=False, **bits):
    return Frame(opcode, data, **bits).serialize(mask=mask)


def binary(data=b""):
    return frame(Opcode.BINARY, data)


SIZES = st.sampled_from([0, 1, 2, 125, 126, 127, 128, 255, 256, 1000, 65535, 65536, MAX_SIZE])
VALID_FRAMES = st.one_of(
    SIZES.map(lambda size: binary(bytes(range(256)) * (size // 256) + bytes(size % 256))),
    st.binary(max_size=20).map(binary),
    st.binary(max_size=125).map(partial(frame, Opcode.PING)),
    st.binary(max_size=125).map(partial(frame, Opcode.PONG)),
)
EXAMPLES = {
    "empty": binary(),
    "binary": binary(b"x" * 126),
    "of maximum size": binary(bytes(MAX_SIZE)),
    "too long": binary(bytes(MAX_SIZE + 1)),
    "of an impossible length": b"\x82\x7f" + b"\xff" * 8,
    "ping": frame(Opcode.PING, b"x"),
    "pong": frame(Opcode.PONG, b"x" * 125),
    "ping in fragments": b"\x09\x00",
    "ping that is too long": b"\x89\x7e\x00\x7e",
    "text": frame(Opcode.TEXT, "é".encode()),
    "invalid text": frame(Opcode.TEXT, b"\xff"),
    "masked": frame(Opcode.BINARY, b"x", mask=True),
    "masked header": b"\x82\x80",
    "reserved bit": b"\xc2\x01x",
    "first": frame(Opcode.BINARY, b"first", fin=False),
    "middle": frame(Opcode.CONT, b"middle", fin=False),
    "last": frame(Opcode.CONT, b"last"),
    "unknown": b"\x83\x00",
    "half a header of an unknown frame": b"\x83\x7e",
    "half a header of a long ping": b"\x89\x7e",
    "close": frame(Opcode.CLOSE),
    "close with a reason": frame(Opcode.CLOSE, Close(1001, "going away").serialize()),
    "invalid close": frame(Opcode.CLOSE, b"\x03"),
    "half a frame": binary(b"x" * 126)[:20],
    "half a header": b"\x82\x7e\x00",
}
ANY_FRAMES = st.one_of(
    VALID_FRAMES, st.sampled_from([*EXAMPLES.values()]), st.binary(min_size=1, max_size=20)
)
PIECE_LENGTHS = st.one_of(
    st.just([1]), st.just([2**20]), st.lists(st.sampled_from([1, 2, 3, 7, 200, 2**16]), min_size=1)
)


@pytest.mark.parametrize("first", EXAMPLES)
@pytest.mark.usefixtures("constant_masks")
def test_each_kind_of_frame_is_read_like_the_library(first):
    """The frame is complete or in pieces."""
    for cuts in ([2**20], [3, 1, 2000]):
        assert ours(EXAMPLES[first], cuts) == library(EXAMPLES[first], cuts)


@pytest.mark.slow
@pytest.mark.parametrize("first", EXAMPLES)
@pytest.mark.usefixtures("constant_masks")
def test_each_pair_of_frames_is_read_like_the_library(first):
    """The frames are between two others, complete or in pieces."""
    for second, cuts in itertools.product(EXAMPLES.values(), ([2**20], [3, 1, 2000])):
        stream = binary(b"1") + EXAMPLES[first] + second + binary(b"2")
        assert ours(stream, cuts) == library(stream, cuts)


@pytest.mark.slow
@settings(max_examples=200)
@given(
    valid=st.lists(VALID_FRAMES, max_size=6),
    other=st.lists(ANY_FRAMES, max_size=4),
    cuts=PIECE_LENGTHS,
    cut=st.booleans(),
)
@pytest.mark.usefixtures("constant_masks")
def test_random_streams_are_read_like_the_library(valid, other, cuts, cut):
    """Messages, answers and the end of the connection are equal."""
    stream = b"".join(valid + other)
    if cuts == [1]:
        stream = stream[-3000:] if other else stream[:3000]
    if cut:
        stream = stream[:-1]
    assert ours(stream, cuts) == library(stream, cuts)


@pytest.fixture(scope="module")
def constant_masks():
    """Replace random masks with constant ones, so that answers can be compared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("websockets.frames.secrets.token_bytes", bytes)
        yield


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_binary_messages_bypass_the_library(size):
    """This applies to each encoding of a length and to a frame in pieces."""
    passed = []

    class RecordingProtocol(ClientProtocol):
        def receive_data(self, data):
            passed.append(data)
            super().receive_data(data)

    class SocketWithoutRecv(FeedSocket):
        recv = None

    stream = binary(bytes(size)) * 3

    async def main(cuts):
        connection = make(SocketWithoutRecv, protocol_class=RecordingProtocol, max_size=MAX_SIZE)
        handshake = asyncio.create_task(connection.handshake())
        await asyncio.sleep(0)
        for chunk in chunks(answer(connection) + stream, cuts):
            connection.data_received(chunk)
        await handshake
        messages = [await connection.receive() for _ in range(3)]
        assert connection.receive_nowait() is None
        assert b"".join(passed) == answer(connection)
        return messages

    for cuts in ([1] if size < 1000 else [500], [1000], [2**20]):
        passed.clear()
        assert asyncio.run(main(cuts)) == [bytes(size)] * 3


def run_connected(test, socket_class=FeedSocket):
    """Run ``test`` with a connection after its handshake."""

    async def main():
        connection = make(socket_class, max_size=MAX_SIZE)
        handshake = asyncio.create_task(connection.handshake())
        await asyncio.sleep(0)
        connection.data_received(answer(connection))
        await handshake
        await test(connection)

    asyncio.run(main())


def test_reading_pauses_above_high_water_and_resumes_at_low_water():
    async def test(connection):
        transport = connection.transport
        connection.data_received(binary(b"x") * HIGH_WATER)
        assert not transport.paused
        connection.data_received(binary(b"x"))
        assert transport.paused
        connection.data_received(binary(b"x") * 5)  # the rest of the data that had arrived
        assert transport.pauses == 1
        for waiting in range(HIGH_WATER + 5, LOW_WATER, -1):
            assert transport.paused, waiting
            assert connection.receive_nowait() == b"x"
        assert transport.paused
        assert connection.receive_nowait() == b"x"
        assert not transport.paused

    run_connected(test)


def test_end_that_the_transport_has_seen_is_unread_while_reading_is_paused():
    """uvloop's TLS reads ahead: its transport is closing, and has no socket any more."""

    async def test(connection):
        assert not connection.has_unread_end
        connection.data_received(binary(b"x") * (HIGH_WATER + 1))
        assert not connection.has_unread_end
        connection.transport.closing = True
        assert connection.has_unread_end
        while connection.receive_nowait():
            pass
        assert not connection.has_unread_end

    run_connected(test)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports the end")
def test_end_behind_unread_bytes_is_noticed_while_reading_is_paused(monkeypatch):
    async def test(connection):
        ours, peer = socket.socketpair()
        with ours, peer:
            monkeypatch.setattr(connection.transport, "get_extra_info", lambda _: ours)
            connection.data_received(binary(b"x") * (HIGH_WATER + 1))
            assert not connection.has_unread_end
            peer.close()
            assert connection.has_unread_end

    run_connected(test)


def test_loss_of_the_connection_is_reported_at_once():
    async def test(connection):
        calls = []
        connection.on_lost = lambda: calls.append("lost")
        connection.connection_lost(None)
        assert calls == ["lost"]

    run_connected(test)


def test_pause_of_the_library_is_not_undone():
    """The library has taken over reading."""

    async def test(connection):
        transport = connection.transport
        connection.data_received(binary(b"x") * (HIGH_WATER + 1))
        transport.paused = False  # the library would pause a second time
        connection.data_received(frame(Opcode.TEXT, b"y") * (HIGH_WATER + 1))
        assert transport.paused
        for _ in range(HIGH_WATER + 1):
            assert await connection.receive() == b"x"
        assert transport.paused
        assert [await connection.receive() for _ in range(HIGH_WATER + 1)] == ["y"] * 17
        assert not transport.paused

    run_connected(test)


def test_second_concurrent_receive_is_refused():
    """The first one gets the message."""

    async def test(connection):
        first = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyError):
            await connection.receive()
        connection.data_received(binary(b"x"))
        assert await first == b"x"

    run_connected(test)


def test_cancelled_receive_loses_no_message():
    async def test(connection):
        first = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)
        connection.data_received(binary(b"x"))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await connection.receive() == b"x"

    run_connected(test)


def test_arrived_messages_are_received_after_the_connection_ended():
    """After them every receive raises the error."""

    async def test(connection):
        connection.data_received(binary(b"x") * 2 + b"\x82\x05ha")
        connection.connection_lost(ConnectionResetError())
        assert [await connection.receive() for _ in range(2)] == [b"x"] * 2
        for _ in range(2):
            with pytest.raises(ConnectionClosedError):
                await connection.receive()

    run_connected(test)


def test_pieces_of_a_long_message_are_parsed_once():
    extracted = []

    class CountingSocket(FeedSocket):
        def _extract_frames(self, data):
            extracted.append(len(data))
            return super()._extract_frames(data)

    async def test(connection):
        stream = binary(bytes(60_000))
        for chunk in chunks(stream, [100]):
            connection.data_received(chunk)
        assert await connection.receive() == bytes(60_000)
        assert extracted == [100, 0]  # the first piece, and the data after the message

    run_connected(test, CountingSocket)


async def test_library_logs_each_frame_at_debug(caplog):
    caplog.set_level(logging.DEBUG, logger="test.loud")

    connection = make(FeedSocket, logging.getLogger("test.loud"), max_size=MAX_SIZE)
    messages, *_ = await run(connection, connection.receive, binary(b"x") * 2, [2**20])
    assert messages == [b"x"] * 2
    assert caplog.text.count("< BINARY") == 2


async def test_message_without_max_size_may_have_any_size():
    connection = make(FeedSocket, max_size=None)
    stream = binary(bytes(MAX_SIZE * 2))
    messages, *_ = await run(connection, connection.receive, stream, [2**20])
    assert list(map(len, messages)) == [MAX_SIZE * 2]


def by_the_library(data):
    """Return bytes that let the library take over, and then those bytes."""
    return frame(Opcode.TEXT, b"x") + data


@pytest.mark.parametrize("first", [b"", by_the_library(b"")], ids=["extracted", "by the library"])
def test_received_bytes_are_counted_at_once(first):
    """The bytes of an incomplete frame count before the frame is complete."""

    async def test(connection):
        start = connection.bytes_received
        assert start == len(answer(connection))
        data = first + binary(bytes(1000))
        for number, byte in enumerate(data, 1):
            connection.data_received(bytes([byte]))
            assert connection.bytes_received == start + number
            if 10 <= number - len(first) < len(data) - len(first):
                assert connection.partial_bytes == number - len(first)
        assert connection.partial_bytes == 0

    run_connected(test)


@pytest.mark.parametrize("first", [b"", by_the_library(b"")], ids=["extracted", "by the library"])
@pytest.mark.parametrize("opcode", [Opcode.BINARY, Opcode.PING, Opcode.PONG])
def test_complete_frame_of_any_kind_is_a_sign_of_life(first, opcode):
    async def test(connection):
        connection.data_received(first)
        heard, heard_unix = connection.last_heard, connection.last_heard_unix
        assert heard_unix == pytest.approx(time.time(), abs=60)
        await asyncio.sleep(0.002)
        data = frame(opcode, bytes(100))
        connection.data_received(data[:-1])
        assert (connection.last_heard, connection.last_heard_unix) == (heard, heard_unix)
        await asyncio.sleep(0.002)
        connection.data_received(data[-1:])
        assert connection.last_heard > heard
        assert connection.last_heard == pytest.approx(connection.loop.time(), abs=60)
        assert connection.last_heard_unix > heard_unix

    run_connected(test)


def test_time_of_the_last_frame_follows_a_clock_that_is_set(monkeypatch):
    """The machine's clock is read once per ``CLOCK_INTERVAL``, with the first frame after it."""

    async def test(connection):
        data = binary(b"x")
        connection.data_received(data)
        began, stepped = connection.last_heard, connection.last_heard_unix + 28_800
        monkeypatch.setattr(time, "time", lambda: stepped)
        reads = []
        for seconds in (0.5, 1.5, 2.0):
            monkeypatch.setattr(connection.loop, "time", lambda at=began + seconds: at)
            connection.data_received(data)
            reads.append(connection.last_heard_unix - stepped)
        assert reads == pytest.approx([0.5 - 28_800, 0, 0.5], abs=0.001)

    run_connected(test)


@pytest.mark.parametrize("partial_frame", [False, True])
def test_end_of_the_stream_is_a_sign_of_life_unless_a_frame_is_cut(partial_frame):
    """TCP keeps the order, so that nothing is missing before the end but the cut frame."""

    async def test(connection):
        data = binary(bytes(100))
        connection.data_received(data + data[:50] if partial_frame else data)
        heard = connection.last_heard
        await asyncio.sleep(0.002)
        connection.eof_received()
        assert (connection.last_heard == heard) is partial_frame

    run_connected(test)


def test_library_that_reads_another_way_is_left_alone():
    """Another version of the library may not use ``data_received``."""

    async def main():
        connection = make(FeedSocket, max_size=MAX_SIZE)
        handshake = asyncio.create_task(connection.handshake())
        await asyncio.sleep(0)
        ClientConnection.data_received(connection, answer(connection))
        await handshake
        heard = connection.last_heard
        await asyncio.sleep(0.002)
        ClientConnection.data_received(connection, binary(b"x"))
        async with asyncio.timeout(10):
            assert await connection.receive() == b"x"
        assert connection.last_heard > heard
        assert connection.partial_bytes == 0

    asyncio.run(main())


class Hiding:
    """Stands for an object of the library in which one attribute has another name."""

    def __init__(self, wrapped, hidden):
        self.wrapped, self.hidden = wrapped, hidden

    def __getattr__(self, name):
        if name == self.hidden:
            raise AttributeError(name)
        return getattr(self.wrapped, name)


@pytest.mark.parametrize(("owner", "hidden"), [("protocol", "debug"), ("recv_messages", "paused")])
def test_library_without_an_internal_attribute_reads_all_frames(owner, hidden):
    """The reader steps aside, also where the attribute is needed late: to pause and to resume."""

    class Changed(FeedSocket):
        def __getattribute__(self, name):
            value = super().__getattribute__(name)
            reads_here = (
                inspect.currentframe().f_back.f_globals["__name__"] == FeedSocket.__module__
            )
            return Hiding(value, hidden) if name == owner and reads_here else value

    async def main():
        connection = make(Changed, max_size=MAX_SIZE)
        return await run(connection, connection.receive, stream, [len(stream)])

    stream = b"".join(binary(bytes([number]) * 130) for number in range(2 * HIGH_WATER))
    assert asyncio.run(main()) == library(stream, [len(stream)])
