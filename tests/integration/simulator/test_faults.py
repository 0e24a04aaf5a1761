"""Faults of the simulator: network, handshake, frames, server and their injection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import socket
import threading
from http import HTTPStatus
from pathlib import Path

import pytest
from support.simulator_clients import WEBSOCKETS_LOGGER, auth_header, wait_until_it_listens
from support.waiting import TIMEOUT, eventually
from websockets.asyncio.client import connect as websocket_connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.protocol import State

from basix_ws_cti import (
    DecodeError,
    FieldSpec,
    InfoEvent,
    InitialInfo,
    MessageParser,
    Msg,
    ProtocolError,
    SystemMsg,
    UnknownMessage,
    UsageError,
    feed_url,
    to_dict,
)
from basix_ws_cti.simulator import NotPossibleError, Pbx, Simulator, faults, scenarios

FAULT_CLASSES = [
    fault_class
    for fault_class in vars(faults).values()
    if isinstance(fault_class, type)
    and issubclass(fault_class, faults.Fault)
    and fault_class is not faults.Fault
]


def open_websocket(pbx: Simulator, **options):
    """Connect with the websockets package alone, to the URL of the simulator."""
    args = {**pbx.connect_args, **options}
    ssl_context = args.pop("ssl", None)
    open_timeout = args.pop("open_timeout", TIMEOUT)
    return websocket_connect(
        feed_url(**args),
        ssl=ssl_context,
        logger=WEBSOCKETS_LOGGER,
        compression=None,
        ping_interval=None,
        open_timeout=open_timeout,
        close_timeout=0.2,  # After some faults the PBX does not answer.
    )


async def recv(websocket) -> bytes | str:
    async with asyncio.timeout(TIMEOUT):
        return await websocket.recv()


class FeedClient:
    """Client of the feed: the messages that it received, and the state that they add up to."""

    def __init__(self, websocket) -> None:
        self.websocket = websocket
        self.parser = MessageParser()
        self.mirror: dict[str, dict] = {}
        self.messages: list = []

    async def read(self):
        message = self.parser.parse(await recv(self.websocket))
        self.messages.append(message)
        if isinstance(message, InitialInfo):
            self.mirror[message.element_name] = {
                key: to_dict(element) for key, element in message.elements.items()
            }
        elif isinstance(message, InfoEvent):
            kind = self.mirror[message.element_name]
            kind[message.element.key] = to_dict(message.element)
            if message.event_name == "removed":
                del kind[message.element.key]
        return message

    async def read_initial_state(self, pbx: Simulator) -> FeedClient:
        """Read until the initial state is complete."""
        while len(self.mirror) < len(pbx.pbx.kinds):
            await self.read()
        return self

    async def read_until(self, text: str) -> list:
        """Read until the msg with this text; return the messages before it."""
        self.messages = []
        while self.messages[-1:] != [Msg(text)]:
            await self.read()
        return self.messages[:-1]


async def open_client(pbx: Simulator, websocket) -> FeedClient:
    return await FeedClient(websocket).read_initial_state(pbx)


async def assert_still_serves(pbx: Simulator, client: FeedClient | None = None) -> None:
    """Assert that a new client gets the current state, and that all of them get new events."""
    async with open_websocket(pbx, app_name="another") as websocket:
        new = await open_client(pbx, websocket)
        pbx.set_presence("1001", pbx.pbx.find_extension("1001").presence + 1)
        pbx.msg("still serving")
        for one in (new, client) if client else (new,):
            await one.read_until("still serving")
            assert one.mirror == pbx.snapshot()


async def read_until_error(websocket) -> ConnectionClosedError:
    """Read until the connection fails; return the error."""
    with pytest.raises(ConnectionClosedError) as caught:
        while True:
            await recv(websocket)
    return caught.value


def port(pbx: Simulator) -> int:
    return int(pbx.url.rpartition(":")[2])


def request(target: str = "/basix/api/ws_cti?app_name=raw") -> bytes:
    lines = [
        f"GET {target} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Authorization: {auth_header()['Authorization']}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def command(**values) -> bytes:
    """Return a command as a masked text frame."""
    text = json.dumps(values).encode()
    assert len(text) < 126
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text


class TcpClient(asyncio.Protocol):
    """TCP client that records the received pieces of data and the end of the connection."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.eof = False
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(request())

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)

    def eof_received(self) -> bool:
        self.eof = True
        return True  # The connection stays open for writing.

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(error)

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)


@contextlib.asynccontextmanager
async def tcp_client(pbx: Simulator):
    """Connect a TCP client, and read the initial frames and a closing msg."""
    loop = asyncio.get_running_loop()
    ssl_context = pbx.connect_args.get("ssl")
    transport, tcp = await loop.create_connection(
        TcpClient, "127.0.0.1", port(pbx), ssl=ssl_context
    )
    try:
        await eventually(lambda: len(pbx.connections) == 1)
        pbx.msg("opening")
        await eventually(lambda: tcp.data.endswith(b"opening"))
        tcp.pieces.clear()
        yield tcp
    finally:
        transport.abort()
        async with asyncio.timeout(TIMEOUT):
            await tcp.lost


def test_every_fault_is_used_in_this_file():
    text = Path(__file__).read_text(encoding="utf-8")
    assert len(FAULT_CLASSES) >= 20
    assert [
        fault_class.__name__
        for fault_class in FAULT_CLASSES
        if f"faults.{fault_class.__name__}(" not in text
    ] == []


