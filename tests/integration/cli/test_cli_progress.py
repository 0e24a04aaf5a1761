"""Start lines and progress bars on stderr, for people only."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import time

import pytest
from support.cli_runner import run_in_process, start
from support.simulated_day import record_day
from support.waiting import TIMEOUT

pytestmark = pytest.mark.slow


class CommandAtTerminal:
    """Command whose stderr, and on request stdout, is a pseudo-terminal."""

    def __init__(self, *arguments, stdout=subprocess.PIPE, stdin=subprocess.PIPE):
        self._controller, terminal = pty.openpty()
        self.text = ""
        """What the terminal has received."""
        self.process = start(
            *arguments,
            stdin=stdin,
            stdout=terminal if stdout is None else stdout,
            stderr=terminal,
            env={"TERM": "xterm"},
        )
        os.close(terminal)

    def read_until(self, text):
        """Read until the terminal has received a text; ``None``: until the command ends."""
        deadline = time.monotonic() + TIMEOUT
        while text is None or text not in self.text:
            assert time.monotonic() < deadline, self.text
            if not select.select([self._controller], [], [], 1)[0]:
                continue
            try:
                data = os.read(self._controller, 65536)
            except OSError:  # Linux reports the end of the last process so
                data = b""
            if not data:
                assert text is None, self.text
                return
            self.text += data.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            os.close(self._controller)
        if self.process.poll() is None:
            self.process.kill()
        self.process.__exit__(None, None, None)


@pytest.fixture(scope="module")
def recording_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("days") / "day.rec"
    record_day(path, 60, users=2)
    return path


def test_record_shows_frames_and_size(tmp_path):
    path = tmp_path / "day.rec"
    arguments = ("--simulate", "--simulate-speed", "20", "--seconds", "60")
    with CommandAtTerminal("record", path, *arguments) as command:
        command.read_until(f"basix-ws-cti: recording to {path} for 60 s\r\n")
        command.read_until(" frames, ")
        command.process.send_signal(signal.SIGINT)
        command.read_until(None)
        assert command.process.wait(TIMEOUT) == 130
    assert "basix-ws-cti: recorded " in command.text
    assert "Traceback" not in command.text


def test_replay_shows_the_time_of_the_recording(recording_path):
    with CommandAtTerminal("replay", recording_path, "--speed", "1") as command:
        command.read_until("basix-ws-cti: replaying ")
        command.read_until(": recording, started ")
        command.read_until(" UTC ")
        command.process.send_signal(signal.SIGINT)
        command.read_until(None)
        assert command.process.wait(TIMEOUT) == 130
    assert "Traceback" not in command.text


@pytest.mark.parametrize(
    ("arguments", "start_line", "details"),
    [
        (("anonymise", "-", "{out}"), "basix-ws-cti: anonymising stdin\r\n", " frames, "),
        (("replay", "-", "--at-once"), "basix-ws-cti: replaying stdin: recording", " UTC "),
        (("state", "--recording", "-"), "basix-ws-cti: replaying stdin: recording", " UTC "),
    ],
)
def test_bar_is_shown_while_input_is_read(arguments, start_line, details, recording_path, tmp_path):
    lines = recording_path.read_text().splitlines(keepends=True)
    arguments = [word.format(out=tmp_path / "out.rec") for word in arguments]
    with CommandAtTerminal(*arguments, stdout=subprocess.DEVNULL) as command:
        stdin = command.process.stdin
        stdin.writelines(lines[:50])
        stdin.flush()
        command.read_until(start_line)
        command.read_until(details)
        stdin.writelines(lines[50:])
        stdin.close()
        command.read_until(None)
        assert command.process.wait(TIMEOUT) == 0


def test_decode_shows_a_bar_for_a_file(recording_path, tmp_path):
    fifo = tmp_path / "frames.rec"
    os.mkfifo(fifo)
    arguments = ("decode", "--term", "--file", fifo)
    with CommandAtTerminal(*arguments, stdout=subprocess.DEVNULL) as command:
        with fifo.open("w") as frames_file:
            frames_file.write(recording_path.read_text()[:-100])
            frames_file.flush()
            command.read_until("decoding ")
        command.read_until(None)
        assert command.process.wait(TIMEOUT) in {0, 1}


def test_no_bar_beside_output_on_the_same_terminal(recording_path):
    """The output itself shows the progress; the start line is there."""
    arguments = ("replay", recording_path, "--at-once", "--limit", "3")
    with CommandAtTerminal(*arguments, stdout=None) as command:
        command.read_until(None)
        assert command.process.wait(TIMEOUT) == 0
    assert command.text.count("\r\n") == 4
    assert "\x1b[?25l" not in command.text  # the bar would hide the cursor


def test_pipes_get_neither_start_line_nor_bar(recording_path, tmp_path):
    for arguments in (
        ("replay", recording_path, "--at-once"),
        ("state", "--recording", recording_path),
        ("decode", "--file", recording_path),
    ):
        assert run_in_process(*arguments).stderr == ""
    done = run_in_process("anonymise", recording_path, tmp_path / "out.rec")
    assert done.stderr.startswith("basix-ws-cti: wrote ")
    assert done.stderr.count("\n") == 1
