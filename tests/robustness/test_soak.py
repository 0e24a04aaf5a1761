"""Clients behind a faulty network for a long time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support import faulty_proxy
from support.paths import TESTS

# Errors that the network alone may cause. Any other error is a defect.
EXPECTED = {
    "AuthenticationError",
    "ConnectFailed",
    "ConnectionLost",
    "DecodeError",
    "HandshakeError",
    "ResyncRequired",
    "ProtocolError",
    "SyncTimeout",
}

# Bytes that the process may grow by after its warm-up. It holds some 60 MB in total.
MAX_GROWTH = 12 << 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "seconds",
    [5, pytest.param(600, marks=[pytest.mark.nightly, pytest.mark.timeout(900)])],
)
def test_clients_converge_after_storms_of_faults(seconds):
    """After each storm all clients and subscribers have the current state; nothing leaks.

    ``soak_run.py`` explains what is compared, and why a changed byte does not spoil it.
    """
    done = subprocess.run(
        [sys.executable, "-m", "support.soak_run", str(seconds), "7"],
        capture_output=True,
        text=True,
        check=False,
        cwd=TESTS,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads(done.stdout)
    print(json.dumps(report, indent=1))
    assert set(report["faults"]) == set(faulty_proxy.FAULTS)
    assert report["comparisons"] == report["calms"] * 6
    if seconds > 60:  # rare: a link must survive a complete storm
        assert report["comparisons without reconnect"] > 0
    assert report["reconnects"] > seconds
    assert min(report["gaps"], report["bad_frames"], report["commands"]) > 0
    assert set(report["errors"]) <= EXPECTED
    assert report["grown"] < MAX_GROWTH
