"""Servers in separate processes, for the benchmarks over a socket.

That of ``serving`` sends the frames of the client's app_name as fast as the client reads them.
``PAUSE`` among the frames lets a client complete its snapshot before the events come.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qs, urlsplit

from measure import SPAWN
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode

# Stands for a pause of PAUSE_SECONDS, which is longer than a client's quiet time.
PAUSE = b""
PAUSE_SECONDS = 0.5


def serialise(frames: Iterable[bytes]) -> bytes:
    """Return the bytes of these frames on a WebSocket."""
    return b"".join(Frame(Opcode.BINARY, frame).serialize(mask=False) for frame in frames)


async def announce_and_serve(
    handle: Callable[[ServerConnection], Awaitable[None]], pipe: Connection
) -> None:
    """Send the port through the pipe, and serve until the process ends."""
    async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        pipe.send(next(iter(server.sockets)).getsockname()[1])
        await asyncio.Event().wait()


def run(main: Callable[..., Any], argument: object, pipe: Connection) -> None:
    asyncio.run(main(argument, pipe))


@contextlib.contextmanager
def separate_server(main: Callable[..., Any], argument: object) -> Iterator[int]:
    """Run the async ``main(argument, pipe)`` in a process; yield the port that it sends."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=run, args=(main, argument, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


async def serve_all(programmes: Mapping[str, Sequence[bytes]], pipe: Connection) -> None:
    """Serve these frames, by app_name."""
    sent = {
        name: [
            serialise(group)
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

    await announce_and_serve(handle, pipe)


def serving(
    programmes: Mapping[str, Sequence[bytes]],
) -> contextlib.AbstractContextManager[int]:
    """Run a server of these frames, by app_name; the value is its port."""
    return separate_server(serve_all, programmes)
