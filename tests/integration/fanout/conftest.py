"""Fixtures for tests with a real Redis."""

from __future__ import annotations

import pytest
from support.redis_server import RedisServer


@pytest.fixture
def redis_server(tmp_path):
    """Redis server without persistence."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.close()
