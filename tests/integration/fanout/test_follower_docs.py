"""Program of the documentation that follows a stream."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.docs_code import ROOT, blocks
from support.stream_source import StreamSource
from support.waiting import wait_until

pytestmark = [pytest.mark.redis, pytest.mark.slow]

FIRST_LINE = "# Works with a Client and with a Follower."


def test_the_documented_program_prints_users_and_changes(redis_server):
    [program] = [
        one.source for one in blocks(ROOT / "docs/howto/fan-out.md") if one.first == FIRST_LINE
    ]
    assert "redis://127.0.0.1" in program
    source = StreamSource(redis_server.client)
    source.begin()
    process = subprocess.Popen(
        [sys.executable, "-c", program.replace("redis://127.0.0.1", redis_server.url)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    numbers = iter(range(10_000))

    def has_ended():
        source.relabel(f"b{next(numbers)}")
        return process.poll() is not None

    wait_until(has_ended, "the program", interval=0.05)
    out, err = process.communicate()
    assert out.splitlines() == ["3 users", "Changed", "Changed", "Changed"]
    assert (process.returncode, err) == (0, "")
