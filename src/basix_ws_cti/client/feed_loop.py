"""Feed loop: connects, reads, and retries until the client stops.

One task does everything, so that messages are handled one after another. It drives a ``Session``
from a socket and delivers what the session yields. Long work runs in time slices; between two
slices the event loop serves other tasks, and the next message is read only when the work is done.
"""

from __future__ import annotations

import asyncio
import logging
import math
import traceback
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from basix_ws_cti._internal.time_slice import TimeSlice
from basix_ws_cti.exceptions import (
    BasixError,
    ConnectFailed,
    ConnectionLost,
    DecodeError,
    LoggedOut,
    ProtocolError,
    ResyncRequired,
    SyncTimeout,
)
from basix_ws_cti.messages import (
    Message,
    SystemMsg,
)
from basix_ws_cti.mirror.changes import Added, Changed, Removed
from basix_ws_cti.session.session import Session
from basix_ws_cti.session.status import (
    Connecting,
    Disconnected,
    Stopped,
    Synced,
    Syncing,
)
from basix_ws_cti.transport.connection import Connection
from basix_ws_cti.transport.keepalive import Keepalive

from .callbacks import is_cancelled
from .dispatch import Dispatcher
from .reconnect import ReconnectPolicy
from .state_holder import StateHolder
from .statistics import Statistics
from .sync_deadline import SyncDeadline
from .wall_clock import WallClock

_logger = logging.getLogger(__name__)


