"""Web wallboard on a port of this machine, and a browser's view of its stream."""

from __future__ import annotations

import asyncio
import contextlib

from basix_ws_cti.web.server import WebServer, listen

from .web_frames import parse_frames


class BrowserStream:
    """Stream of server-sent events, read by hand from a socket."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.head = ""

    async def read_head(self):
        """Read status line and headers, and return them as text."""
        self.head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        return self.head

    async def frames(self):
        """Yield id, event and content of each event until the stream ends."""
        data = b""
        while size := int((await self.reader.readline()).strip() or b"0", 16):
            data += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
            complete, separator, rest = data.rpartition(b"\n\n")
            if separator:
                data = rest
                for frame in parse_frames(complete + separator):
                    yield frame

    async def wait_for_end(self):
        """Read until the server ends the response or the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


@contextlib.asynccontextmanager
async def serve(app, **options):
    """Serve an application; yield the port. The server has stopped at the end of the block."""
    listener = listen("127.0.0.1", 0)
    server = WebServer(app, **options)
    server.capture_signals = contextlib.nullcontext
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def open_stream(port, path="/stream", headers=(), ssl=None):
    """Open a stream; the connection is closed at the end of the block."""
    reader, writer = await asyncio.open_connection("localhost", port, ssl=ssl)
    lines = [f"GET {path} HTTP/1.1", f"Host: localhost:{port}", *headers]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    stream = BrowserStream(reader, writer)
    try:
        await stream.read_head()
        yield stream
    finally:
        writer.close()
