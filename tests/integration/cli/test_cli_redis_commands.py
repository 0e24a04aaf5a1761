"""``hangup``, ``park``, ``transfer`` and ``call`` with ``--redis``: through a publisher."""

from __future__ import annotations

import signal

import pytest
from support.cli_runner import run_in_process, start
from support.example_connections import connection_environment
from support.redis_server import RedisServer
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti.simulator import Simulator

pytestmark = [pytest.mark.redis, pytest.mark.slow]


@pytest.fixture
def redis_server(tmp_path):
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.close()


@pytest.fixture
def pbx():
    with Simulator(calls=False) as pbx:
        yield pbx


@pytest.fixture
def published(redis_server, pbx):
    """Options that select the stream of a publisher which executes commands."""
    process = start(
        *("publish", redis_server.url, "--full-events", "--allow-commands"),
        env=connection_environment(pbx),
    )
    wait_until(lambda: redis_server.client.exists("{basix}:commands"), "the leader")
    wait_until(lambda: redis_server.data("snapshot_end"), "a snapshot")
    yield ("--redis", redis_server.url)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=TIMEOUT)


def test_commands_control_calls_through_a_publisher(pbx, published):
    """No token of the PBX is needed: the publisher has it."""
    caller = pbx.call("0312341234", to="1001")
    pbx.answer(caller)
    done = run_in_process("park", caller, "--timeout", TIMEOUT, *published)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("parked on ")
    done = run_in_process("transfer", "0312341234", "user:user2", "--timeout", TIMEOUT, *published)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"transferred: {caller} (")
    done = run_in_process("hangup", caller, "--timeout", TIMEOUT, *published)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"hung up {caller} (")
    assert pbx.snapshot()["channel"] == {}
    done = run_in_process("call", "1001", "0398769876", "--timeout", TIMEOUT, *published)
    assert (done.returncode, done.stderr) == (0, "")
    uuids = {*done.stdout.split()}
    assert uuids
    wait_until(lambda: uuids <= pbx.snapshot()["channel"].keys(), "the phones")
    done = run_in_process("call", "1900", "0398769876", "--group", "--timeout", TIMEOUT, *published)
    assert (done.returncode, done.stderr) == (0, "")
    members = {*done.stdout.split()}
    assert members
    wait_until(lambda: members <= pbx.snapshot()["channel"].keys(), "the members' phones")


def test_failures_of_commands_through_redis(pbx, published, redis_server):
    done = run_in_process("hangup", "no-such-channel", *published)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no channel matches no-such-channel; nothing was sent" in done.stderr
    done = run_in_process("call", "no-such-user", "1002", *published)
    assert (done.returncode, done.stdout) == (1, "")
    assert "call_user failed: " in done.stderr
    done = run_in_process("call", "no-such-group", "1002", "--group", *published)
    assert (done.returncode, done.stdout) == (1, "")
    assert "call_group failed: " in done.stderr
    done = run_in_process("hangup", "abcd", "--redis", redis_server.url, "--redis-stream", "other")
    assert (done.returncode, done.stdout) == (4, "")
    assert "no publisher leads the stream 'other'" in done.stderr
    done = run_in_process("hangup", "abcd", "--simulate", "--redis", redis_server.url)
    assert done.returncode == 2
    assert "--redis and --simulate cannot be combined" in done.stderr


def test_publisher_without_permission_is_named(redis_server, pbx):
    caller = pbx.call("0312341234", to="1001")
    process = start("publish", redis_server.url, "--full-events", env=connection_environment(pbx))
    try:
        wait_until(lambda: redis_server.data("snapshot_end"), "a snapshot")
        done = run_in_process("hangup", caller, "--redis", redis_server.url)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT)
    assert done.returncode == 1
    assert "start it with --allow-commands" in done.stderr
    assert caller in pbx.snapshot()["channel"]
