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
from support.simulator_clients import BARE, header
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
    feed_url,
    to_dict,
)
from basix_ws_cti.simulator import NotPossibleError, Pbx, Simulator, faults, scenarios

SORTS = [
    sort
    for sort in vars(faults).values()
    if isinstance(sort, type) and issubclass(sort, faults.Fault) and sort is not faults.Fault
]


def link(pbx: Simulator, **options):
    """A bare client: the websockets package, and nothing of this one but the URL."""
    args = {**pbx.connect_args, **options}
    context = args.pop("ssl", None)
    open_timeout = args.pop("open_timeout", TIMEOUT)
    return websocket_connect(
        feed_url(**args),
        ssl=context,
        logger=BARE,
        compression=None,
        ping_interval=None,
        open_timeout=open_timeout,
        close_timeout=0.2,  # some of these PBXs do not answer
    )


async def recv(websocket) -> bytes | str:
    async with asyncio.timeout(TIMEOUT):
        return await websocket.recv()


class Client:
    """What a client knows: the messages it got, and the picture that they make."""

    def __init__(self, websocket) -> None:
        self.websocket = websocket
        self.parser = MessageParser()
        self.picture: dict[str, dict] = {}
        self.messages: list = []

    async def read(self):
        message = self.parser.parse(await recv(self.websocket))
        self.messages.append(message)
        if isinstance(message, InitialInfo):
            self.picture[message.element_name] = {
                key: to_dict(element) for key, element in message.elements.items()
            }
        elif isinstance(message, InfoEvent):
            kind = self.picture[message.element_name]
            kind[message.element.key] = to_dict(message.element)
            if message.event_name == "removed":
                del kind[message.element.key]
        return message

    async def open(self, pbx: Simulator) -> Client:
        """Read until the initial picture is there."""
        while len(self.picture) < len(pbx.pbx.kinds):
            await self.read()
        return self

    async def eventually(self, text: str) -> list:
        """Read until the PBX says this; what came before it."""
        self.messages = []
        while self.messages[-1:] != [Msg(text)]:
            await self.read()
        return self.messages[:-1]


async def open_client(pbx: Simulator, websocket) -> Client:
    return await Client(websocket).open(pbx)


async def assert_lives(pbx: Simulator, client: Client | None = None) -> None:
    """A new client gets the picture, and so does the one that was untouched; both hear."""
    async with link(pbx, app_name="another") as websocket:
        new = await open_client(pbx, websocket)
        pbx.set_presence("1001", pbx.pbx.find_extension("1001").presence + 1)
        pbx.msg("still here")
        for one in (new, client) if client else (new,):
            await one.eventually("still here")
            assert one.picture == pbx.snapshot()


async def ended(websocket) -> ConnectionClosedError:
    """Read what there is to the end, which is a bad one."""
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
        f"Authorization: {header()['Authorization']}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def command(**values) -> bytes:
    """A command as a masked text frame."""
    text = json.dumps(values).encode()
    assert len(text) < 126
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text


class Wire(asyncio.Protocol):
    """A bare TCP client: what came in which pieces, and how it ended."""

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
        return True  # go on writing

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(error)

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)


@contextlib.asynccontextmanager
async def wire(pbx: Simulator):
    """A bare TCP client that has read the initial picture, which ends with a word."""
    loop = asyncio.get_running_loop()
    context = pbx.connect_args.get("ssl")
    transport, bare = await loop.create_connection(Wire, "127.0.0.1", port(pbx), ssl=context)
    try:
        await eventually(lambda: len(pbx.connections) == 1)
        pbx.msg("opening")
        await eventually(lambda: bare.data.endswith(b"opening"))
        bare.pieces.clear()
        yield bare
    finally:
        transport.abort()
        async with asyncio.timeout(TIMEOUT):
            await bare.lost


def test_no_fault_without_a_test():
    """Every fault that there is, is used in this file."""
    text = Path(__file__).read_text(encoding="utf-8")
    assert len(SORTS) >= 20
    assert [sort.__name__ for sort in SORTS if f"faults.{sort.__name__}(" not in text] == []


async def test_a_fault_of_ones_own():
    """A Fault can be subclassed: apply() gets the simulator and the connections."""

    class Shout(faults.Fault):
        def apply(self, simulator, feeds):
            for feed in feeds:
                feed.send([simulator.writer.msg(f"{feed.app_name}!")])

    async with Simulator(calls=False) as pbx, link(pbx, app_name="me") as websocket:
        client = await open_client(pbx, websocket)
        pbx.inject(Shout())
        assert await client.read() == Msg("me!")
        with pytest.raises(NotImplementedError):
            pbx.inject(faults.Fault())
        await assert_lives(pbx, client)


# -- the network ----------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("fault", [faults.Drop(), faults.Reset(), faults.HalfClose()])
async def test_the_connection_ends(fault, tls):
    """Drop, Reset and HalfClose end a connection without a close frame, and that one alone."""
    async with Simulator(calls=False, tls=tls) as pbx:
        async with link(pbx) as hit, link(pbx) as spared:
            await open_client(pbx, hit)
            other = await open_client(pbx, spared)
            pbx.inject(fault, to=pbx.connections[0])
            error = await ended(hit)
            assert error.rcvd is None
            assert hit.close_code == 1006
            await eventually(lambda: len(pbx.connections) == 1)
            await assert_lives(pbx, other)
        await eventually(lambda: not pbx.connections)


