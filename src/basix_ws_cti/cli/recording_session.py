"""Recordings as command arguments: writing a feed to a file or stdout, opening for reading."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from basix_ws_cti._internal.translation import _, ngettext
from basix_ws_cti.board.feed_history import describe_notice
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.recording import Entry, Recorder, Recording, read_recording
from basix_ws_cti.session.status import ClientState, Disconnected, Stopped, Syncing
from basix_ws_cti.sources.source import Notice

from .files import STDIO, FileAccessError, file_access
from .output import report
from .progress import Amount, describe_frames
from .signals import interrupt_blocking_call


class RecordingSession:
    """Callbacks that record a client's frames and connections.

    The recorder is created at the first connection, so that a failed login leaves no file.

    - ``file``: file to write; ``STDIO``: stdout.
    - ``make_recorder``: function that creates the recorder.
    - ``recorder``: the recorder, or ``None`` before the first connection.
    """

    def __init__(self, file: Path, make_recorder: Callable[[], Recorder]) -> None:
        self._file = file
        self._make_recorder = make_recorder
        self.recorder: Recorder | None = None
        self._connected = asyncio.Event()
        self._connected_at: float | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until this time, in seconds, has passed since the first connection.

        ``None``: without a limit. Raises the error that stopped the client or the recording.
        """
        first_connection = asyncio.create_task(self._connected.wait())
        try:
            futures: list[asyncio.Future[Any]] = [first_connection, self._ended]
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        finally:
            first_connection.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended, seconds)

    def progress(self, seconds: float | None) -> Amount:
        """Return the progress of a recording of this duration; ``None``: without a limit."""
        if self.recorder is None or self._connected_at is None:
            return Amount(0, seconds, _("connecting"))
        details = describe_frames(self.recorder.frames, self.recorder.size)
        return Amount(time.monotonic() - self._connected_at, seconds, details)

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
                self._record_state(notice)
                if self.recorder is not None and not self._connected.is_set():
                    self._connected_at = time.monotonic()
                    self._connected.set()
            case Disconnected(_, seconds):
                self._record_state(notice)
                if seconds is not None:
                    report(describe_notice(notice))
            case Stopped(reason) if reason is not None:
                self._record_state(notice)
                self._end(reason)

    def close(self) -> None:
        """Complete the recording and report its size on stderr."""
        if self.recorder is None:
            report(_("nothing recorded"))
            return
        seconds = self.recorder.seconds
        with file_access("write", self._file):
            self.recorder.close()
        frames = self.recorder.frames
        message = ngettext(
            "recorded {frames} frame, {size} bytes, {seconds} s",
            "recorded {frames} frames, {size} bytes, {seconds} s",
            frames,
        )
        report(message.format(frames=frames, size=self.recorder.size, seconds=f"{seconds:.1f}"))

    def _create(self) -> None:
        self.recorder = self._make_recorder()

    def _record_state(self, state: ClientState) -> None:
        if self.recorder is not None:
            self._write(self.recorder.on_state, state)

    def _write(self, action: Callable[..., None], *args: Any) -> None:
        """Call an action that writes to the file; an error of the file ends the session."""
        try:
            with file_access("write", self._file):
                action(*args)
        except (OSError, FileAccessError) as error:
            self._end(error)

    def _end(self, reason: Exception) -> None:
        if not self._ended.done():
            self._ended.set_exception(reason)


def check_target(file: Path, *, overwrite: bool) -> None:
    """Raise ``UsageError`` if a file exists and must not be replaced."""
    if file != STDIO and not overwrite and file.exists():
        message = _("{file} already exists: choose another file or pass --overwrite")
        raise UsageError(message.format(file=file))


def create_recorder(file: Path, **options: Any) -> Recorder:
    """Return a recorder that writes to a file, or to stdout for ``STDIO``.

    Raises ``FileAccessError`` if the file cannot be created.
    """
    with file_access("write", file):
        return Recorder(sys.stdout if file == STDIO else file, **options)


class _Stdin:
    """Standard input as a stream of lines that signals can interrupt."""

    name = "stdin"

    def readline(self, size: int) -> bytes:
        with interrupt_blocking_call():
            return sys.stdin.buffer.readline(size)

    def read1(self, size: int) -> bytes:
        with interrupt_blocking_call():
            return cast("io.BufferedReader", sys.stdin.buffer).read1(size)


def open_recording(file: Path) -> Recording:
    """Open a recording in a file, or on stdin for ``STDIO``; a ``with`` block closes it.

    Raises ``RecordingError`` if it is not a recording, or ``FileAccessError``.
    """
    with file_access("read", file):
        return read_recording(cast("IO[bytes]", _Stdin()) if file == STDIO else file)


def entries_of(recording: Recording, file: Path) -> Iterator[Entry]:
    """Yield the entries of a recording that ``open_recording`` opened.

    Raises ``RecordingError`` for damage, or ``FileAccessError``.
    """
    while True:
        with file_access("read", file):
            entry = next(recording, None)
        if entry is None:
            return
        yield entry


def describe_recording(recording: Recording) -> str:
    """Return one line about a recording that is going to be shown."""
    header = recording.header
    message = (
        _("replaying {file}: anonymised recording, started {time} UTC")
        if header.anonymised
        else _("replaying {file}: recording, started {time} UTC")
    )
    return message.format(file=recording.name, time=f"{header.started:%Y-%m-%d %H:%M:%S}")
