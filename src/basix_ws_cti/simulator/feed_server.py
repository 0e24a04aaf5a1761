"""Server of the simulated PBX's feed and HTTP API, on one port of the loopback interface."""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from websockets.asyncio.server import serve
from websockets.exceptions import WebSocketException

from basix_ws_cti._internal.log_sanitising import SanitisingLogger

from .certificates import make_contexts
from .feed_connection import FaultyConnection

if TYPE_CHECKING:
    from websockets.asyncio.server import Server, ServerConnection

    from .client_handler import ClientHandler
    from .http_api import Api


class FeedServer:
    """Listens for clients, and gives them to a ``ClientHandler`` or the HTTP API.

    ``port`` 0 lets the operating system choose one, which is then kept. ``tls`` is True for a
    new certificate, or an ``SSLContext``.

    Attributes:
        context: TLS context of the server; ``None``: no TLS.
        client_context: TLS context for clients that trust a certificate made here;
            ``None``: none was made.
    """

    def __init__(
        self, handler: ClientHandler, api: Api, *, port: int, tls: bool | ssl.SSLContext
    ) -> None:
        self._handler = handler
        self._api = api
        self._undecided: set[asyncio.Transport] = set()  # clients that have sent nothing yet
        self._port = port
        self._tls = tls
        self._server: Server | None = None
        self.context: ssl.SSLContext | None = None
        self.client_context: ssl.SSLContext | None = None

    @property
    def is_started(self) -> bool:
        """Return True between ``start()`` and ``stop()``."""
        return self._server is not None

    @property
    def url(self) -> str:
        """Return the address for clients; call it between ``start()`` and ``stop()``."""
        return f"{'wss' if self._tls else 'ws'}://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start to listen; raise ``OSError`` if the port is in use."""
        self.context = self._tls if isinstance(self._tls, ssl.SSLContext) else None
        if self._tls is True:
            self.context, self.client_context = make_contexts()
        await self._listen()

    async def stop(self) -> None:
        """Close the port and all connections; without effect before ``start()``."""
        if self._server is not None:
            server, self._server = self._server, None
            self._handler.abort_delayed()
            await self._close(server)

    def refuse_connections(self) -> None:
        """Close the port at once, before ``restart()`` has got its turn in the event loop."""
        if self._server is not None:
            self._server.server.close()

    async def restart(self, down_for: float) -> None:
        """Close the port and all connections, and listen again after ``down_for`` seconds."""
        if self._server is not None:
            await self._close(self._server)
            await asyncio.sleep(down_for)
            await self._listen()

    async def _close(self, server: Server) -> None:
        server.close()
        self._api.close()
        for transport in tuple(self._undecided):
            transport.abort()
        await server.wait_closed()

    async def _listen(self) -> None:
        create_connection = partial(
            FaultyConnection, on_post=self._api.adopt, undecided=self._undecided
        )
        self._server = await serve(
            self._handler.serve,
            "127.0.0.1",
            self._port,
            process_request=self._handler.process_request,
            create_connection=cast("type[ServerConnection]", create_connection),
            compression=None,
            logger=ServerLogger(logging.getLogger("websockets.server")),
            ssl=self.context,
            ping_interval=None,  # the production server sends no pings either
            open_timeout=None,  # DelayHandshake may delay a handshake for long
            close_timeout=1,  # seconds, so that a client that does not read cannot delay the exit
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]


class ServerLogger(SanitisingLogger):
    """Logger for the WebSocket server that logs a client's failed handshake at INFO.

    Before websockets 17, a client that disconnects during its handshake is logged as an error,
    with a traceback.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a message, at most at INFO while a ``WebSocketException`` is handled."""
        if isinstance(sys.exception(), WebSocketException):
            level = min(level, logging.INFO)
        super().log(level, msg, *args, **kwargs)