@pytest.mark.parametrize("tls", [False, True])
async def test_drop(tls):
    """A drop is an end of file to whoever reads, and a frame sent before it arrives."""
    async with Simulator(calls=False, tls=tls) as pbx, wire(pbx) as bare:
        pbx.msg("before")
        await eventually(lambda: bare.data.endswith(b"before"))
        pbx.inject(faults.Drop())
        pbx.msg("after")
        await eventually(lambda: bare.eof or bare.lost.done())
        assert b"after" not in bare.data
        await assert_lives(pbx)


@pytest.mark.parametrize("tls", [False, True])
async def test_reset(tls):
    """A reset is ECONNRESET to whoever reads."""
    async with Simulator(calls=False, tls=tls) as pbx, wire(pbx) as bare:
        pbx.inject(faults.Reset())
        async with asyncio.timeout(TIMEOUT):
            assert isinstance(await asyncio.shield(bare.lost), ConnectionResetError)
        assert not bare.eof
        await assert_lives(pbx)


async def test_reset_of_a_websocket():
    """The websockets package shows the reset as the cause of the loss; of a drop it shows none."""
    async with Simulator(calls=False) as pbx, link(pbx) as first, link(pbx) as second:
        for websocket, fault in ((first, faults.Reset()), (second, faults.Drop())):
            pbx.inject(fault, to=pbx.connections[0])
            error = await ended(websocket)
            reset = isinstance(error.__cause__, ConnectionResetError)
            assert reset is isinstance(fault, faults.Reset)
            await eventually(lambda: len(pbx.connections) < 2)


async def test_half_close():
    """After a half-close nothing comes but EOF, and commands are still read."""
    async with Simulator(calls=False) as pbx:
        uuid = pbx.call()
        async with wire(pbx) as bare:
            pbx.inject(faults.HalfClose())
            await eventually(lambda: bare.eof)
            pbx.msg("lost")
            assert uuid in pbx.snapshot()["channel"]
            bare.transport.write(command(cmd="hangup", uuid=uuid))
            await eventually(lambda: uuid not in pbx.snapshot()["channel"])
            assert len(pbx.connections) == 1
            assert not bare.lost.done()
            assert bare.data == b""
            bare.transport.close()
            await eventually(lambda: not pbx.connections)
            await assert_lives(pbx)


async def test_silence():
    """A silent PBX sends no data and no pong; it stays open, and reads commands."""
    async with Simulator(calls=False) as pbx:
        uuid = pbx.call()
        async with link(pbx) as websocket, link(pbx) as spared:
            await open_client(pbx, websocket)
            other = await open_client(pbx, spared)
            async with asyncio.timeout(TIMEOUT):
                await (await websocket.ping())
            pbx.inject(faults.Silence(), to=pbx.connections[0])
            pbx.msg("unheard")
            pong = await websocket.ping()
            _, waits = await asyncio.wait(
                {asyncio.ensure_future(pong), asyncio.create_task(websocket.recv())}, timeout=0.2
            )
            assert len(waits) == 2
            assert websocket.state is State.OPEN
            await websocket.send(json.dumps({"cmd": "hangup", "uuid": uuid}))
            await eventually(lambda: uuid not in pbx.snapshot()["channel"])
            await other.eventually("unheard")
            await assert_lives(pbx, other)
            for task in waits:
                task.cancel()
            await asyncio.wait(waits)
            assert len(pbx.connections) == 2


@pytest.mark.parametrize(
    "fault", [faults.Silence(), faults.Stall(60), faults.HalfClose(), faults.Coalesce(60)]
)
async def test_leaving_with_a_client_that_hears_nothing(fault):
    """The block ends within a few seconds whatever state its connections are in."""
    pbx = Simulator(calls=False)
    await pbx.__aenter__()
    loop = asyncio.get_running_loop()
    transport, bare = await loop.create_connection(Wire, "127.0.0.1", port(pbx))
    await eventually(lambda: len(pbx.connections) == 1)
    pbx.inject(fault)
    pbx.msg("unheard")
    leaving = asyncio.create_task(pbx.__aexit__(None, None, None))
    done, _ = await asyncio.wait({leaving}, timeout=30)  # half of the fault's time
    transport.abort()
    await leaving
    await bare.lost
    assert done
    assert b"unheard" not in bare.data


async def test_stall():
    """What is sent during a stall comes after it, complete and in order; so does a pong."""
    async with Simulator(calls=False) as pbx, link(pbx) as websocket:
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
        await assert_lives(pbx, client)


async def test_split():
    """All comes in pieces of that size, which a client puts together; with 0 it ends."""
    async with Simulator(calls=False) as pbx, wire(pbx) as bare:
        pbx.msg("x" * 40 + "whole")
        await eventually(lambda: bare.data.endswith(b"whole"))
        assert len(bare.pieces) <= 2
        length = len(bare.data)
        bare.pieces.clear()
        pbx.inject(faults.Split(3))
        pbx.msg("x" * 40 + "split")
        await eventually(lambda: bare.data.endswith(b"split"))
        assert len(bare.data) == length
        # Pieces can meet again on their way, if the reader is late.
        assert len(bare.pieces) > length // 3 // 3
        bare.pieces.clear()
        pbx.inject(faults.Split(0))
        pbx.msg("x" * 40 + "again")
        await eventually(lambda: bare.data.endswith(b"again"))
        assert len(bare.pieces) <= 2


