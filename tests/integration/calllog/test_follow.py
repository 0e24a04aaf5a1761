"""Reader that follows a PostgreSQL call log while two loggers write."""

from __future__ import annotations

import asyncio

import attrs
import pytest
from support.call_builders import call, leg
from support.sizes import NIGHTLY
from support.waiting import TIMEOUT

from basix_ws_cti import CallRecord
from basix_ws_cti.calllog import CallLog, CallLogReader

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(1800 if NIGHTLY else 300)]

CALLS = 10_000 if NIGHTLY else 1500

# Seconds until both logs are written.
LIMIT = 20 * TIMEOUT if NIGHTLY else TIMEOUT

ACTIVE = call("0 ivr, 5 queued g1")
TALK = call(
    "0 ivr, 5 queued g1, 20 talking u7",
    50,
    by="caller",
    legs=(leg("0312341234", 0, 50, role="placed"), leg("u7", 5, 50, talks=[(20, 50)], rings=1)),
)


async def write(log, numbers):
    """Write the start of each call, and soon its end."""
    numbers = list(numbers)
    for start in range(0, len(numbers), 50):
        for template in (ACTIVE, TALK):
            for number in numbers[start : start + 50]:
                log.add(attrs.evolve(template, id=f"call{number:05}"))
            await asyncio.sleep(0.005)
    assert await log.flush(LIMIT)


async def test_follower_sees_every_call_and_every_end(new_postgres):
    """Two loggers write the same calls in opposite order."""
    database = new_postgres()
    seen, changes, is_writing = {}, [], True

    def follow():
        reader, position = CallLogReader(database), 0
        while True:
            was_writing = is_writing
            found = reader.changes(after=position, limit=37)
            for one in found:
                changes.append(one.change)
                if one.record.ended is None:
                    assert one.waits == one.participations == ()
                    assert one.record.id not in seen
                else:
                    assert (len(one.waits), len(one.participations)) == (1, 2)
                    seen[one.record.id] = one.record
            if found:
                position = found[-1].change
            elif not was_writing:
                return position, reader.last_change()

    async with CallLog(database, interval=0.01) as one, CallLog(database, interval=0.01) as other:
        following = asyncio.create_task(asyncio.to_thread(follow))
        try:
            await asyncio.gather(write(one, range(CALLS)), write(other, reversed(range(CALLS))))
        finally:
            is_writing = False
            position, last = await following
        assert one.health.rejected == other.health.rejected == 0
    assert position == last
    assert changes == sorted({*changes})
    assert len(seen) == CALLS
    assert seen["call00007"] == CallRecord.of(attrs.evolve(TALK, id="call00007"))