async def test_custom_fault():
    """apply() gets the simulator and the connections."""

    class SendAppName(faults.Fault):
        def apply(self, simulator, feeds):
            for feed in feeds:
                feed.send([simulator.writer.msg(f"{feed.app_name}!")])

    async with Simulator(calls=False) as pbx, open_websocket(pbx, app_name="me") as websocket:
        client = await open_client(pbx, websocket)
        pbx.inject(SendAppName())
        assert await client.read() == Msg("me!")
        with pytest.raises(NotImplementedError):
            pbx.inject(faults.Fault())
        await assert_still_serves(pbx, client)


# -- the network ----------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("fault", [faults.Drop(), faults.Reset(), faults.HalfClose()])
async def test_fault_ends_one_connection_without_close_frame(fault, tls):
    async with Simulator(calls=False, tls=tls) as pbx:
        async with open_websocket(pbx) as affected, open_websocket(pbx) as unaffected:
            await open_client(pbx, affected)
            other = await open_client(pbx, unaffected)
            pbx.inject(fault, to=pbx.connections[0])
            error = await read_until_error(affected)
            assert error.rcvd is None
            assert affected.close_code == 1006
            await eventually(lambda: len(pbx.connections) == 1)
            await assert_still_serves(pbx, other)
        await eventually(lambda: not pbx.connections)


@pytest.mark.parametrize("tls", [False, True])
async def test_drop_sends_eof_after_earlier_frames(tls):
    async with Simulator(calls=False, tls=tls) as pbx, tcp_client(pbx) as tcp:
        pbx.msg("before")
        await eventually(lambda: tcp.data.endswith(b"before"))
        pbx.inject(faults.Drop())
        pbx.msg("after")
        await eventually(lambda: tcp.eof or tcp.lost.done())
        assert b"after" not in tcp.data
        await assert_still_serves(pbx)


@pytest.mark.parametrize("tls", [False, True])
async def test_reset_raises_connection_reset_error(tls):
    async with Simulator(calls=False, tls=tls) as pbx, tcp_client(pbx) as tcp:
        pbx.inject(faults.Reset())
        async with asyncio.timeout(TIMEOUT):
            assert isinstance(await asyncio.shield(tcp.lost), ConnectionResetError)
        assert not tcp.eof
        await assert_still_serves(pbx)


async def test_only_reset_has_connection_reset_error_as_cause():
    """The websockets package reports it as the cause of the closed connection."""
    async with (
        Simulator(calls=False) as pbx,
        open_websocket(pbx) as first,
        open_websocket(pbx) as second,
    ):
        for websocket, fault in ((first, faults.Reset()), (second, faults.Drop())):
            pbx.inject(fault, to=pbx.connections[0])
            error = await read_until_error(websocket)
            reset = isinstance(error.__cause__, ConnectionResetError)
            assert reset is isinstance(fault, faults.Reset)
            await eventually(lambda: len(pbx.connections) < 2)


async def test_half_close_sends_eof_and_reads_commands():
    async with Simulator(calls=False) as pbx:
        uuid = pbx.call()
        async with tcp_client(pbx) as tcp:
            pbx.inject(faults.HalfClose())
            await eventually(lambda: tcp.eof)
            pbx.msg("lost")
            assert uuid in pbx.snapshot()["channel"]
            tcp.transport.write(command(cmd="hangup", uuid=uuid))
            await eventually(lambda: uuid not in pbx.snapshot()["channel"])
            assert len(pbx.connections) == 1
            assert not tcp.lost.done()
            assert tcp.data == b""
            tcp.transport.close()
            await eventually(lambda: not pbx.connections)
            await assert_still_serves(pbx)


async def test_silence_sends_nothing_and_reads_commands():
    """It does not send a pong either; the connection stays open."""
    async with Simulator(calls=False) as pbx:
        uuid = pbx.call()
        async with open_websocket(pbx) as websocket, open_websocket(pbx) as unaffected:
            await open_client(pbx, websocket)
            other = await open_client(pbx, unaffected)
            async with asyncio.timeout(TIMEOUT):
                await (await websocket.ping())
            pbx.inject(faults.Silence(), to=pbx.connections[0])
            pbx.msg("unheard")
            pong = await websocket.ping()
            _, pending = await asyncio.wait(
                {asyncio.ensure_future(pong), asyncio.create_task(websocket.recv())}, timeout=0.2
            )
            assert len(pending) == 2
            assert websocket.state is State.OPEN
            await websocket.send(json.dumps({"cmd": "hangup", "uuid": uuid}))
            await eventually(lambda: uuid not in pbx.snapshot()["channel"])
            await other.read_until("unheard")
            await assert_still_serves(pbx, other)
            for task in pending:
                task.cancel()
            await asyncio.wait(pending)
            assert len(pbx.connections) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", [faults.Silence(), faults.Stall(60), faults.HalfClose(), faults.Coalesce(60)]
)
async def test_block_ends_soon_with_a_faulty_connection(fault):
    pbx = Simulator(calls=False)
    await pbx.__aenter__()
    loop = asyncio.get_running_loop()
    transport, tcp = await loop.create_connection(TcpClient, "127.0.0.1", port(pbx))
    await eventually(lambda: len(pbx.connections) == 1)
    pbx.inject(fault)
    pbx.msg("unheard")
    leaving = asyncio.create_task(pbx.__aexit__(None, None, None))
    done, _ = await asyncio.wait({leaving}, timeout=30)  # Half of the fault's time.
    transport.abort()
    await leaving
    await tcp.lost
    assert done
    assert b"unheard" not in tcp.data


async def test_stall_delays_data_in_order():
    """Pongs are delayed too."""
    async with Simulator(calls=False) as pbx, open_websocket(pbx) as websocket:
        client = await open_client(pbx, websocket)
        pbx.inject(faults.Stall(60))
        texts = [f"{number}" for number in range(20)]
        for text in texts:
            pbx.msg(text)
        pong = await websocket.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(websocket.recv(), 0.1)
        assert not pong.done()
        pbx.inject(faults.Stall(0.01))
        assert [(await client.read()).text for _ in texts] == texts
        async with asyncio.timeout(TIMEOUT):
            await pong
        await assert_still_serves(pbx, client)