async def test_split_for_a_websocket():
    """A bare client sees nothing of a split: the frames are whole, byte by byte or not."""
    async with Simulator(calls=False) as pbx, link(pbx) as websocket, link(pbx) as spared:
        client = await open_client(pbx, websocket)
        other = await open_client(pbx, spared)
        pbx.inject(faults.Split(), to=pbx.connections[0])
        pbx.call()
        pbx.msg("end")
        await client.eventually("end")
        assert client.picture == pbx.snapshot()
        await assert_lives(pbx, other)


async def test_coalesce():
    """Frames that were sent apart come together; with 0 they come apart again."""
    async with Simulator(calls=False) as pbx, wire(pbx) as bare:

        async def apart() -> None:
            bare.pieces.clear()
            for number in range(5):
                pbx.msg(f"{number}")
                await eventually(lambda number=number: len(bare.pieces) == number + 1)

        await apart()
        pbx.inject(faults.Coalesce(0.5))
        bare.pieces.clear()
        for text in ("one", "two", "three", "four"):
            pbx.msg(text)
            await asyncio.sleep(0.02)
        await eventually(lambda: bare.data.endswith(b"four"))
        assert len(bare.pieces) <= 2
        pbx.inject(faults.Coalesce(0))
        pbx.msg("the last together")  # what is held waits for its time
        await eventually(lambda: bare.data.endswith(b"together"))
        await apart()


async def test_coalesce_for_a_websocket():
    """A bare client gets all frames of a coalesced write, in order."""
    async with Simulator(calls=False) as pbx, link(pbx) as websocket:
        client = await open_client(pbx, websocket)
        pbx.inject(faults.Coalesce())
        texts = [f"{number}" for number in range(20)]
        for text in texts:
            pbx.msg(text)
        assert [(await client.read()).text for _ in texts] == texts
        await assert_lives(pbx, client)


# -- the handshake --------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_refuse(status):
    """A refusal is the status that was asked for, with Retry-After, once."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Refuse(status, retry_after=7))
        with pytest.raises(InvalidStatus) as caught:
            async with link(pbx):
                pass
        response = caught.value.response
        assert response.status_code == status
        assert response.headers["Retry-After"] == "7"
        assert ("WWW-Authenticate" in response.headers) is (status == 401)
        assert HTTPStatus(status).phrase in response.body.decode()
        await assert_lives(pbx)


async def test_refuse_some():
    """By default it is a plain 503; ``times`` is how many clients are refused."""
    async with Simulator(calls=False) as pbx, link(pbx) as websocket:
        client = await open_client(pbx, websocket)
        pbx.inject(faults.Refuse(times=2))
        for _ in range(2):
            with pytest.raises(InvalidStatus) as caught:
                async with link(pbx):
                    pass
            assert caught.value.response.status_code == 503
            assert not {"Retry-After", "Location"} & set(caught.value.response.headers)
        await assert_lives(pbx, client)


async def test_refuse_one_after_the_other():
    """Refusals strike in the order in which they were injected."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Refuse(500))
        pbx.inject(faults.Refuse(HTTPStatus.FORBIDDEN))
        for status in (500, 403):
            with pytest.raises(InvalidStatus) as caught:
                async with link(pbx):
                    pass
            assert caught.value.response.status_code == status
        await assert_lives(pbx)


async def test_redirect():
    """A redirect points to the location, and a client that follows it gets in there."""
    async with Simulator(calls=False) as pbx, Simulator(calls=False) as elsewhere:
        url = feed_url(**{**elsewhere.connect_args, "app_name": "redirected"})
        pbx.inject(faults.Refuse(302, location=url))
        async with link(pbx) as websocket:
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
        await assert_lives(pbx)


async def test_delay_handshake():
    """The next client waits for its answer; one that is impatient goes."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.DelayHandshake(60, times=2))
        impatient = asyncio.ensure_future(link(pbx, open_timeout=60).__aenter__())
        await eventually(lambda: pbx._client_handler.armed_faults[0][1] == 1)
        impatient.cancel()
        opening = asyncio.ensure_future(link(pbx, open_timeout=60).__aenter__())
        await eventually(lambda: not pbx._client_handler.armed_faults)
        await assert_lives(pbx)  # the next does not wait, and overtakes
        assert not opening.done()
        opening.cancel()
        pbx.inject(faults.DelayHandshake(0.2))
        opening = asyncio.ensure_future(link(pbx).__aenter__())
        done, _ = await asyncio.wait({opening}, timeout=0.1)
        assert not done
        websocket = await opening
        await open_client(pbx, websocket)
        await websocket.close()


async def test_leaving_while_a_handshake_is_delayed():
    """The block ends within a few seconds though a client still waits for its answer."""
    pbx = Simulator(calls=False)
    await pbx.__aenter__()
    pbx.inject(faults.DelayHandshake(60))
    with pytest.raises(TimeoutError):
        async with link(pbx, open_timeout=0.1):
            pass
    leaving = asyncio.create_task(pbx.__aexit__(None, None, None))
    done, _ = await asyncio.wait({leaving}, timeout=30)
    await leaving
    assert done


@pytest.mark.parametrize("frames", [0, 1, 8, 10])
async def test_die_in_snapshot(frames):
    """The connection breaks after exactly so many frames; the next client gets them all."""
    async with Simulator(calls=False) as pbx, link(pbx) as spared:
        other = await open_client(pbx, spared)
        pbx.inject(faults.DropDuringSnapshot(frames))
        got = []
        async with link(pbx) as websocket:
            with pytest.raises(ConnectionClosedError):
                while True:
                    got.append(await recv(websocket))
        assert len(got) == frames
        await eventually(lambda: len(pbx.connections) == 1)
        await assert_lives(pbx, other)


async def test_die_in_snapshot_more_than_once():
    """By default after eight frames: some kinds are known then, others are not."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.DropDuringSnapshot(times=2))
        for _ in range(2):
            async with link(pbx) as websocket:
                client = Client(websocket)
                with pytest.raises(ConnectionClosedError):
                    await client.open(pbx)
                assert 0 < len(client.picture) < len(pbx.pbx.kinds)
        await assert_lives(pbx)


