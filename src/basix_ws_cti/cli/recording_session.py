"""Recordings as command arguments: writing a feed to a file or stdout, opening for reading."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

from basix_ws_cti.board.feed_history import describe_notice
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.recording import Recorder, Recording, read_recording
from basix_ws_cti.session.status import Disconnected, Stopped, Syncing
from basix_ws_cti.sources.source import Notice

from .output import report
from .signals import interrupt_blocking_call

STDIO = Path("-")
"""Argument that stands for stdin or stdout."""


class RecordingSession:
    """Callbacks that record a client's frames and connections.

    The recorder is created at the first connection, so that a failed login leaves no file.

    - ``make_recorder``: function that creates the recorder.
    - ``recorder``: the recorder, or ``None`` before the first connection.
    - ``ended``: future that raises the error that stopped the client or the recording.
    """

    def __init__(self, make_recorder: Callable[[], Recorder]) -> None:
        self._make_recorder = make_recorder
        self.recorder: Recorder | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_frame(self, frame: bytes | str) -> None:
        """Record a frame."""
        if self.recorder is not None:
            self._write(self.recorder, frame)

    def on_notice(self, notice: Notice) -> None:
        """Record connections and disconnections, and report a disconnection on stderr."""
        match notice:
            case Syncing():
                if self.recorder is None:
                    self._write(self._create)
                if self.recorder is not None:
                    self._write(self.recorder.connected)
            case Disconnected(reason, seconds):
                self._record_loss(reason, notice.last_heard)
                if seconds is not None:
                    report(describe_notice(notice))
            case Stopped(reason) if reason is not None:
                self._record_loss(reason)
                self._end(reason)

    def close(self) -> None:
        """Complete the recording and report its size on stderr."""
        if self.recorder is None:
            report("nothing recorded")
            return
        seconds = self.recorder.seconds
        self.recorder.close()
        report(
            f"recorded {self.recorder.frames} frames, {self.recorder.size} bytes, {seconds:.1f} s"
        )

    def _create(self) -> None:
        self.recorder = self._make_recorder()

    def _record_loss(self, reason: Exception, last_heard: datetime | None = None) -> None:
        if self.recorder is not None:
            self._write(self.recorder.lost, reason, last_heard)

    def _write(self, action: Callable[..., None], *args: Any) -> None:
        """Call an action that writes to the file; an ``OSError`` ends the session."""
        try:
            action(*args)
        except OSError as error:
            self._end(error)

    def _end(self, reason: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(reason)


def check_target(file: Path, *, overwrite: bool) -> None:
    """Raise ``UsageError`` if a file exists and must not be replaced."""
    if file != STDIO and not overwrite and file.exists():
        raise UsageError(f"{file} already exists: choose another file or pass --overwrite")


def create_recorder(file: Path, **options: Any) -> Recorder:
    """Return a recorder that writes to a file, or to stdout for ``STDIO``."""
    return Recorder(sys.stdout if file == STDIO else file, **options)


class _Stdin:
    """Standard input as a stream of lines that signals can interrupt."""

    name = "<stdin>"

    def readline(self, size: int) -> bytes:
        with interrupt_blocking_call():
            return sys.stdin.buffer.readline(size)


def open_recording(file: Path) -> Recording:
    """Open a recording in a file, or on stdin for ``STDIO``; a ``with`` block closes it.

    Raises ``RecordingError`` if it is not a recording, or ``OSError``.
    """
    return read_recording(cast("IO[bytes]", _Stdin()) if file == STDIO else file)
