"""Clients of a simulated PBX: connections, and a mirror of what a client received."""

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

FEED_PATH = "/basix/api/ws_cti"

# Logger for connections made with the websockets package. That package logs everything it
# sends at DEBUG, credentials included, under its default logger's name.
WEBSOCKETS_LOGGER = logging.getLogger("bare")


class ClientMirror:
    """State that a client builds from ``initial_info`` and ``info_event``, and a log of the events.

    It raises ``AssertionError`` if the feed is inconsistent.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, dict[int | str, dict[str, Any]]] = {}
        self.events: list[tuple[str, int | str, dict[str, Any], str]] = []

    def apply(self, message: Message) -> None:
        if isinstance(message, InitialInfo):
            assert message.element_name not in self.kinds, "a second initial_info"
            self.kinds[message.element_name] = {k: to_dict(e) for k, e in message.elements.items()}
        elif isinstance(message, InfoEvent):
            key, values = message.element.key, to_dict(message.element)
            self.events.append((message.element_name, key, values, message.event_name))
            elements = self.kinds[message.element_name]
            is_known = key in elements
            assert is_known is (message.event_name != "added"), "an event is lost or repeated"
            if message.event_name == "removed":
                del elements[key]
            else:
                elements[key] = values

    async def read_until(self, cti: Connection, text: str = "sentinel") -> None:
        """Apply all messages up to the ``msg`` with this text."""
        async with asyncio.timeout(TIMEOUT):
            async for message in cti:
                if message == Msg(text):
                    return
                self.apply(message)
        raise AssertionError("the feed ended")

    def apply_frames(self, frames: list[bytes]) -> None:
        parser = MessageParser()
        for frame in frames:
            self.apply(parser.parse(frame))


async def current_mirror(
    pbx: Simulator, cti: Connection, mirror: ClientMirror | None = None
) -> ClientMirror:
    """Read everything that the PBX has sent so far; return the updated (or a new) mirror."""
    pbx.msg("sentinel")
    mirror = mirror or ClientMirror()
    await mirror.read_until(cti)
    return mirror


def auth_header(name: str = "demo", secret: str = SIMULATOR_TOKEN) -> dict[str, str]:
    """Return the header of HTTP Basic authentication."""
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"}


def connect_websocket(
    pbx: Simulator, query: str = "app_name=a", **options: Any
) -> websocket_connect:
    """Connect with the websockets package alone; ``query`` is sent as it is."""
    defaults = {
        "additional_headers": auth_header(),
        "compression": None,
        "proxy": None,
        "logger": WEBSOCKETS_LOGGER,
        "max_queue": None,  # A client that does not read can still close.
    }
    return websocket_connect(f"{pbx.url}{FEED_PATH}?{query}", **{**defaults, **options})


async def wait_until_it_listens(pbx: Simulator) -> None:
    """Wait until a restarted simulator accepts connections."""
    host, port = pbx.url.removeprefix("ws://").split(":")

    async def connect_once() -> bool:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    async with asyncio.timeout(TIMEOUT):
        while not await connect_once():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def non_reading_client(pbx: Simulator, app_name: str = "unread") -> AsyncIterator[None]:
    """Connect a client that reads nothing after the handshake."""
    host, port = pbx.url.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    headers = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        **auth_header(),
    }
    request_line = f"GET {FEED_PATH}?app_name={app_name} HTTP/1.1"
    lines = [request_line, *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    await reader.readuntil(b"\r\n")
    writer.transport.pause_reading()
    try:
        yield
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def read_until_closed(websocket: ClientConnection) -> list[bytes | str]:
    """Return all frames that arrive until the connection closes."""
    return [frame async for frame in websocket]


def connect_client(pbx: Simulator, **options: Any) -> connect:
    """Connect with this library; ``options`` override the simulator's ``connect_args``."""
    return connect(**{**pbx.connect_args, **options})
