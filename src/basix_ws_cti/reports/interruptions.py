"""Gaps in the feed within a period."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, select

from basix_ws_cti.calllog.schema import GAPS

from .intervals import moment
from .period import Period
from .rows import GapRow


def gap_rows(connection: Connection, period: Period) -> Iterator[GapRow]:
    """Yield the gaps that overlap a period, oldest first; gaps that overlap each other are one.

    It has the reason of the first of them.
    """
    query = (
        select(GAPS.c.started, GAPS.c.ended, GAPS.c.reason)
        .where(GAPS.c.started < period.end_us, GAPS.c.ended > period.start_us)
        .order_by(GAPS.c.started, GAPS.c.ended)
    )
    found = ((row.started, row.ended, row.reason) for row in connection.execute(query))
    for started, ended, reason in _merged(found):
        yield GapRow(
            start=moment(started, period.timezone),
            end=moment(ended, period.timezone),
            reason=reason,
        )


def _merged(gaps: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Return gaps that do not overlap, given gaps in the order of their starts.

    Loggers that run side by side, and a standby that takes over, each note the same outage.
    """
    merged: list[tuple[int, int, str]] = []
    for started, ended, reason in gaps:
        if merged and started < merged[-1][1]:
            first_start, last_end, first_reason = merged[-1]
            merged[-1] = first_start, max(last_end, ended), first_reason
        else:
            merged.append((started, ended, reason))
    return merged
