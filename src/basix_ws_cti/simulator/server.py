"""The simulator: the PBX's world behind a real WebSocket server on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import basic_auth, serve
from websockets.exceptions import ConnectionClosed

from . import scenarios, wire
from .pbx import KINDS, Pbx

if TYPE_CHECKING:
    from types import TracebackType

    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response

    from .pbx import Element

FEED_PATH = "/basix/api/ws_cti"

_logger = logging.getLogger(__name__)


class Simulator:
    """``async with Simulator() as pbx``: a PBX with calls going on, until the end of the block.

    It listens on 127.0.0.1, on a port the system chooses, and lets in who shows ``domain``
    and ``token`` and names an app_name. Its time begins to pass when the first client is
    there, ``speed`` times as fast as ours; ``seed`` makes a day repeat itself; with
    ``calls=False`` nothing happens by itself. ``url`` is the server's address and
    ``connect_args`` all that ``basix_ws_cti.connect`` needs, both inside the block alone.
    """

    def __init__(
        self,
        *,
        domain: str = "demo",
        token: str = "simulated",  # noqa: S107 - opens nothing but this
        speed: float = 1,
        seed: int = 0,
        calls: bool = True,
    ) -> None:
        if not 0 < speed < math.inf:
            raise ValueError(f"speed is a positive number, not {speed}")
        self.pbx = Pbx(seed)
        self.speed = speed
        group = self.pbx.staff(scenarios.STAFF, scenarios.GROUP)
        self._timeline = scenarios.Timeline(self.pbx)
        if calls:
            self._timeline.start(scenarios.calls(self.pbx, self._timeline, group))
        self._domain = domain
        self._token = token
        self._authenticate = basic_auth("Basix", check_credentials=self._knows)
        self._queues: set[asyncio.Queue[bytes]] = set()
        self._watched = asyncio.Event()
        self._server: Server | None = None
        self._player: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Simulator {self.url if self._server else 'not started'}>"

    @property
    def url(self) -> str:
        """The address to connect to, ``ws://127.0.0.1:PORT``."""
        if self._server is None:
            raise RuntimeError("the simulator has an address inside its async with block only")
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def connect_args(self) -> dict[str, Any]:
        """Keyword arguments for ``connect``, and for ``feed_url``."""
        return {
            "server": self.url,
            "domain": self._domain,
            "token": self._token,
            "app_name": "simulator",
        }

    async def __aenter__(self) -> Self:
        if self._server is not None:
            raise RuntimeError("this simulator is running already: make another one")
        self.pbx.listeners.append(self._tell)
        self._server = await serve(
            self._serve_client,
            "127.0.0.1",
            0,
            process_request=self._admit,
            compression=None,
            close_timeout=1,  # a client that does not read holds up nobody's exit
        )
        self._player = asyncio.create_task(self._play(), name="basix simulator")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.pbx.listeners.remove(self._tell)
        if self._player is not None:
            self._player.cancel()
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            await server.wait_closed()
        if self._player is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._player  # an error in the world does not pass unnoticed

    def _knows(self, domain: str, token: str) -> bool:
        # Encoded: compare_digest() takes no other text than ASCII.
        known = (self._domain.encode(), self._token.encode())
        return all(map(hmac.compare_digest, known, (domain.encode(), token.encode())))

    async def _play(self) -> None:
        """Let the world's time pass, ``speed`` times as fast as ours."""
        await self._watched.wait()
        while (pause := self._timeline.pause) is not None:
            await asyncio.sleep(pause / self.speed)
            self._timeline.step()

    async def _admit(self, client: ServerConnection, request: Request) -> Response | None:
        """Answer the handshake, ``None`` meaning yes (PROTOCOL, connecting)."""
        target = urlsplit(request.path)
        if target.path != FEED_PATH:
            return client.respond(HTTPStatus.NOT_FOUND, "there is no feed here\n")
        if not any(parse_qs(target.query).get("app_name", ())):
            return client.respond(HTTPStatus.BAD_REQUEST, "app_name is missing\n")
        return await self._authenticate(client, request)

    async def _serve_client(self, client: ServerConnection) -> None:
        # In one go, before anything can happen in the world: the picture is of one moment,
        # and every later event follows it, once.
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        for kind in KINDS:
            queue.put_nowait(wire.field_spec(kind))
        for kind in KINDS:
            queue.put_nowait(wire.initial_info(kind, self.pbx.elements[kind].values()))
        self._queues.add(queue)
        self._watched.set()
        sender = asyncio.create_task(_send(client, queue), name="basix simulator client")
        try:
            async for command in client:
                _logger.info("a command of %d characters is ignored", len(command))
        except ConnectionClosed:
            pass  # as clients do
        finally:
            self._queues.discard(queue)
            sender.cancel()

    def _tell(self, kind: str, element: Element, event_name: str) -> None:
        if self._queues:
            frame = wire.info_event(kind, element, event_name)
            for queue in self._queues:
                queue.put_nowait(frame)


async def _send(client: ServerConnection, queue: asyncio.Queue[bytes]) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await client.send(await queue.get())
