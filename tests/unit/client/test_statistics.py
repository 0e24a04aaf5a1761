"""Statistics of the client."""

from __future__ import annotations

import asyncio

import attrs
from support.client_schedules import (
    new_client,
)
from support.fake_pbx import FakePbx
from support.virtual_clock import run
from support.waiting import TIMEOUT, eventually

from basix_ws_cti import InfoEvent, Msg
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.statistics import Statistics
from basix_ws_cti.simulator import Simulator, faults


async def test_statistics_count_frames_connections_and_gaps():
    async with Simulator(calls=False) as pbx:
        client = new_client(pbx)
        assert client.stats.last_frame_age is None
        async with client:
            await client.synced(TIMEOUT)
            pbx.inject(faults.Drop())
            await eventually(lambda: client.stats.gaps)
            pbx.msg("x")
            await eventually(lambda: client.stats.messages.get("Msg"))
            stats = client.stats
            assert (stats.connects, stats.reconnects, stats.gaps, stats.bad_frames) == (2, 1, 1, 0)
            assert stats.messages["InitialInfo"] == stats.messages["FieldSpec"] > 2
            assert stats.frames == sum(stats.messages.values())
            assert stats.bytes > 1000
            assert 0 <= stats.last_frame_age < 10
        assert client.stats.frames == stats.frames


def test_statistics_can_be_read_after_the_loop_has_ended():
    """The statistics outlive the event loop and count missed and waiting items."""
    kept = []

    async def main():
        pbx = FakePbx()
        async with Client("fake", connector=pbx) as client:
            await client.synced()
            slow = client.changes(policy="drop_oldest", size=2)
            for number in range(5):
                pbx.set_user(number)
            await asyncio.sleep(1)
            assert (client.stats.missed, client.stats.lag) == (3, 2)
            assert slow.waiting == 2
            kept.append(client)

    run(main())
    assert kept[0].stats.frames > 0


@attrs.frozen
class ClosedConnection:
    """Totals of a connection."""

    frames_read: int
    bytes_read: int


def test_new_statistics_are_zero():
    stats = Statistics().snapshot(None, gaps=0, lag=0, now=None)
    assert (stats.frames, stats.bytes, stats.messages) == (0, 0, {})
    assert (stats.connects, stats.reconnects, stats.last_frame_age) == (0, 0, None)


def test_totals_include_closed_and_open_connections():
    statistics = Statistics()
    statistics.add_closed(ClosedConnection(3, 300))
    statistics.add_closed(ClosedConnection(1, 50))
    stats = statistics.snapshot(ClosedConnection(2, 20), gaps=4, lag=5, now=None)
    assert (stats.frames, stats.bytes, stats.gaps, stats.lag) == (6, 370, 4, 5)


def test_messages_are_counted_by_class_name():
    statistics = Statistics()
    statistics.messages.update([Msg, InfoEvent, Msg])
    stats = statistics.snapshot(None, gaps=0, lag=0, now=None)
    assert stats.messages == {"Msg": 2, "InfoEvent": 1}


def test_first_connect_is_no_reconnect():
    statistics = Statistics()
    statistics.counts.update(connects=3, bad_frames=2, missed=7)
    stats = statistics.snapshot(None, gaps=0, lag=0, now=None)
    assert (stats.connects, stats.reconnects, stats.bad_frames, stats.missed) == (3, 2, 2, 7)


def test_age_of_the_last_frame_needs_a_frame_and_a_clock():
    statistics = Statistics()
    assert statistics.snapshot(None, gaps=0, lag=0, now=9.0).last_frame_age is None
    statistics.last_frame = 7.5
    assert statistics.snapshot(None, gaps=0, lag=0, now=9.0).last_frame_age == 1.5
    assert statistics.snapshot(None, gaps=0, lag=0, now=None).last_frame_age is None
