"""Examples in a shell: Ctrl-C, and pipes whose reader leaves, as with ``| head``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from support.example_connections import connection_environment
from support.paths import EXAMPLES
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti import feed_url
from basix_ws_cti.simulator import Simulator

pytestmark = pytest.mark.slow


def start(name, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("who_is_on_the_phone.py", []),
        ("raw_frames.py", []),
        ("listen.py", []),
    ],
)
def test_ctrl_c_ends_an_example_without_a_traceback(name, arguments):
    """The exit code is 130, as of every program that Ctrl-C ends."""
    with Simulator(calls=False, speed=0.001) as pbx:
        environment = {**connection_environment(pbx), "BASIX_URL": feed_url(**pbx.connect_args)}
        with start(name, *arguments, **environment) as process:
            wait_until(lambda: pbx.connections, "the client")
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, err) == (130, "")


@pytest.mark.parametrize(
    ("name", "arguments", "lines"),
    [
        ("listen.py", [], 1),
        ("who_is_on_the_phone.py", [], 1),
        ("raw_frames.py", [], 1),
    ],
)
def test_example_ends_quietly_when_its_reader_leaves(name, arguments, lines):
    with start(name, *arguments) as process:
        for _ in range(lines):
            assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(TIMEOUT) == 0
        assert process.stderr.read() == ""
