"""Thread that writes items in batches, and repeats a batch until the database accepts it.

Invariants:

- ``put`` never waits for the database: an event loop may call it.
- An item leaves the writer only when it is committed, rejected, or replaced by another item of the
  same key before it was written.
- Items are written in the order in which their keys arrived.
- The thread alone uses the database, from ``Work.open`` to ``Work.close``, which is always called:
  after a time-out or a cancellation too, once the database has answered.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Generic, Protocol, TypeVar

from attrs import evolve, frozen

from basix_ws_cti._internal.running_future import make_running_future
from basix_ws_cti.exceptions import CallLogError

from .errors import describe, is_about_data

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
_Item_contra = TypeVar("_Item_contra", contravariant=True)

# Items in one transaction: more save little time and make others wait longer.
BATCH_SIZE = 500

# Items that may wait. A busy PBX takes hours to fill the queue, which then has about 500 MB.
CAPACITY = 100_000

# Seconds between two runs of the maintenance.
_MAINTENANCE_INTERVAL = 60.0

# Delays between attempts to write, in seconds; the last one while the writer is closing.
_FIRST_DELAY, _LONGEST_DELAY, _CLOSING_DELAY = 0.1, 5.0, 0.5


@frozen(kw_only=True)
class WriterHealth:
    """State of a writer at one moment."""

    written: int = 0
    """Entries written so far."""

    pending: int = 0
    """Entries that are not written yet."""

    rejected: int = 0
    """Entries that the database refused, whatever the attempt."""

    dropped: int = 0
    """Entries that were not accepted, because too many were waiting."""

    problem: str | None = None
    """Reason of the last failure; ``None`` if the last attempt succeeded."""

    failing_since: float | None = None
    """Unix time of the first failure since the last success; ``None``: there was none."""

    wal_size: int | None = None
    """Size of SQLite's write-ahead log, in bytes; ``None``: there is none at the moment.

    It grows while a reader keeps a transaction open.
    """


class Work(Protocol[_Item_contra]):
    """Functions that a writer calls in its thread, one at a time."""

    def open(self) -> None:
        """Open the database; called first. The writer ends if it raises an exception."""

    def write(self, items: Sequence[_Item_contra], /) -> object:
        """Commit items. May raise any exception."""

    def reject(self, item: _Item_contra, problem: str, /) -> object:
        """Note an item that cannot be written, and the reason. Errors are logged."""

    def maintain(self) -> bool:
        """Take a step of the maintenance; return True if there is more to do now.

        It is called now and then between two batches. Errors are logged.
        """

    def close(self) -> None:
        """Close the database; called last, also if ``open`` failed."""


class Writer(Generic[Item]):
    """Writes items in a thread of its own.

    - ``work``: functions that use the database.
    - ``choose``: function that returns one of two items with the same key, the older one first,
      neither of which is written.
    - ``interval``: seconds for which items are collected before they are written.
    - ``name``: name of the database, for log messages and errors.
    - ``capacity``: number of items that may wait.
    """

    def __init__(
        self,
        work: Work[Item],
        *,
        choose: Callable[[Item, Item], Item],
        interval: float,
        name: str,
        capacity: int = CAPACITY,
    ) -> None:
        self._work = work
        self._choose = choose
        self._interval = interval
        self._name = name
        self._capacity = capacity
        self._maintain_at = 0.0  # on the monotonic clock
        self._changed = threading.Condition()
        # All below are guarded by the condition's lock. Tickets number the keys in their order.
        self._pending: dict[Hashable, tuple[int, Item]] = {}
        self._last_ticket = 0
        self._batch_ticket: int | None = None  # ticket of the first item that is being written
        self._batch_size = 0  # items of the batch that are not written yet
        self._waiting: list[tuple[int, Future[bool]]] = []  # tickets that flushes wait for
        self._health = WriterHealth()
        self._is_closing = False
        self._is_stopped = False
        self._opened: Future[bool] = make_running_future()
        self._ended: Future[bool] = make_running_future()
        self._thread = threading.Thread(target=self._run, name="call log", daemon=True)

    @property
    def health(self) -> WriterHealth:
        """State of this moment."""
        with self._changed:
            return evolve(self._health, pending=len(self._pending) + self._batch_size)

    @property
    def is_open(self) -> bool:
        """True from the opening of the database until ``finish`` or ``stop``."""
        return self._opened.done() and not self._is_closing and not self._is_stopped

    @property
    def is_started(self) -> bool:
        """True once the thread was started, also after its end."""
        return self._thread.ident is not None

    @property
    def is_full(self) -> bool:
        """True if the next item with a new key would be dropped."""
        return len(self._pending) >= self._capacity

    @property
    def ended(self) -> Future[bool]:
        """Future that is done after the end of the thread's work."""
        return self._ended

    def start(self) -> Future[bool]:
        """Start the thread; return a future that is done once the database is open.

        The future has the exception of ``Work.open``, and then the work is closed already.
        """
        self._thread.start()
        return self._opened

    def put(self, key: Hashable, item: Item) -> None:
        """Queue an item, or replace the one of the same key that is not being written yet."""
        with self._changed:
            if (waiting := self._pending.get(key)) is not None:
                self._pending[key] = waiting[0], self._choose(waiting[1], item)
                return
            if len(self._pending) >= self._capacity:
                self._note_dropped()
                return
            self._last_ticket += 1
            self._pending[key] = self._last_ticket, item
            self._changed.notify_all()

    def flush(self) -> Future[bool]:
        """Return a future that is done once all items put so far have left the writer.

        Its result is False if the writer ended before.
        """
        future: Future[bool] = make_running_future()
        with self._changed:
            self._waiting.append((self._last_ticket, future))
            self._answer_flushes()
            self._changed.notify_all()
        return future

    def finish(self) -> None:
        """End the thread as soon as everything is written."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread as soon as the database answers, whatever is not written."""
        with self._changed:
            self._is_stopped = True
            self._answer_flushes()
            self._changed.notify_all()

    # -- the thread ----------------------------------------------------------------------

    def _run(self) -> None:
        problem = self._try_to(self._work.open)
        if problem is None:
            self._opened.set_result(True)
            while (batch := self._next_batch()) is not None:
                self._write_all(batch)
                if time.monotonic() >= self._maintain_at:
                    self._maintain()
        second = self._try_to(self._work.close)
        if second is not None:
            _log.error("%s: cannot close the database: %s", self._name, describe(second))
        self.stop()
        if problem is not None:
            self._opened.set_exception(problem)
        self._ended.set_result(True)

    def _try_to(self, function: Callable[[], object]) -> Exception | None:
        """Call a function; return its exception: the thread must survive."""
        try:
            function()
        except Exception as error:  # noqa: BLE001 - returned
            return error
        return None

    def _next_batch(self) -> list[Item] | None:
        """Wait for items, collect more of them for the interval, and return the oldest.

        Returns an empty list when maintenance is due, and ``None`` at the end.
        """
        with self._changed:
            self._batch_ticket = None
            self._answer_flushes()
            wait = max(0, self._maintain_at - time.monotonic())
            self._changed.wait_for(lambda: self._pending or self._is_ending(), wait)
            self._changed.wait_for(self._must_not_wait, self._interval)
            if self._is_stopped or (self._is_closing and not self._pending):
                return None
            keys = [key for key, _ in zip(self._pending, range(BATCH_SIZE), strict=False)]
            batch = [self._pending.pop(key) for key in keys]
            self._batch_size = len(batch)
            if batch:
                self._batch_ticket = batch[0][0]
            return [item for _, item in batch]

    def _is_ending(self) -> bool:
        return self._is_closing or self._is_stopped

    def _must_not_wait(self) -> bool:
        """Return True if no more items are to be collected."""
        is_urgent = self._waiting or self._is_ending()
        return not self._pending or bool(is_urgent) or len(self._pending) >= BATCH_SIZE

    def _write_all(self, batch: Sequence[Item]) -> None:
        """Write a batch, however often it takes; split it if the data cannot be written."""
        delay = _FIRST_DELAY
        while batch and not self._is_stopped:
            error = self._try_to(lambda: self._work.write(batch))
            if error is None:
                self._note_success(len(batch))
                return
            if is_about_data(error):
                self._split(batch, error)
                return
            self._note_failure(error)
            self._wait(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    def _split(self, batch: Sequence[Item], error: Exception) -> None:
        """Write the halves of a batch that contains an item which cannot be written."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._write_all(batch[:middle])
            self._write_all(batch[middle:])
            return
        problem = describe(error)
        _log.error("%s: refused the rows of a call: %s", self._name, problem)
        second = self._try_to(lambda: self._work.reject(batch[0], problem))
        if second is not None:
            _log.error("%s: cannot note the refused call: %s", self._name, describe(second))
        with self._changed:
            self._batch_size -= 1
            self._health = evolve(self._health, rejected=self._health.rejected + 1)

    def _maintain(self) -> None:
        """Take a step of the maintenance, and choose the time of the next one."""
        delay = _MAINTENANCE_INTERVAL
        try:
            if self._work.maintain():
                delay = 0
        except Exception as error:  # noqa: BLE001 - the thread must survive
            _log.warning("%s: maintenance failed, will retry: %s", self._name, describe(error))
        self._maintain_at = time.monotonic() + delay

    def _wait(self, seconds: float) -> None:
        """Wait before the next attempt."""
        end = time.monotonic() + seconds
        with self._changed:
            self._changed.wait_for(self._is_ending, seconds)
            if self._is_closing:
                rest = min(end - time.monotonic(), _CLOSING_DELAY)
                self._changed.wait_for(lambda: self._is_stopped, max(0, rest))

    # -- health and flushes --------------------------------------------------------------

    def _answer_flushes(self) -> None:
        oldest = self._batch_ticket
        if oldest is None:
            oldest = next((ticket for ticket, _ in self._pending.values()), None)
        waiting = []
        for ticket, future in self._waiting:
            if oldest is None or oldest > ticket:
                future.set_result(True)
            elif self._is_stopped:
                future.set_result(False)
            else:
                waiting.append((ticket, future))
        self._waiting = waiting

    def _note_dropped(self) -> None:
        if not self._health.dropped:
            _log.error("%s: %d entries are waiting: drops more", self._name, self._capacity)
        self._health = evolve(self._health, dropped=self._health.dropped + 1)

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
            self._batch_size -= count
            was_failing = self._health.problem is not None
            self._health = evolve(
                self._health,
                written=self._health.written + count,
                problem=None,
                failing_since=None,
            )
        if was_failing:
            _log.warning("%s: writing again", self._name)


def unwritten(name: str, health: WriterHealth) -> CallLogError:
    """Return the error for entries that are not written at the end."""
    problem = health.problem or "the database has not answered"
    return CallLogError(name, f"{health.pending} entries are not written: {problem}")
