"""What a client of the simulator holds, and how a test waits."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import connect as websocket_connect

from basix_ws_cti import InfoEvent, InitialInfo, Message, MessageParser, Msg, connect, to_dict

from .secret_scanner import SIMULATOR_TOKEN
from .waiting import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

    from basix_ws_cti.simulator import Simulator
    from basix_ws_cti.transport.connection import Connection

FEED = "/basix/api/ws_cti"

# For the WebSocket library by itself, which shows at DEBUG whatever it sends.
BARE = logging.getLogger("bare")


class Picture:
    """A client's store: what initial_info and info_event add up to, and each event."""

    def __init__(self) -> None:
        self.kinds: dict[str, dict[int | str, dict[str, Any]]] = {}
        self.events: list[tuple[str, int | str, dict[str, Any], str]] = []

    def take(self, message: Message) -> None:
        if isinstance(message, InitialInfo):
            assert message.element_name not in self.kinds, "a second initial_info"
            self.kinds[message.element_name] = {k: to_dict(e) for k, e in message.elements.items()}
        elif isinstance(message, InfoEvent):
            key, values = message.element.key, to_dict(message.element)
            self.events.append((message.element_name, key, values, message.event_name))
            elements = self.kinds[message.element_name]
            assert (key in elements) is (message.event_name != "added"), "an event lost, or twice"
            if message.event_name == "removed":
                del elements[key]
            else:
                elements[key] = values

    async def follow(self, cti: Connection, text: str = "sentinel") -> None:
        """Take all that comes before the ``msg`` of that text."""
        async with asyncio.timeout(TIMEOUT):
            async for message in cti:
                if message == Msg(text):
                    return
                self.take(message)
        raise AssertionError("the feed ended")

    def follow_frames(self, frames: list[bytes]) -> None:
        parser = MessageParser()
        for frame in frames:
            self.take(parser.parse(frame))


async def seen(pbx: Simulator, cti: Connection, picture: Picture | None = None) -> Picture:
    """What a client holds of this moment."""
    pbx.msg("sentinel")
    picture = picture or Picture()
    await picture.follow(cti)
    return picture


def header(name: str = "demo", secret: str = SIMULATOR_TOKEN) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"}


def bare(pbx: Simulator, query: str = "app_name=a", **more: Any) -> websocket_connect:
    """A WebSocket library's own connection, with a raw query."""
    options = {"additional_headers": header(), "compression": None, "proxy": None, "logger": BARE}
    options |= {"max_queue": None, **more}  # a client that does not read can close all the same
    return websocket_connect(f"{pbx.url}{FEED}?{query}", **options)


@contextlib.asynccontextmanager
async def unread(pbx: Simulator, app_name: str = "unread") -> AsyncIterator[None]:
    """A client that never reads after the handshake."""
    host, port = pbx.url.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    head = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        **header(),
    }
    lines = [f"GET {FEED}?app_name={app_name} HTTP/1.1", *(f"{k}: {v}" for k, v in head.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    await reader.readuntil(b"\r\n")
    reader._transport.pause_reading()
    try:
        yield
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def drain(websocket: ClientConnection) -> list[bytes | str]:
    """All that comes until the connection closes."""
    return [frame async for frame in websocket]


def client(pbx: Simulator, **more: Any) -> connect:
    return connect(**{**pbx.connect_args, **more})