async def test_split_sends_pieces_of_the_size():
    """A size of 0 ends the fault."""
    async with Simulator(calls=False) as pbx, tcp_client(pbx) as tcp:
        pbx.msg("x" * 40 + "whole")
        await eventually(lambda: tcp.data.endswith(b"whole"))
        assert len(tcp.pieces) <= 2
        length = len(tcp.data)
        tcp.pieces.clear()
        pbx.inject(faults.Split(3))
        pbx.msg("x" * 40 + "split")
        await eventually(lambda: tcp.data.endswith(b"split"))
        assert len(tcp.data) == length
        # Pieces can be joined on the way, if the reader is late.
        assert len(tcp.pieces) > length // 3 // 3
        tcp.pieces.clear()
        pbx.inject(faults.Split(0))
        pbx.msg("x" * 40 + "again")
        await eventually(lambda: tcp.data.endswith(b"again"))
        assert len(tcp.pieces) <= 2


async def test_split_frames_are_complete_for_a_websocket():
    async with (
        Simulator(calls=False) as pbx,
        open_websocket(pbx) as websocket,
        open_websocket(pbx) as unaffected,
    ):
        client = await open_client(pbx, websocket)
        other = await open_client(pbx, unaffected)
        pbx.inject(faults.Split(), to=pbx.connections[0])
        pbx.call()
        pbx.msg("end")
        await client.read_until("end")
        assert client.mirror == pbx.snapshot()
        await assert_still_serves(pbx, other)


@pytest.mark.slow
async def test_coalesce_sends_frames_together():
    """A time of 0 ends the fault."""
    async with Simulator(calls=False) as pbx, tcp_client(pbx) as tcp:

        async def assert_separate() -> None:
            tcp.pieces.clear()
            for number in range(5):
                pbx.msg(f"{number}")
                await eventually(lambda number=number: len(tcp.pieces) == number + 1)

        await assert_separate()
        pbx.inject(faults.Coalesce(0.5))
        tcp.pieces.clear()
        for text in ("one", "two", "three", "four"):
            pbx.msg(text)
            await asyncio.sleep(0.02)
        await eventually(lambda: tcp.data.endswith(b"four"))
        assert len(tcp.pieces) <= 2
        pbx.inject(faults.Coalesce(0))
        pbx.msg("the last together")  # The held data waits for its time.
        await eventually(lambda: tcp.data.endswith(b"together"))
        await assert_separate()


async def test_coalesced_frames_are_in_order_for_a_websocket():
    async with Simulator(calls=False) as pbx, open_websocket(pbx) as websocket:
        client = await open_client(pbx, websocket)
        pbx.inject(faults.Coalesce())
        texts = [f"{number}" for number in range(20)]
        for text in texts:
            pbx.msg(text)
        assert [(await client.read()).text for _ in texts] == texts
        await assert_still_serves(pbx, client)


# -- the handshake --------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_refuse_has_the_status_and_retry_after(status):
    """It applies to one client."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Refuse(status, retry_after=7))
        with pytest.raises(InvalidStatus) as caught:
            async with open_websocket(pbx):
                pass
        response = caught.value.response
        assert response.status_code == status
        assert response.headers["Retry-After"] == "7"
        assert ("WWW-Authenticate" in response.headers) is (status == 401)
        assert HTTPStatus(status).phrase in response.body.decode()
        await assert_still_serves(pbx)


async def test_refuse_applies_to_the_next_clients():
    """The default is a plain 503; ``times`` is the number of refused clients."""
    async with Simulator(calls=False) as pbx, open_websocket(pbx) as websocket:
        client = await open_client(pbx, websocket)
        pbx.inject(faults.Refuse(times=2))
        for _ in range(2):
            with pytest.raises(InvalidStatus) as caught:
                async with open_websocket(pbx):
                    pass
            assert caught.value.response.status_code == 503
            assert not {"Retry-After", "Location"} & set(caught.value.response.headers)
        await assert_still_serves(pbx, client)


async def test_refusals_apply_in_the_order_of_injection():
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Refuse(500))
        pbx.inject(faults.Refuse(HTTPStatus.FORBIDDEN))
        for status in (500, 403):
            with pytest.raises(InvalidStatus) as caught:
                async with open_websocket(pbx):
                    pass
            assert caught.value.response.status_code == status
        await assert_still_serves(pbx)


async def test_redirect_points_to_the_location():
    """A client that follows the redirect connects there."""
    async with Simulator(calls=False) as pbx, Simulator(calls=False) as elsewhere:
        url = feed_url(**{**elsewhere.connect_args, "app_name": "redirected"})
        pbx.inject(faults.Refuse(302, location=url))
        async with open_websocket(pbx) as websocket:
            await open_client(elsewhere, websocket)
            assert [feed.app_name for feed in elsewhere.connections] == ["redirected"]
            assert pbx.connections == ()
        pbx.inject(faults.Refuse(307, location=url))
        reader, writer = await asyncio.open_connection("127.0.0.1", port(pbx))
        writer.write(request())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 307 ")
        assert f"\r\nLocation: {url}\r\n".encode() in head
        writer.close()
        await writer.wait_closed()
        await assert_still_serves(pbx)


async def test_delay_handshake_delays_the_next_clients():
    """A client may give up waiting."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.DelayHandshake(60, times=2))
        impatient = asyncio.ensure_future(open_websocket(pbx, open_timeout=60).__aenter__())
        await eventually(lambda: pbx.armed_faults[0][1] == 1)
        impatient.cancel()
        opening = asyncio.ensure_future(open_websocket(pbx, open_timeout=60).__aenter__())
        await eventually(lambda: not pbx.armed_faults)
        await assert_still_serves(pbx)  # The next client does not wait.
        assert not opening.done()
        opening.cancel()
        pbx.inject(faults.DelayHandshake(0.2))
        opening = asyncio.ensure_future(open_websocket(pbx).__aenter__())
        done, _ = await asyncio.wait({opening}, timeout=0.1)
        assert not done
        websocket = await opening
        await open_client(pbx, websocket)
        await websocket.close()


