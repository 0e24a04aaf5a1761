"""TCP proxy whose answers arrive at a limited speed."""

from __future__ import annotations

import asyncio
import contextlib

_INTERVAL = 0.05  # seconds between two pieces of a slow answer
_CHUNK = 1 << 16


class SlowProxy:
    """Proxy to ``port``, on the port ``self.port``.

    ``rate``: bytes per second that each connection's reader gets; ``None``: no limit. It may change
    at any time.
    """

    def __init__(self, port):
        self._target_port = port
        self._tasks = set()
        self.rate = None

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader, writer):
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader, writer):
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        requests = asyncio.create_task(_forward(reader, server_writer))
        answers = asyncio.create_task(self._forward_slowly(server_reader, writer))
        try:
            await asyncio.wait({requests, answers}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (requests, answers):
                task.cancel()
            for end in (writer, server_writer):
                end.transport.abort()
            await asyncio.gather(requests, answers, return_exceptions=True)

    async def _forward_slowly(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(int(self.rate * _INTERVAL) if self.rate else _CHUNK):
                writer.write(data)
                await writer.drain()
                if self.rate:
                    await asyncio.sleep(_INTERVAL)


async def _forward(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
