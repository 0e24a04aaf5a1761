"""Follow loop: reads the stream, and retries until the follower stops.

One task does everything, so that entries are handled one after another. It drives an
``EntryPlayer`` from Redis and delivers what the player yields. A lost connection to Redis loses no
entry: the loop goes on at its position. A ``Gap`` follows only if the next entry is not there any
more.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from typing import Any, Final, get_args

from redis.exceptions import ResponseError

from basix_ws_cti._internal.time_slice import TimeSlice
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.live_feed import FeedCore
from basix_ws_cti.exceptions import RedisFeedError
from basix_ws_cti.messages import Message
from basix_ws_cti.mirror.changes import Added, Changed, Removed
from basix_ws_cti.session.status import (
    ClientState,
    Connecting,
    Disconnected,
    Stopped,
    Synced,
    Syncing,
)

from .entries import EntryError
from .entry_decoder import received
from .entry_player import EntryPlayer
from .redis_connection import RedisConnection
from .stream import NO_ENTRY, EntryId, fields_of, leader_key

_logger = logging.getLogger(__name__)

BLOCK_TIME: Final = 1.0
"""Seconds for which Redis waits for a new entry. After a silence of this time, the loop checks that
the stream is still the same, and that a publisher leads it."""

# Seconds without a leader after which the state counts as stale. A takeover needs up to 3 s.
LEADER_TIMEOUT: Final = 5.0

# Seconds to wait for a new epoch after the stream was reset to an older state. The leader begins it
# within 3 s, unless its clock was behind that of the last one.
_RESET_TIME: Final = 5.0

# Seconds between two attempts to find a snapshot to start with.
_POLL_TIME: Final = 0.25

# Entries that are requested at a time. A part of a snapshot has up to 256 KiB.
_PAGE_SIZE: Final = 64

# Newest entries that are searched for a readable one.
_NEWEST: Final = 10

_MESSAGES: Final = frozenset(get_args(Message))


class EntryTraffic:
    """Counters of the entries that were read."""

    def __init__(self) -> None:
        self.frames_read: int = 0
        self.bytes_read: int = 0


class _MissedError(Exception):
    """The entry after the last one is not in the stream any more."""

    def __init__(self, reason: RedisFeedError) -> None:
        super().__init__()
        self.reason = reason


class FollowLoop:
    """Follows one stream over a connection to Redis.

    - ``core``: the follower's objects.
    - ``server``: address of the server for errors, without user name and password.
    - ``stream``: name of the stream.
    - ``backoff``: delays between attempts.
    """

    def __init__(
        self,
        core: FeedCore,
        connection: RedisConnection,
        *,
        server: str,
        stream: str,
        backoff: Backoff,
    ) -> None:
        self.traffic: EntryTraffic = EntryTraffic()
        """Counters of all entries."""
        self._connection = connection
        self._server = server
        self._stream = stream
        self._backoff = backoff.copy()
        self._player = EntryPlayer(core.session)
        self._session = core.session
        self._dispatcher = core.dispatcher
        self._state = core.state
        self._statistics = core.statistics
        self._attempts = 0  # since the state was last current
        self._target = NO_ENTRY  # the newest entry when reading began
        self._is_at_marker = False  # the last entry began an epoch, which may go on with a gap
        self._leader_seen = -math.inf  # event-loop time at which there was a leader
        self._old_epoch = -1  # last epoch of a stream that was reset to an older state
        self._reset_seen = -math.inf  # event-loop time at which that was noticed
        self._reported: set[str] = set()  # texts of unreadable entries
        self._slice: TimeSlice
        self._deliver: dict[type[Any], Callable[[Any], object]] = {
            **core.dispatcher.deliveries(),
            **dict.fromkeys((Connecting, Syncing, Synced, Disconnected), self._enter),
        }

    async def run(self) -> None:
        """Follow the stream and retry until an error is final or the task is cancelled."""
        self._slice = TimeSlice()
        reason: Exception
        try:
            while True:
                self._attempts += 1
                self._enter(Connecting(self._attempts))
                reason = await self._attempt()
                if reason.cause == "login" and not self._session.was_synced:
                    break
                self._report(reason)
                delay = self._backoff.delay()
                self._enter(Disconnected(reason, delay))
                await asyncio.sleep(delay)
        except asyncio.CancelledError:
            self.stop(None)
            raise
        except Exception as error:  # a defect of this library must not end in silence
            reason = error
            _logger.exception("the follower has a defect")
        self.stop(reason)

    def stop(self, reason: Exception | None) -> None:
        """Enter the state ``Stopped`` and end all subscriptions."""
        if self._state.has_stopped:
            return
        if reason is not None:
            _logger.error("the follower of %s stops: %s", self._server, reason)
        self._state.enter(Stopped(reason))
        self._dispatcher.end(reason)

    # -- one connection ---------------------------------------------------------------

    async def _attempt(self) -> RedisFeedError:
        """Connect and read until the connection fails; return the reason."""
        try:
            await self._newest_id()
            self._statistics.counts["connects"] += 1
            while True:
                try:
                    if self._player.position is None:
                        await self._load()
                    else:
                        await self._resume(self._player.position)
                    await self._read()
                except _MissedError as missed:
                    self._report(missed.reason)
                    await self._process(self._player.lost(missed.reason))
                    await asyncio.sleep(_POLL_TIME)
        except RedisFeedError as error:
            return error
        except ResponseError:
            return self._error("other", "it refused a command: check its version and settings")
        finally:
            await self._connection.close()

    async def _resume(self, position: EntryId) -> None:
        """Prepare to read on at the position of the last connection."""
        self._target = await self._checked_newest(position)
        self._enter(Syncing())
        await self._catch_up()

    async def _load(self) -> None:
        """Read the start of the newest complete snapshot, or of a stream without one."""
        while True:
            start = await self._find_start()
            if start is not None:
                first = b"-" if start == NO_ENTRY else start.encode()
                page = await self._execute("XRANGE", self._stream, first, "+", "COUNT", _PAGE_SIZE)
                if page and (start == NO_ENTRY or page[0][0] == first):
                    break
            await asyncio.sleep(_POLL_TIME)
            self._slice.resumed()
        self._enter(Syncing())
        await self._apply_all(page)
        await self._catch_up()

    async def _find_start(self) -> EntryId | None:
        """Return the id of the newest complete snapshot, or ``NO_ENTRY``; ``None``: wait."""
        reply = await self._execute("XREVRANGE", self._stream, "+", "-", "COUNT", _NEWEST)
        reason: Exception = self._no_publisher()
        for raw_id, pairs in reply:
            try:
                entry = received(EntryId.parse(raw_id), fields_of(pairs))
            except EntryError as error:
                reason = error
                continue
            self._target = EntryId.parse(reply[0][0])
            return entry.snapshot
        self._show_loss(reason)
        return None

    async def _read(self) -> None:
        """Read new entries until the connection fails, or entries are missed."""
        while True:
            position = self._player.position or NO_ENTRY
            reply = await self._execute(
                *("XREAD", "COUNT", _PAGE_SIZE, "BLOCK", round(BLOCK_TIME * 1000)),
                *("STREAMS", self._stream, position.encode()),
                wait=BLOCK_TIME,
            )
            if reply:
                if isinstance(self._state.current, Synced):  # else these may be old entries
                    self._leader_seen = self._slice.now
                await self._apply_all(reply[0][1])
                await self._catch_up()
            else:
                await self._check_silent_stream(position)

    async def _check_silent_stream(self, position: EntryId) -> None:
        """Check that the stream is the same and that there is a leader."""
        newest = await self._checked_newest(position)
        if newest > position:
            return  # entries have arrived since
        self._target, self._is_at_marker = newest, False
        if await self._is_led():
            await self._catch_up()
        else:
            self._show_loss(self._no_publisher())

    async def _checked_newest(self, position: EntryId) -> EntryId:
        """Return the id of the newest entry, which cannot be older than the last one read."""
        newest = await self._newest_id()
        if newest is None:
            raise _MissedError(self._error("missed", "the stream was deleted"))
        if newest < position:
            # Its state is old until a publisher has compared it with the PBX.
            self._old_epoch, self._reset_seen = newest.epoch, self._slice.now
            raise _MissedError(self._error("missed", "the stream was reset to an older state"))
        return newest

    async def _catch_up(self) -> None:
        """Show the state as current, once the newest entry has been read and there is a leader."""
        position = self._player.position
        is_behind = position is None or position < self._target or self._is_at_marker
        if is_behind or self._is_old(position) or isinstance(self._state.current, Synced):
            return
        if not await self._is_led():
            self._show_loss(self._no_publisher())
            return
        await self._process(self._player.caught_up())
        if self._player.is_current and not isinstance(self._state.current, Synced):
            self._enter(Synced())

    def _is_old(self, position: EntryId | None) -> bool:
        """Return True if the stream was reset, and no publisher has continued it yet."""
        if position is not None and position.epoch > self._old_epoch:
            self._old_epoch = -1
        return self._old_epoch >= 0 and self._slice.now - self._reset_seen < _RESET_TIME

    # -- entries ----------------------------------------------------------------------

    async def _apply_all(self, page: list[Any]) -> None:
        for raw_id, pairs in page:
            self._statistics.last_frame = self._slice.now
            self.traffic.frames_read += 1
            self.traffic.bytes_read += sum(map(len, pairs))
            await self._apply(EntryId.parse(raw_id), pairs)
            if self._slice.expired():
                await self._yield_to_loop()

    async def _apply(self, entry_id: EntryId, pairs: list[bytes]) -> None:
        try:
            entry = received(entry_id, fields_of(pairs))
            if not self._player.continues(entry_id, entry.previous):
                raise _MissedError(
                    self._error("missed", "entries were removed before they were read")
                )
            self._is_at_marker = entry.type == "epoch"
            await self._process(self._player.receive(entry))
        except EntryError as error:
            self._statistics.counts["bad_frames"] += 1
            if str(error) not in self._reported:
                self._reported.add(str(error))
                self._report(error)
            await self._process(self._player.reject(entry_id, error))

    async def _process(self, notifications: Iterable[Any]) -> None:
        """Deliver notifications in time slices."""
        for item in notifications:
            if item is not None:
                kind = type(item)
                self._deliver[kind](item)
                if kind in _MESSAGES:
                    self._statistics.messages[kind] += 1
                elif isinstance(item, Added | Changed | Removed):
                    self._state.wake()
            if self._slice.expired():
                await self._yield_to_loop()
        self._state.wake()

    async def _yield_to_loop(self) -> None:
        """Let other tasks run, and at least once each subscriber that has got an item."""
        await self._slice.yield_to_loop()
        await self._dispatcher.wake_queue.drained()
        self._slice.resumed()

    # -- state ------------------------------------------------------------------------

    def _enter(self, state: ClientState) -> None:
        if isinstance(state, Synced):
            self._attempts = 0
            self._backoff.reset()
        if not (isinstance(state, Syncing) and isinstance(self._state.current, Syncing)):
            self._state.enter(state)

    def _show_loss(self, reason: Exception) -> None:
        """Enter the state Disconnected for a reason that is not shown yet."""
        current = self._state.current
        if not (isinstance(current, Disconnected) and str(current.reason) == str(reason)):
            self._report(reason)
            self._enter(Disconnected(reason, None))

    def _report(self, reason: Exception) -> None:
        _logger.warning("no feed from %s: %s", self._server, reason)
        self._dispatcher.callbacks.report(reason)

    # -- Redis ------------------------------------------------------------------------

    async def _execute(self, *command: bytes | str | int, wait: float = 0.0) -> Any:
        try:
            return await self._connection.execute(*command, wait=wait)
        finally:
            self._slice.resumed()

    async def _newest_id(self) -> EntryId | None:
        """Return the id of the newest entry; ``None``: the stream is empty."""
        reply = await self._execute("XREVRANGE", self._stream, "+", "-", "COUNT", 1)
        return EntryId.parse(reply[0][0]) if reply else None

    async def _is_led(self) -> bool:
        """Return True if a publisher leads the stream, or did so a moment ago."""
        if await self._execute("EXISTS", leader_key(self._stream)):
            self._leader_seen = self._slice.now
        return self._slice.now - self._leader_seen < LEADER_TIMEOUT

    def _no_publisher(self) -> RedisFeedError:
        return self._error(
            "no_publisher",
            f"no publisher leads the stream {self._stream!r}: start `basix-ws-cti publish`",
        )

    def _error(self, cause: str, problem: str) -> RedisFeedError:
        return RedisFeedError(self._server, cause, problem)
