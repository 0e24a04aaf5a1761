"""Server in a separate process, for the benchmarks over a socket.

It sends the frames of the client's app_name as fast as the client reads them. ``PAUSE`` among the
frames lets a client complete its snapshot before the events come.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from urllib.parse import parse_qs, urlsplit

from measure import SPAWN
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode

# Stands for a pause of PAUSE_SECONDS, which is longer than a client's quiet time.
PAUSE = b""
PAUSE_SECONDS = 0.5


async def serve_all(programmes: Mapping[str, Sequence[bytes]], pipe: Connection) -> None:
    """Send the port through the pipe, and serve until the process ends."""
    sent = {
        name: [
            b"".join(Frame(Opcode.BINARY, frame).serialize(mask=False) for frame in group)
            for is_pause, group in itertools.groupby(frames, PAUSE.__eq__)
            if not is_pause
        ]
        for name, frames in programmes.items()
    }

    async def handle(client: ServerConnection) -> None:
        assert client.request is not None
        (name,) = parse_qs(urlsplit(client.request.path).query)["app_name"]
        first, *others = sent[name]
        client.transport.write(first)
        for part in others:
            await asyncio.sleep(PAUSE_SECONDS)
            client.transport.write(part)
        await client.wait_closed()

    async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        pipe.send(next(iter(server.sockets)).getsockname()[1])
        await asyncio.Event().wait()


def run(programmes: Mapping[str, Sequence[bytes]], pipe: Connection) -> None:
    asyncio.run(serve_all(programmes, pipe))


@contextlib.contextmanager
def serving(programmes: Mapping[str, Sequence[bytes]]) -> Iterator[int]:
    """Run a server of these frames, by app_name; yield its port."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=run, args=(programmes, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()
