"""Calls of today from a call log, so that a restart of the server does not lose their figures.

Needs the extra ``calllog``.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.calllog.reader import MAX_PAGE, CallLogReader, LoggedCall
from basix_ws_cti.calls import QueueStats

# A call may have begun on the day before, and wait in a queue today.
_LONGEST_CALL = timedelta(days=1)


async def restore_day(database: str | Path, stats: QueueStats, now: datetime) -> int | None:
    """Count the calls of today that a call log has.

    - ``stats``: figures since midnight.
    - ``now``: present time of the feed.

    Returns the time from which on calls are counted, in microseconds since the epoch: midnight, or
    the first call of a log that has none before; ``None``: the log is empty. Raises
    ``CallLogError``.
    """
    midnight = stats.window_start(to_microseconds(now))
    start = datetime.fromtimestamp(midnight / 1_000_000, UTC)
    calls, first = await asyncio.to_thread(_read, database, start - _LONGEST_CALL, now)
    for call in calls:
        if call.record.ended is not None:
            stats.restore(call.record.id, call.waits, call.participations)
    return None if first is None else max(first, midnight)


def _read(
    database: str | Path, start: datetime, now: datetime
) -> tuple[list[LoggedCall], int | None]:
    """Return the calls since a time, and the start of the log's first call."""
    reader = CallLogReader(database)
    calls: list[LoggedCall] = []
    while True:
        page = reader.find(
            started_from=start,
            started_before=now,
            order="oldest",
            limit=MAX_PAGE,
            offset=len(calls),
        )
        calls += page.calls
        if len(page.calls) < MAX_PAGE:
            break
    first = reader.find(order="oldest", limit=1).calls
    return calls, first[0].record.started if first else None
