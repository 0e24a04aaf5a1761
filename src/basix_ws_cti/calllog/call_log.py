"""CallLog: writes the calls of a feed to a database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import evolve

from basix_ws_cti._internal.arguments import check_bool, check_integer, check_seconds
from basix_ws_cti._internal.callables import check_function
from basix_ws_cti.calls import Call, CallEnded, CallStarted
from basix_ws_cti.calls.call_record import DEFAULT_GREETING
from basix_ws_cti.calls.model import Party
from basix_ws_cti.exceptions import CallLogError, UsageError
from basix_ws_cti.mirror.changes import Gap, Lagged
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.mirror.phone_numbers import HOME_COUNTRY
from basix_ws_cti.sources.source import Notice, Source

from .database import LOCK_TIMEOUT, display_name, parse_database, wal_size
from .entries import Entry, GapEntry, NameEntry
from .process_lock import ProcessLock
from .values import LARGEST_INTEGER, SMALLEST_INTEGER, storable_key
from .work import LogWork
from .writer import CAPACITY, Writer, WriterHealth, unwritten

# Seconds between two attempts of a standby to become the process that writes.
_STANDBY_INTERVAL = 0.5

# Seconds between two checks for room in the queue.
_ROOM_INTERVAL = 0.05


class CallLog:
    """Call log of a PBX in a database. Works within its block: ``async with CallLog(…) as log:``.

    - ``database``: path of an SQLite file, created if missing, or a URL such as
      ``postgresql+psycopg://user@host/name``.
    - ``standby``: wait while another process writes to the SQLite file. Otherwise that is an error.
    - ``country_code``, ``greeting``: as in ``CallRecord.of``.
    - ``interval``: seconds for which calls are collected before they are written.
    - ``lock_timeout``: seconds for which one attempt to write waits for a lock of the database.
    - ``capacity``: number of entries that may wait in memory while the database does not accept
      them; an entry takes about 5 kB.
    - ``keep``: seconds for which calls are kept; ``None``: forever.
    - ``forget_numbers``: seconds after which the numbers and names of outside parties are removed
      from a call; ``None``: never.
    - ``on_commit``: function that is called with the last change number after each commit that
      changed calls, in the writer's thread. Nothing is written meanwhile. An exception is logged
      and has no other effect.
    - ``on_wait``: function that is called without arguments when a standby begins to wait.

    ``add`` and ``add_gap`` never wait. A thread writes, and repeats what fails until it succeeds: a
    database that is locked, full or away for hours delays the log, and loses nothing. While
    ``capacity`` entries are waiting, ``record`` does not read, and ``add`` drops further calls and
    counts them in ``health``.

    Entering the block raises ``CallLogError`` if the database cannot be opened. An object can be
    opened once.
    """

    def __init__(
        self,
        database: str | Path,
        *,
        standby: bool = False,
        country_code: str = HOME_COUNTRY,
        greeting: float = DEFAULT_GREETING,
        interval: float = 0.5,
        lock_timeout: float = LOCK_TIMEOUT,
        capacity: int = CAPACITY,
        keep: float | None = None,
        forget_numbers: float | None = None,
        on_commit: Callable[[int], object] | None = None,
        on_wait: Callable[[], object] | None = None,
    ) -> None:
        check_bool("standby", standby)
        check_seconds("interval", interval, at_least=0)
        check_seconds("lock_timeout", lock_timeout)
        check_integer("capacity", capacity)
        for name, age in (("keep", keep), ("forget_numbers", forget_numbers)):
            if age is not None:
                check_seconds(name, age)
        check_function("on_commit", on_commit, "change", optional=True)
        check_function("on_wait", on_wait, optional=True)
        self._url = parse_database(database)
        self.name: str = display_name(self._url)
        """Name of the database, without a password."""
        self._standby = standby
        self._on_wait = on_wait
        self._lock = ProcessLock(self._url)
        self._work = LogWork(
            self._url,
            self._lock,
            country_code=country_code,
            greeting=greeting,
            lock_timeout=lock_timeout,
            keep=keep,
            forget_numbers=forget_numbers,
            on_commit=on_commit,
        )
        self._writer: Writer[Call | Entry] = Writer(
            self._work, choose=_choose, interval=interval, name=self.name, capacity=capacity
        )

    def __repr__(self) -> str:
        return f"<CallLog {self.name}>"

    @property
    def health(self) -> WriterHealth:
        """State of the writer at this moment."""
        return evolve(self._writer.health, wal_size=wal_size(self._url))

    async def __aenter__(self) -> Self:
        if self._writer.is_started:
            raise UsageError("a call log can be opened once: create another one")
        await self._acquire_lock()
        # From here on, the thread releases the lock, however it ends.
        opened = self._writer.start()
        try:
            await asyncio.wrap_future(opened)
        except asyncio.CancelledError:
            self._writer.stop()
            raise
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self, timeout: float = 10) -> None:  # noqa: ASYNC109 - seconds, as everywhere
        """Write what is left and close the database.

        Raises ``CallLogError`` if something is not written after ``timeout`` seconds. The database
        is closed, and the lock of an SQLite file released, as soon as the database answers.
        """
        if not self._writer.is_started:
            return
        self._writer.finish()
        try:
            async with asyncio.timeout(timeout):
                await asyncio.wrap_future(self._writer.ended)
        except TimeoutError:
            pass
        finally:
            self._writer.stop()
        if (health := self._writer.health).pending:
            raise unwritten(self.name, health)

    # -- writing -------------------------------------------------------------------------

    async def record(self, source: Source) -> None:
        """Log the calls of a source until its feed ends, and wait until they are written.

        Pass the source's notices to ``on_notice``, so that gaps are logged too. Raises the error
        that ended the feed. While the queue is full, ``record`` does not read; a live feed then
        reports the loss of events, which is logged as a gap.
        """
        last = source.now()
        async for at, event in source.call_events():
            while self._writer.is_full and self._writer.is_open:  # noqa: ASYNC110 - seldom
                await asyncio.sleep(_ROOM_INTERVAL)
            match event:
                case CallStarted(call) | CallEnded(call):
                    self._note_names(call, source.mirror)
                    self.add(call)
                case Lagged():
                    self.add_gap(Gap(started=last, ended=at, reason=None))
            last = at
        await self.flush()

    def on_notice(self, notice: Notice) -> None:
        """Log a gap in the feed; ignore all other notices. For a source's ``on_notice``.

        A gap that ends before the log is open is logged once it is open.
        """
        if isinstance(notice, Gap):
            self._put_gap(notice)

    def add(self, call: Call) -> None:
        """Log a call. A call that ended replaces its row of the time when it was active.

        Raises ``UsageError`` outside the block.
        """
        self._check_open()
        self._writer.put(storable_key(call.id), call)

    def add_gap(self, gap: Gap) -> None:
        """Log a gap in the feed. Raises ``UsageError`` outside the block."""
        self._check_open()
        self._put_gap(gap)

    async def flush(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - as in close
        """Wait until everything added so far is written.

        Returns False if the time-out passed before, or the log was closed.
        """
        self._check_open()
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.wrap_future(self._writer.flush())
        except TimeoutError:
            return False

    def _check_open(self) -> None:
        if not self._writer.is_open:
            raise UsageError("the call log is not open: use `async with CallLog(...) as log:`")

    def _put_gap(self, gap: Gap) -> None:
        entry = GapEntry.of(gap)
        self._writer.put(tuple(entry.row.values()), entry)

    def _note_names(self, call: Call, mirror: Mirror) -> None:
        """Log the names of the users and groups of a call that are new or have changed."""
        parties = [call.caller, call.requested, *(leg.party for leg in call.legs)]
        parties += [phase.party for phase in call.phases]
        for kind, element_id in {key for party in parties for key in _keys(party)}:
            element = mirror[kind].get(element_id)
            if element is None:
                continue
            name = getattr(element, "label", None) or getattr(element, "name", None)
            extension = getattr(element, "main_extension", None)
            known = self._work.names.get((kind, element_id))
            # A name that changed during a call is newer than the one at the call's start.
            since = call.started if known is None else max(call.started, known.row["since"] + 1)
            entry = NameEntry.of(kind, element_id, since, name, extension)
            if entry.row["name"] and (known is None or known.named != entry.named):
                self._work.names[kind, element_id] = entry
                self._writer.put((kind, element_id, since), entry)

    # -- opening and closing -------------------------------------------------------------

    async def _acquire_lock(self) -> None:
        if self._try_lock():
            return
        if not self._standby:
            raise CallLogError(
                self.name, "another process writes to it: end it, or wait with standby"
            )
        if self._on_wait is not None:
            self._on_wait()
        while not self._try_lock():  # noqa: ASYNC110 - a file lock wakes nobody
            await asyncio.sleep(_STANDBY_INTERVAL)

    def _try_lock(self) -> bool:
        try:
            return self._lock.try_acquire()
        except OSError as error:
            raise CallLogError(self.name, error.strerror or type(error).__name__) from None


def _choose(older: Call | Entry, newer: Call | Entry) -> Call | Entry:
    """Return the entry to write of two with the same key, by the rule of ``Store.write``."""
    if not isinstance(older, Call) or not isinstance(newer, Call):
        return newer
    is_final = older.ended is not None and (older.complete or newer.ended is None)
    return older if is_final else newer


def _keys(party: Party) -> list[tuple[str, int]]:
    """Return kind and id of a party of the PBX."""
    keys = (("user", party.user_id), ("group", party.group_id))
    return [
        (kind, element_id)
        for kind, element_id in keys
        if isinstance(element_id, int) and SMALLEST_INTEGER <= element_id <= LARGEST_INTEGER
    ]
