from __future__ import annotations

import json
import subprocess
import sys

from support import faulty_proxy
from support.paths import TESTS
from support.sizes import NIGHTLY

SECONDS = 600 if NIGHTLY else 52

# Everything that a connection may come to by the network alone: whatever else is a defect.
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

# Bytes that a process may have grown by after its warm-up: what it holds is some 60 MB.
GROWN = 12 << 20


def test_a_soak_in_bad_weather():
    """Clients come to the truth after every storm of faults, and leave nothing behind.

    ``soak.py`` says what is compared, and why a changed byte does not spoil it.
    """
    done = subprocess.run(
        [sys.executable, "-m", "support.soak_run", str(SECONDS), "7"],
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
    assert report["pictures"] == report["calms"] * 6
    assert report["pictures as they stood"] > 0
    assert report["reconnects"] > SECONDS
    assert min(report["gaps"], report["bad_frames"], report["commands"]) > 0
    assert set(report["errors"]) <= EXPECTED
    assert report["grown"] < GROWN
