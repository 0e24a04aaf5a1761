"""Fixtures for tests with a real Redis or Valkey."""

from __future__ import annotations

import pytest
from support.redis_server import RedisServer

from basix_ws_cti.simulator import Simulator

VALKEY = pytest.param("valkey-server", marks=[pytest.mark.valkey, pytest.mark.nightly])


@pytest.fixture(params=["redis-server", VALKEY])
def server_program(request):
    """Name of the server's program."""
    return request.param


@pytest.fixture
def redis_server(tmp_path, server_program):
    """Server without persistence."""
    with RedisServer(tmp_path, program=server_program) as server:
        yield server


@pytest.fixture
async def pbx():
    """PBX in which nothing happens by itself."""
    async with Simulator(calls=False, speed=0.001, users=20, seed=5) as pbx:
        yield pbx
