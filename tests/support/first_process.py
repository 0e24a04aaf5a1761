"""Programs as the first process of a PID namespace, as in a container.

The kernel ignores SIGTERM for such a process unless the program handles the signal.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .waiting import TIMEOUT, wait_until

UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--map-root-user")


@functools.cache
def can_create_namespaces():
    """Return True if this system lets tests create a PID namespace."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], check=False, capture_output=True).returncode == 0


def terminate_first_process(arguments, first_output):
    """Run a Python program as a first process, and send SIGTERM once it prints a line.

    The line must contain ``first_output``. Returns the exit code and stderr.
    """
    if not can_create_namespaces():
        pytest.skip("no permission to create a PID namespace")
    process = subprocess.Popen(
        [*UNSHARE, sys.executable, "-u", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        assert first_output in process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_until(children.read_text)
        os.kill(int(children.read_text()), signal.SIGTERM)
        _, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
        process.wait()
    return process.returncode, errors
