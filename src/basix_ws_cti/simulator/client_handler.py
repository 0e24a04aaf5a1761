"""Who comes to the simulated PBX: let in or refused, shown what there is, told what happens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from websockets.exceptions import ConnectionClosed

from basix_ws_cti.exceptions import printable

from .access_control import Keys, RefusedError, read_target
from .faults import DelayHandshake, DieInSnapshot, EventFirst, Fault, Refuse
from .feed_connection import Feed, PipedConnection
from .pbx import NotPossibleError
from .session_frames import opening

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

    from .frame_writer import Writer
    from .pbx import Key, Pbx, Picture

_logger = logging.getLogger(__name__)


class Reception:
    """The clients of a PBX, which is the one that it ``enter()``ed last.

    ``begin`` is called when a client has been shown what there is, ``command`` with what one
    says.
    """

    pbx: Pbx

    def __init__(
        self,
        writer: Writer,
        keys: Keys,
        *,
        specs_first: bool,
        max_connections: int,
        begin: Callable[[], None],
        command: Callable[[str | bytes], None],
    ) -> None:
        self._writer = writer
        self._keys = keys
        self._specs_first = specs_first
        self._max_connections = max_connections
        self._begin = begin
        self._command = command
        self.feeds: dict[Feed, None] = {}  # in the order of their coming
        self.ambushes: list[list[Any]] = []  # faults, and how often they will strike
        self._linger: float = 0.0
        self._records: dict[tuple[str, Key], bytes] = {}  # as they were sent last
        self._delayed: set[ServerConnection] = set()  # they wait for an answer to the handshake
        self._ghosts: list[tuple[str, str, float]] = []  # dead, but counted until then
        self._life = 0  # how often it was restarted

    def enter(self, pbx: Pbx) -> None:
        """Tell of this PBX from now on."""
        self.pbx = pbx
        self.write_anew()
        pbx.listeners.append(self.tell)

    def leave(self) -> None:
        """Tell of the PBX no longer."""
        self.pbx.listeners.remove(self.tell)

    def write_anew(self) -> None:
        """Send nothing again as it was written before."""
        self._records.clear()

    def set_linger(self, seconds: float) -> None:
        """Count who breaks off for so many seconds more; 0 forgets those of before too."""
        self._linger = seconds
        if not seconds:
            self._ghosts.clear()

    def lose_all(self) -> None:
        """End every connection, and remember none: what happens from now on is of another life."""
        self._life += 1
        for feed in self.feeds:
            feed.pipe.drop()
        self.abort_delayed()
        self.feeds.clear()
        self._ghosts.clear()

    def abort_delayed(self) -> None:
        """Cut off those who still wait for an answer to their handshake."""
        for client in self._delayed:
            client.transport.abort()

    async def admit(self, client: ServerConnection, request: Request) -> Response | None:
        """Answer the handshake, ``None`` meaning yes."""
        delay = self._spring(DelayHandshake)
        if delay is not None:
            self._delayed.add(client)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay.seconds):
                    await client.wait_closed()
            self._delayed.discard(client)
        refusal = self._spring(Refuse)
        if refusal is not None:
            return _refuse(client, refusal)
        try:
            wish = read_target(request.path, self.pbx)
            self._keys.admit(request.headers.get_all("Authorization"), request.path)
        except RefusedError as error:
            return _response(client, error.status, error.reason)
        cast("PipedConnection", client).wish = wish
        return None

    async def serve(self, client: ServerConnection) -> None:
        """Look after a client that was let in, until it is gone."""
        client = cast("PipedConnection", client)
        wish = client.wish
        identity = self._keys.domain if wish.user_id is None else f"user {wish.user_id}"
        feed = Feed(client, wish, identity)
        life = self._life
        sender = asyncio.create_task(feed.run(), name="basix simulator client")
        try:
            if self._make_room(feed):
                self._show(feed)
                _logger.info("a client connected as %s", _shown(feed.app_name))
            await self.listen_to(feed)
        finally:
            self.feeds.pop(feed, None)
            await asyncio.wait([sender], timeout=0)
            sender.cancel()
            if client.close_code == 1006 and self._linger and life == self._life:
                until = time.monotonic() + self._linger
                self._ghosts.append((feed.identity, feed.app_name, until))
            _logger.info(
                "a client of %s is gone, after %d frames", _shown(feed.app_name), feed.frames_sent
            )

    async def listen_to(self, feed: Feed) -> None:
        """Take a client's commands, until it is gone."""
        try:
            async for text in feed.client:
                try:
                    self._command(text)
                except NotPossibleError as error:
                    _logger.info("a command is ignored: %s", printable(str(error)))
        except ConnectionClosed:
            pass  # as clients do

    def tell(self, kind: str, key: Key, picture: Picture, event_name: str) -> None:
        """Let those know of a change whom it concerns."""
        self._records.pop((kind, key), None)
        if not self.feeds:
            return
        record = self._record(kind, key, picture)
        if event_name == "removed":
            del self._records[kind, key]
        frame = self._writer.info_event(kind, record, event_name)
        for feed in self.feeds:
            if kind != "channel" or feed.user_id in {None, picture["user_id"]}:
                feed.send([frame])
                feed.last_event = (kind, picture, event_name)

    def broadcast(self, frame: bytes) -> None:
        """Send a frame to everybody."""
        for feed in self.feeds:
            feed.send([frame])

    def _spring(self, *sorts: type[Fault]) -> Any:
        """The fault of these sorts that has lain in wait the longest, if there is one."""
        for ambush in self.ambushes:
            if isinstance(ambush[0], sorts):
                ambush[1] -= 1
                if not ambush[1]:
                    self.ambushes.remove(ambush)
                return ambush[0]
        return None

    def _make_room(self, feed: Feed) -> bool:
        """Hold the limit for each user and app_name; whether there is a place for this one."""
        now = time.monotonic()
        self._ghosts = [ghost for ghost in self._ghosts if ghost[2] > now]
        me = (feed.identity, feed.app_name)
        ghosts = [ghost for ghost in self._ghosts if ghost[:2] == me]
        rivals = [one for one in self.feeds if (one.identity, one.app_name) == me]
        surplus = len(ghosts) + len(rivals) + 1 - self._max_connections
        if surplus <= 0:
            return True
        if not feed.wish.force:
            _logger.info("a client of %s is one too many", _shown(feed.app_name))
            feed.finish(self._writer.system_msg("connection_limit_reached"))
            return False
        for ghost in ghosts[:surplus]:
            self._ghosts.remove(ghost)
        for oldest in rivals[: max(0, surplus - len(ghosts))]:
            del self.feeds[oldest]
            oldest.finish(self._writer.system_msg("connection_replaced"))
        return True

    def _show(self, feed: Feed) -> None:
        """What there is; and let every later event follow it, once.

        In one go, before anything can happen in the world: the picture is of one moment.
        """
        fault = self._spring(DieInSnapshot, EventFirst)
        records = {
            kind: [self._record(kind, key, picture) for key, picture in elements.items()]
            for kind, elements in self.pbx.snapshot(feed.user_id).items()
        }
        if isinstance(fault, DieInSnapshot):
            feed.die_after(fault.frames)
        elif isinstance(fault, EventFirst):
            kind = next((kind for kind, written in records.items() if written), None)
            if kind is not None:
                feed.send([self._writer.info_event(kind, records[kind][0], "updated")])
        feed.send(opening(self._writer, records, specs_first=self._specs_first))
        self.feeds[feed] = None
        self._begin()

    def _record(self, kind: str, key: Key, picture: Picture) -> bytes:
        """An element's record, which every client gets that comes before it changes."""
        written = self._records.get((kind, key))
        if written is None:
            written = self._records[kind, key] = self._writer.record(kind, picture)
        return written


def _response(client: ServerConnection, status: HTTPStatus, text: str) -> Response:
    response = client.respond(status, f"{text}\n")
    if status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Basic realm="Basix", charset="UTF-8"'
    return response


def _refuse(client: ServerConnection, fault: Refuse) -> Response:
    response = _response(client, fault.status, f"{fault.status.phrase}, on demand")
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    if fault.location is not None:
        response.headers["Location"] = fault.location
    return response


def _shown(text: str) -> str:
    """A client's own text, fit for a log."""
    return ascii(text[:64])