async def test_block_ends_soon_while_a_handshake_is_delayed():
    pbx = Simulator(calls=False)
    await pbx.__aenter__()
    pbx.inject(faults.DelayHandshake(60))
    with pytest.raises(TimeoutError):
        async with open_websocket(pbx, open_timeout=0.1):
            pass
    leaving = asyncio.create_task(pbx.__aexit__(None, None, None))
    done, _ = await asyncio.wait({leaving}, timeout=30)
    await leaving
    assert done


@pytest.mark.parametrize("frames", [0, 1, 8, 10])
async def test_drop_during_snapshot_after_a_number_of_frames(frames):
    """The next client gets all frames."""
    async with Simulator(calls=False) as pbx, open_websocket(pbx) as unaffected:
        other = await open_client(pbx, unaffected)
        pbx.inject(faults.DropDuringSnapshot(frames))
        received = []
        async with open_websocket(pbx) as websocket:
            with pytest.raises(ConnectionClosedError):
                while True:
                    received.append(await recv(websocket))
        assert len(received) == frames
        await eventually(lambda: len(pbx.connections) == 1)
        await assert_still_serves(pbx, other)


async def test_drop_during_snapshot_applies_to_several_clients():
    """By default it sends eight frames: some kinds have arrived then, others not."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.DropDuringSnapshot(times=2))
        for _ in range(2):
            async with open_websocket(pbx) as websocket:
                client = FeedClient(websocket)
                with pytest.raises(ConnectionClosedError):
                    await client.read_initial_state(pbx)
                assert 0 < len(client.mirror) < len(pbx.pbx.kinds)
        await assert_still_serves(pbx)


async def test_event_first_sends_an_event_before_its_field_spec():
    """The rest of the feed is normal."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.EventFirst())
        async with open_websocket(pbx) as websocket:
            client = FeedClient(websocket)
            with pytest.raises(ProtocolError, match="no field_spec received"):
                await client.read()
            assert isinstance(await client.read(), FieldSpec)
            await client.read_initial_state(pbx)
            assert client.mirror == pbx.snapshot()
            await assert_still_serves(pbx, client)


async def test_event_first_sends_current_values():
    async with Simulator(calls=False) as pbx:
        pbx.call()
        pbx.inject(faults.EventFirst())
        async with open_websocket(pbx) as websocket:
            early = await recv(websocket)
            client = await open_client(pbx, websocket)
            message = client.parser.parse(early)
            assert isinstance(message, InfoEvent)
            known = pbx.snapshot()[message.element_name][message.element.key]
            assert to_dict(message.element) == known


# -- frames ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (None, DecodeError),
        (b"", DecodeError),
        (b"\x00\xff", DecodeError),
        (b"\x83a\x01", ProtocolError),
        ("a text frame", ProtocolError),
    ],
)
async def test_send_frame_sends_invalid_data_to_one_connection(frame, error):
    """The data is binary or text; the next frame is valid."""
    async with (
        Simulator(calls=False) as pbx,
        open_websocket(pbx) as websocket,
        open_websocket(pbx) as unaffected,
    ):
        client = await open_client(pbx, websocket)
        other = await open_client(pbx, unaffected)
        fault = faults.SendFrame() if frame is None else faults.SendFrame(frame)
        pbx.inject(fault, to=pbx.connections[0])
        received = await recv(websocket)
        assert received == fault.frame
        assert type(received) is type(fault.frame)
        with pytest.raises(error):
            client.parser.parse(received)
        pbx.msg("good")
        assert await client.read_until("good") == []
        assert await other.read_until("good") == []


async def test_truncate_sends_half_of_the_last_event():
    """It sends nothing if there was no event."""
    async with Simulator(calls=False) as pbx, open_websocket(pbx) as websocket:
        client = await open_client(pbx, websocket)
        pbx.inject(faults.Truncate())
        pbx.set_presence("1001", 3)
        complete = await recv(websocket)
        assert isinstance(client.parser.parse(complete), InfoEvent)
        pbx.inject(faults.Truncate())
        half = await recv(websocket)
        assert 0 < len(half) < len(complete)
        assert complete.startswith(half)
        with pytest.raises(DecodeError):
            client.parser.parse(half)
        pbx.msg("end")
        assert await client.read_until("end") == []
        await assert_still_serves(pbx)


async def test_repeat_sends_the_last_event_to_one_connection():
    """It sends nothing if there was no event."""
    async with (
        Simulator(calls=False) as pbx,
        open_websocket(pbx) as websocket,
        open_websocket(pbx) as unaffected,
    ):
        client = await open_client(pbx, websocket)
        other = await open_client(pbx, unaffected)
        affected_connection = pbx.connections[0]
        pbx.inject(faults.Repeat())
        pbx.set_presence("1001", 3)
        pbx.inject(faults.Repeat(), to=affected_connection)
        pbx.msg("end")
        first, repeated = await client.read_until("end")
        assert isinstance(first, InfoEvent)
        assert first.element.presence == 3
        assert first == repeated
        assert await other.read_until("end") == [first]
        await assert_still_serves(pbx, other)


