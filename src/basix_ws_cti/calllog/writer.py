"""Thread that writes entries in batches, and repeats a batch until the database accepts it.

Invariants:

- ``put`` never waits for the database: an event loop may call it.
- An entry leaves the writer only when it is committed, rejected, or replaced by a newer entry of
  the same call before it was written.
- Entries are written in the order in which they arrived.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from attrs import evolve, frozen
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from basix_ws_cti.exceptions import CallLogError

_log = logging.getLogger(__name__)

Item = TypeVar("Item")

# Entries in one transaction: more save little time and make others wait longer.
BATCH_SIZE = 500

# Seconds between two runs of the maintenance.
_MAINTENANCE_INTERVAL = 60.0

# Delays between attempts to write, in seconds.
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0


@frozen(kw_only=True)
class WriterHealth:
    """State of a writer at one moment."""

    written: int = 0
    """Entries written so far."""

    pending: int = 0
    """Entries that are not written yet."""

    rejected: int = 0
    """Entries that the database refused, whatever the attempt."""

    problem: str | None = None
    """Reason of the last failure; ``None`` if the last attempt succeeded."""

    failing_since: float | None = None
    """Unix time of the first failure since the last success; ``None``: there was none."""


class Writer(Generic[Item]):
    """Writes items in a thread of its own.

    - ``write``: function that commits items, called in the thread. It may raise any exception.
    - ``reject``: function that is called with an item that cannot be written, and the reason.
    - ``maintain``: function that is called now and then between two batches, and again at once,
      after waiting items are written, while it returns True. Its errors are logged.
    - ``interval``: seconds for which items are collected before they are written.
    - ``name``: name of the database, for log messages and errors.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], object],
        reject: Callable[[Item, str], object],
        maintain: Callable[[], bool],
        *,
        interval: float,
        name: str,
    ) -> None:
        self._write = write
        self._reject = reject
        self._maintain = maintain
        self._maintain_at = 0.0  # on the monotonic clock
        self._interval = interval
        self._name = name
        self._pending: dict[Hashable, Item] = {}
        self._batch_size = 0  # of the batch that is being written
        self._health = WriterHealth()
        self._changed = threading.Condition()
        self._is_closing = threading.Event()
        self._is_flushing = False
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="call log", daemon=True)

    @property
    def health(self) -> WriterHealth:
        """State of this moment."""
        with self._changed:
            return evolve(self._health, pending=len(self._pending) + self._batch_size)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, key: Hashable, item: Item) -> None:
        """Queue an item; it replaces one with the same key that is not yet being written."""
        with self._changed:
            self._pending.pop(key, None)
            self._pending[key] = item
            self._changed.notify_all()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything is written; return False if the time-out passed before."""
        with self._changed:
            self._is_flushing = True
            self._changed.notify_all()
            try:
                return self._changed.wait_for(self._is_idle, timeout)
            finally:
                self._is_flushing = False

    def close(self, timeout: float) -> None:
        """Write what is left and end the thread.

        Raises ``CallLogError`` if something is not written after ``timeout`` seconds.
        """
        self._is_closing.set()
        is_written = self.flush(timeout)
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        if not is_written:
            health = self.health
            problem = health.problem or f"not finished within {timeout} s"
            raise CallLogError(self._name, f"{health.pending} entries are not written: {problem}")
        self._thread.join()

    # -- the thread ----------------------------------------------------------------------

    def _is_idle(self) -> bool:
        return not self._pending and not self._batch_size

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            if batch:
                self._write_all(batch)
                with self._changed:
                    self._batch_size = 0
                    self._changed.notify_all()
            if time.monotonic() >= self._maintain_at and not self._is_closing.is_set():
                self._maintain_once()

    def _next_batch(self) -> list[Item] | None:
        """Wait for items, collect more of them for the interval, and return the oldest.

        Returns an empty list when maintenance is due, and ``None`` at the end.
        """
        with self._changed:
            wait = max(0, self._maintain_at - time.monotonic())
            self._changed.wait_for(lambda: self._pending or self._stop, wait)
            if not self._pending:
                return None if self._stop else []
            self._changed.wait_for(self._must_write, self._interval)
            keys = [key for key, _ in zip(self._pending, range(BATCH_SIZE), strict=False)]
            batch = [self._pending.pop(key) for key in keys]
            self._batch_size = len(batch)
            return batch

    def _must_write(self) -> bool:
        is_ending = self._is_flushing or self._is_closing.is_set()
        return is_ending or len(self._pending) >= BATCH_SIZE

    def _write_all(self, batch: Sequence[Item]) -> None:
        """Write a batch, however often it takes; split it if the data cannot be written."""
        delay = _FIRST_DELAY
        while not self._stop:
            try:
                self._write(batch)
            except Exception as error:  # noqa: BLE001 - the thread must survive
                if _is_about_data(error):
                    self._split(batch, error)
                    return
                self._note_failure(error)
                self._wait(delay)
                delay = min(2 * delay, _LONGEST_DELAY)
            else:
                self._note_success(len(batch))
                return

    def _maintain_once(self) -> None:
        delay = _MAINTENANCE_INTERVAL
        try:
            if self._maintain():
                delay = 0
        except Exception as error:  # noqa: BLE001 - the thread must survive
            _log.warning("%s: maintenance failed, will retry: %s", self._name, describe(error))
        self._maintain_at = time.monotonic() + delay

    def _split(self, batch: Sequence[Item], error: Exception) -> None:
        """Write the halves of a batch that contains an item which cannot be written."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._write_all(batch[:middle])
            self._write_all(batch[middle:])
            return
        problem = describe(error)
        _log.error("%s: refused the rows of a call: %s", self._name, problem)
        with self._changed:
            self._health = evolve(self._health, rejected=self._health.rejected + 1)
        try:
            self._reject(batch[0], problem)
        except Exception as second:  # noqa: BLE001 - the thread must survive
            _log.error("%s: cannot note the refused call: %s", self._name, describe(second))

    def _note_failure(self, error: Exception) -> None:
        problem = describe(error)
        with self._changed:
            since = self._health.failing_since or time.time()
            is_new = self._health.problem != problem
            self._health = evolve(self._health, problem=problem, failing_since=since)
        if is_new:
            _log.warning("%s: cannot write, will retry: %s", self._name, problem)

    def _note_success(self, count: int) -> None:
        with self._changed:
            was_failing = self._health.problem is not None
            self._health = evolve(
                self._health,
                written=self._health.written + count,
                problem=None,
                failing_since=None,
            )
        if was_failing:
            _log.warning("%s: writing again", self._name)

    def _wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stop, seconds)


def _is_about_data(error: Exception) -> bool:
    """Return True if the same data will fail at each attempt."""
    if isinstance(error, DataError | IntegrityError):
        return True
    # Errors of the drivers' conversions, and of our own, are no errors of the database.
    return not isinstance(error, DBAPIError | OSError)


def describe(error: Exception) -> str:
    """Return an error as text without the statement and its parameters, which are personal data."""
    if isinstance(error, SQLAlchemyError) and (original := getattr(error, "orig", None)):
        # The first line of PostgreSQL's message; the second one may quote the row.
        text = str(original).partition("\n")[0]
        return f"{type(original).__name__}: {text}"
    return type(error).__name__
