"""A simulated day: one report from live figures, a replay, the database, and the ledger."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import attrs
import pytest
from support.ledger_day import play_day
from support.sizes import NIGHTLY
from support.waiting import TIMEOUT

from basix_ws_cti import (
    AgentFigures,
    CallEnded,
    Participation,
    QueueFigures,
    QueueStats,
    QueueWait,
)
from basix_ws_cti.calllog import CallLog
from basix_ws_cti.recording import Recorder, replay
from basix_ws_cti.recording.disk import Connected, Frame
from basix_ws_cti.reports import Period, Reports, Selection
from basix_ws_cti.simulator.frame_writer import Writer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if NIGHTLY else 300)]

CALLS = 10_000 if NIGHTLY else 200
TOKYO = ZoneInfo("Asia/Tokyo")

# Columns of figures that the ledger has no columns for.
OF_TRANSFERS = ("transferred_in", "transferred_out", "transfers_in", "transfers_out")


class DayRecorder:
    """Records the frames of a PBX with the PBX's own clock."""

    def __init__(self, path):
        self.path = path

    def __call__(self, pbx):
        """Record the snapshot, and each event from then on."""
        start, writer = pbx.now, Writer()
        self.recorder = Recorder(self.path, started=datetime.fromtimestamp(start / 1e6, UTC))
        self.recorder.write(Connected(0.0))
        for kind, elements in pbx.snapshot().items():
            records = [writer.record(kind, values) for values in elements.values()]
            self.recorder.write(Frame(0.0, writer.field_spec(kind)))
            self.recorder.write(Frame(0.0, writer.initial_info(kind, records)))

        def on_event(kind, key, values, event_name):
            frame = writer.info_event(kind, writer.record(kind, values), event_name)
            self.recorder.write(Frame((pbx.now - start) / 1e6, frame))

        pbx.listeners.append(on_event)


async def report(database, calls):
    """Write calls to a new call log; return its reports."""
    async with CallLog(database) as log:
        for call in calls:
            log.add(call)
        assert await log.flush(10 * TIMEOUT)
    return Reports(database)


def queue_figures(reports, selection):
    return {row.group_id: row.figures for row in reports.queues(selection)}


def agent_figures(reports, selection):
    return {row.user_id: row.figures for row in reports.agents(selection)}


def without_transfers(figures):
    """Return figures by key, without those of transfers."""
    names = [name for name in OF_TRANSFERS if hasattr(next(iter(figures.values())), name)]
    return {key: attrs.evolve(one, **dict.fromkeys(names, 0)) for key, one in figures.items()}


def ledger_rows(ledger):
    """Return the waits and participations of a ledger as rows of the library."""
    calls = {row.id: row for row in ledger}
    waits = [
        QueueWait(**attrs.asdict(row), entered_by_transfer=False, complete=True)
        for row in ledger.waits
    ]
    participations = [
        Participation(
            **attrs.asdict(row),
            transfers_out=0,
            transfers_in=0,
            complete=True,
            clock_adjusted=False,
            direction=calls[row.call_id].direction,
            purpose=calls[row.call_id].purpose,
        )
        for row in ledger.participations
    ]
    return waits, participations


def all_that_count(figures):
    """Return figures without the keys that have no rows that count."""
    nothing = {QueueFigures.of([]), AgentFigures.of([])}
    return {key: one for key, one in figures.items() if one not in nothing}


async def test_report_is_the_same_from_every_source(database, tmp_path):
    stats = QueueStats(window=30 * 86_400, max_rows=10 * CALLS)
    day = DayRecorder(tmp_path / "day.rec")
    pbx, rows = play_day(5, CALLS, prepare=day, on_events=stats.apply)
    day.recorder.close()
    first = min(row.started for row in pbx.ledger)
    start = datetime.fromtimestamp(first / 1e6, TOKYO).replace(minute=0, second=0, microsecond=0)
    end = datetime.fromtimestamp(pbx.now / 1e6, TOKYO) + timedelta(hours=1)
    selection = Selection(period=Period(start, end))

    reports = await report(database, rows.ended)
    queues, agents = queue_figures(reports, selection), agent_figures(reports, selection)
    assert queues[None].offered > CALLS / 5
    assert agents[None].handled > CALLS / 5

    # Live figures.
    assert all_that_count(queues) == all_that_count(
        {None: queues[None], **{one: stats.group(one, pbx.now) for one in stats.groups}}
    )
    assert all_that_count(agents) == all_that_count(
        {None: agents[None], **{one: stats.user(one, pbx.now) for one in stats.users}}
    )

    # A replay of the recorded frames.
    replayed = [item.call for _, item in replay(day.path) if isinstance(item, CallEnded)]
    other = await report(str(tmp_path / "replayed.db"), replayed)
    assert queue_figures(other, selection) == queues
    assert agent_figures(other, selection) == agents

    # The ledger, whose rows have no transfers.
    waits, participations = ledger_rows(pbx.ledger)
    by_group = {None: QueueFigures.of(waits, participations)}
    by_group |= QueueFigures.by_group(waits, participations)
    assert without_transfers(queues) == all_that_count(by_group)
    by_agent = {None: AgentFigures.of(participations), **AgentFigures.by_agent(participations)}
    assert without_transfers(agents) == all_that_count(by_agent)

    # Calls by direction and disposition, and all calls one by one.
    counted = [row for row in pbx.ledger if row.purpose == "call" and row.joined is None]
    volumes = {row.direction: row for row in reports.volumes(selection)}
    assert volumes[None].calls == len(counted) == len([*reports.calls(selection)])
    for (direction, disposition), number in Counter(
        (row.direction, row.disposition) for row in counted
    ).items():
        assert getattr(volumes[direction], disposition) == number