async def test_repeat_after_a_removal_repeats_the_removal():
    """The client no longer has the element."""
    async with Simulator(calls=False) as pbx:
        uuid = pbx.call()
        async with open_websocket(pbx) as websocket:
            client = await open_client(pbx, websocket)
            pbx.hangup(uuid)
            pbx.msg("gone")
            before = await client.read_until("gone")
            pbx.inject(faults.Repeat())
            repeated = client.parser.parse(await recv(websocket))
            assert repeated == [m for m in before if isinstance(m, InfoEvent)][-1]
            assert repeated.event_name == "removed"
            assert client.mirror == pbx.snapshot()


async def test_repeat_after_change_spec_has_the_same_values():
    """The fields come in the new order."""
    async with Simulator(calls=False) as pbx, open_websocket(pbx) as websocket:
        client = await open_client(pbx, websocket)
        pbx.set_presence("1001", 3)
        pbx.inject(faults.ChangeSpec("user"))
        pbx.inject(faults.Repeat())
        first, spec, repeated = await client.read(), await client.read(), await client.read()
        assert isinstance(spec, FieldSpec)
        assert to_dict(repeated.element) == to_dict(first.element)


@pytest.mark.parametrize("calling", [True, False])
async def test_update_after_removal_updates_an_ended_channel(calling):
    async with Simulator(calls=False) as pbx:
        uuid = pbx.call() if calling else None
        async with open_websocket(pbx) as websocket, open_websocket(pbx) as unaffected:
            client = await open_client(pbx, websocket)
            other = await open_client(pbx, unaffected)
            pbx.inject(faults.UpdateAfterRemoval(), to=pbx.connections[0])
            assert pbx.snapshot()["channel"] == {}
            pbx.msg("end")
            events = [m for m in await client.read_until("end") if m.element_name == "channel"]
            channel = events[-1].element
            assert uuid in {None, channel.uuid}
            *_, update, removal, last = [e for e in events if e.element.uuid == channel.uuid]
            assert [update.event_name, removal.event_name] == ["updated", "removed"]
            assert update.element.last_event == "CHANNEL_HANGUP"
            assert last.event_name == "updated"
            assert last.element.last_event != "CHANNEL_HANGUP"
            assert last.element.hung_up_at is None
            assert list(client.mirror["channel"]) == [channel.uuid]
            await other.read_until("end")
            await assert_still_serves(pbx, other)


async def test_update_after_removal_respects_the_filter():
    """A client with a filter does not receive other users' channels."""
    async with Simulator(calls=False) as pbx:
        pbx.call()
        async with open_websocket(pbx, user_extension="1005") as websocket:
            client = await open_client(pbx, websocket)
            pbx.inject(faults.UpdateAfterRemoval())
            pbx.msg("end")
            events = [m for m in await client.read_until("end") if m.element_name == "channel"]
            assert [m for m in events if m.element.last_event != "CHANNEL_HANGUP"] == []


@pytest.mark.parametrize("kind", ["channel", "user", "group", "group_member", "terminal", "domain"])
async def test_change_spec_changes_the_order_of_fields(kind):
    """The elements stay the same for all clients."""
    async with Simulator(calls=False) as pbx, open_websocket(pbx) as websocket:
        client = await open_client(pbx, websocket)
        before = next(m.fields for m in client.messages if getattr(m, "element_name", "") == kind)
        pbx.call()
        for _ in range(2):
            pbx.inject(faults.ChangeSpec(kind))
            pbx.call("05011112222", to="1002")
        pbx.edit("1001", presence=2)
        pbx.msg("end")
        specs = [m for m in await client.read_until("end") if isinstance(m, FieldSpec)]
        assert [spec.element_name for spec in specs] == [kind, kind]
        assert specs[0].fields == (*before[1:], before[0])
        assert specs[1].fields == (*before[2:], *before[:2])
        assert client.mirror == pbx.snapshot()
        await assert_still_serves(pbx, client)


async def test_change_spec_applies_to_channels_by_default():
    """New clients get the new order at once."""
    async with Simulator(calls=False) as pbx:
        pbx.call()
        pbx.inject(faults.ChangeSpec())
        async with open_websocket(pbx) as websocket:
            client = await open_client(pbx, websocket)
            assert client.messages[0].element_name == "channel"
            assert client.messages[0].fields[-1] == "uuid"
            assert client.mirror == pbx.snapshot()


async def test_change_fields_refuses_other_fields():
    """Only the order can change."""
    async with Simulator(calls=False) as pbx:
        before = pbx.writer.fields["channel"]
        with pytest.raises(ValueError, match="fields must be the fields of channel"):
            pbx.change_fields("channel", before[1:])
        assert pbx.writer.fields["channel"] == before


async def test_unknown_kind_sends_all_messages_of_a_new_kind():
    """It also sends a message with an unknown name."""
    async with (
        Simulator(calls=False) as pbx,
        open_websocket(pbx) as websocket,
        open_websocket(pbx) as unaffected,
    ):
        client = await open_client(pbx, websocket)
        other = await open_client(pbx, unaffected)
        pbx.inject(faults.UnknownKind(), to=pbx.connections[0])
        pbx.msg("end")
        spec, info, event, message = await client.read_until("end")
        assert spec == FieldSpec("robot", ("id", "label", "arms"))
        assert list(info.elements) == [7]
        assert isinstance(event, InfoEvent)
        assert (event.element_name, event.element.key, event.event_name) == ("robot", 7, "updated")
        assert isinstance(message, UnknownMessage)
        assert message.name == "robot_msg"
        assert await other.read_until("end") == []
        await assert_still_serves(pbx, other)


