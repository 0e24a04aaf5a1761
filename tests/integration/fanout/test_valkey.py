"""Publishers and followers with Valkey instead of Redis; all tests of this folder do so nightly."""

from __future__ import annotations

import asyncio

import pytest
from support.cli_runner import run_in_process
from support.redis_server import RedisServer
from support.stream_checks import elements_of
from support.waiting import eventually

from basix_ws_cti import Client, Gap
from basix_ws_cti.fanout import Follower, Publisher
from basix_ws_cti.simulator import Simulator

pytestmark = [pytest.mark.valkey, pytest.mark.slow]


def valkey(folder):
    return RedisServer(folder, program="valkey-server")


def test_doctor_examines_valkey(tmp_path):
    with valkey(tmp_path) as server:
        done = run_in_process("doctor", "--redis", server.url)
    assert done.returncode == 0
    assert "the user may publish and read" in done.stdout


async def test_publishers_and_a_follower_work_with_valkey(tmp_path):
    """Start, takeover, and a stream that was restored from a backup."""
    gaps = []
    with valkey(tmp_path) as server:
        async with (
            Simulator(calls=False, speed=0.001, users=5) as pbx,
            Follower(server.url) as follower,
        ):
            follower.on_change(gaps.append, where=lambda _: False)
            publishers = [
                Publisher(server.url, lambda: Client(**pbx.connect_args, full_events=True))
                for _ in range(2)
            ]
            tasks = [asyncio.create_task(one.run()) for one in publishers]
            await follower.synced()
            await eventually(server.has_standby)
            leader = [one.status.role for one in publishers].index("leader")
            tasks[leader].cancel()
            await eventually(lambda: publishers[1 - leader].stats.snapshots)
            dump = server.client.dump("basix")
            pbx.call("0312341234", to="1001")
            await eventually(lambda: follower.calls)
            assert gaps == []
            server.client.restore("basix", 0, dump, replace=True)
            await eventually(lambda: gaps and follower.is_synced)
            async with Client(**{**pbx.connect_args, "app_name": "reference"}) as client:
                await client.synced()
                assert elements_of(follower.mirror) == elements_of(client.mirror)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        assert [type(one) for one in gaps] == [Gap]
