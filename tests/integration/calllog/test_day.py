"""Simulated day: rows of the live feed, of its recording, of the database and of the ledger."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from support.ledger_day import Rows as DayRows
from support.ledger_day import differences
from support.row_checks import Rows
from support.sizes import NIGHTLY
from support.waiting import TIMEOUT, eventually

from basix_ws_cti import Client
from basix_ws_cti.calllog import CallLog, CallLogReader
from basix_ws_cti.calllog.reader import MAX_PAGE
from basix_ws_cti.calls import CallEnded
from basix_ws_cti.recording import Recorder, read_recording, replay
from basix_ws_cti.simulator import Pbx, Simulator, scenarios
from basix_ws_cti.simulator.timeline import Timeline
from basix_ws_cti.sources.live import LiveSource
from basix_ws_cti.sources.recorded import RecordedSource

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if NIGHTLY else 300)]

CALLS = 10_000 if NIGHTLY else 300

# Steps of the PBX, after which it waits for its client.
STEPS = 100


async def test_rows_are_equal_live_replayed_logged_and_in_the_ledger(database, tmp_path):
    """The log gets the calls of the live feed, and then those of the recording once more."""
    pbx = Pbx(3)
    path = tmp_path / "day.rec.gz"
    live, health = await play(pbx, path, database)
    ended = [event.call for _, event in replay(path) if isinstance(event, CallEnded)]
    assert [Rows.of(one) for one in ended] == [*live.values()]
    assert len(live) == len(pbx.ledger) >= CALLS
    assert differences(pbx, of_day(ended)) == []
    assert (health.rejected, health.dropped) == (0, 0)
    assert logged(database) == live
    last = CallLogReader(database).last_change()
    async with CallLog(database) as log:
        await log.record(RecordedSource(read_recording(path), speed=None))
    assert logged(database) == live
    assert CallLogReader(database).last_change() == last


async def play(pbx, path, database):
    """Play a day as fast as a client receives, records and logs it; return the rows and health."""
    pbx.ledger.max_rows = 2 * CALLS
    scenarios.populate(pbx, 50)
    rows = {}

    def note(event):
        if isinstance(event, CallEnded):
            rows[event.call.id] = Rows.of(event.call)

    # The PBX's own clock stands still: the steps below move it.
    async with Simulator(pbx=pbx, calls=False, speed=1e-9) as simulator, CallLog(database) as log:
        with Recorder(path) as recorder:
            recorder.connected()
            client = Client(**simulator.connect_args, full_events=True, on_frame=recorder)
            client.on_call(note)
            async with client:
                await client.synced(TIMEOUT)
                source = LiveSource(client, lambda: datetime.fromtimestamp(pbx.now / 1e6, UTC))
                recording = asyncio.create_task(log.record(source))
                for _ in steps(pbx):
                    await eventually(lambda: len(rows) == len(pbx.ledger))
            await recording
        return rows, log.health


def steps(pbx):
    """Take the steps of a day, and then those that end its last calls; yield now and then."""
    timeline = Timeline(pbx)
    day = scenarios.day(pbx, timeline, 9)
    timeline.start(day)
    count = 0
    while timeline.time_to_next is not None:
        timeline.step()
        count += 1
        if count % STEPS == 0:
            yield count
        if len(pbx.ledger) >= CALLS:
            day.close()
    yield count


def of_day(ended):
    rows = DayRows()
    for one in ended:
        rows.add(one)
    return rows


def logged(database):
    """Return the rows of all calls that have ended, by call, in pages."""
    reader, found, position = CallLogReader(database), {}, 0
    while page := reader.changes(after=position, limit=MAX_PAGE):
        found |= {one.record.id: Rows(one.record, one.waits, one.participations) for one in page}
        position = page[-1].change
    return found
