"""A TCP proxy that does to what passes what bad networks do.

``async with Proxy(port) as proxy`` listens on ``proxy.port`` of the loopback interface and
passes everything on to ``port``. A connection through it is a ``Link`` in ``proxy.links``; what
goes wrong with one is one of ``FAULTS``: ``link.strike("reset")``. ``proxy.greet`` is called with
each new link before a byte has passed. ``proxy.storm(pause)`` strikes at random, from the seed,
until it is cancelled. ``proxy.counts`` says what has happened, by sort.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter

CHUNK = 1 << 16

# What a transport holds before a writer has to wait: little, so that who is slow is felt.
HIGH_WATER = 1 << 14


class Way:
    """One direction of a link, and what happens to the bytes on it.

    A byte that is changed (``flips``) may leave a message that reads as well as the one that was
    sent: WebSocket frames have no checksum, while TLS finds out.
    """

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer
        self.heal()
        self.is_lost = False  # nothing arrives any more, not even the end
        self.flips = 0  # so many of the next chunks get a changed byte
        self.remaining = None  # so many bytes still pass, then the link is cut

    def heal(self):
        """No more of what only makes it slow."""
        self.delay = 0.0  # seconds that each chunk is late
        self.piece = CHUNK  # bytes that go out at once
        self.rate = 0  # bytes in a second; 0: as many as there are

    def end(self):
        """Say that nothing more comes, and let nothing more arrive."""
        self.is_lost = True
        with contextlib.suppress(OSError):  # it is gone already
            self._writer.write_eof()

    async def pass_on(self, chance):
        """Pass on what comes, until its end; whether the link goes on without this way."""
        while data := await self._reader.read(CHUNK):
            if self.delay:
                await asyncio.sleep(self.delay)
            if self.flips:
                self.flips -= 1
                data = bytearray(data)
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
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
        start = 0
        while start < len(data) and not self.is_lost:
            # A slow line is one that brings a little now and then.
            size = min(self.piece, self.rate // 20) if self.rate else self.piece
            piece = data[start : start + size]
            start += len(piece)
            self._writer.write(piece)
            await self._writer.drain()
            # A turn of the loop between two pieces, or they would be read as one.
            if start < len(data) or self.rate:
                await asyncio.sleep(len(piece) / self.rate if self.rate else 0)


class Link:
    """A connection through the proxy: ``up`` goes to the server, ``down`` to the client."""

    def __init__(self, chance, counts, client, server):
        self._chance = chance
        self._counts = counts
        self._writers = client[1], server[1]
        self.up = Way(client[0], server[1])
        self.down = Way(server[0], client[1])
        self.is_corrupted = False

    async def run(self):
        """Pass on until both ways have ended, or the link was cut."""
        ways = [asyncio.ensure_future(way.pass_on(self._chance)) for way in (self.up, self.down)]
        try:
            for ended in asyncio.as_completed(ways):
                if not await ended:
                    break
        except OSError:
            pass  # one side is gone: so is the other
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self.cut()
            for writer in self._writers:
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    def cut(self, *, reset=False):
        """End both TCP connections, with a FIN or with an RST."""
        for writer in self._writers:
            if reset:
                sock = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):  # it is closed already
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if reset or writer.transport.get_write_buffer_size():
                writer.transport.abort()  # a close would wait until all is written
            else:
                writer.close()

    def strike(self, fault, way=None):
        """Let one of ``FAULTS`` happen, to one way or to one that chance takes."""
        self._counts[fault] += 1
        chance = self._chance
        way = way or chance.choice([self.up, self.down])
        match fault:
            case "delay":
                way.delay = chance.uniform(0.01, 0.3)
            case "split":
                way.piece = 1
            case "throttle":
                way.rate = chance.choice([500, 5000, 50_000])
            case "corrupt":
                way.flips = chance.choice([1, 1, 3])
                self.is_corrupted = True
            case "truncate":
                way.remaining = chance.choice([0, 1, 2, chance.randrange(3000)])
            case "black hole":
                self.up.is_lost = self.down.is_lost = True
            case "half-close":
                way.end()
            case "drop":
                self.cut()
            case "reset":
                self.cut(reset=True)
            case _:
                raise ValueError(fault)


FAULTS = (
    "delay",
    "split",
    "throttle",
    "corrupt",
    "truncate",
    "black hole",
    "half-close",
    "drop",
    "reset",
)


class Proxy:
    """Between a client and ``port``; faults at random come from ``seed``."""

    def __init__(self, port, seed=0):
        self._to = port
        self._chance = random.Random(seed)
        self._tasks = set()
        self.links = {}  # in the order of their coming
        self.greet = lambda _: None
        self.counts = Counter()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        while self._tasks:  # not cancelled: asyncio would forget a socket that is being connected
            for link in self.links:
                link.cut(reset=True)
            await asyncio.wait(self._tasks, timeout=0.05)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # a transport closes in the next turn

    def _accept(self, *client):
        task = asyncio.create_task(self._link(client), name="proxy")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _link(self, client):
        try:
            server = await asyncio.open_connection("127.0.0.1", self._to)
            for _, writer in (client, server):
                writer.transport.set_write_buffer_limits(HIGH_WATER)
            link = Link(self._chance, self.counts, client, server)
            self.links[link] = None
            self.counts["links"] += 1
            self.greet(link)
            try:
                await link.run()
            finally:
                del self.links[link]
        except OSError:
            pass  # nobody is there
        finally:
            client[1].transport.abort()

    async def storm(self, pause, faults=FAULTS):
        """Strike some link, or the next one as it comes, every ``pause`` seconds or so."""

        def greet(link):
            if self._chance.random() < 0.3:
                link.strike(self._chance.choice(faults))

        self.greet = greet
        try:
            while True:
                await asyncio.sleep(self._chance.expovariate(1 / pause))
                if self.links:
                    self._chance.choice([*self.links]).strike(self._chance.choice(faults))
        finally:
            self.greet = lambda _: None
            for link in self.links:
                for way in (link.up, link.down):
                    way.heal()
