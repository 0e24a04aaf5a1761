"""One client's connection to the simulated PBX."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, cast

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from .send_pipe import Pipe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .access_control import Wish
    from .pbx import Picture

# Frames that wait for a client that does not read; then it is cut off, lest they fill memory.
MAX_BACKLOG = 200_000


class PipedConnection(ServerConnection):
    """A WebSocket connection whose network can be made a bad one."""

    pipe: Pipe
    wish: Wish

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Put a pipe between the connection and its transport."""
        self.pipe = Pipe(cast("asyncio.Transport", transport))
        super().connection_made(cast("asyncio.Transport", self.pipe))


class Feed:
    """A client's connection: the frames that wait for it, and what it asked for.

    ``identity`` is whose connection it is, and with the app_name counts towards the limit.
    """

    def __init__(self, client: PipedConnection, wish: Wish, identity: str) -> None:
        self.client = client
        self.wish = wish
        self.identity = identity
        self.frames_sent: int = 0
        self.last_event: tuple[str, Picture, str] | None = None
        self._frames: deque[bytes | str] = deque()
        self._ready = asyncio.Event()
        self._last = False
        self._limit: int | None = None

    def __repr__(self) -> str:
        return f"<connection of {self.wish.app_name!r}, {self.frames_sent} frames sent>"

    @property
    def app_name(self) -> str:
        """The name under which the client connected."""
        return self.wish.app_name

    @property
    def user_id(self) -> int | None:
        """The user whose channels alone it gets; ``None``: it gets all."""
        return self.wish.user_id

    @property
    def pipe(self) -> Pipe:
        """Its network."""
        return self.client.pipe

    def send(self, frames: Iterable[bytes | str]) -> None:
        """Let frames follow those that wait already."""
        if not self._last:
            self._frames.extend(frames)
            self._ready.set()
            if len(self._frames) > MAX_BACKLOG:
                self._frames.clear()
                self._last = True
                self.client.transport.abort()

    def finish(self, frame: bytes) -> None:
        """Let a frame be the last one: the connection closes after it."""
        self.send([frame])
        self._last = True

    def die_after(self, frames: int) -> None:
        """Let the connection break after so many frames, counted from its first."""
        self._limit = frames

    async def run(self) -> None:
        """Send what there is to send, until the connection ends."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                while self._frames:
                    if self.frames_sent == self._limit:
                        self.pipe.drop()
                    await self.client.send(self._frames.popleft())
                    self.frames_sent += 1
                if self._last:
                    await self.client.close()
                    return
                self._ready.clear()
                await self._ready.wait()
