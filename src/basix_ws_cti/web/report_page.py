"""Page of reports from the call log.

The page takes seconds for a long period: one is made at a time, and kept for a minute.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from attrs import Factory, define
from starlette.requests import Request
from starlette.responses import Response

from basix_ws_cti._internal.translation import use_language
from basix_ws_cti.exceptions import CallLogError, UsageError

from .json_requests import RefusedRequestError
from .security_headers import HEADERS, NO_STORE, REPORT_POLICY
from .view_request import language_of

_HEADERS = {**HEADERS, **NO_STORE, "Content-Security-Policy": REPORT_POLICY}

_LIFETIME = 60.0  # seconds for which a page is kept
_MAX_PAGES = 8

# Longest period of a page, ten years in microseconds: a page cannot be cancelled, and others wait.
_LONGEST_PERIOD = 10 * 366 * 86_400_000_000


@define(eq=False)
class ReportPage:
    """Pages of reports by period and language."""

    database: str | Path
    """Call log: path of an SQLite file, or a URL."""

    zone: ZoneInfo
    """Time zone in which days begin."""

    clock: Callable[[], datetime]
    """Function that returns the present time of the feed."""

    # Pages and the time at which each was made, in the order of their last use.
    _pages: dict[tuple[str, str | None, str], tuple[float, str]] = Factory(dict)
    _lock: asyncio.Lock = Factory(asyncio.Lock)

    async def show(self, request: Request) -> Response:
        """Return the report of the period ``from`` and ``to`` in the address; default: today.

        Raises ``RefusedRequestError`` for a period that does not exist or is longer than ten years,
        and if the log cannot be read.
        """
        query = request.query_params
        key = query.get("from", "today"), query.get("to"), language_of(request)
        async with self._lock:
            now = asyncio.get_running_loop().time()
            made, page = self._pages.pop(key, (0.0, ""))
            if not page or now - made >= _LIFETIME:
                page = await self._make(*key)
                made = now
            self._pages[key] = made, page
            while len(self._pages) > _MAX_PAGES:
                del self._pages[next(iter(self._pages))]
        return Response(page, 200, _HEADERS, "text/html")

    async def _make(self, start: str, end: str | None, language: str) -> str:
        context = contextvars.copy_context()
        context.run(use_language, language)
        try:
            return await asyncio.to_thread(context.run, self._render, start, end)
        except UsageError as error:
            raise RefusedRequestError(400, str(error)) from None
        except CallLogError:
            raise RefusedRequestError(503, "the call log cannot be read") from None

    def _render(self, start: str, end: str | None) -> str:
        # The extras ``calllog`` and ``reports`` are needed for this page only.
        from basix_ws_cti.reports import Period, Reports, Selection
        from basix_ws_cti.reports.page import render_page

        now = self.clock()
        period = Period.parse(start, end, self.zone, now)
        if period.end_us - period.start_us > _LONGEST_PERIOD:
            raise UsageError("the period is longer than ten years: choose a shorter one")
        created = now.astimezone(self.zone)
        return render_page(Reports(self.database), Selection(period=period), created=created)
