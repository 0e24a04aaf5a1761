"""CallLog: writes the calls of a feed to a database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from basix_ws_cti._internal.arguments import check_bool, check_seconds
from basix_ws_cti._internal.callables import check_function
from basix_ws_cti.calls import Call, CallEnded, CallStarted
from basix_ws_cti.calls.call_record import DEFAULT_GREETING
from basix_ws_cti.calls.model import Party
from basix_ws_cti.exceptions import CallLogError
from basix_ws_cti.mirror.changes import Gap, Lagged
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.mirror.phone_numbers import HOME_COUNTRY
from basix_ws_cti.sources.source import Notice, Source

from .database import LOCK_TIMEOUT, create_writer, display_name, parse_database
from .entries import CallEntry, Entry, GapEntry, NameEntry
from .migrations import NewerSchemaError, migrate
from .process_lock import ProcessLock
from .reader import version_problem
from .retention import delete_calls, forget_numbers, shrink, without_numbers
from .schema import NAMES
from .store import Store
from .values import storable_text
from .writer import Writer, WriterHealth, describe

# Seconds between two attempts of a standby to become the process that writes.
_STANDBY_INTERVAL = 0.5


class CallLog:
    """Call log of a PBX in a database. Works within its block: ``async with CallLog(…) as log:``.

    - ``database``: path of an SQLite file, created if missing, or a URL such as
      ``postgresql+psycopg://user@host/name``.
    - ``standby``: wait while another process writes to the SQLite file. Otherwise that is an error.
    - ``country_code``, ``greeting``: as in ``CallRecord.of``.
    - ``interval``: seconds for which calls are collected before they are written.
    - ``lock_timeout``: seconds for which one attempt to write waits for a lock of the database.
    - ``keep``: seconds for which calls are kept; ``None``: forever.
    - ``forget_numbers``: seconds after which the numbers and names of outside parties are removed
      from a call; ``None``: never.
    - ``on_commit``: function that is called with the last change number after each commit that
      changed calls, in the writer's thread.

    ``add`` and ``add_gap`` never wait. A thread writes, and repeats what fails until it succeeds: a
    database that is locked, full or away for an hour delays the log, and loses nothing. Entering
    the block raises ``CallLogError`` if the database cannot be opened.
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
        keep: float | None = None,
        forget_numbers: float | None = None,
        on_commit: Callable[[int], object] | None = None,
    ) -> None:
        check_bool("standby", standby)
        check_seconds("interval", interval, at_least=0)
        check_seconds("lock_timeout", lock_timeout)
        for name, age in (("keep", keep), ("forget_numbers", forget_numbers)):
            if age is not None:
                check_seconds(name, age)
        check_function("on_commit", on_commit, "change", optional=True)
        url = parse_database(database)
        self.name: str = display_name(url)
        """Name of the database, without a password."""
        self._standby = standby
        self._country_code = country_code
        self._greeting = greeting
        self._keep = keep
        self._forget_after = forget_numbers
        self._on_commit = on_commit
        self._lock = ProcessLock(url)
        self._engine = create_writer(url, lock_timeout)
        self._store = Store(self._engine)
        self._names: dict[tuple[str, int], tuple[str, str | None]] = {}
        self._writer: Writer[Call | Entry] = Writer(
            self._write, self._reject, self._maintain, interval=interval, name=self.name
        )

    def __repr__(self) -> str:
        return f"<CallLog {self.name}>"

    @property
    def health(self) -> WriterHealth:
        """State of the writer at this moment."""
        return self._writer.health

    async def __aenter__(self) -> Self:
        await self._acquire_lock()
        try:
            await asyncio.to_thread(self._open)
        except BaseException:
            self._close_database()
            raise
        self._writer.start()
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

        Raises ``CallLogError`` if something is not written after ``timeout`` seconds.
        """
        try:
            await asyncio.to_thread(self._writer.close, timeout)
        finally:
            self._close_database()

    # -- writing -------------------------------------------------------------------------

    async def record(self, source: Source) -> None:
        """Log the calls of a source until its feed ends.

        Pass the source's notices to ``on_notice``, so that gaps are logged too. Raises the error
        that ended the feed.
        """
        last = source.now()
        async for at, event in source.call_events():
            match event:
                case CallStarted(call) | CallEnded(call):
                    self._note_names(call, source.mirror)
                    self.add(call)
                case Lagged():
                    self.add_gap(Gap(started=last, ended=at, reason=None))
            last = at

    def on_notice(self, notice: Notice) -> None:
        """Log a gap in the feed; ignore all other notices. For a source's ``on_notice``."""
        if isinstance(notice, Gap):
            self.add_gap(notice)

    def add(self, call: Call) -> None:
        """Log a call. A call that ended replaces its row of the time when it was active."""
        self._writer.put(call.id, call)

    def add_gap(self, gap: Gap) -> None:
        """Log a gap in the feed."""
        entry = GapEntry.of(gap)
        self._writer.put(tuple(entry.row.values()), entry)

    async def flush(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - as in close
        """Wait until everything is written; return False if the time-out passed before."""
        return await asyncio.to_thread(self._writer.flush, timeout)

    def _note_names(self, call: Call, mirror: Mirror) -> None:
        """Log the names of the users and groups of a call that are new or have changed."""
        parties = [call.caller, call.requested, *(leg.party for leg in call.legs)]
        parties += [phase.party for phase in call.phases]
        for kind, element_id in {key for party in parties for key in _keys(party)}:
            element = mirror[kind].get(element_id)
            if element is None or not -(2**63) <= element_id < 2**63:
                continue
            name = str(getattr(element, "label", None) or getattr(element, "name", None) or "")
            extension = getattr(element, "main_extension", None)
            named = (
                storable_text(name),
                None if extension is None else storable_text(str(extension)),
            )
            if named[0] and self._names.get((kind, element_id)) != named:
                self._names[kind, element_id] = named
                entry = NameEntry.of(kind, element_id, call.started, *named)
                self._writer.put((kind, element_id, call.started), entry)

    # -- in the writer's thread ----------------------------------------------------------

    def _write(self, items: Sequence[Call | Entry]) -> None:
        change = self._store.write([self._entry(item) for item in items])
        if change is not None and self._on_commit is not None:
            self._on_commit(change)

    def _maintain(self) -> bool:
        """Take one step of the retention; return True if there is more to do now."""
        is_busy = False
        if self._keep is not None:
            is_busy = delete_calls(self._engine, _before(self._keep))
        if self._forget_after is not None:
            is_busy |= forget_numbers(self._engine, _before(self._forget_after))
        if self._keep is not None or self._forget_after is not None:
            is_busy |= shrink(self._engine)
        return is_busy

    def _reject(self, item: Call | Entry, problem: str) -> None:
        if isinstance(item, Call):
            self._store.reject(storable_text(item.id), time.time_ns() // 1000, problem)

    def _entry(self, item: Call | Entry) -> Entry:
        if not isinstance(item, Call):
            return item
        entry = CallEntry.of(item, self._country_code, self._greeting)
        after = self._forget_after
        is_old = after is not None and item.started < _before(after)
        return without_numbers(entry) if is_old else entry

    # -- opening and closing -------------------------------------------------------------

    async def _acquire_lock(self) -> None:
        while not self._try_lock():
            if not self._standby:
                raise CallLogError(
                    self.name, "another process writes to it: end it, or wait with standby"
                )
            await asyncio.sleep(_STANDBY_INTERVAL)

    def _try_lock(self) -> bool:
        try:
            return self._lock.try_acquire()
        except OSError as error:
            raise CallLogError(self.name, error.strerror or type(error).__name__) from None

    def _open(self) -> None:
        try:
            migrate(self._engine)
            with self._engine.begin() as connection:
                for row in connection.execute(select(NAMES).order_by(NAMES.c.since)):
                    self._names[row.kind, row.id] = row.name, row.extension
        except NewerSchemaError as error:
            raise CallLogError(self.name, version_problem(error.args[0])) from None
        except SQLAlchemyError as error:
            raise CallLogError(self.name, describe(error)) from None

    def _close_database(self) -> None:
        self._engine.dispose()
        self._lock.release()


def _before(age: float) -> int:
    """Return the time that was ``age`` seconds ago, in microseconds since the epoch."""
    return round((time.time() - age) * 1_000_000)


def _keys(party: Party) -> list[tuple[str, int]]:
    """Return kind and id of a party of the PBX."""
    keys = (("user", party.user_id), ("group", party.group_id))
    return [(kind, element_id) for kind, element_id in keys if isinstance(element_id, int)]
