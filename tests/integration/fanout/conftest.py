"""Fixtures for tests with a real Redis or Valkey."""

from __future__ import annotations

import pytest
from support.redis_server import RedisServer

VALKEY = pytest.param("valkey-server", marks=[pytest.mark.valkey, pytest.mark.nightly])


@pytest.fixture(params=["redis-server", VALKEY])
def server_program(request):
    """Name of the server's program."""
    return request.param


@pytest.fixture
def redis_server(tmp_path, server_program):
    """Server without persistence."""
    server = RedisServer(tmp_path, program=server_program)
    server.start()
    yield server
    server.close()
