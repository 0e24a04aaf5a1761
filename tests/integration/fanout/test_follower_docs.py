"""Programs of the documentation that follow and publish a stream."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.docs_code import ROOT, blocks
from support.stream_source import StreamSource
from support.waiting import wait_until

from basix_ws_cti.simulator import Simulator

pytestmark = [pytest.mark.redis, pytest.mark.slow]


def documented_program(server, first_line):
    """Return the program with this first line, for the Redis of a test."""
    page = blocks(ROOT / "docs/howto/fan-out.md")
    [program] = [one.source for one in page if one.first == first_line]
    assert "redis://127.0.0.1" in program
    return program.replace("redis://127.0.0.1", server.url)


def test_the_documented_publisher_publishes_pseudonyms(redis_server, tmp_path):
    (tmp_path / "pseudonyms.key").write_bytes(b"0123456789abcdef\n")
    program = documented_program(redis_server, "# Publishes pseudonyms.")
    with Simulator(calls=False, speed=0.001, domain="acme", token="TOKEN") as pbx:
        program = program.replace("bcs.brastel.com", pbx.url)
        process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path)
        try:
            wait_until(lambda: redis_server.data("snapshot_end"), "a snapshot")
        finally:
            process.kill()
            process.wait()
    assert "株式会社デモ".encode() not in b"".join(redis_server.data("snapshot_elements"))


def test_the_documented_program_prints_users_and_changes(redis_server):
    program = documented_program(redis_server, "# Works with a Client and with a Follower.")
    source = StreamSource(redis_server.client)
    source.begin()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
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