async def test_event_first():
    """The first frame is an event whose field_spec is still to come; then all is as ever."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.EventFirst())
        async with link(pbx) as websocket:
            client = Client(websocket)
            with pytest.raises(ProtocolError, match="no field_spec received"):
                await client.read()
            assert isinstance(await client.read(), FieldSpec)
            await client.open(pbx)
            assert client.picture == pbx.snapshot()
            await assert_lives(pbx, client)


async def test_event_first_of_what_there_is():
    """The early event is a true one: read after the picture it changes nothing."""
    async with Simulator(calls=False) as pbx:
        pbx.call()
        pbx.inject(faults.EventFirst())
        async with link(pbx) as websocket:
            early = await recv(websocket)
            client = await open_client(pbx, websocket)
            message = client.parser.parse(early)
            assert isinstance(message, InfoEvent)
            known = pbx.snapshot()[message.element_name][message.element.key]
            assert to_dict(message.element) == known


# -- what is said ---------------------------------------------------------------------


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
async def test_say(frame, error):
    """Garbage arrives as it is, binary or text, to one connection; the next frame is good."""
    async with Simulator(calls=False) as pbx, link(pbx) as websocket, link(pbx) as spared:
        client = await open_client(pbx, websocket)
        other = await open_client(pbx, spared)
        fault = faults.SendFrame() if frame is None else faults.SendFrame(frame)
        pbx.inject(fault, to=pbx.connections[0])
        got = await recv(websocket)
        assert got == fault.frame
        assert type(got) is type(fault.frame)
        with pytest.raises(error):
            client.parser.parse(got)
        pbx.msg("good")
        assert await client.eventually("good") == []
        assert await other.eventually("good") == []


async def test_truncate():
    """Half of the last event comes, which is no term; without an event before, nothing comes."""
    async with Simulator(calls=False) as pbx, link(pbx) as websocket:
        client = await open_client(pbx, websocket)
        pbx.inject(faults.Truncate())
        pbx.set_presence("1001", 3)
        whole = await recv(websocket)
        assert isinstance(client.parser.parse(whole), InfoEvent)
        pbx.inject(faults.Truncate())
        half = await recv(websocket)
        assert 0 < len(half) < len(whole)
        assert whole.startswith(half)
        with pytest.raises(DecodeError):
            client.parser.parse(half)
        pbx.msg("end")
        assert await client.eventually("end") == []
        await assert_lives(pbx)


async def test_repeat():
    """The last event comes once more, to one connection; without one before, nothing comes."""
    async with Simulator(calls=False) as pbx, link(pbx) as websocket, link(pbx) as spared:
        client = await open_client(pbx, websocket)
        other = await open_client(pbx, spared)
        hit = pbx.connections[0]
        pbx.inject(faults.Repeat())
        pbx.set_presence("1001", 3)
        pbx.inject(faults.Repeat(), to=hit)
        pbx.msg("end")
        first, again = await client.eventually("end")
        assert isinstance(first, InfoEvent)
        assert first.element.presence == 3
        assert first == again
        assert await other.eventually("end") == [first]
        await assert_lives(pbx, other)


async def test_repeat_after_a_removal():
    """A removal that comes twice names an element that a client no longer has."""
    async with Simulator(calls=False) as pbx:
        uuid = pbx.call()
        async with link(pbx) as websocket:
            client = await open_client(pbx, websocket)
            pbx.hangup(uuid)
            pbx.msg("gone")
            before = await client.eventually("gone")
            pbx.inject(faults.Repeat())
            again = client.parser.parse(await recv(websocket))
            assert again == [m for m in before if isinstance(m, InfoEvent)][-1]
            assert again.event_name == "removed"
            assert client.picture == pbx.snapshot()


async def test_repeat_after_a_changed_spec():
    """An event that comes twice is the same one, in whatever order its fields come by now."""
    async with Simulator(calls=False) as pbx, link(pbx) as websocket:
        client = await open_client(pbx, websocket)
        pbx.set_presence("1001", 3)
        pbx.inject(faults.ChangeSpec("user"))
        pbx.inject(faults.Repeat())
        first, spec, again = await client.read(), await client.read(), await client.read()
        assert isinstance(spec, FieldSpec)
        assert to_dict(again.element) == to_dict(first.element)


@pytest.mark.parametrize("calling", [True, False])
async def test_afterlife(calling):
    """A channel hangs up, is removed, and is then updated as if it lived."""
    async with Simulator(calls=False) as pbx:
        uuid = pbx.call() if calling else None
        async with link(pbx) as websocket, link(pbx) as spared:
            client = await open_client(pbx, websocket)
            other = await open_client(pbx, spared)
            pbx.inject(faults.UpdateAfterRemoval(), to=pbx.connections[0])
            assert pbx.snapshot()["channel"] == {}
            pbx.msg("end")
            events = [m for m in await client.eventually("end") if m.element_name == "channel"]
            zombie = events[-1].element
            assert uuid in {None, zombie.uuid}
            *_, update, removal, last = [e for e in events if e.element.uuid == zombie.uuid]
            assert [update.event_name, removal.event_name] == ["updated", "removed"]
            assert update.element.last_event == "CHANNEL_HANGUP"
            assert last.event_name == "updated"
            assert last.element.last_event != "CHANNEL_HANGUP"
            assert last.element.hung_up_at is None
            assert list(client.picture["channel"]) == [zombie.uuid]
            await other.eventually("end")
            await assert_lives(pbx, other)


async def test_afterlife_of_somebody_elses_channel():
    """A client that asked for one user's channels is not told of another's, dead or alive."""
    async with Simulator(calls=False) as pbx:
        pbx.call()
        async with link(pbx, user_extension="1005") as websocket:
            client = await open_client(pbx, websocket)
            pbx.inject(faults.UpdateAfterRemoval())
            pbx.msg("end")
            lines = [m for m in await client.eventually("end") if m.element_name == "channel"]
            assert [m for m in lines if m.element.last_event != "CHANNEL_HANGUP"] == []


@pytest.mark.parametrize("kind", ["channel", "user", "group", "group_member", "terminal", "domain"])
async def test_change_spec(kind):
    """The fields come in another order from now on, and the picture stays right, for all."""
    async with Simulator(calls=False) as pbx, link(pbx) as websocket:
        client = await open_client(pbx, websocket)
        before = next(m.fields for m in client.messages if getattr(m, "element_name", "") == kind)
        pbx.call()
        for _ in range(2):
            pbx.inject(faults.ChangeSpec(kind))
            pbx.call("05011112222", to="1002")
        pbx.edit("1001", presence=2)
        pbx.msg("end")
        specs = [m for m in await client.eventually("end") if isinstance(m, FieldSpec)]
        assert [spec.element_name for spec in specs] == [kind, kind]
        assert specs[0].fields == (*before[1:], before[0])
        assert specs[1].fields == (*before[2:], *before[:2])
        assert client.picture == pbx.snapshot()
        await assert_lives(pbx, client)


async def test_change_spec_by_default():
    """Without a kind it is the channels' fields; whoever comes later gets the new order at once."""
    async with Simulator(calls=False) as pbx:
        pbx.call()
        pbx.inject(faults.ChangeSpec())
        async with link(pbx) as websocket:
            client = await open_client(pbx, websocket)
            assert client.messages[0].element_name == "channel"
            assert client.messages[0].fields[-1] == "uuid"
            assert client.picture == pbx.snapshot()