async def test_unspecified_kind_sends_an_event_without_field_spec():
    """The next frame is valid."""
    async with Simulator(calls=False) as pbx, open_websocket(pbx) as websocket:
        client = await open_client(pbx, websocket)
        pbx.inject(faults.UnspecifiedKind())
        with pytest.raises(ProtocolError, match="phantom"):
            await client.read()
        await assert_still_serves(pbx, client)


# -- the server -----------------------------------------------------------------------


async def connect_and_disconnect(pbx: Simulator, count: int, *, clean: bool = False) -> None:
    """Connect clients that disconnect again; the clean ones with a closing handshake."""
    for _ in range(count):
        async with open_websocket(pbx) as websocket:
            await open_client(pbx, websocket)
            if not clean:
                websocket.transport.abort()
    await eventually(lambda: not pbx.connections)
    await asyncio.sleep(0.05)


async def first_message(pbx: Simulator, **options):
    async with open_websocket(pbx, **options) as websocket:
        return await FeedClient(websocket).read()


@pytest.mark.slow
async def test_linger_counts_dead_connections_towards_the_limit():
    """They count for a time, and for their app_name only."""
    async with Simulator(calls=False) as pbx:
        await connect_and_disconnect(pbx, 2)
        assert isinstance(await first_message(pbx), FieldSpec)
        pbx.inject(faults.Linger(60))
        await connect_and_disconnect(pbx, 2)
        assert await first_message(pbx) == SystemMsg("connection_limit_reached")
        await assert_still_serves(pbx)
        pbx.inject(faults.Linger(0))  # This forgets those two.
        pbx.inject(faults.Linger(0.5))
        await connect_and_disconnect(pbx, 2)
        await asyncio.sleep(0.6)
        assert isinstance(await first_message(pbx), FieldSpec)


async def test_force_replaces_a_lingering_connection_first():
    """Connections that are alive stay."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Linger(60))
        async with open_websocket(pbx) as websocket:
            alive = await open_client(pbx, websocket)
            async with open_websocket(pbx) as dead:
                await open_client(pbx, dead)
                dead.transport.abort()
            await eventually(lambda: len(pbx.connections) == 1)
            assert await first_message(pbx) == SystemMsg("connection_limit_reached")
            assert isinstance(await first_message(pbx, force=True), FieldSpec)
            await eventually(lambda: len(pbx.connections) == 1)
            pbx.msg("still connected")
            assert await alive.read_until("still connected") == []


async def test_cleanly_closed_connections_do_not_linger():
    """A time of 0 ends the fault."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Linger(60))
        await connect_and_disconnect(pbx, 3, clean=True)
        assert isinstance(await first_message(pbx), FieldSpec)
        pbx.inject(faults.Linger(0))
        await connect_and_disconnect(pbx, 3)
        assert isinstance(await first_message(pbx), FieldSpec)


async def test_restart_forgets_lingering_connections():
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Linger(60))
        async with open_websocket(pbx) as first, open_websocket(pbx) as second:
            await open_client(pbx, first)
            await open_client(pbx, second)
            pbx.inject(faults.Restart())
            await read_until_error(first)
            await read_until_error(second)
        await asyncio.sleep(0.05)
        assert isinstance(await first_message(pbx), FieldSpec)


async def test_refused_connection_does_not_linger():
    async with Simulator(calls=False, max_connections=1) as pbx:
        pbx.inject(faults.Linger(60))
        async with open_websocket(pbx) as websocket:
            await open_client(pbx, websocket)
            async with open_websocket(pbx) as surplus:
                surplus.transport.abort()
            await asyncio.sleep(0.1)
        await eventually(lambda: not pbx.connections)
        assert isinstance(await first_message(pbx), FieldSpec)


async def test_restart_ends_connections_and_channels():
    """The address and the other elements stay the same."""
    async with Simulator(calls=False) as pbx:
        pbx.call()
        pbx.set_presence("1001", 3)
        url, before = pbx.url, pbx.snapshot()
        async with open_websocket(pbx) as first, open_websocket(pbx) as second:
            await open_client(pbx, first)
            await open_client(pbx, second)
            pbx.inject(faults.Restart())
            assert pbx.connections == ()
            for websocket in (first, second):
                assert (await read_until_error(websocket)).rcvd is None
        assert pbx.url == url
        after = pbx.snapshot()
        assert len(before["channel"]) > 1
        assert after == {**before, "channel": {}, "channel_waiting": {}}
        await assert_still_serves(pbx)


async def test_restart_with_another_pbx():
    """The clients get its elements and events."""
    other = Pbx(9)
    scenarios.populate(other, 2)
    line = other.receive(scenarios.CALLERS[1], "0501234567")
    other.set_state(line, "ivr", ivr_id="main_menu")
    async with Simulator(calls=False) as pbx:
        old = pbx.pbx
        async with open_websocket(pbx) as websocket:
            client = await open_client(pbx, websocket)
            assert len(client.mirror["user"]) == len(scenarios.STAFF)
            pbx.inject(faults.Restart(pbx=other))
            await read_until_error(websocket)
        assert pbx.pbx is other
        async with open_websocket(pbx) as websocket:
            client = await open_client(pbx, websocket)
            assert client.mirror == other.snapshot()
            assert len(client.mirror["user"]) == 2
            assert len(client.mirror["channel"]) == 1
            old.edit(next(iter(old.users.values())), presence=1)  # Publishes nothing.
            pbx.msg("end")
            assert await client.read_until("end") == []
        await assert_still_serves(pbx)


