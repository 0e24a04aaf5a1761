"""The command line as a user has it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time


def environment(**variables):
    """This process's environment, without what would steer the command, and with UTF-8."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BASIX_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"))
    }
    return {**kept, "PYTHONIOENCODING": "utf-8", "COLUMNS": "200", **variables}


def start(*arguments, env=None, **more):
    """A running command, its three streams being pipes of text."""
    options = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "encoding": "utf-8",
        **more,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "basix_ws_cti", *map(str, arguments)],
        env=environment(**(env or {})),
        **options,
    )


def run(*arguments, env=None, stdin="", timeout=60, **more):
    """A command that has ended; none ends with a traceback, or warns."""
    with start(*arguments, env=env, **more) as process:
        try:
            out, err = process.communicate(stdin, timeout)
        except BaseException:
            process.kill()
            raise
    for sign in ("Traceback", "Warning:", "Exception ignored"):
        assert sign not in str(err), err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_until(condition, seconds=60):
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
