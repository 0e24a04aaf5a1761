"""Publisher: one of several processes that keep the feed of a PBX in a Redis stream.

All publishers of a stream run the same code, and Redis decides their roles:

- **cold**: not connected to the PBX. It waits for the place of the standby, which is a lease.
- **standby**: holds that lease. It is connected to the PBX, keeps a journal of its notifications,
  and reads the stream. When nobody holds the lease of the leader, and its state of the PBX is
  current, it takes that lease and leads.
- **leader**: appends to the stream, as ``Term`` describes. It has given up the place of the
  standby, so that the next publisher can take it.

So two publishers at most are connected to the PBX, which is what it allows. While Redis is away,
both stay connected and keep their journals.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from attrs import frozen

from basix_ws_cti._internal.arguments import check_bool, check_filled_text
from basix_ws_cti._internal.callables import check_function
from basix_ws_cti._internal.stream_defaults import DEFAULT_MAX_ENTRIES, DEFAULT_NAME, MIN_ENTRIES
from basix_ws_cti.client.client import Client
from basix_ws_cti.exceptions import ClientClosed, RedisFeedError, UsageError
from basix_ws_cti.session.status import ClientState, Stopped

from .client_feed import ClientFeed
from .command_executor import CommandExecutor, MakeApi
from .journal import MAX_ITEMS, Journal
from .lease import READY, RENEW_INTERVAL, REPLY_TIMEOUT, Lease
from .participation import Participation
from .redis_address import RedisAddress
from .redis_connection import RedisConnection
from .stream import NO_ENTRY, check_name, leader_key, standby_key
from .stream_tail import StreamTail
from .stream_writer import StreamWriter
from .term import Term, TermEnded, TermParts, TermStats

_logger = logging.getLogger(__name__)

# Part of the stream after which a snapshot is due.
_SNAPSHOT_SHARE: Final = 10

# Seconds between two looks of a standby at the leader's lease.
_STANDBY_INTERVAL: Final = 0.25

# Seconds between two looks of a cold publisher at the standby's lease.
_COLD_INTERVAL: Final = 1.0

# Seconds between a renewal that failed and the next one.
_RENEW_AGAIN: Final = 0.1

# Seconds without a place after which a publisher disconnects from the PBX: longer than a lease
# lasts, so that it is not a lease of its own that it cannot renew any more.
_PLACE_GRACE: Final = 3.0

# Seconds after an outage of Redis for which a publisher that has missed something does not lead.
# The last leader, which has missed nothing, asks for its lease again in this time.
_PRECEDENCE: Final = 2.0

# Seconds without the state of the PBX after which a leader hands over to a standby that has it.
_UNSYNCED_TIME: Final = 1.0

# Seconds for the entry with which a leader reports its end.
_END_TIMEOUT: Final = 1.0

Role = Literal["cold", "standby", "leader"]


@frozen(kw_only=True)
class PublisherStatus:
    """Role and health of a publisher."""

    role: Role
    """``"leader"``: it appends to the stream. ``"standby"``: it is connected to the PBX and takes
    over if the leader fails. ``"cold"``: it waits for the place of the standby."""

    feed: ClientState | None
    """State of its client; ``None``: it has none, since it is cold."""

    problem: RedisFeedError | None
    """What is wrong with Redis; ``None``: nothing."""


class Publisher:
    """Publishes the feed of a PBX to a Redis stream, alone or with others as standbys.

    - ``redis``: URL of the server, ``redis[s]://[user:password@]host[:port][/database]``.
    - ``make_client``: returns a new client of the PBX, which is not entered yet. All publishers
      of a stream must use the same user, ``app_name`` and selection of channels, without ``force``.
    - ``stream``: name of the stream.
    - ``max_entries``: number of entries that the stream keeps, approximately.
    - ``max_pending``: number of notifications that are kept in memory while Redis is away. Their
      data may have 4 KiB each on average, and 16 MiB in any case. If there is more, a gap and a
      snapshot replace all of it.
    - ``name``: name of this publisher, which is shown in Redis; ``None``: host and process.
    - ``on_status``: called with each new status.
    - ``with_error_texts``: False leaves the texts of errors out of the stream, which may quote
      the PBX. For clients with an ``AnonymisingConnector``.
    - ``ca_file``: PEM file of the CA to trust for ``rediss://``; ``None``: the system's.
    - ``allow_insecure``: allow ``redis://``, which is not encrypted, to another machine.
    - ``allow_commands``: execute the commands of followers while this publisher leads. Each program
      that may write to Redis can then control calls.
    - ``make_api``: returns the HTTP API for ``call_user`` and ``call_group`` of followers, such as
      a new ``HttpApi``; ``None``: they fail.

    Raises ``UsageError`` for arguments that cannot work.
    """

    def __init__(
        self,
        redis: str,
        make_client: Callable[[], Client],
        *,
        stream: str = DEFAULT_NAME,
        max_entries: int = DEFAULT_MAX_ENTRIES,
        max_pending: int = MAX_ITEMS,
        name: str | None = None,
        on_status: Callable[[PublisherStatus], object] | None = None,
        with_error_texts: bool = True,
        ca_file: Path | None = None,
        allow_insecure: bool = False,
        allow_commands: bool = False,
        make_api: MakeApi | None = None,
    ) -> None:
        address = RedisAddress.parse(redis, allow_insecure=allow_insecure)
        self._stream = check_name(stream)
        _check_count("max_entries", max_entries)
        _check_count("max_pending", max_pending)
        check_bool("with_error_texts", with_error_texts)
        check_function("make_client", make_client)
        check_function("on_status", on_status, "status", optional=True)
        if name is not None:
            check_filled_text("name", name)
        check_bool("allow_commands", allow_commands)
        check_function("make_api", make_api, optional=True)
        self._allow_commands = allow_commands
        self._make_api = make_api
        self._make_client = make_client
        self._on_status = on_status
        self._max_pending = max_pending
        self._with_error_texts = with_error_texts
        self._name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._address = address
        self._connect = connect = partial(RedisConnection, address, ca_file=ca_file)
        self._lease_connection = connect(timeout=REPLY_TIMEOUT)
        self._connection = connect()
        self._leader = Lease(self._lease_connection, leader_key(stream), owner=self._name)
        self._place = Lease(self._lease_connection, standby_key(stream), owner=self._name)
        self._writer = StreamWriter(self._connection, stream, max_entries=max_entries)
        self._snapshot_interval = max_entries // _SNAPSHOT_SHARE
        self._news = asyncio.Event()
        self._stats = TermStats()
        self._participation: Participation | None = None
        self._role: Role = "cold"
        self._problem: RedisFeedError | None = None
        self._status: PublisherStatus | None = None  # the last one that was reported
        self._refused_since: float | None = None
        self._failed_at = -math.inf  # monotonic time of the last failure of Redis

    def __repr__(self) -> str:
        return f"<Publisher {self._stream} at {self._address}, {self._role}>"

    @property
    def status(self) -> PublisherStatus:
        """Role and health at this moment."""
        feed = None if self._participation is None else self._participation.client.state
        return PublisherStatus(role=self._role, feed=feed, problem=self._problem)

    @property
    def stats(self) -> TermStats:
        """Counters since the publisher was created."""
        return self._stats

    @property
    def pending(self) -> int:
        """Number of items that wait to be appended, or of a standby, to be found in the stream."""
        return 0 if self._participation is None else len(self._participation.journal)

    async def run(self) -> NoReturn:
        """Publish until this task is cancelled. Raises the error that stopped the client."""
        try:
            while True:
                await self._wait_for_place()
                await self._take_part()
        finally:
            await self._release(self._place)
            await self._lease_connection.close()
            await self._connection.close()

    # -- roles ------------------------------------------------------------------------

    async def _wait_for_place(self) -> None:
        """Take the place of the standby as soon as it is free."""
        # A connected publisher that could not renew the lease is quicker than a second look.
        looks = 1
        while True:
            try:
                holder = await self._place.holder()
                looks = 0 if holder is not None else looks + 1
                if looks >= 2 and await self._place.acquire():
                    return
                self._set(role="cold", problem=None)
            except RedisFeedError as error:
                self._note_failure(error)
            await asyncio.sleep(_COLD_INTERVAL)

    async def _take_part(self) -> None:
        """Be connected to the PBX, as standby or leader, until another one has the place."""
        client = self._make_client()
        journal = Journal(time.monotonic, max_items=self._max_pending)
        tail = StreamTail(self._connection, self._stream, journal)
        feed = ClientFeed(client, journal, self._news.set, with_error_texts=self._with_error_texts)
        participation = Participation(client, journal, tail, feed)
        client.on_state(lambda _: self._set())
        with contextlib.suppress(RedisFeedError):  # else the first turn reports it
            await participation.tail.catch_up()
        try:
            async with client:
                self._participation = participation
                self._refused_since = None
                self._set(role="standby", problem=None)
                while True:
                    _raise_if_stopped(client)
                    try:
                        if not await self._take_turn(participation):
                            return
                        self._set(problem=None)
                    except RedisFeedError as error:
                        participation.note_vacancy()
                        self._note_failure(error)
                    await asyncio.sleep(_STANDBY_INTERVAL)
        finally:
            self._participation = None

    async def _take_turn(self, own: Participation) -> bool:
        """Lead if nobody else does, else follow; return False if the place is taken."""
        own.note_restart()
        if own.client.is_synced and await self._may_lead(own):
            if await self._leader.exchange(self._place):  # for the next standby
                await self._lead(own)
                return True
            own.note_leader()
        if not await self._keep_place(is_ready=own.client.is_synced and own.covers):
            return False
        await own.tail.catch_up()
        return True

    async def _may_lead(self, own: Participation) -> bool:
        """Return True unless somebody leads, or should do so because this one misses something."""
        if own.covers or own.tail.last == NO_ENTRY:
            return True
        if await self._leader.holder() is not None:
            own.note_leader()
            return False
        own.note_vacancy()
        return time.monotonic() - self._failed_at >= _PRECEDENCE

    async def _keep_place(self, *, is_ready: bool) -> bool:
        suffix = READY if is_ready else ""
        if self._place.is_held:
            is_held = await self._place.renew(suffix)
        else:
            is_held = await self._place.acquire(suffix)
        now = time.monotonic()
        if is_held:
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = now
        return self._refused_since is None or now - self._refused_since < _PLACE_GRACE

    async def _lead(self, own: Participation) -> None:
        """Publish until the lease is lost, the client stops, or a standby goes on."""
        self._set(role="leader")
        own.note_restart()  # the PBX may have been lost since the last look
        parts = TermParts(
            publisher=self._name,
            lease=self._leader,
            writer=self._writer,
            tail=own.tail,
            journal=own.journal,
            feed=own.feed,
            news=self._news,
            stats=self._stats,
            snapshot_interval=self._snapshot_interval,
            on_problem=lambda problem: self._set(problem=problem),
            may_hand_over=partial(self._is_standby_ready, self._connection),
        )
        term = Term(parts, covers=own.covers)
        renewing = asyncio.create_task(self._renew(own.client), name="basix_ws_cti lease")
        publishing = asyncio.create_task(term.run(), name="basix_ws_cti fan-out")
        executing = self._execute_commands(own.client)
        try:
            await asyncio.wait({renewing, publishing}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await _cancel(publishing)
            await self._report_end(term)
            raise
        finally:
            await _cancel(renewing)
            await _cancel(publishing)
            if executing is not None:
                await _cancel(executing)
            own.note_term(covers=term.covers, restarts=term.restarts)
            await self._release(self._leader)
        self._refused_since = None
        self._set(role="standby")
        for task in (renewing, publishing):
            error = None if task.cancelled() else task.exception()
            if isinstance(error, TermEnded):
                _logger.info("fan-out: no longer leading: %s", error.reason)
            elif error is not None:
                raise error

    def _execute_commands(self, client: Client) -> asyncio.Task[NoReturn] | None:
        """Start to execute the commands of followers; ``None``: that is not allowed."""
        if not self._allow_commands:
            return None
        executor = CommandExecutor(
            self._connect, self._stream, self._leader.token, client, self._make_api
        )
        return executor.start()

    async def _renew(self, client: Client) -> None:
        """Renew the leader's lease until it is lost, or somebody else should lead."""
        pause = RENEW_INTERVAL
        unsynced_since: float | None = None
        while not isinstance(client.state, Stopped):
            await asyncio.sleep(pause)
            try:
                if not await self._leader.renew():
                    return
                pause = RENEW_INTERVAL
                now = time.monotonic()
                unsynced_since = None if client.is_synced else unsynced_since or now
                is_unsynced = unsynced_since is not None and now - unsynced_since > _UNSYNCED_TIME
                if is_unsynced and await self._is_standby_ready(self._lease_connection):
                    return
            except RedisFeedError as error:
                self._set(problem=error)
                pause = _RENEW_AGAIN
                if not self._leader.is_held:
                    return

    async def _is_standby_ready(self, connection: RedisConnection) -> bool:
        """Return True if another publisher can go on without a gap."""
        try:
            holder = await connection.execute("GET", standby_key(self._stream))
        except RedisFeedError:
            return False
        return isinstance(holder, bytes) and holder.endswith(READY.encode())

    async def _report_end(self, term: Term) -> None:
        """Report the end of the feed, unless a standby goes on with it."""
        with contextlib.suppress(TimeoutError, TermEnded):
            async with asyncio.timeout(_END_TIMEOUT):
                if not await self._is_standby_ready(self._connection):
                    await term.report_end(ClientClosed())

    async def _release(self, lease: Lease) -> None:
        with contextlib.suppress(RedisFeedError):
            await lease.release()

    def _note_failure(self, error: RedisFeedError) -> None:
        self._failed_at = time.monotonic()
        self._set(problem=error)

    def _set(self, **changed: Any) -> None:
        """Change role or problem, and report the status if it is another one."""
        self._role = changed.get("role", self._role)
        self._problem = changed.get("problem", self._problem)
        status = self.status
        if self._status is not None and _summary(status) == _summary(self._status):
            return
        self._status = status
        if self._on_status is not None:
            self._on_status(status)


def _check_count(name: str, value: object) -> None:
    if type(value) is not int or value < MIN_ENTRIES:
        raise UsageError(f"{name} must be an integer of at least {MIN_ENTRIES}")


def _summary(status: PublisherStatus) -> object:
    """Return the parts of a status whose change is reported."""
    problem = None if status.problem is None else status.problem.args
    return status.role, type(status.feed), problem


def _raise_if_stopped(client: Client) -> None:
    if isinstance(client.state, Stopped):
        raise client.state.reason or ClientClosed()


async def _cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; its exception is looked at by others."""
    task.cancel()
    await asyncio.wait({task})
