"""Scripted WebSocket server and connection arguments for the transport tests."""

from __future__ import annotations

import contextlib

from websockets.asyncio.server import serve

from .secret_scanner import TOKEN

DOMAIN = "acme"
HELLO = b"\x83h\x02d\x00\x03msgm\x00\x00\x00\x05hello"
ARGUMENTS = {"domain": DOMAIN, "token": TOKEN, "app_name": "tests"}


@contextlib.asynccontextmanager
async def server(handler=None, *, answer=None, **options):
    """Run a WebSocket server; yield its URL. ``answer(connection, request)`` may refuse."""

    async def stay(websocket):
        await websocket.wait_closed()

    async with serve(
        handler or stay, "127.0.0.1", 0, process_request=answer, **options
    ) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}"


def sends(*frames: bytes | str, close: int | None = 1000):
    """Return a handler that sends ``frames``, then closes with code ``close`` if not ``None``."""

    async def handler(websocket):
        for frame in frames:
            await websocket.send(frame)
        if close is not None:
            await websocket.close(close, "done")

    return handler
