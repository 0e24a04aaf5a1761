"""Simulated day: the rows of a live feed, of its recording, of the database and of the ledger."""

from __future__ import annotations

import pytest
from support.ledger_day import Rows, differences, play_day
from support.sizes import NIGHTLY
from support.waiting import TIMEOUT

from basix_ws_cti.calllog import CallLog, CallLogReader
from basix_ws_cti.calllog.reader import MAX_PAGE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if NIGHTLY else 300)]

CALLS = 10_000 if NIGHTLY else 1000


async def test_rows_of_the_database_equal_the_ledger(database):
    """The calls are written twice: as a live feed and then a replay of it would do."""
    pbx, rows = play_day(3, CALLS)
    assert differences(pbx, rows) == []
    for _ in range(2):
        async with CallLog(database) as log:
            for one in rows.ended:
                log.add(one)
            assert await log.flush(10 * TIMEOUT)
            assert log.health.rejected == 0
        assert read(database) == rows_by_call(rows)


def read(database):
    """Return all rows by call, in pages."""
    reader, found, position = CallLogReader(database), {}, 0
    while page := reader.changes(after=position, limit=MAX_PAGE):
        found |= {one.record.id: (one.record, one.waits, one.participations) for one in page}
        position = page[-1].change
    return found


def rows_by_call(rows: Rows):
    waits, parts = {}, {}
    for kind, found in ((rows.waits, waits), (rows.participations, parts)):
        for row in kind:
            found.setdefault(row.call_id, []).append(row)
    return {
        one.id: (one, tuple(waits.get(one.id, ())), tuple(parts.get(one.id, ())))
        for one in rows.calls
    }
