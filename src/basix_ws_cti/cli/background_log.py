"""Call log that a server keeps besides its main task. Needs the extra ``calllog``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from basix_ws_cti._internal.translation import _
from basix_ws_cti.calllog import CallLog
from basix_ws_cti.sources.source import Notice, Source

from .output import report


class BackgroundLog:
    """Log of the calls of a source. While another process writes to the database, it waits.

    ``database``: path of an SQLite file, created if missing, or a URL.
    """

    def __init__(self, database: str) -> None:
        self._ready = asyncio.Event()
        self._sources: asyncio.Queue[Source] = asyncio.Queue(1)
        self._log = CallLog(database, standby=True, on_wait=self._note_wait)

    def on_notice(self, notice: Notice) -> None:
        """Log a gap in the feed; for a source's ``on_notice``."""
        self._log.on_notice(notice)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open the log for the duration of the block; ``record`` starts to log.

        The database exists when the block starts. Raises ``CallLogError`` if it cannot be opened.
        """
        task = asyncio.create_task(self._run())
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
            yield
        finally:
            ready.cancel()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def record(self, source: Source) -> None:
        """Log the calls of a source until the block of ``opened`` ends."""
        self._sources.put_nowait(source)

    async def _run(self) -> None:
        async with self._log as log:
            self._ready.set()
            await log.record(await self._sources.get())

    def _note_wait(self) -> None:
        report(_("another process logs to {database}").format(database=self._log.name))
        self._ready.set()
