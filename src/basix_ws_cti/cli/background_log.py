"""Call log that a server keeps besides its main task. Needs the extra ``calllog``."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from basix_ws_cti._internal.translation import _
from basix_ws_cti.calllog import CallLog
from basix_ws_cti.exceptions import CallLogError
from basix_ws_cti.mirror.changes import Gap
from basix_ws_cti.sources.source import Notice, Source

from .output import report
from .side_tasks import run_beside

# Seconds between two attempts of a standby to open the database after the other process has ended.
_RETRY_DELAY = 5.0

# Gaps that are kept until the log is open; a feed that reconnects each second has them in hours.
_MAX_GAPS = 10_000


class BackgroundLog:
    """Log of the calls of a source. While another process writes to the database, it waits.

    If the database cannot be opened when that process has ended, it retries.

    - ``database``: path of an SQLite file, created if missing, or a URL.
    - ``retry_delay``: seconds between two attempts to open it.
    """

    def __init__(self, database: str, *, retry_delay: float = _RETRY_DELAY) -> None:
        self._database = database
        self._retry_delay = retry_delay
        self._ready = asyncio.Event()
        self._sources: asyncio.Queue[Source] = asyncio.Queue(1)
        self._log = self._new_log()
        self._is_open = False
        self._gaps: deque[Gap] = deque(maxlen=_MAX_GAPS)  # those before the log was open

    def on_notice(self, notice: Notice) -> None:
        """Log a gap in the feed, as soon as the log is open; for a source's ``on_notice``."""
        if self._is_open:
            self._log.on_notice(notice)
        elif isinstance(notice, Gap):
            self._gaps.append(notice)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open the log for the duration of the block; ``record`` starts to log.

        The database exists when the block starts. Raises ``CallLogError`` if it cannot be opened.
        An error that ends the log later cancels the block, and is raised.
        """
        async with run_beside(self._run()):
            await self._ready.wait()
            yield

    def record(self, source: Source) -> None:
        """Log the calls of a source until the block of ``opened`` ends."""
        self._sources.put_nowait(source)

    async def _run(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            await self._open(stack)
            await self._log.record(await self._sources.get())

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        """Open the log until the stack is closed. Retry if it has waited for another process."""
        problem = None
        while not self._is_open:
            try:
                await stack.enter_async_context(self._log)
                self._is_open = True
            except CallLogError as error:
                if not self._ready.is_set():
                    raise
                if str(error) != problem:
                    problem = str(error)
                    report(_("calls are not logged, will retry: {error}").format(error=problem))
                await asyncio.sleep(self._retry_delay)
                self._log = self._new_log()  # a log can be opened once
        if problem is not None:
            report(_("calls are logged to {database}").format(database=self._log.name))
        while self._gaps:
            self._log.on_notice(self._gaps.popleft())
        self._ready.set()

    def _new_log(self) -> CallLog:
        return CallLog(self._database, standby=True, on_wait=self._note_wait)

    def _note_wait(self) -> None:
        report(_("another process logs to {database}").format(database=self._log.name))
        self._ready.set()