async def test_fields_that_are_not_there():
    """Only the order of fields can change: other ones are a ValueError, and change nothing."""
    async with Simulator(calls=False) as pbx:
        before = pbx.writer.fields["channel"]
        with pytest.raises(ValueError, match="fields must be the fields of channel"):
            pbx.change_fields("channel", before[1:])
        assert pbx.writer.fields["channel"] == before


async def test_unknown_kind():
    """A kind nobody has heard of comes with all its messages, and one of its own."""
    async with Simulator(calls=False) as pbx, link(pbx) as websocket, link(pbx) as spared:
        client = await open_client(pbx, websocket)
        other = await open_client(pbx, spared)
        pbx.inject(faults.UnknownKind(), to=pbx.connections[0])
        pbx.msg("end")
        spec, info, event, message = await client.eventually("end")
        assert spec == FieldSpec("robot", ("id", "label", "arms"))
        assert list(info.elements) == [7]
        assert isinstance(event, InfoEvent)
        assert (event.element_name, event.element.key, event.event_name) == ("robot", 7, "updated")
        assert isinstance(message, UnknownMessage)
        assert message.name == "robot_msg"
        assert await other.eventually("end") == []
        await assert_lives(pbx, other)


async def test_unspecified_kind():
    """An event whose field_spec never came can't be read, and the next frame can."""
    async with Simulator(calls=False) as pbx, link(pbx) as websocket:
        client = await open_client(pbx, websocket)
        pbx.inject(faults.UnspecifiedKind())
        with pytest.raises(ProtocolError, match="phantom"):
            await client.read()
        await assert_lives(pbx, client)


# -- the server -----------------------------------------------------------------------


async def die(pbx: Simulator, count: int, *, clean: bool = False) -> None:
    """Clients come and are gone, the clean ones with a closing handshake."""
    for _ in range(count):
        async with link(pbx) as websocket:
            await open_client(pbx, websocket)
            if not clean:
                websocket.transport.abort()
    await eventually(lambda: not pbx.connections)
    await asyncio.sleep(0.05)


