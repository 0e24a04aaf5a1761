"""Work of the call log's thread: it opens, writes and maintains the database."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from sqlalchemy import URL, select
from sqlalchemy.exc import SQLAlchemyError

from basix_ws_cti.calls import Call
from basix_ws_cti.calls.call_record import DEFAULT_GREETING
from basix_ws_cti.exceptions import CallLogError
from basix_ws_cti.mirror.phone_numbers import HOME_COUNTRY

from .database import LOCK_TIMEOUT, create_writer, display_name
from .entries import CallEntry, Entry, NameEntry
from .errors import describe
from .migrations import ForeignTableError, NewerSchemaError, migrate, version_problem
from .pauses import Pauses
from .process_lock import ProcessLock
from .retention import delete_calls, forget_numbers, shrink, without_numbers
from .schema import NAMES
from .store import Store
from .values import storable_key

_log = logging.getLogger(__name__)


class LogWork:
    """Functions that write calls and entries, for a ``Writer``.

    - ``lock``: lock that this process has until ``close``.
    - The other parameters are those of ``CallLog``.
    """

    def __init__(
        self,
        url: URL,
        lock: ProcessLock,
        *,
        country_code: str = HOME_COUNTRY,
        greeting: float = DEFAULT_GREETING,
        lock_timeout: float = LOCK_TIMEOUT,
        keep: float | None = None,
        forget_numbers: float | None = None,
        on_commit: Callable[[int], object] | None = None,
    ) -> None:
        self._name = display_name(url)
        self._lock = lock
        self._country_code = country_code
        self._greeting = greeting
        self._keep = keep
        self._forget_after = forget_numbers
        self._on_commit = on_commit
        self._engine = create_writer(url, lock_timeout)
        self._store = Store(self._engine)
        self._pauses = Pauses()
        self._steps: list[Callable[[], bool]] = []  # of the current round of the retention
        self._has_more = False  # whether a step of this round has to be repeated
        self._is_checked = False  # the tables exist, as far as is known
        self.names: dict[tuple[str, int], NameEntry] = {}
        """Last names of users and groups, by kind and id: those of the database, and new ones."""

    def open(self) -> None:
        """Create or upgrade the tables, and read the names. Raises ``CallLogError``."""
        try:
            self._check()
            with self._engine.begin() as connection:
                names = connection.execute(select(NAMES).order_by(NAMES.c.since)).mappings()
                for row in names:
                    self.names[row["kind"], row["id"]] = NameEntry(dict(row))
        except SQLAlchemyError as error:
            raise CallLogError(self._name, describe(error)) from None

    def write(self, items: Sequence[Call | Entry]) -> None:
        """Commit items, and call ``on_commit``. Raises ``CallLogError`` and SQLAlchemy's errors."""
        entries: list[Entry] = []
        for item in items:
            entries.append(self._entry(item))
            self._pauses.after_step()
        if not self._is_checked and self._check():
            entries += list(self.names.values())  # the new tables have none of them
        self._is_checked = False  # after an error: the file may have been deleted or replaced
        change = self._store.write(entries)
        self._is_checked = True
        if change is not None and self._on_commit is not None:
            self._call_back(self._on_commit, change)

    def reject(self, item: Call | Entry, problem: str) -> None:
        """Note the id of a call that the database refuses."""
        if isinstance(item, Call):
            self._store.reject(storable_key(item.id), time.time_ns() // 1000, problem)

    def maintain(self) -> bool:
        """Take one step of the retention; return True if there is more to do now."""
        if not self._steps:
            self._steps, self._has_more = self._round(), False
        if self._steps:
            self._has_more |= self._steps.pop(0)()
        return bool(self._steps) or self._has_more

    def _round(self) -> list[Callable[[], bool]]:
        """Return the steps of one round. Entries are written between two of them."""
        steps: list[Callable[[], bool]] = []
        keep, forget_after, engine = self._keep, self._forget_after, self._engine
        if keep is not None:
            steps.append(lambda: delete_calls(engine, _before(keep)))
        if forget_after is not None:
            steps.append(lambda: forget_numbers(engine, _before(forget_after)))
        if steps:
            steps.append(lambda: shrink(engine))
        return steps

    def close(self) -> None:
        """Close the connection, and release the lock."""
        try:
            self._engine.dispose()
        finally:
            self._lock.release()

    def _check(self) -> bool:
        """Create or upgrade the tables; return True if they are new. Raises ``CallLogError``."""
        try:
            is_new = migrate(self._engine)
        except NewerSchemaError as error:
            raise CallLogError(self._name, version_problem(error.args[0])) from None
        except ForeignTableError as error:
            problem = f"it has a table {error.args[0]!r} of another program: choose another one"
            raise CallLogError(self._name, problem) from None
        self._is_checked = True
        return is_new

    def _entry(self, item: Call | Entry) -> Entry:
        if not isinstance(item, Call):
            return item
        entry = CallEntry.of(item, self._country_code, self._greeting)
        after = self._forget_after
        is_old = after is not None and item.started < _before(after)
        return without_numbers(entry) if is_old else entry

    def _call_back(self, on_commit: Callable[[int], object], change: int) -> None:
        """Call ``on_commit``: its errors must not look like errors of the database."""
        try:
            on_commit(change)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - logged
            _log.error("%s: on_commit failed: %s", self._name, type(error).__name__)


def _before(age: float) -> int:
    """Return the time that was ``age`` seconds ago, in microseconds since the epoch."""
    return round((time.time() - age) * 1_000_000)
