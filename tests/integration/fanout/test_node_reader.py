"""Example in JavaScript: it reads the stream with what the documentation says, and no package."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess

import pytest
from support.paths import EXAMPLES
from support.waiting import eventually

from basix_ws_cti import Client
from basix_ws_cti.fanout.publisher import Publisher
from basix_ws_cti.simulator import Simulator

NODE = shutil.which("node")

pytestmark = [
    pytest.mark.redis,
    pytest.mark.slow,
    pytest.mark.skipif(NODE is None, reason="no program 'node'"),
]


async def test_reader_prints_the_snapshot_and_each_change(redis_server, tmp_path):
    out = tmp_path / "out"
    async with Simulator(calls=False, speed=0.001, users=20) as pbx:
        publisher = Publisher(
            redis_server.url, lambda: Client(**pbx.connect_args, full_events=True)
        )
        task = asyncio.create_task(publisher.run())
        await eventually(lambda: redis_server.data("snapshot_end"))
        with out.open("wb") as stdout:
            reader = subprocess.Popen(
                [NODE, str(EXAMPLES / "redis_reader.mjs")],
                stdout=stdout,
                stderr=subprocess.STDOUT,
                env={**os.environ, "REDIS_PORT": str(redis_server.port)},
            )
        try:
            await eventually(lambda: "of kind user" in out.read_text())
            call = pbx.call("0312341234", to="1001")
            pbx.hangup(call)
            await eventually(lambda: f"removed {call}" in out.read_text())
            redis_server.client.delete("basix")
            await eventually(lambda: "entries are missing" in out.read_text())
            second = pbx.call("0312341234", to="1001")
            await eventually(lambda: f"added {second}" in out.read_text())
        finally:
            reader.kill()
            reader.wait()
            task.cancel()
            await asyncio.wait([task])
    lines = out.read_text().splitlines()
    assert "20 of kind user" in lines
    changes = [line.split()[0] for line in lines if f" {call} " in line]
    assert changes == ["added", "removed"]
