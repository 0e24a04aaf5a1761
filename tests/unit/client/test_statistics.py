from __future__ import annotations

import asyncio

from support.client_schedules import (
    new_client,
)
from support.fake_pbx import FakePbx
from support.virtual_clock import run
from support.waiting import TIMEOUT, eventually

from basix_ws_cti.client.client import Client
from basix_ws_cti.simulator import Simulator, faults


async def test_the_figures():
    """stats counts what came."""
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


def test_figures_outside_the_loop():
    """The figures can be read after the loop has ended, and count what was missed and waits."""
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
