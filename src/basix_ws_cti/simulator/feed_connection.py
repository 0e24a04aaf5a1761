"""One client's connection to the simulated PBX."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, cast

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from .faulty_transport import FaultyTransport

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .access_control import FeedRequest
    from .model import Fields

# Maximum number of frames queued for a client that does not read, so that they cannot fill
# memory. A connection that exceeds it is aborted.
MAX_BACKLOG = 200_000


class FaultyConnection(ServerConnection):
    """A server's WebSocket connection whose transport can simulate network faults."""

    faulty_transport: FaultyTransport
    feed_request: FeedRequest

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wrap the transport before the connection uses it."""
        self.faulty_transport = FaultyTransport(cast("asyncio.Transport", transport))
        super().connection_made(cast("asyncio.Transport", self.faulty_transport))


class Feed:
    """A client's connection to the simulated PBX, with the frames queued for it."""

    def __init__(self, client: FaultyConnection, request: FeedRequest, identity: str) -> None:
        self.client = client
        self.request = request
        # The user or domain whose connection it is; counts towards the limit with app_name.
        self.identity = identity
        self.frames_sent: int = 0
        # Kind, fields and event name of the last event.
        self.last_event: tuple[str, Fields, str] | None = None
        self._frames: deque[bytes | str] = deque()
        self._ready = asyncio.Event()
        self._finished = False  # no further frame is queued
        self._frame_limit: int | None = None

    def __repr__(self) -> str:
        return f"<connection of {self.app_name!r}, {self.frames_sent} frames sent>"

    @property
    def app_name(self) -> str:
        """Name under which the client connected, as ``str``."""
        return self.request.app_name

    @property
    def user_id(self) -> int | None:
        """The client gets the channels of this user only; ``None``: all channels."""
        return self.request.user_id

    @property
    def backlog(self) -> int:
        """Number of frames that are queued and have not been sent."""
        return len(self._frames)

    @property
    def transport(self) -> FaultyTransport:
        """The transport of the connection."""
        return self.client.faulty_transport

    def send(self, frames: Iterable[bytes | str]) -> None:
        """Queue frames."""
        if not self._finished:
            self._frames.extend(frames)
            self._ready.set()
            if len(self._frames) > MAX_BACKLOG:
                self._frames.clear()
                self._finished = True
                self.client.transport.abort()

    def send_last(self, frame: bytes) -> None:
        """Queue a frame, and close the connection after it."""
        self.send([frame])
        self._finished = True

    def drop_after(self, frames: int) -> None:
        """Drop the connection after ``frames`` frames, counted from its first one."""
        self._frame_limit = frames

    async def run(self) -> None:
        """Send queued frames until the connection ends."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                while self._frames:
                    if self.frames_sent == self._frame_limit:
                        self.transport.drop()
                    await self.client.send(self._frames.popleft())
                    self.frames_sent += 1
                if self._finished:
                    await self.client.close()
                    return
                self._ready.clear()
                await self._ready.wait()