async def first_word(pbx: Simulator, **options):
    async with link(pbx, **options) as websocket:
        return await Client(websocket).read()


async def test_linger():
    """Dead connections count towards the limit, for a while, and for their application alone."""
    async with Simulator(calls=False) as pbx:
        await die(pbx, 2)
        assert isinstance(await first_word(pbx), FieldSpec)
        pbx.inject(faults.Linger(60))
        await die(pbx, 2)
        assert await first_word(pbx) == SystemMsg("connection_limit_reached")
        await assert_lives(pbx)
        pbx.inject(faults.Linger(0))  # forgets those two
        pbx.inject(faults.Linger(0.5))
        await die(pbx, 2)
        await asyncio.sleep(0.6)
        assert isinstance(await first_word(pbx), FieldSpec)


async def test_linger_makes_room():
    """A client with ``force`` gets the place of a dead one, and nobody alive has to go."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Linger(60))
        async with link(pbx) as websocket:
            alive = await open_client(pbx, websocket)
            async with link(pbx) as dead:
                await open_client(pbx, dead)
                dead.transport.abort()
            await eventually(lambda: len(pbx.connections) == 1)
            assert await first_word(pbx) == SystemMsg("connection_limit_reached")
            assert isinstance(await first_word(pbx, force=True), FieldSpec)
            await eventually(lambda: len(pbx.connections) == 1)
            pbx.msg("you stay")
            assert await alive.eventually("you stay") == []


async def test_linger_after_a_clean_end():
    """Who says goodbye does not linger; and with 0 nobody does any longer."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Linger(60))
        await die(pbx, 3, clean=True)
        assert isinstance(await first_word(pbx), FieldSpec)
        pbx.inject(faults.Linger(0))
        await die(pbx, 3)
        assert isinstance(await first_word(pbx), FieldSpec)


async def test_linger_ends_with_a_restart():
    """A PBX that restarted has no memory of connections, neither older ones nor those it ended."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Linger(60))
        async with link(pbx) as first, link(pbx) as second:
            await open_client(pbx, first)
            await open_client(pbx, second)
            pbx.inject(faults.Restart())
            await ended(first)
            await ended(second)
        await asyncio.sleep(0.05)
        assert isinstance(await first_word(pbx), FieldSpec)


async def test_who_was_not_let_in_does_not_linger():
    """A connection that was one too many, and broke, never counted: nor does it when dead."""
    async with Simulator(calls=False, max_connections=1) as pbx:
        pbx.inject(faults.Linger(60))
        async with link(pbx) as websocket:
            await open_client(pbx, websocket)
            async with link(pbx) as surplus:
                surplus.transport.abort()
            await asyncio.sleep(0.1)
        await eventually(lambda: not pbx.connections)
        assert isinstance(await first_word(pbx), FieldSpec)


async def test_restart_as_itself():
    """The connections end, the channels are gone, the rest is as it was, at the same address."""
    async with Simulator(calls=False) as pbx:
        pbx.call()
        pbx.set_presence("1001", 3)
        url, before = pbx.url, pbx.snapshot()
        async with link(pbx) as first, link(pbx) as second:
            await open_client(pbx, first)
            await open_client(pbx, second)
            pbx.inject(faults.Restart())
            assert pbx.connections == ()
            for websocket in (first, second):
                assert (await ended(websocket)).rcvd is None
        assert pbx.url == url
        after = pbx.snapshot()
        assert len(before["channel"]) > 1
        assert after == {**before, "channel": {}, "channel_waiting": {}}
        await assert_lives(pbx)


async def test_restart_as_another():
    """With a Pbx it comes back with that one's contents, and tells that one's events."""
    other = Pbx(9)
    scenarios.populate(other, 2)
    line = other.receive(scenarios.CALLERS[1], "0501234567")
    other.set_state(line, "ivr", ivr_id="main_menu")
    async with Simulator(calls=False) as pbx:
        old = pbx.pbx
        async with link(pbx) as websocket:
            client = await open_client(pbx, websocket)
            assert len(client.picture["user"]) == len(scenarios.STAFF)
            pbx.inject(faults.Restart(pbx=other))
            await ended(websocket)
        assert pbx.pbx is other
        async with link(pbx) as websocket:
            client = await open_client(pbx, websocket)
            assert client.picture == other.snapshot()
            assert len(client.picture["user"]) == 2
            assert len(client.picture["channel"]) == 1
            old.edit(next(iter(old.users.values())), presence=1)  # nobody is told
            pbx.msg("end")
            assert await client.eventually("end") == []
        await assert_lives(pbx)


async def test_restart_with_calls():
    """A restarted PBX, as another or as itself, goes on living: calls come, as before."""
    other = Pbx(5)
    scenarios.populate(other)
    async with Simulator(speed=200, seed=3) as pbx:
        pbx.advance(3600)
        for fault in (faults.Restart(), faults.Restart(pbx=other)):
            pbx.inject(fault)
            async with link(pbx) as websocket:
                client = await open_client(pbx, websocket)
                async with asyncio.timeout(TIMEOUT):
                    while sum(isinstance(m, InfoEvent) for m in client.messages) < 20:
                        await client.read()


async def test_restart_does_not_skip_time():
    """The time of another PBX begins to pass where its clock stands, wherever the old one's was."""
    other = Pbx(5)
    other.now += 10 * 3600 * 1_000_000
    scenarios.populate(other)
    began = other.now
    async with Simulator(speed=1, seed=3) as pbx:
        assert isinstance(await first_word(pbx), FieldSpec)
        pbx.inject(faults.Restart(pbx=other))
        await asyncio.sleep(0.1)
        pbx.set_presence("1001", 1)
        await asyncio.sleep(0.05)
        assert other.now - began < 600 * 1_000_000


