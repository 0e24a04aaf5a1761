"""Command in a window of tmux, whose screen is read as tmux shows it."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .cli_runner import environment
from .waiting import TIMEOUT


class TmuxWindow:
    """Command in a tmux server with one window.

    - ``size``: columns and rows of the window.
    - ``term``: value of ``TERM`` in the window.
    - ``env``: further environment variables.
    """

    def __init__(self, *arguments, size=(80, 24), term="xterm-256color", env=None):
        # The path of a socket has a low limit, which a test's own directory may exceed.
        self._folder = tempfile.TemporaryDirectory(prefix="tmux-")
        self._socket = Path(self._folder.name, "socket")
        config = Path(self._folder.name, "tmux.conf")
        # An escape key is one at once, and no line of the window is tmux's own.
        config.write_text(
            "set -g status off\n"
            "set -g escape-time 0\n"
            "set -g remain-on-exit on\n"
            f"set -g default-terminal {term}\n"
        )
        command = [sys.executable, "-m", "basix_ws_cti", *arguments]
        variables = environment(**(env or {}))
        for name in ("COLUMNS", "TMUX", "TMUX_PANE"):  # those of another terminal
            variables.pop(name, None)
        columns, rows = map(str, size)
        subprocess.run(
            [
                *("tmux", "-u", "-S", self._socket, "-f", config),
                *("new-session", "-d", "-x", columns, "-y", rows, shlex.join(command)),
            ],
            check=True,
            env=variables,
            timeout=TIMEOUT,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._run("kill-server", check=False)
        self._folder.cleanup()

    def _run(self, *arguments, check=True):
        done = subprocess.run(
            ["tmux", "-u", "-S", self._socket, *map(str, arguments)],
            capture_output=True,
            check=check,
            encoding="utf-8",
            timeout=TIMEOUT,
        )
        return done.stdout

    @property
    def text(self):
        """Text of the window."""
        return self._run("capture-pane", "-p")

    @property
    def styled_text(self):
        """Text of the window with SGR sequences for its colours and attributes."""
        return self._run("capture-pane", "-e", "-p")

    @property
    def has_ended(self):
        """True once the command in the window has ended."""
        return self._run("display-message", "-p", "#{pane_dead}").strip() == "1"

    def resize(self, columns, rows):
        """Change the size of the window."""
        self._run("resize-window", "-x", columns, "-y", rows)

    def type(self, *keys):
        """Press keys, each by its name in tmux."""
        self._run("send-keys", *keys)

    def wait_for(self, condition):
        """Wait until a text is in the window, or a condition holds for this window."""
        fits = condition if callable(condition) else lambda window: condition in window.text
        end = time.monotonic() + TIMEOUT
        while not fits(self):
            assert time.monotonic() < end, self.text
            time.sleep(0.1)
