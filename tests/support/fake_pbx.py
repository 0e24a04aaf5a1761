"""Fake PBX without sockets, for clients on a virtual clock."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque

import attrs

from basix_ws_cti import Channel, FieldSpec, InfoEvent, InitialInfo, User
from basix_ws_cti.exceptions import ConnectFailed, ConnectionLost

from .virtual_clock import now


class FakePbx:
    """Connector (``Client(connector=...)``) with users and calls behind it.

    - ``plan``: outcomes of the next attempts; ``default``: the outcome of all others. An outcome
      is an exception to raise, a dict of keywords of ``FakeConnection``, or a function without
      arguments that returns one of these.
    - ``state``: elements by kind and key; ``history``: all states so far, oldest first.
    - ``connections``: the open connections; ``past_connections``: all connections so far.
    - ``attempts``: event-loop times of the attempts.
    - ``close_time``: seconds that closing takes; ``None`` closes without yielding to the loop.
    - ``unix_time``: clock of the machine; a test that passes it to the client as well can set it.
    """

    def __init__(self, default=None):
        self.plan = deque()
        self.default = default
        self.state = {"user": {}, "channel": {}}
        self.history = [self.state]
        self.attempts = []
        self.connections = []
        self.past_connections = []
        self.close_time = 0.0
        self.unix_time = time.time
        self.numbers = itertools.count(1)

    def __call__(self, server="fake", **options):
        return _Attempt(self)

    def send(self, *items):
        """Send messages, or raise exceptions, on all open connections."""
        for connection in self.connections:
            connection.put(*items)

    def replace(self, kind, elements, *events):
        """Replace all elements of a kind, and send events: pairs of element and event name."""
        self.state = {**self.state, kind: elements}
        self.history.append(self.state)
        self.send(*(InfoEvent(kind, element, name) for element, name in events))

    def set_user(self, key):
        """Add or update a user; each call gives it a new label."""
        user, users = User(id=key, label=str(next(self.numbers))), self.state["user"]
        self.replace("user", {**users, key: user}, (user, "updated" if key in users else "added"))

    def remove_user(self, key):
        """Remove a user, if it exists."""
        users = dict(self.state["user"])
        user = users.pop(key, None)
        if user is not None:
            self.replace("user", users, (user, "removed"))

    def call(self):
        """Add a call."""
        leg = Channel(uuid=f"u{next(self.numbers)}", last_event="CHANNEL_CREATE")
        self.replace("channel", {**self.state["channel"], leg.uuid: leg}, (leg, "added"))

    def hang_up(self, uuid=None):
        """End a call, by default the oldest; do nothing if it has ended already."""
        legs = dict(self.state["channel"])
        leg = legs.pop(next(iter(legs), None) if uuid is None else uuid, None)
        if leg is not None:
            ended = attrs.evolve(leg, last_event="CHANNEL_HANGUP")
            self.replace("channel", legs, (ended, "updated"), (ended, "removed"))

    def lose(self, error=None, *, cut=False):
        """End all connections with an error; with ``cut``, unread messages are lost."""
        for connection in self.connections:
            if cut:
                connection.items.clear()
            connection.put(ConnectionLost(1006) if error is None else error)


class _Attempt:
    """Context manager of one connection attempt."""

    def __init__(self, pbx):
        self.pbx = pbx

    def __repr__(self):
        return "<connect fake>"

    async def __aenter__(self):
        pbx = self.pbx
        assert not pbx.connections, "two sockets at once"
        pbx.attempts.append(now())
        await asyncio.sleep(0)
        outcome = pbx.plan.popleft() if pbx.plan else pbx.default
        if callable(outcome):
            outcome = outcome()
        if isinstance(outcome, BaseException):
            raise outcome
        self.connection = FakeConnection(pbx, **(outcome or {}))
        self.connection.start = len(pbx.history) - 1
        pbx.connections.append(self.connection)
        pbx.past_connections.append(self.connection)
        return self.connection

    async def __aexit__(self, *_):
        try:
            if self.pbx.close_time is not None:
                await asyncio.sleep(self.pbx.close_time)
        finally:
            self.pbx.connections.remove(self.connection)


class FakeConnection:
    """Connection that sends a snapshot first.

    - ``pace``: seconds before each frame; ``None``: frames are read without yielding to the loop.
    - ``frames``: frames of the snapshot that are sent before ``ending``; ``None``: all.
    - ``ending``: exception or message after these frames; by default ``ConnectionLost``.
    - ``late``: seconds after which the last kind is sent, with the PBX's state at that time; each
      kind then has its field_spec right before it. ``None``: at once.
    - ``first``: items before the snapshot.
    - ``rate``: bytes per second of a slow link, on which each frame has ``FRAME_BYTES`` bytes;
      ``None``: frames arrive at once.

    Attributes: ``start`` is the index of the snapshot's state in the PBX's history, ``read`` what
    was read (exceptions too), ``sent`` the commands that were sent, ``silent_since`` the time of
    the last frame (``None``: the connection is not silent).
    """

    FRAME_BYTES = 100_000

    start = 0
    on_lost = None
    silent_since = None
    is_paused = False
    has_unread_end = False
    is_cut = False  # nothing is sent any more, but for an error by ``lose``

    def __init__(self, pbx, *, pace=0.0, frames=None, ending=None, first=(), late=None, rate=None):
        self.pace = pace
        self.rate = rate
        self.unix_time = pbx.unix_time
        self.bytes_received = self.partial_bytes = 0
        self.note_frame()
        self.items = deque(first)
        self.ready = asyncio.Event()
        self.frames_read = self.bytes_read = 0
        self.sent = []
        self.read = []
        self.pbx = pbx
        self.late_kind = None
        kinds = [*pbx.state]
        if late is not None:
            self.late_kind = kinds.pop()
            asyncio.get_running_loop().call_later(late, self.send_late_kind)
        pairs = [*map(self.frames_of, kinds)]
        self.put(*(*(spec for spec, _ in pairs), *(content for _, content in pairs))[:frames])
        if frames is not None:
            self.put(ConnectionLost(1006) if ending is None else ending)
            self.is_cut = True

    def frames_of(self, kind):
        """Return the field_spec and the initial_info of a kind."""
        return FieldSpec(kind, ("id",)), InitialInfo(kind, dict(self.pbx.state[kind]))

    def send_late_kind(self):
        kind, self.late_kind = self.late_kind, None
        self.put(*self.frames_of(kind))

    def put(self, *items):
        """Queue messages or exceptions for the client; no events of a kind before its snapshot."""
        if self.is_cut:
            return
        self.items.extend(
            item
            for item in items
            if not (isinstance(item, InfoEvent) and item.element_name == self.late_kind)
        )
        self.ready.set()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.pace is not None:
            await asyncio.sleep(self.pace)
        while True:
            while self.silent_since is not None or not self.items:
                self.ready.clear()
                await self.ready.wait()
            if self.rate is None or isinstance(self.items[0], BaseException):
                return self._take()
            await self._receive_bytes()
            if self.partial_bytes >= self.FRAME_BYTES:
                return self._take()

    async def _receive_bytes(self):
        """Let bytes of the next frame arrive for a second, or for what is left of it."""
        seconds = min(1, (self.FRAME_BYTES - self.partial_bytes) / self.rate)
        await asyncio.sleep(seconds)
        if self.silent_since is None:
            count = max(1, round(seconds * self.rate))
            self.bytes_received += count
            self.partial_bytes += count

    def note_frame(self):
        self.partial_bytes = 0
        self.last_heard = now()
        self.last_heard_unix = self.unix_time()

    def _take(self):
        item = self.items.popleft()
        self.read.append(item)
        if isinstance(item, BaseException):
            raise item
        self.frames_read += 1
        self.bytes_read += 10
        self.bytes_received += 10
        self.note_frame()
        return item

    def receive_nowait(self):
        if self.rate or self.pace is not None or self.silent_since is not None or not self.items:
            return None
        return self._take()

    async def ping(self):
        if self.silent_since is not None or self.partial_bytes:
            await asyncio.Event().wait()
        self.bytes_received += 6
        self.note_frame()

    def abort(self, reason=""):
        self.silent_since = None
        self.items = deque([ConnectionLost(1006, reason)])
        self.ready.set()

    def call_when_lost(self, callback):
        self.on_lost = callback

    def lose(self, error):
        """Raise an error after what was sent."""
        self.items.append(error)
        self.ready.set()

    def die(self):
        """Lose the TCP connection: what was sent before can still be read."""
        self.put(ConnectionLost(1006))
        if self.on_lost is not None:
            self.on_lost(ConnectionLost(1006))

    async def send(self, command):
        self.sent.append(command)


def state_of(mirror):
    """Return a mirror's users and channels in the form of ``FakePbx.state``."""
    return {"user": dict(mirror.users), "channel": dict(mirror.channels)}


def unreachable_until(moment):
    """Return an outcome for attempts: the network is down until this event-loop time."""
    return lambda: ConnectFailed("no route to host") if now() < moment else None


def users(count, label="a"):
    """Return users with the keys 0 to ``count - 1``."""
    return {number: User(id=number, label=label) for number in range(count)}


def legs(count):
    """Return channels with the keys u0, u1, …; each is a call of its own."""
    return {
        f"u{number}": Channel(uuid=f"u{number}", offer_timestamp=number) for number in range(count)
    }
