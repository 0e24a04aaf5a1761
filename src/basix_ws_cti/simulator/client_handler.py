"""Clients of the simulated PBX: handshake, connection limit, snapshot, events and commands."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from websockets.exceptions import ConnectionClosed

from basix_ws_cti.exceptions import printable

from .access_control import AccessControl, parse_target
from .errors import NotPossibleError, RefusedError
from .faults import DelayHandshake, DropDuringSnapshot, EventFirst, Fault, Refuse
from .feed_connection import FaultyConnection, Feed
from .session_frames import initial_frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

    from .frame_writer import Writer
    from .model import Fields, Key
    from .pbx import Pbx

_logger = logging.getLogger(__name__)


class ClientHandler:
    """Serves the clients of a PBX, from handshake to disconnection.

    Invariant: a client in ``feeds`` has been sent the snapshot and every event since. So the
    snapshot is built, queued and the client added to ``feeds`` without an ``await``, and
    ``publish_change`` is called in the same thread as each change happens.

    ``on_client`` is called when a client has been sent the snapshot, ``on_command`` with each
    message of a client.
    """

    pbx: Pbx

    def __init__(
        self,
        writer: Writer,
        access: AccessControl,
        *,
        specs_first: bool,
        max_connections: int,
        on_client: Callable[[], None],
        on_command: Callable[[str | bytes], None],
    ) -> None:
        self._writer = writer
        self._access = access
        self._specs_first = specs_first
        self._max_connections = max_connections
        self._on_client = on_client
        self._on_command = on_command
        self.feeds: dict[Feed, None] = {}  # in the order of connecting
        self.armed_faults: list[list[Any]] = []  # fault, and for how many more clients
        # Encoded records of elements in their current state, so that clients share them.
        self._records: dict[tuple[str, Key], bytes] = {}
        self._delayed: set[ServerConnection] = set()  # clients whose handshake is delayed
        self._linger: float = 0.0
        # Lost connections that still count: identity, app_name, monotonic time of their end.
        self._lingering: list[tuple[str, str, float]] = []
        self._restarts = 0

    def attach(self, pbx: Pbx) -> None:
        """Send the snapshots and events of this PBX to all clients from now on.

        ``detach`` must be called before another PBX is attached.
        """
        self.pbx = pbx
        self.clear_records()
        pbx.listeners.append(self.publish_change)

    def detach(self) -> None:
        """Stop listening to the PBX."""
        self.pbx.listeners.remove(self.publish_change)

    def clear_records(self) -> None:
        """Clear the cache of encoded records, after a change of what they depend on."""
        self._records.clear()

    def set_linger(self, seconds: float) -> None:
        """Count lost connections towards the limit for ``seconds`` more.

        0 also stops counting those that were lost before.
        """
        self._linger = seconds
        if not seconds:
            self._lingering.clear()

    def drop_all(self) -> None:
        """Drop all connections, and forget them, as when the PBX restarts."""
        self._restarts += 1
        for feed in self.feeds:
            feed.transport.drop()
        self.abort_delayed()
        self.feeds.clear()
        self._lingering.clear()

    def abort_delayed(self) -> None:
        """Abort the connections of clients whose handshake is delayed."""
        for client in self._delayed:
            client.transport.abort()

    async def process_request(self, client: ServerConnection, request: Request) -> Response | None:
        """Return the response that refuses a handshake; ``None``: the client is accepted."""
        delay = self._take_fault(DelayHandshake)
        if delay is not None:
            self._delayed.add(client)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay.seconds):
                    await client.wait_closed()
            self._delayed.discard(client)
        refusal = self._take_fault(Refuse)
        if refusal is not None:
            return _refuse(client, refusal)
        try:
            feed_request = parse_target(request.path, self.pbx)
            self._access.authenticate(request.headers.get_all("Authorization"), request.path)
        except RefusedError as error:
            return _response(client, error.status, error.reason)
        cast("FaultyConnection", client).feed_request = feed_request
        return None

    async def serve(self, client: ServerConnection) -> None:
        """Serve an accepted client until it disconnects."""
        client = cast("FaultyConnection", client)
        request = client.feed_request
        identity = self._access.domain if request.user_id is None else f"user {request.user_id}"
        feed = Feed(client, request, identity)
        restarts = self._restarts
        sender = asyncio.create_task(feed.run(), name="basix simulator client")
        try:
            if self._enforce_limit(feed):
                self._send_snapshot(feed)
                _logger.info("client connected: app_name %s", _loggable(feed.app_name))
            await self.read_commands(feed)
        finally:
            self.feeds.pop(feed, None)
            await asyncio.wait([sender], timeout=0)
            sender.cancel()
            lost = client.close_code == 1006
            if lost and self._linger and restarts == self._restarts:
                until = time.monotonic() + self._linger
                self._lingering.append((feed.identity, feed.app_name, until))
            _logger.info(
                "client disconnected: app_name %s, %d frames sent",
                _loggable(feed.app_name),
                feed.frames_sent,
            )

    async def read_commands(self, feed: Feed) -> None:
        """Pass on a client's commands until it disconnects; log those that fail."""
        try:
            async for text in feed.client:
                try:
                    self._on_command(text)
                except NotPossibleError as error:
                    _logger.info("command ignored: %s", printable(str(error)))
        except ConnectionClosed:
            pass  # the usual end of a client

    def publish_change(self, kind: str, key: Key, fields: Fields, event_name: str) -> None:
        """Send a change to each client that asked for it."""
        self._records.pop((kind, key), None)
        if not self.feeds:
            return
        record = self._record(kind, key, fields)
        if event_name == "removed":
            del self._records[kind, key]
        frame = self._writer.info_event(kind, record, event_name)
        for feed in self.feeds:
            if kind != "channel" or feed.user_id in {None, fields["user_id"]}:
                feed.send([frame])
                feed.last_event = (kind, fields, event_name)

    def broadcast(self, frame: bytes) -> None:
        """Send a frame to all clients."""
        for feed in self.feeds:
            feed.send([frame])

    def _take_fault(self, *types: type[Fault]) -> Any:
        """Return the oldest armed fault of these types, and use it once; ``None``: none."""
        for armed in self.armed_faults:
            if isinstance(armed[0], types):
                armed[1] -= 1
                if not armed[1]:
                    self.armed_faults.remove(armed)
                return armed[0]
        return None

    def _enforce_limit(self, feed: Feed) -> bool:
        """Apply the limit for each identity and app_name to a new client.

        Return False if the client is refused. With ``force``, older connections are closed
        instead.
        """
        now = time.monotonic()
        self._lingering = [lost for lost in self._lingering if lost[2] > now]
        key = (feed.identity, feed.app_name)
        lingering = [lost for lost in self._lingering if lost[:2] == key]
        active = [one for one in self.feeds if (one.identity, one.app_name) == key]
        surplus = len(lingering) + len(active) + 1 - self._max_connections
        if surplus <= 0:
            return True
        if not feed.request.force:
            _logger.info(
                "connection limit reached: app_name %s, client refused", _loggable(feed.app_name)
            )
            feed.send_last(self._writer.system_msg("connection_limit_reached"))
            return False
        for lost in lingering[:surplus]:
            self._lingering.remove(lost)
        for oldest in active[: max(0, surplus - len(lingering))]:
            del self.feeds[oldest]
            oldest.send_last(self._writer.system_msg("connection_replaced"))
        return True

    def _send_snapshot(self, feed: Feed) -> None:
        """Queue the snapshot for a new client, and add the client to ``feeds``.

        There is no ``await`` here, so the PBX cannot change between the two.
        """
        fault = self._take_fault(DropDuringSnapshot, EventFirst)
        records = {
            kind: [self._record(kind, key, fields) for key, fields in elements.items()]
            for kind, elements in self.pbx.snapshot(feed.user_id).items()
        }
        if isinstance(fault, DropDuringSnapshot):
            feed.drop_after(fault.frames)
        elif isinstance(fault, EventFirst):
            kind = next((kind for kind, encoded in records.items() if encoded), None)
            if kind is not None:
                feed.send([self._writer.info_event(kind, records[kind][0], "updated")])
        feed.send(initial_frames(self._writer, records, specs_first=self._specs_first))
        self.feeds[feed] = None
        self._on_client()

    def _record(self, kind: str, key: Key, fields: Fields) -> bytes:
        """Return an element's encoded record, from the cache if it has not changed."""
        record = self._records.get((kind, key))
        if record is None:
            record = self._records[kind, key] = self._writer.record(kind, fields)
        return record


def _response(client: ServerConnection, status: HTTPStatus, text: str) -> Response:
    response = client.respond(status, f"{text}\n")
    if status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Basic realm="Basix", charset="UTF-8"'
    return response


def _refuse(client: ServerConnection, fault: Refuse) -> Response:
    response = _response(client, fault.status, f"{fault.status.phrase} (injected fault)")
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    if fault.location is not None:
        response.headers["Location"] = fault.location
    return response


def _loggable(text: str) -> str:
    """Return a client's text in a form that is safe in a log: ASCII, at most 64 characters."""
    return ascii(text[:64])