async def test_calls_continue_after_a_restart():
    other = Pbx(5)
    scenarios.populate(other)
    async with Simulator(speed=200, seed=3) as pbx:
        pbx.advance(3600)
        for fault in (faults.Restart(), faults.Restart(pbx=other)):
            pbx.inject(fault)
            async with open_websocket(pbx) as websocket:
                client = await open_client(pbx, websocket)
                async with asyncio.timeout(TIMEOUT):
                    while sum(isinstance(m, InfoEvent) for m in client.messages) < 20:
                        await client.read()


async def test_time_of_another_pbx_starts_at_its_own_clock():
    other = Pbx(5)
    other.now += 10 * 3600 * 1_000_000
    scenarios.populate(other)
    started_at = other.now
    async with Simulator(speed=1, seed=3) as pbx:
        assert isinstance(await first_message(pbx), FieldSpec)
        pbx.inject(faults.Restart(pbx=other))
        await asyncio.sleep(0.1)
        pbx.set_presence("1001", 1)
        await asyncio.sleep(0.05)
        assert other.now - started_at < 600 * 1_000_000


async def test_restart_refuses_connections_while_down():
    async with Simulator(calls=False) as pbx:
        url = pbx.url
        async with open_websocket(pbx) as websocket:
            await open_client(pbx, websocket)
            pbx.inject(faults.Restart(down_for=60))
            await read_until_error(websocket)
        with pytest.raises(ConnectionRefusedError):
            async with open_websocket(pbx):
                pass
        pbx.inject(faults.Restart(down_for=0.05))
        async with asyncio.timeout(TIMEOUT):
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    assert isinstance(await first_message(pbx), FieldSpec)
                    break
                await asyncio.sleep(0.05)
        assert pbx.url == url
        await assert_still_serves(pbx)


async def test_restart_refuses_connections_immediately():
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Restart(down_for=0.3))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port(pbx)), timeout=5).close()


async def test_restart_while_down():
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Restart(down_for=0.1))
        await asyncio.sleep(0.05)
        pbx.inject(faults.Restart(down_for=0.1))
        await wait_until_it_listens(pbx)
        await assert_still_serves(pbx)


async def test_block_can_end_while_down():
    async with asyncio.timeout(30):
        async with Simulator(calls=False) as pbx:
            pbx.inject(faults.Restart(down_for=60))
            await asyncio.sleep(0.05)
            with pytest.raises(ConnectionRefusedError):
                async with open_websocket(pbx):
                    pass


async def test_block_can_end_directly_after_a_change():
    pbx = Simulator(seed=3)
    await pbx.__aenter__()
    assert isinstance(await first_message(pbx), FieldSpec)
    await asyncio.sleep(0.1)
    pbx.set_presence("1001", 1)
    leaving = asyncio.create_task(pbx.__aexit__(None, None, None))
    done, _ = await asyncio.wait({leaving}, timeout=30)
    for task in asyncio.all_tasks():  # Leaving must not hang if the assertion below fails.
        if task.get_name().startswith("basix simulator"):
            task.cancel()
    await leaving
    assert done


@pytest.mark.slow
async def test_flood_events_arrive_in_order():
    async with Simulator(calls=False) as pbx, open_websocket(pbx) as websocket:
        client = await open_client(pbx, websocket)
        published: list = []
        pbx.pbx.listeners.append(lambda _, key, values, __: published.append((key, values)))
        pbx.inject(faults.Flood(3000))
        await eventually(lambda: len(published) >= 3000)
        pbx.msg("end")
        events = await client.read_until("end")
        assert len(published) == 3000
        assert [(m.element.key, to_dict(m.element)) for m in events] == published
        assert client.mirror == pbx.snapshot()
        await assert_still_serves(pbx, client)


@pytest.mark.slow
async def test_flood_is_ten_thousand_events_by_default():
    async with Simulator(calls=False) as pbx, open_websocket(pbx) as websocket:
        await open_client(pbx, websocket)
        published: list = []
        pbx.pbx.listeners.append(lambda *event: published.append(event))
        pbx.inject(faults.Flood())
        frames = 0
        while len(published) < 10_000:
            await recv(websocket)
            frames += 1
        pbx.msg("end")
        while not (await recv(websocket)).endswith(b"end"):
            frames += 1
        assert frames == 10_000


async def test_flood_needs_a_user():
    async with Simulator(calls=False, pbx=Pbx()) as pbx:
        with pytest.raises(NotPossibleError, match="a flood needs at least one user"):
            pbx.inject(faults.Flood(10))


# -- injection ------------------------------------------------------------------------


async def test_inject_after_a_delay():
    """The fault applies to the connections of that time, or to the one passed as ``to``."""
    async with (
        Simulator(calls=False) as pbx,
        open_websocket(pbx) as first,
        open_websocket(pbx) as second,
    ):
        client = await open_client(pbx, first)
        other = await open_client(pbx, second)
        pbx.inject(faults.SendFrame("later"), after=0.1)
        pbx.msg("now")
        assert await client.read_until("now") == []
        assert await other.read_until("now") == []
        assert await recv(first) == await recv(second) == "later"
        pbx.inject(faults.Drop(), after=0.1, to=pbx.connections[0])
        pbx.msg("now")
        assert await client.read_until("now") == []
        assert await other.read_until("now") == []
        await read_until_error(first)
        await assert_still_serves(pbx, other)


async def test_block_can_end_before_a_scheduled_fault():
    async with asyncio.timeout(30):
        async with Simulator(calls=False, faults=[(60, faults.Drop())]) as pbx:
            pbx.inject(faults.Drop(), after=60)
            await assert_still_serves(pbx)


