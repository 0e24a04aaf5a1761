"""Examples about calls, each run as a process against the simulator."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest
from support.example_connections import connection_environment
from support.paths import EXAMPLES
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti.simulator import Simulator


class Example:
    """Example process connected to a simulator, until Ctrl-C or a kill."""

    def __init__(self, name, *arguments, pbx):
        self.process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", str(EXAMPLES / name), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={
                **os.environ,
                "PYTHONIOENCODING": "utf-8",
                **connection_environment(pbx),
            },
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def finish(self):
        """Press Ctrl-C and return the output to stdout and stderr."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=TIMEOUT)
        assert self.process.returncode == 130, err
        # With -X dev asyncio reports each step over 0.1 s, which on a busy machine are many.
        return out, re.sub(r"^Executing <.* took [0-9.]+ seconds\n", "", err, flags=re.MULTILINE)


@pytest.fixture
def pbx():
    """Simulated PBX that starts no calls."""
    with Simulator(calls=False, speed=0.001) as pbx:
        yield pbx


# -- metrics.py -----------------------------------------------------------------------


@pytest.mark.slow
def test_metrics_of_queues_and_feed(pbx):
    """Metrics count waiting, answered and abandoned calls per group, and the state of the feed.

    Durations follow the clock of the PBX; groups and users have their labels.
    """
    group = next(iter(pbx.snapshot()["group"].values()))

    def figures():
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            text = answer.read().decode()
        pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    with Example("metrics.py", "--port", "0", pbx=pbx) as metrics:
        url = metrics.process.stdout.readline().strip()
        wait_until(lambda: figures()["basix_feed_synced"] == 1, "the snapshot")
        answered = pbx.call("0312341234", to=group["main_extension"])
        pbx.advance(12)
        pbx.answer(answered)
        abandoned = pbx.call("09011112222", to=group["main_extension"])
        pbx.advance(30)
        pbx.hangup(abandoned)
        pbx.call("0667890123", to=group["main_extension"])
        pbx.advance(3)
        pbx.hangup(answered)
        labels = f'{{id="{group["id"]}",label="{group["label"]}"}}'
        # The answered call's leg is the last that ends.
        wait_until(lambda: sum(v for k, v in figures().items() if "user_answered" in k), "the end")
        now = figures()
        out, err = metrics.finish()
    assert {
        name: now[f"basix_group_{name}{labels}"]
        for name in ("waiting", "offered", "answered", "abandoned", "service_level_of_offered")
    } == {
        "waiting": 1,
        "offered": 3,
        "answered": 1,
        "abandoned": 1,
        "service_level_of_offered": 0.5,
    }
    assert now[f"basix_group_average_answer_seconds{labels}"] == pytest.approx(12, abs=1)
    assert now[f"basix_group_longest_wait_seconds{labels}"] >= 3
    talked = [value for name, value in now.items() if name.startswith("basix_user_talked_seconds")]
    assert max(talked) == pytest.approx(33, abs=1)
    assert now['basix_feed_messages_total{type="InitialInfo"}'] == len(pbx.snapshot())
    assert now["basix_feed_reconnects_total"] == 0
    assert now["basix_feed_frames_total"] > 14
    assert (out, err) == ("", "")


# -- all of them ----------------------------------------------------------------------

REFUSED = "the server refused the login with HTTP 401"


@pytest.mark.parametrize(
    ("name", "arguments", "token", "problem"),
    [
        ("metrics.py", ["--port", "0"], "canary", REFUSED),
    ],
)
@pytest.mark.slow
def test_startup_errors_are_one_line(name, arguments, token, problem, pbx):
    """A missing or wrong token or file ends an example with exit code 1."""
    environment = {"BASIX_SERVER": pbx.url, "BASIX_DOMAIN": "demo", "BASIX_TOKEN": token}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **environment},
        timeout=TIMEOUT,
    )
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if not line.startswith("the client of")]
    assert len(errors) == 1
    assert errors[0].startswith(f"{name.removesuffix('.py')}: {problem}")
    assert "canary" not in done.stdout + done.stderr