async def test_restart_takes_its_time():
    """With down_for connections are refused meanwhile; then it is back, at the same address."""
    async with Simulator(calls=False) as pbx:
        url = pbx.url
        async with link(pbx) as websocket:
            await open_client(pbx, websocket)
            pbx.inject(faults.Restart(down_for=60))
            await ended(websocket)
        with pytest.raises(ConnectionRefusedError):
            async with link(pbx):
                pass
        pbx.inject(faults.Restart(down_for=0.05))
        async with asyncio.timeout(TIMEOUT):
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    assert isinstance(await first_word(pbx), FieldSpec)
                    break
                await asyncio.sleep(0.05)
        assert pbx.url == url
        await assert_lives(pbx)


async def test_restart_refuses_at_once():
    """From the moment of the restart on connections are refused, not a little later."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Restart(down_for=0.3))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port(pbx)), timeout=5).close()


async def test_restart_twice():
    """A PBX that is restarted again while it is down comes back all the same."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Restart(down_for=0.1))
        await asyncio.sleep(0.05)
        pbx.inject(faults.Restart(down_for=0.1))
        await eventually(pbx._restart_task.done)
        await assert_lives(pbx)


async def test_leaving_while_it_is_down():
    """The block can be left while the PBX is down."""
    async with asyncio.timeout(30):
        async with Simulator(calls=False) as pbx:
            pbx.inject(faults.Restart(down_for=60))
            await asyncio.sleep(0.05)
            with pytest.raises(ConnectionRefusedError):
                async with link(pbx):
                    pass


async def test_leaving_just_after_a_change():
    """The block can be left in the moment after something was done to a PBX that has calls."""
    pbx = Simulator(seed=3)
    await pbx.__aenter__()
    assert isinstance(await first_word(pbx), FieldSpec)
    await asyncio.sleep(0.1)
    pbx.set_presence("1001", 1)
    leaving = asyncio.create_task(pbx.__aexit__(None, None, None))
    done, _ = await asyncio.wait({leaving}, timeout=30)
    for task in tuple(pbx._tasks):  # so that this test ends in any case
        task.cancel()
    await leaving
    assert done


async def test_flood():
    """All events of a flood arrive, in order, and the picture is right afterwards."""
    async with Simulator(calls=False) as pbx, link(pbx) as websocket:
        client = await open_client(pbx, websocket)
        told: list = []
        pbx.pbx.listeners.append(lambda _, key, picture, __: told.append((key, picture)))
        pbx.inject(faults.Flood(3000))
        await eventually(lambda: len(told) >= 3000)
        pbx.msg("end")
        events = await client.eventually("end")
        assert len(told) == 3000
        assert [(m.element.key, to_dict(m.element)) for m in events] == told
        assert client.picture == pbx.snapshot()
        await assert_lives(pbx, client)


async def test_flood_by_default():
    """A flood is ten thousand events; a bare client counts as many frames."""
    async with Simulator(calls=False) as pbx, link(pbx) as websocket:
        await open_client(pbx, websocket)
        told: list = []
        pbx.pbx.listeners.append(lambda *event: told.append(event))
        pbx.inject(faults.Flood())
        frames = 0
        while len(told) < 10_000:
            await recv(websocket)
            frames += 1
        pbx.msg("end")
        while not (await recv(websocket)).endswith(b"end"):
            frames += 1
        assert frames == 10_000


async def test_flood_of_nobody():
    """A PBX without users can't be flooded with their presence: it is a NotPossibleError."""
    async with Simulator(calls=False, pbx=Pbx()) as pbx:
        with pytest.raises(NotPossibleError, match="a flood needs at least one user"):
            pbx.inject(faults.Flood(10))


# -- how faults are handed over ---------------------------------------------------------


async def test_inject_later():
    """With ``after`` a fault strikes later, those that are there then, or the one named."""
    async with Simulator(calls=False) as pbx, link(pbx) as first, link(pbx) as second:
        client = await open_client(pbx, first)
        other = await open_client(pbx, second)
        pbx.inject(faults.SendFrame("later"), after=0.1)
        pbx.msg("now")
        assert await client.eventually("now") == []
        assert await other.eventually("now") == []
        assert await recv(first) == await recv(second) == "later"
        pbx.inject(faults.Drop(), after=0.1, to=pbx.connections[0])
        pbx.msg("now")
        assert await client.eventually("now") == []
        assert await other.eventually("now") == []
        await ended(first)
        await assert_lives(pbx, other)