class FeedLoop:
    """Runs a client's connections, one after another.

    - ``name``: the feed's name in log lines; holds no secret.
    - ``open_connection``: returns the context manager of one connection attempt.
    - ``ping_interval``, ``ping_timeout``, ``sync_timeout``: in seconds; ``None``: no pings, no
      limit.
    - ``unix_time``: returns the seconds since the epoch; ``None``: the machine's clock.
    """

    def __init__(
        self,
        name: str,
        open_connection: Callable[[], AbstractAsyncContextManager[Connection]],
        *,
        session: Session,
        dispatcher: Dispatcher,
        state: StateHolder,
        statistics: Statistics,
        reconnect: ReconnectPolicy,
        ping_interval: float | None,
        ping_timeout: float | None,
        sync_timeout: float | None,
        unix_time: Callable[[], float] | None = None,
    ) -> None:
        self.connection: Connection | None = None
        self._name = name
        self._open_connection = open_connection
        self._session = session
        self._dispatcher = dispatcher
        self._state = state
        self._statistics = statistics
        self._reconnect = reconnect
        self._pings = {"interval": ping_interval, "timeout": ping_timeout}
        self._sync_deadline = SyncDeadline(sync_timeout)
        self._resync_deadline = math.inf  # event-loop time; usually infinite
        self._attempts = 0  # since the state was last current
        self._clock = WallClock(unix_time)
        # Why and when (Unix time of its last sign of life) the present connection was lost, from
        # the moment of the loss on: what arrived before may still be in progress.
        self._loss: tuple[Exception, float] | None = None
        self._slice: TimeSlice
        self._deliver: dict[type[Any], Callable[[Any], object]] = {
            **dispatcher.deliveries(),
            **dict.fromkeys((Syncing, Disconnected), state.enter),
            Synced: self._enter_synced,
        }

    @property
    def traffic(self) -> Connection | None:
        """Open connection, which counts what it reads; ``None``: there is none."""
        return self.connection

    @property
    def usable_connection(self) -> Connection | None:
        """Connection for commands; ``None`` from the moment on in which it is lost."""
        return None if self._loss is not None else self.connection

    async def run(self) -> None:
        """Connect and retry until an error is final or the task is cancelled."""
        self._slice = TimeSlice()
        reason: Exception | None = None
        try:
            while True:
                self._attempts += 1
                self._state.enter(Connecting(self._attempts))
                reason = await self._attempt()
                if self._reconnect.is_final(reason, was_synced=self._session.was_synced):
                    break
                _logger.warning("no feed from %s: %s", self._name, _loggable(reason))
                self._dispatcher.callbacks.report(reason)
                now = asyncio.get_running_loop().time()
                delay = self._reconnect.delay_after(reason, now, datetime.now(UTC))
                self._state.enter(Disconnected(reason, delay))
                await asyncio.sleep(delay)
        except asyncio.CancelledError:
            self.stop(None)  # the block is left, or somebody cancels all tasks
            raise
        except Exception as error:  # a defect of this library must not end in silence
            reason = error
            _logger.exception("the client has a defect")
        self.stop(reason)

    def stop(self, reason: Exception | None) -> None:
        """Enter the state ``Stopped`` and end all subscriptions."""
        if self._state.has_stopped:
            return
        if reason is not None:
            _logger.error("the client of %s stops: %s", self._name, _loggable(reason))
        self._state.enter(Stopped(reason))
        self._dispatcher.end(reason)

    # -- one connection ---------------------------------------------------------------

    async def _attempt(self) -> Exception:
        """Connect and read until the connection ends; return the reason."""
        await self._process(self._session.discard_snapshot())
        reason: Exception | None = None
        try:
            async with self._open_connection() as connection:
                self._statistics.counts["connects"] += 1
                self.connection, self._loss = connection, None
                self._clock.synchronise(asyncio.get_running_loop().time())
                await self._process(self._session.connected())
                keepalive = Keepalive(connection, **self._pings)
                watch = asyncio.create_task(keepalive.run(), name="basix_ws_cti keepalive")
                connection.call_when_lost(partial(self._notice_loss, connection))
                try:
                    reason = await self._read_until_end(connection)
                finally:
                    connection.call_when_lost(None)
                    watch.cancel()
        except asyncio.CancelledError as error:
            if is_cancelled(error):
                raise
            reason = reason or ConnectFailed("the credentials function was cancelled")
        except Exception as error:  # noqa: BLE001 - a credentials function can raise anything
            reason = reason or error  # an error while closing does not hide why it was closed
        finally:
            self._forget_connection()
        return reason

    async def _read_until_end(self, connection: Connection) -> Exception:
        """Read until the connection ends for any reason; mark the state as stale at once."""
        now = asyncio.get_running_loop().time()
        self._sync_deadline.start(now, connection.bytes_received)
        self._resync_deadline = math.inf
        reason: Exception
        try:
            reason = await self._read(connection)
        except StopAsyncIteration:
            reason = ConnectionLost(1000)
        except asyncio.CancelledError as error:
            if is_cancelled(error):
                raise
            reason = ConnectionLost(1006, "reading was cancelled")
        except Exception as error:  # noqa: BLE001 - a defect, too, must be followed by a Gap
            reason = error
        if self._loss is not None and type(reason) is type(self._loss[0]):
            reason = self._loss[0]  # a loss that was noticed early is reported as the same object
        self._lost(reason, connection)
        return reason

    async def _read(self, connection: Connection) -> Exception:  # noqa: C901 - the hot loop is one function
        """Read messages until one of them ends the connection; return the reason."""
        time_slice, session, statistics = self._slice, self._session, self._statistics
        deadline = self._sync_deadline
        while True:
            if time_slice.expired():
                await self._yield_to_loop(time_slice)
            if time_slice.now >= deadline.at or time_slice.now >= self._resync_deadline:
                reason = await self._meet_deadline(connection, time_slice.now)
                if reason is not None:
                    return reason
            try:
                message = connection.receive_nowait()
                if message is None:
                    message = await self._next_message(connection)
            except (DecodeError, ProtocolError) as error:
                statistics.last_frame = time_slice.now
                self._reject(error)
                continue
            if message is None:
                await self._end_quiet_time(time_slice.now)
                continue
            statistics.last_frame = time_slice.now
            statistics.messages[type(message)] += 1
            notifications = session.receive(message, self._clock.unix(time_slice.now))
            if type(notifications) is tuple:  # a single step
                deliver = self._deliver
                for item in notifications:
                    deliver[type(item)](item)
                if len(notifications) > 1:
                    self._state.wake()
            else:
                deadline.received(message, time_slice.now, connection.bytes_received)
                await self._process(notifications)
            if type(message) is SystemMsg and message.text == "logout":
                return LoggedOut()

    async def _next_message(self, connection: Connection) -> Message | None:
        """Wait for a message; return ``None`` at the first of the deadlines."""
        deadline = self._resync_deadline
        if self._session.is_syncing:
            quiet_at = self._clock.loop(self._session.quiet_at)
            deadline = min(deadline, quiet_at, self._sync_deadline.at)
        try:
            if deadline == math.inf:
                return await anext(connection)
            try:
                async with asyncio.timeout_at(deadline):
                    return await anext(connection)
            except TimeoutError:
                # The timer also fires if the event loop was busy while a message arrived.
                return connection.receive_nowait()
        finally:  # an unreadable frame, too, has arrived after the wait
            self._slice.resumed()

    async def _end_quiet_time(self, now: float) -> None:
        """Complete the snapshot if the end of the quiet time was the first of the deadlines."""
        quiet_at = self._clock.loop(self._session.quiet_at)
        if quiet_at <= min(self._resync_deadline, self._sync_deadline.at):
            await self._process(self._session.idle(self._clock.unix(now)))

    async def _meet_deadline(self, connection: Connection, now: float) -> Exception | None:
        """Return the reason to end the connection, or complete the snapshot without late kinds."""
        session, deadline = self._session, self._sync_deadline
        if now >= self._resync_deadline and session.resync_problem is not None:
            return ResyncRequired(session.resync_problem)
        if self._clock.unix(now) >= session.settled_at:
            await self._process(session.idle(self._clock.unix(now)))
        elif deadline.has_passed(now, connection.bytes_received, connection.partial_bytes):
            return SyncTimeout(deadline.timeout)
        return None

    async def _process(self, notifications: Iterable[Any]) -> None:
        """Deliver notifications in time slices."""
        time_slice = self._slice
        for item in notifications:
            if item is not None:
                self._deliver[type(item)](item)
                if isinstance(item, Added | Changed | Removed):
                    # Of an event that arrived while the snapshot did; the next event may undo it.
                    self._state.wake()
            if time_slice.expired():
                await self._yield_to_loop(time_slice)
        self._state.wake()

    async def _yield_to_loop(self, time_slice: TimeSlice) -> None:
        """Let other tasks run, and at least once each subscriber that has got an item."""
        connection = self.usable_connection
        if connection is not None and connection.has_unread_end:
            # The reason is behind unread messages. The loss is noticed again once it has been read.
            self._notice_loss(connection, ConnectionLost(1006, "closed by the peer"))
        await time_slice.yield_to_loop()
        await self._dispatcher.wake_queue.drained()
        time_slice.resumed()

    def _enter_synced(self, state: Synced) -> None:
        self._sync_deadline.end()
        self._attempts = 0
        self._reconnect.synced(self._slice.now)
        self._state.enter(state)
        self._enter_disconnected()  # if the connection was lost before the snapshot was complete

    def _reject(self, error: DecodeError | ProtocolError) -> None:
        """Report an unreadable frame and skip it; a resync may become due because of it."""
        self._statistics.counts["bad_frames"] += 1
        for reported in self._session.reject(error, self._clock.unix(self._slice.now)):
            _logger.warning("a frame could not be read: %s", reported)
            self._dispatcher.callbacks.report(reported)
        self._resync_deadline = self._clock.loop(self._session.resync_at)

    def _notice_loss(self, connection: Connection, error: ConnectionLost) -> None:
        """Leave the state Synced at once when the connection is lost.

        Messages that arrived before are still applied and delivered, in their order, before the
        session learns of the loss. That may take long, if subscribers are slow.
        """
        last_heard = self._last_heard(connection)
        if self._loss is not None:  # the end was noticed before its reason was read
            last_heard = min(last_heard, self._loss[1])
        self._loss = (error, last_heard)
        self._enter_disconnected()

    def _enter_disconnected(self) -> None:
        """Enter the state Disconnected if the connection was lost in the state Synced."""
        if self._loss is not None and isinstance(self._state.current, Synced):
            reason, last_heard = self._loss
            heard = datetime.fromtimestamp(last_heard, UTC)
            self._state.enter(Disconnected(reason, None, last_heard=heard))

    def _last_heard(self, connection: Connection) -> float:
        """Return the Unix time of the last sign of life of a connection that is lost."""
        now = asyncio.get_running_loop().time()
        return self._clock.gap_start(now, connection.last_heard, connection.last_heard_unix)

    def _lost(self, reason: Exception, connection: Connection) -> None:
        """Mark the state as stale, from the connection's last sign of life on."""
        if self._loss is None:
            self._loss = (reason, self._last_heard(connection))
        disconnected = self._session.lost(
            reason,
            self._clock.unix(asyncio.get_running_loop().time()),
            self._loss[1],
            timed_out=isinstance(reason, SyncTimeout),
        )
        if disconnected:
            self._forget_connection()  # commands must fail at once from here on
            self._enter_disconnected()

    def _forget_connection(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            self._statistics.add_closed(connection)


def _loggable(reason: Exception) -> str:
    """Return an error's text for a log.

    The text of a foreign error may quote secrets: its class and the place that raised it are
    returned instead.
    """
    if isinstance(reason, BasixError):
        return str(reason)
    name = type(reason).__name__
    frames = traceback.extract_tb(reason.__traceback__)
    return f"{name} at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else name
