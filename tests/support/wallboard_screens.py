"""Screens of the wallboard: from a Textual screenshot, or from a pseudo-terminal."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import html
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
import unicodedata

import pyte

from .cli_runner import environment
from .paths import TESTS
from .waiting import TIMEOUT

HERE = TESTS / "integration" / "cli"
SCREENS = HERE / "screens"


def columns(text):
    """Yield a line's characters by column; the second column of a wide character is empty."""
    for char in text:
        yield char
        if unicodedata.east_asian_width(char) in "WF":
            yield ""


def svg_lines(svg, width):
    """Return the text lines of a Textual SVG, each character in its column."""
    found = {}
    for text in re.finditer(
        r'<text class="[^"]*-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)', svg
    ):
        line = found.setdefault(float(text[2]), [" "] * width)
        at = round(float(text[1]) / 12.2)
        content = html.unescape(text[3]).replace("\xa0", " ").rstrip("\n")
        for offset, char in enumerate(columns(content)):
            line[at + offset] = char
    return ["".join(line).rstrip() for _, line in sorted(found.items())]


def screen_lines(app):
    """Return the lines that an application shows."""
    return svg_lines(app.export_screenshot(), app.size.width)


def assert_screen(name, lines):
    """Compare lines with the stored screen of this name; BASIX_SCREENS=new stores them."""
    stored = SCREENS / f"{name}.txt"
    if os.environ.get("BASIX_SCREENS") == "new":
        stored.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert lines == stored.read_text(encoding="utf-8").splitlines()


class Terminal:
    """Command in a pseudo-terminal; ``screen`` is the emulated screen."""

    def __init__(self, *arguments, columns=80, rows=24, env=None, encoding="utf-8"):
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        # A character may be split between two reads.
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self.raw = bytearray()
        self.controller_fd, terminal_fd = pty.openpty()
        self._terminal_fd = terminal_fd
        self._set_size(columns, rows)
        self.initial_modes = termios.tcgetattr(terminal_fd)
        variables = environment(**{"TERM": "xterm-256color", **(env or {})})
        del variables["COLUMNS"]  # it would override the size of the terminal
        self.process = subprocess.Popen(
            [sys.executable, "-m", "basix_ws_cti", *arguments],
            stdin=terminal_fd,
            stdout=terminal_fd,
            stderr=terminal_fd,
            env=variables,
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self.controller_fd)
        os.close(self._terminal_fd)

    def _set_size(self, columns, rows):
        fcntl.ioctl(
            self.controller_fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0)
        )

    def resize(self, columns, rows):
        """Change the terminal's size."""
        self.screen.resize(rows, columns)
        self._set_size(columns, rows)
        os.killpg(self.process.pid, 28)  # SIGWINCH

    def type(self, keys):
        """Press keys."""
        os.write(self.controller_fd, keys.encode())

    def read(self):
        """Read what the command has written, for at most 0.1 s."""
        if select.select([self.controller_fd], [], [], 0.1)[0]:
            data = os.read(self.controller_fd, 65536)
            self.raw += data
            self._stream.feed(self._decoder.decode(data))

    def settle(self):
        """Read until the command writes nothing for a second."""
        quiet = 0
        while quiet < 10:
            size = len(self.raw)
            self.read()
            quiet = quiet + 1 if len(self.raw) == size else 0

    @property
    def cells(self):
        """Text of each cell, by row and column; the second cell of a wide character is empty."""
        buffer = self.screen.buffer
        columns, rows = range(self.screen.columns), range(self.screen.lines)
        return [[buffer[y][x].data for x in columns] for y in rows]

    @property
    def lines(self):
        """Lines of the screen; pyte's ``display`` fails on half-overwritten wide characters."""
        return ["".join(row) for row in self.cells]

    @property
    def text(self):
        """Lines of the screen as one text."""
        return "\n".join(self.lines)

    def wait_for(self, condition):
        """Read until a text is on the screen, or a condition of the screen's text holds."""
        fits = condition if callable(condition) else lambda text: condition in text
        end = time.monotonic() + TIMEOUT
        while not fits(self.text):
            assert self.process.poll() is None, self.text
            assert time.monotonic() < end, self.text
            self.read()

    def wait_for_exit(self):
        """Wait for the command's end, read all its output, and return the exit code."""
        end = time.monotonic() + TIMEOUT
        while self.process.poll() is None:
            assert time.monotonic() < end, self.text
            self.read()
        while select.select([self.controller_fd], [], [], 0.2)[0]:
            self.read()
        return self.process.returncode

    @property
    def is_restored(self):
        """True if modes, screen, cursor and mouse of the terminal are as before the command."""
        last = {}
        for mode, letter in re.findall(rb"\x1b\[\?(\d+)([hl])", bytes(self.raw)):
            last[int(mode)] = letter
        off = all(last.get(mode) == b"l" for mode in (1049, 1000, 1003, 1006, 2004))
        return (
            off
            and last.get(25) == b"h"
            and termios.tcgetattr(self._terminal_fd) == self.initial_modes
        )
