"""Command ``publish`` in processes of its own: killed, stopped, and used wrongly."""

from __future__ import annotations

import json
import signal
import time

import pytest
from support.cli_runner import run_in_process, start
from support.example_connections import connection_environment
from support.sizes import NIGHTLY
from support.stream_checks import read_stream
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti.simulator import Simulator

pytestmark = [pytest.mark.redis, pytest.mark.slow]

# Seconds: three times the limit for a takeover.
TAKEOVER = 3 * 3

# Seconds for which the leader is stopped; longer than its lease.
STOPPED = 10 if NIGHTLY else 3


class Publishers:
    """Processes that publish the feed of one simulated PBX."""

    def __init__(self, server, pbx, folder):
        self._server = server
        self._environment = connection_environment(pbx)
        self._folder = folder
        self._processes = {}
        self.pbx = pbx

    def start(self, name):
        log = (self._folder / name).open("w+", encoding="utf-8")
        self._processes[name] = (
            start(
                *("publish", self._server.url, "--full-events"),
                env=self._environment,
                stderr=log,
            ),
            log,
        )

    def log(self, name):
        return (self._folder / name).read_text(encoding="utf-8")

    def says(self, name, text):
        wait_until(lambda: text in self.log(name), f"{text!r} of {name}: {self.log(name)}")

    def signal(self, name, number):
        process, _ = self._processes[name]
        process.send_signal(number)
        if number == signal.SIGKILL:
            process.wait()

    def take_over(self, leader, number, action):
        """Send a signal to the leader, do something in the PBX, and wait for the next epoch."""
        before = len(self._server.data("epoch"))
        wait_until(self._server.has_standby, "a standby that is ready")
        self.signal(leader, number)
        began = time.monotonic()
        action()
        wait_until(lambda: len(self._server.data("epoch")) > before, "the next epoch")
        assert time.monotonic() - began < TAKEOVER

    def close(self):
        for process, log in self._processes.values():
            process.kill()
            process.communicate()
            log.close()


@pytest.fixture
def publishers(redis_server, tmp_path):
    """Leader ``one``, standby ``two`` and cold standby ``three``."""
    folder = tmp_path / "logs"
    folder.mkdir()
    with Simulator(calls=False, speed=0.001, users=20, seed=5) as pbx:
        publishers = Publishers(redis_server, pbx, folder)
        try:
            publishers.start("one")
            publishers.says("one", "leader: publishing")
            publishers.start("two")
            publishers.says("two", "standby: ready")
            publishers.start("three")
            publishers.says("three", "cold standby: two publishers")
            yield publishers
        finally:
            publishers.close()


@pytest.mark.timing
def test_standby_takes_over_in_time_and_the_old_leader_appends_nothing(publishers, redis_server):
    """The first leader is killed, the second one is stopped and goes on later."""
    pbx = publishers.pbx
    call = pbx.call("0312341234", to="1001")
    wait_until(lambda: redis_server.data("call"), "the call")
    publishers.take_over("one", signal.SIGKILL, lambda: pbx.hangup(call))
    publishers.says("two", "leader: publishing")
    publishers.says("three", "standby: ready")
    publishers.take_over("two", signal.SIGSTOP, lambda: pbx.msg("meanwhile"))
    publishers.says("three", "leader: publishing")
    time.sleep(STOPPED)
    publishers.signal("two", signal.SIGCONT)
    publishers.says("two", "standby: ready to take over\n" + "basix-ws-cti: leader: publishing")
    wait_until(lambda: publishers.log("two").count("standby: ready") >= 2, "the return of two")
    pbx.msg("end")
    wait_until(lambda: any(b"end" in data for data in redis_server.data("msg")), "the end")
    facts = read_stream(redis_server.entries())
    assert len(facts.publishers) == 3
    assert facts.types["gap"] == 0
    assert facts.texts == ["meanwhile", "end"]
    assert sum(":ended:" in key for key in facts.call_keys) == 1
    assert set(facts.call_keys.values()) == {1}
    assert b'"disconnected"' not in b"".join(redis_server.data("state"))


def test_ctrl_c_ends_the_command_and_reports_the_end_of_the_feed(redis_server):
    with Simulator(calls=False, speed=0.001) as pbx:
        process = start("publish", redis_server.url, env=connection_environment(pbx))
        wait_until(lambda: redis_server.data("snapshot_end"), "the snapshot")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert [json.loads(data)["state"] for data in redis_server.data("state")] == [
        *("synced", "disconnected")
    ]
    assert redis_server.client.get("{basix}:leader") is None


def test_simulated_pbx_is_published(redis_server):
    process = start("publish", redis_server.url, "--simulate", "--redis-stream", "trial")
    wait_until(lambda: redis_server.data("element", "trial"), "a change")
    process.terminate()
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["redis://me:hunter22@127.0.0.1"], "a password on the command line is visible"),
        (["redis://127.0.0.1", "--force"], "--force does not work with publish"),
        (
            ["redis://127.0.0.1", "--anonymise", "key", "--allow-commands"],
            "--allow-commands does not work with --anonymise: readers would call wrong numbers",
        ),
        (["http://127.0.0.1"], "redis must be a URL: use redis://host:port/db"),
        (["redis://10.0.0.1"], "the feed would be sent unencrypted to 10.0.0.1: use rediss://"),
        (["redis://127.0.0.1", "--redis-stream", "a{b}"], "stream must not contain braces"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    done = run_in_process("publish", *arguments, "--simulate")
    assert done.returncode == 2
    assert message in done.stderr
    assert "hunter22" not in done.stderr


def test_no_secret_is_in_the_output_when_redis_refuses_the_password(redis_server):
    redis_server.client.acl_setuser(
        "me", enabled=True, passwords=["+another"], categories=["+@all"], keys=["*"]
    )
    process = start(
        *("publish", redis_server.url.replace("//", "//me@"), "--simulate"),
        *("--log-level", "debug"),
        env={"BASIX_REDIS_PASSWORD": "hunter22-secret"},
    )
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "refused the user name or the password" in line:
            break
    process.terminate()
    out, err = process.communicate(timeout=TIMEOUT)
    assert "hunter22" not in "".join([*lines, out, err])
