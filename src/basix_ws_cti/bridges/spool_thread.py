"""Thread that uses the spool, so that the event loop never waits for the disk.

Invariants:

- Operations that add events run in the order in which they were submitted, and so do all others.
  Those that wait run in one transaction, which takes one write to the disk, however many there are.
- The result of an operation is available once its transaction is committed. A transaction that
  fails is undone and repeated, until the disk has room again or another program releases its lock.
- On a full disk, operations that add nothing go on as far as the disk allows it: the spool can
  still be read, and delivered events can be deleted.
- Only damage to the file ends the thread before ``stop``: all operations then raise ``SpoolError``.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

from basix_ws_cti._internal.running_future import make_running_future
from basix_ws_cti.exceptions import SpoolError

from .spool import LOCK_TIMEOUT, Spool, SpoolCounts
from .spool_file import SpoolFile, describe_storage_error, is_damage

_log = logging.getLogger(__name__)

R = TypeVar("R")

_Submitted = tuple[Callable[[Spool], Any], Future[Any]]

# Operations of each kind in one transaction.
_BATCH = 256

# Seconds between two attempts to commit a transaction.
_RETRY_INTERVAL = 0.5


class SpoolThread:
    """Runs operations on a spool in a thread of its own, in transactions.

    - ``file``: the file, which the thread opens and closes.
    """

    def __init__(self, file: SpoolFile) -> None:
        self._file = file
        self._changed = threading.Condition()
        # All below are guarded by the condition's lock.
        self._additions: deque[_Submitted] = deque()
        self._others: deque[_Submitted] = deque()
        self._is_stopping = False
        self._stops_at_once = False
        self._is_ended = False
        self._problem: str | None = None
        self._counts = SpoolCounts(waiting=0, dead_letters=0, dropped=0)
        self._opened: Future[None] = make_running_future()
        self._ended: Future[None] = make_running_future()
        self._thread = threading.Thread(target=self._run, name="webhook spool", daemon=True)

    @property
    def problem(self) -> str | None:
        """Reason for which the spool cannot be written at the moment; ``None``: it can."""
        with self._changed:
            return self._problem

    @property
    def counts(self) -> SpoolCounts:
        """Numbers of the spool after the last transaction."""
        with self._changed:
            return self._counts

    async def start(self) -> None:
        """Open the file. Raises ``SpoolError``."""
        self._thread.start()
        await asyncio.wrap_future(self._opened)

    async def stop(self, timeout: float) -> None:  # noqa: ASYNC109 - seconds, as everywhere
        """Run what was submitted, close the file and release its lock.

        Operations that are not committed after ``timeout`` seconds raise ``SpoolError``.
        """
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        try:
            async with asyncio.timeout(timeout):
                await asyncio.wrap_future(self._ended)
        except TimeoutError:
            with self._changed:
                self._stops_at_once = True
                self._changed.notify_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(2 * LOCK_TIMEOUT):  # a statement may wait for a lock
                    await asyncio.wrap_future(self._ended)

    def add(self, operation: Callable[[Spool], R]) -> Future[R]:
        """Run an operation that adds events, after those submitted before; return its result."""
        return self._submit(self._additions, operation)

    async def call(self, operation: Callable[[Spool], R]) -> R:
        """Run an operation that adds no events, and wait until it is committed."""
        return await asyncio.wrap_future(self._submit(self._others, operation))

    def _submit(self, queue: deque[_Submitted], operation: Callable[[Spool], R]) -> Future[R]:
        future: Future[R] = make_running_future()
        with self._changed:
            if self._is_ended or self._is_stopping:
                future.set_exception(self._closed())
            else:
                queue.append((operation, future))
                self._changed.notify_all()
        return future

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        spool = None
        try:
            try:
                spool = self._file.open()
            except BaseException as error:  # noqa: BLE001 - it belongs to who starts the thread
                self._opened.set_exception(error)
                return
            self._counts = spool.counts()
            self._opened.set_result(None)
            while self._wait_for_work():
                self._work(spool)
        except Exception as error:  # noqa: BLE001 - whoever waits for an operation gets it
            # The text of an unexpected error may quote an event.
            text = error.problem if isinstance(error, SpoolError) else type(error).__name__
            self._note_problem(text)
        finally:
            if spool is not None:
                with suppress(sqlite3.Error):
                    spool.close()
                self._file.release()
            self._end()

    def _wait_for_work(self) -> bool:
        """Wait for operations; return False once the thread is to end."""
        with self._changed:
            if self._problem is not None:
                self._changed.wait_for(lambda: self._stops_at_once, _RETRY_INTERVAL)
            self._changed.wait_for(lambda: self._has_work or self._is_stopping)
            return self._has_work and not self._stops_at_once

    @property
    def _has_work(self) -> bool:
        return bool(self._others or self._additions)

    def _work(self, spool: Spool) -> None:
        """Run the operations that wait, those that add nothing first."""
        with self._changed:
            others = [*islice(self._others, _BATCH)]
            additions = [*islice(self._additions, _BATCH)]
        problem = self._commit(spool, [*others, *additions])
        if problem is None:
            done = (len(others), len(additions))
        elif others and additions and self._commit(spool, others) is None:
            done = (len(others), 0)
        else:
            done = (0, 0)
        with self._changed:
            for queue, count in zip((self._others, self._additions), done, strict=True):
                for _ in range(count):
                    queue.popleft()
        self._note_problem(problem)

    def _commit(self, spool: Spool, batch: list[_Submitted]) -> str | None:
        """Run a transaction; return ``None`` if it is committed, else the reason to repeat it.

        Raises ``SpoolError`` if the file is damaged.
        """
        try:
            spool.begin()
            results = [operation(spool) for operation, _ in batch]
            counts = spool.counts()
            spool.commit()
        except (sqlite3.Error, OSError) as error:
            with suppress(sqlite3.Error):
                spool.roll_back()
            problem = describe_storage_error(error)
            if isinstance(error, sqlite3.Error) and is_damage(error):
                raise SpoolError(str(self._file.path), problem) from None
            return problem
        with self._changed:
            self._counts = counts
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)
        return None

    def _note_problem(self, problem: str | None) -> None:
        with self._changed:
            before, self._problem = self._problem, problem
        if problem is not None and before is None:
            _log.warning("spool %s cannot be written: %s; retrying", self._file.path, problem)
        elif problem is None and before is not None:
            _log.warning("spool %s can be written again", self._file.path)

    def _end(self) -> None:
        """Let all operations that are left raise ``SpoolError``."""
        with self._changed:
            self._is_ended = True
            left = [*self._others, *self._additions]
        for _, future in left:
            future.set_exception(self._closed())
        self._ended.set_result(None)

    def _closed(self) -> SpoolError:
        return SpoolError(str(self._file.path), self._problem or "it is closed")
