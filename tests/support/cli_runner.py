"""Runs commands: in a separate process, or in this one."""

from __future__ import annotations

import contextvars
import io
import logging
import os
import signal
import subprocess
import sys
from unittest.mock import patch

import pytest

from basix_ws_cti.cli import main

from .waiting import TIMEOUT


def environment(**variables):
    """Return this process's environment in UTF-8, without variables that affect commands.

    The config file is empty: that of a developer has no effect on tests.
    ``LINES`` and ``COLUMNS`` of a developer's shell would override the size of a
    pseudo-terminal, and its locale would select the language.
    """
    locale = ("LANG", "LC_ALL", "LC_MESSAGES")  # LANG includes LANGUAGE
    prefixes = ("BASIX_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", *locale)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    fixed = {"PYTHONIOENCODING": "utf-8", "COLUMNS": "200", "BASIX_CONFIG": os.devnull}
    return {**kept, **fixed, **variables}


def start(*arguments, env=None, **more):
    """Start a command whose three streams are text pipes."""
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


def run(*arguments, env=None, stdin="", **more):
    """Run a command to its end; fail the test if it prints a traceback or a warning."""
    with start(*arguments, env=env, **more) as process:
        try:
            out, err = process.communicate(stdin, TIMEOUT)
        except BaseException:
            process.kill()
            raise
    return assert_clean_stderr(
        subprocess.CompletedProcess(process.args, process.returncode, out, err)
    )


def run_program(code, *, cwd):
    """Run a Python program in a process with the environment of commands, and wait for its end."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def run_in_process(*arguments, env=None, stdin=""):
    """Run a command in this process, which is faster than ``run``.

    The streams are buffers in memory: none is a pipe or a terminal. Signals, pipes, encodings
    and log output need ``run`` or ``start``.
    """
    contents = {"stdin": stdin.encode(), "stdout": b"", "stderr": b""}
    streams = {
        name: io.TextIOWrapper(io.BytesIO(content), "utf-8") for name, content in contents.items()
    }
    loggers = [logging.getLogger(name) for name in ("basix_ws_cti", "websockets.client")]
    levels = [logger.level for logger in loggers]
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        with (
            patch.multiple(sys, argv=["basix-ws-cti", *map(str, arguments)], **streams),
            patch.dict(os.environ, environment(**(env or {})), clear=True),
            pytest.raises(SystemExit) as end,
        ):
            contextvars.copy_context().run(main)  # the language that it uses ends with it
    finally:
        signal.signal(signal.SIGTERM, terminated)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    texts = []
    for name in ("stdout", "stderr"):
        streams[name].flush()  # a process does so when it ends
        texts.append(streams[name].buffer.getvalue().decode())
    out, err = texts
    return assert_clean_stderr(subprocess.CompletedProcess(arguments, end.value.code, out, err))


def assert_clean_stderr(done):
    for sign in ("Traceback", "Warning:", "Exception ignored", "[Errno"):
        assert sign not in str(done.stderr), done.stderr
    return done
