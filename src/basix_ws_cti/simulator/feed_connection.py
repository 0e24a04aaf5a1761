"""One client's connection to the simulated PBX."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from .faulty_transport import FaultyTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .access_control import FeedRequest
    from .model import Fields

# Maximum number of frames queued for a client that does not read, so that they cannot fill
# memory. A connection that exceeds it is aborted.
MAX_BACKLOG = 200_000


_POST = b"POST "


class FaultyConnection(ServerConnection):
    """A server's WebSocket connection whose transport can simulate network faults.

    It is a WebSocket connection from its first bytes on, unless these are those of a POST
    request: ``on_post`` then gets the transport and the bytes. Until then the transport is in
    ``undecided``, since the WebSocket server does not know the connection yet.
    """

    faulty_transport: FaultyTransport
    feed_request: FeedRequest

    def __init__(
        self,
        *args: Any,
        on_post: Callable[[asyncio.Transport, bytes], None],
        undecided: set[asyncio.Transport],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._on_post = on_post
        self._undecided = undecided
        self._raw_transport: asyncio.Transport | None = None  # None: decided
        self._first_bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes."""
        self._raw_transport = cast("asyncio.Transport", transport)
        self._undecided.add(self._raw_transport)

    def data_received(self, data: bytes) -> None:
        """Decide by the first bytes, and pass on all data."""
        if self._raw_transport is None:
            super().data_received(data)
            return
        self._first_bytes += data
        if len(self._first_bytes) < len(_POST) and _POST.startswith(self._first_bytes):
            return
        transport, self._raw_transport = self._raw_transport, None
        self._undecided.discard(transport)
        if self._first_bytes.startswith(_POST):
            self._on_post(transport, self._first_bytes)
            return
        self.faulty_transport = FaultyTransport(transport)
        super().connection_made(cast("asyncio.Transport", self.faulty_transport))
        super().data_received(self._first_bytes)

    def eof_received(self) -> None:
        """Let the transport close if the client ends before it has sent anything."""
        if self._raw_transport is None:
            super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection, or forget it if it has not been decided."""
        if self._raw_transport is None:
            super().connection_lost(exc)
        else:
            self._undecided.discard(self._raw_transport)


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
