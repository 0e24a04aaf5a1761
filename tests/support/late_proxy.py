"""TCP proxy that can hold requests back and deliver them after their sender has given up."""

from __future__ import annotations

import asyncio
import contextlib

CHUNK = 1 << 16


class LateProxy:
    """Proxy to ``port``; while ``delay`` is above 0, each request arrives that many seconds late.

    The connection to the server stays open as long as requests are on their way. ``late`` counts
    the delayed requests that have arrived.
    """

    def __init__(self, port):
        self._target_port = port
        self._tasks = set()
        self.delay = 0.0
        self.late = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    def _accept(self, reader, writer):
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader, writer):
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        answers = asyncio.create_task(self._forward_answers(server_reader, writer))
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(CHUNK):
                    if self.delay:
                        await asyncio.sleep(self.delay)
                        self.late += 1
                    server_writer.write(data)
            await asyncio.sleep(0.1)  # the server reads what has arrived before the end
        finally:
            answers.cancel()
            for end in (writer, server_writer):
                end.transport.abort()
            await asyncio.wait([answers])

    async def _forward_answers(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                writer.write(data)
