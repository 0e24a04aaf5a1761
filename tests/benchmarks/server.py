"""A server for the measures over a socket, in a process of its own.

``python server.py FOLDER`` prints its port, and serves until stdin ends. A client is sent the
frames of the file in FOLDER that has its app_name, as fast as it takes them: what is measured
is the client. They go out in one piece or, where the name ends so, each in a write of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import workload
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode


SINGLY = "-singly"


async def serve_all(sent: Mapping[str, list[bytes]]) -> None:
    """Serve what is to be sent, by app_name, until stdin ends."""

    async def handle(client: ServerConnection) -> None:
        assert client.request is not None
        (name,) = parse_qs(urlsplit(client.request.path).query)["app_name"]
        frames = sent[name]
        for part in frames if name.endswith(SINGLY) else [b"".join(frames)]:
            client.transport.write(part)
            while client.transport.get_write_buffer_size():
                await asyncio.sleep(0.0005)
        await client.wait_closed()

    async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


@contextlib.contextmanager
def serving(programmes: Mapping[str, Iterable[bytes]]) -> Iterator[int]:
    """A server of these frames, by app_name; its port."""
    with tempfile.TemporaryDirectory() as folder:
        for name, frames in programmes.items():
            Path(folder, name).write_bytes(workload.pack(frames))
        with subprocess.Popen(
            [sys.executable, __file__, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="ascii",
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            yield int(process.stdout.readline())
            process.stdin.close()


def on_the_wire(file: Path) -> list[bytes]:
    """The frames of a file, each in a WebSocket frame."""
    frames = workload.unpack(file.read_bytes())
    return [Frame(Opcode.BINARY, frame).serialize(mask=False) for frame in frames]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    asyncio.run(serve_all({file.name: on_the_wire(file) for file in folder.iterdir()}))