@pytest.mark.slow
async def test_schedule_applies_faults_in_the_order_of_time():
    """The times are seconds after the start."""
    applied = []

    class RecordingFault(faults.Fault):
        def apply(self, simulator, feeds):
            applied.append(self)

    second, first = RecordingFault(), RecordingFault()
    schedule = [(0.8, second), (0.1, first), (0, faults.Refuse(429))]
    async with Simulator(calls=False, faults=schedule) as pbx:
        with pytest.raises(InvalidStatus) as caught:
            async with open_websocket(pbx):
                pass
        assert caught.value.response.status_code == 429
        await eventually(lambda: len(applied) == 2)
        assert applied == [first, second]
        await assert_still_serves(pbx)


async def test_error_in_a_scheduled_fault_is_raised_at_the_end():
    with pytest.raises(NotImplementedError):
        async with Simulator(calls=False, faults=[(0, faults.Fault())]):
            await asyncio.sleep(0.05)


async def test_inject_works_from_any_thread():
    with Simulator(calls=False, faults=[(0, faults.Refuse(403))]) as pbx:
        with pytest.raises(InvalidStatus):
            async with open_websocket(pbx):
                pass
        async with open_websocket(pbx) as first, open_websocket(pbx) as second:
            client = await open_client(pbx, first)
            await open_client(pbx, second)
            pbx.inject(faults.Repeat())
            pbx.inject(faults.Drop(), to=pbx.connections[1])
            await read_until_error(second)
            await assert_still_serves(pbx, client)
            thread = threading.Thread(target=pbx.inject, args=(faults.Reset(),))
            thread.start()
            await asyncio.to_thread(thread.join)
            await read_until_error(first)
        pbx.inject(faults.Restart(down_for=0.2))
        async with asyncio.timeout(TIMEOUT):
            while True:
                with contextlib.suppress(OSError, EOFError, TimeoutError):
                    assert isinstance(await first_message(pbx, open_timeout=1), FieldSpec)
                    break
                await asyncio.sleep(0.05)
        await assert_still_serves(pbx)
    with pytest.raises(UsageError, match="inside"):
        pbx.inject(faults.Drop())


def test_error_in_a_fault_is_raised_by_inject():
    with Simulator(calls=False) as pbx:
        with pytest.raises(NotImplementedError):
            pbx.inject(faults.Fault())
        pbx.inject(faults.Drop())  # There is no connection, and nothing happens.


@pytest.mark.parametrize(
    "fault_class", [faults.Drop, faults.Reset, faults.HalfClose, faults.Silence]
)
async def test_fault_on_a_closed_connection_does_nothing(fault_class):
    async with Simulator(calls=False) as pbx:
        async with open_websocket(pbx) as websocket:
            await open_client(pbx, websocket)
            feed = pbx.connections[0]
        await eventually(lambda: not pbx.connections)
        pbx.inject(fault_class(), to=feed)
        await assert_still_serves(pbx)


@pytest.mark.parametrize(
    ("fault_class", "values", "text"),
    [
        (faults.Stall, {"seconds": 0}, "seconds"),
        (faults.Stall, {"seconds": -1}, "seconds"),
        (faults.Stall, {"seconds": math.nan}, "seconds"),
        (faults.Split, {"size": -1}, "size"),
        (faults.Coalesce, {"seconds": -0.1}, "seconds"),
        (faults.Refuse, {"status": 999}, "999"),
        (faults.Refuse, {"status": "no"}, "no"),
        (faults.Refuse, {"times": 0}, "times"),
        (faults.DelayHandshake, {"seconds": 0}, "seconds"),
        (faults.DelayHandshake, {"seconds": 1, "times": 0}, "times"),
        (faults.DropDuringSnapshot, {"frames": -1}, "frames"),
        (faults.DropDuringSnapshot, {"times": 0}, "times"),
        (faults.EventFirst, {"times": -1}, "times"),
        (faults.Linger, {"seconds": -1}, "seconds"),
        (faults.Restart, {"down_for": -1}, "down_for"),
        (faults.Flood, {"events": 0}, "events"),
    ],
)
def test_parameters_out_of_range_are_refused(fault_class, values, text):
    """The ValueError names the parameter."""
    with pytest.raises(ValueError, match=text):
        fault_class(**values)


@pytest.mark.parametrize(
    ("fault_class", "values"),
    [
        (faults.Split, {"size": 1.5}),  # FaultyTransport._release() would fail repeatedly.
        (faults.Refuse, {"times": 1.5}),  # It would never count down to 0.
        (faults.Refuse, {"status": 101}),  # The handshake would be neither accepted nor refused.
        (faults.Refuse, {"retry_after": -1}),
        (faults.Refuse, {"retry_after": math.nan}),
        (faults.DropDuringSnapshot, {"frames": 2.5}),  # It would never be reached.
        (faults.DelayHandshake, {"seconds": 1, "times": 1.5}),
        (faults.Flood, {"events": 1.5}),
        (faults.SendFrame, {"frame": 5}),  # It would end the feed's task without a report.
    ],
)
def test_parameters_that_would_fail_later_are_refused(fault_class, values):
    """The error would occur in the event loop."""
    with pytest.raises((ValueError, TypeError)):
        fault_class(**values)


async def test_change_spec_of_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="nonsense"):
        async with Simulator(calls=False) as pbx:
            pbx.inject(faults.ChangeSpec("nonsense"))


async def test_negative_delay_is_refused():
    with pytest.raises(ValueError, match="-1"):
        Simulator(faults=[(-1, faults.Drop())])
    async with Simulator(calls=False) as pbx:
        with pytest.raises(ValueError, match="-1"):
            pbx.inject(faults.Drop(), after=-1)


def test_schedule_without_times_is_refused():
    with pytest.raises((ValueError, TypeError)):
        Simulator(faults=[faults.Drop()])
