"""TCP proxy that imitates the faults of bad networks.

``async with Proxy(port) as proxy`` listens on ``proxy.port`` of the loopback interface and
forwards everything to ``port``. Each connection through it is a ``Link`` in ``proxy.links``.
``link.inject("reset")`` makes one of ``FAULTS`` happen to it. ``proxy.on_link`` is called with
each new link before any byte has passed. ``proxy.storm(pause)`` injects random faults, determined
by the seed, until it is cancelled. ``proxy.counts`` counts the links, and the faults of each kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter

CHUNK = 1 << 16

# Bytes that a transport buffers before a writer has to wait. Small, so that writers notice a slow
# reader.
HIGH_WATER = 1 << 14


class Direction:
    """One direction of a link, with the faults that apply to its bytes.

    A changed byte (``flips``) may leave a well-formed message: WebSocket frames have no checksum.
    TLS detects it.
    """

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer
        self.heal()
        self.is_lost = False  # nothing arrives any more, not even the end of the stream
        self.flips = 0  # number of chunks that still get one changed bit
        self.remaining = None  # bytes that still pass before the link is cut
        self.on_data = lambda _: None  # called with each chunk before it is forwarded

    def heal(self):
        """Remove the faults that only slow the bytes down."""
        self.delay = 0.0  # seconds by which each chunk is late
        self.piece = CHUNK  # bytes per write
        self.rate = 0  # bytes per second; 0: no limit
        self.stall = 0.0  # seconds for which the link stops in the middle of the next chunk

    def end(self):
        """Send the end of the stream, and drop everything that follows."""
        self.is_lost = True
        with contextlib.suppress(OSError):  # the connection is closed already
            self._writer.write_eof()

    async def forward(self, rng):
        """Forward bytes until the stream ends; return False if the link has to be cut."""
        while data := await self._reader.read(CHUNK):
            self.on_data(data)
            if self.delay:
                await asyncio.sleep(self.delay)
            if self.flips:
                self.flips -= 1
                data = bytearray(data)
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            if self.remaining is not None:
                data = data[: self.remaining]
                self.remaining -= len(data)
            await self._write(data)
            if self.remaining == 0:
                return False
        if self.is_lost:
            return False
        self._writer.write_eof()
        return True

    async def _write(self, data):
        if self.stall:
            half, stall = len(data) // 2, self.stall
            self.stall = 0.0
            await self._write(data[:half])
            await asyncio.sleep(stall)
            data = data[half:]
        start = 0
        while start < len(data) and not self.is_lost:
            # A slow connection delivers a little 20 times a second.
            size = min(self.piece, self.rate // 20) if self.rate else self.piece
            piece = data[start : start + size]
            start += len(piece)
            self._writer.write(piece)
            await self._writer.drain()
            # Without a pause, two pieces would arrive as one.
            if start < len(data) or self.rate:
                await asyncio.sleep(len(piece) / self.rate if self.rate else 0)


class Link:
    """A connection through the proxy: ``up`` goes to the server, ``down`` to the client."""

    def __init__(self, rng, counts, client, server):
        self._rng = rng
        self._counts = counts
        self._writers = client[1], server[1]
        self.up = Direction(client[0], server[1])
        self.down = Direction(server[0], client[1])
        self.is_corrupted = False

    async def run(self):
        """Forward bytes until both directions have ended, or the link is cut."""
        tasks = [
            asyncio.ensure_future(direction.forward(self._rng))
            for direction in (self.up, self.down)
        ]
        try:
            for ended in asyncio.as_completed(tasks):
                if not await ended:
                    break
        except OSError:
            pass  # one side has closed its connection: close the other one too
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.cut()
            for writer in self._writers:
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    def cut(self, *, reset=False):
        """Close both TCP connections, with a FIN or with an RST."""
        for writer in self._writers:
            if reset:
                sock = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):  # the socket is closed already
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if reset or writer.transport.get_write_buffer_size():
                writer.transport.abort()  # close() would wait until the buffer is empty
            else:
                writer.close()

    def inject(self, fault, direction=None):
        """Make one of ``FAULTS`` happen, in a random direction unless one is passed."""
        self._counts[fault] += 1
        rng = self._rng
        direction = direction or rng.choice([self.up, self.down])
        match fault:
            case "delay":
                direction.delay = rng.uniform(0.01, 0.3)
            case "split":
                direction.piece = 1
            case "throttle":
                direction.rate = rng.choice([500, 5000, 50_000])
            case "stall":
                direction.stall = rng.uniform(0.1, 1.2)
            case "corrupt":
                direction.flips = rng.choice([1, 1, 3])
                self.is_corrupted = True
            case "truncate":
                direction.remaining = rng.choice([0, 1, 2, rng.randrange(3000)])
            case "black hole":
                self.up.is_lost = self.down.is_lost = True
            case "half-close":
                direction.end()
            case "drop" | "reset":
                self.cut(reset=fault == "reset")
            case _:
                raise ValueError(fault)


FAULTS = (
    "delay",
    "split",
    "throttle",
    "stall",
    "corrupt",
    "truncate",
    "black hole",
    "half-close",
    "drop",
    "reset",
)


class Proxy:
    """TCP proxy in front of ``port``; ``seed`` determines the random faults."""

    def __init__(self, port, seed=0):
        self._target_port = port
        self._rng = random.Random(seed)
        self._tasks = set()
        self.links = {}  # the keys are the open links, oldest first
        self.on_link = lambda _: None
        self.counts = Counter()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        while self._tasks:  # not cancelled: asyncio would leak a socket that is being connected
            for link in self.links:
                link.cut(reset=True)
            await asyncio.wait(self._tasks, timeout=0.05)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # transports close in the next iteration of the event loop

    def _accept(self, *client):
        task = asyncio.create_task(self._link(client), name="proxy")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _link(self, client):
        try:
            server = await asyncio.open_connection("127.0.0.1", self._target_port)
            for _, writer in (client, server):
                writer.transport.set_write_buffer_limits(HIGH_WATER)
            link = Link(self._rng, self.counts, client, server)
            self.links[link] = None
            self.counts["links"] += 1
            self.on_link(link)
            try:
                await link.run()
            finally:
                del self.links[link]
        except OSError:
            pass  # no server listens on the port
        finally:
            client[1].transport.abort()

    def throttle(self, rate):
        """Limit the answers of each link, in bytes per second, from now on; 0: no limit."""

        def on_link(link):
            link.down.rate = rate

        self.on_link = on_link
        for link in self.links:
            on_link(link)

    async def storm(self, pause, faults=FAULTS):
        """Inject a fault about every ``pause`` seconds, and into 30 % of the new links."""

        def on_link(link):
            if self._rng.random() < 0.3:
                link.inject(self._rng.choice(faults))

        self.on_link = on_link
        try:
            while True:
                await asyncio.sleep(self._rng.expovariate(1 / pause))
                if self.links:
                    self._rng.choice([*self.links]).inject(self._rng.choice(faults))
        finally:
            self.on_link = lambda _: None
            for link in self.links:
                for direction in (link.up, link.down):
                    direction.heal()