async def test_leaving_before_a_fault_strikes():
    """A fault that is still to come does not hold up the end of the block."""
    async with asyncio.timeout(30):
        async with Simulator(calls=False, faults=[(60, faults.Drop())]) as pbx:
            pbx.inject(faults.Drop(), after=60)
            await assert_lives(pbx)


async def test_a_schedule():
    """``faults=`` lets them happen so many seconds after the start, whichever order they are in."""
    struck = []

    class Strike(faults.Fault):
        def apply(self, simulator, feeds):
            struck.append(self)

    later, sooner = Strike(), Strike()
    plan = [(0.8, later), (0.1, sooner), (0, faults.Refuse(429))]
    async with Simulator(calls=False, faults=plan) as pbx:
        with pytest.raises(InvalidStatus) as caught:
            async with link(pbx):
                pass
        assert caught.value.response.status_code == 429
        await eventually(lambda: len(struck) == 2)
        assert struck == [sooner, later]
        await assert_lives(pbx)


async def test_a_scheduled_fault_that_fails_comes_out():
    """An error in a fault that struck later is raised where the block ends."""
    with pytest.raises(NotImplementedError):
        async with Simulator(calls=False, faults=[(0, faults.Fault())]):
            await asyncio.sleep(0.05)


async def test_from_another_thread():
    """A simulator in a thread of its own takes faults from this one, and from any other."""
    with Simulator(calls=False, faults=[(0, faults.Refuse(403))]) as pbx:
        with pytest.raises(InvalidStatus):
            async with link(pbx):
                pass
        async with link(pbx) as first, link(pbx) as second:
            client = await open_client(pbx, first)
            await open_client(pbx, second)
            pbx.inject(faults.Repeat())
            pbx.inject(faults.Drop(), to=pbx.connections[1])
            await ended(second)
            await assert_lives(pbx, client)
            strike = threading.Thread(target=pbx.inject, args=(faults.Reset(),))
            strike.start()
            await asyncio.to_thread(strike.join)
            await ended(first)
        pbx.inject(faults.Restart(down_for=0.2))
        async with asyncio.timeout(TIMEOUT):
            while True:
                with contextlib.suppress(OSError, EOFError, TimeoutError):
                    assert isinstance(await first_word(pbx, open_timeout=1), FieldSpec)
                    break
                await asyncio.sleep(0.05)
        await assert_lives(pbx)
    with pytest.raises(RuntimeError, match="inside"):
        pbx.inject(faults.Drop())


def test_an_error_in_a_fault_is_the_callers():
    """What a fault raises, it raises where it was injected, in whichever thread."""
    with Simulator(calls=False) as pbx:
        with pytest.raises(NotImplementedError):
            pbx.inject(faults.Fault())
        pbx.inject(faults.Drop())  # nobody is there, and nothing happens


@pytest.mark.parametrize("sort", [faults.Drop, faults.Reset, faults.HalfClose, faults.Silence])
async def test_a_connection_that_is_gone(sort):
    """A fault that strikes a connection which has ended by itself does nothing."""
    async with Simulator(calls=False) as pbx:
        async with link(pbx) as websocket:
            await open_client(pbx, websocket)
            feed = pbx.connections[0]
        await eventually(lambda: not pbx.connections)
        pbx.inject(sort(), to=feed)
        await assert_lives(pbx)


@pytest.mark.parametrize(
    ("sort", "values", "text"),
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
def test_parameters_out_of_range(sort, values, text):
    """A parameter that makes no sense is a ValueError that names it."""
    with pytest.raises(ValueError, match=text):
        sort(**values)


@pytest.mark.parametrize(
    ("sort", "values"),
    [
        (faults.Split, {"size": 1.5}),  # FaultyTransport._release() fails, again and again
        (faults.Refuse, {"times": 1.5}),  # never counts down to 0
        (faults.Refuse, {"status": 101}),  # the client is in, half way
        (faults.Refuse, {"retry_after": -1}),
        (faults.Refuse, {"retry_after": math.nan}),
        (faults.DropDuringSnapshot, {"frames": 2.5}),  # never reached
        (faults.DelayHandshake, {"seconds": 1, "times": 1.5}),
        (faults.Flood, {"events": 1.5}),
        (faults.SendFrame, {"frame": 5}),  # ends the feed's task, and nobody is told
    ],
)
def test_parameters_that_make_no_sense(sort, values):
    """So is one that could only fail later, in the event loop, where nobody sees it."""
    with pytest.raises((ValueError, TypeError)):
        sort(**values)


async def test_a_spec_of_a_kind_that_is_none():
    """ChangeSpec of a kind that the PBX has not got is a ValueError that names it."""
    with pytest.raises(ValueError, match="nonsense"):
        async with Simulator(calls=False) as pbx:
            pbx.inject(faults.ChangeSpec("nonsense"))


async def test_a_time_that_has_passed():
    """A negative ``after``, in a call or in a schedule, is a ValueError."""
    with pytest.raises(ValueError, match="-1"):
        Simulator(faults=[(-1, faults.Drop())])
    async with Simulator(calls=False) as pbx:
        with pytest.raises(ValueError, match="-1"):
            pbx.inject(faults.Drop(), after=-1)


def test_a_schedule_that_is_none():
    """A schedule without times is refused when the simulator is made, not when it listens."""
    with pytest.raises((ValueError, TypeError)):
        Simulator(faults=[faults.Drop()])
