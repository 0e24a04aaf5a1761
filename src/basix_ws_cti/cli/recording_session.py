"""Recordings as files that a command is given: made, opened, told of."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

from basix_ws_cti.board.feed_history import words
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.recording import Recorder, Recording, read_recording
from basix_ws_cti.session.status import Disconnected, Stopped, Syncing
from basix_ws_cti.sources.source import Notice

from .output import say
from .signals import at_once

STDIO = Path("-")


class RecordingSession:
    """Records what a client is told, from its first connection on.

    ``make`` makes the recorder then, so that there is no file where there was no feed.
    ``ended`` raises what ended the client, or what kept it from being recorded.
    """

    def __init__(self, make: Callable[[], Recorder]) -> None:
        self._make = make
        self.recorder: Recorder | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def frame(self, frame: bytes | str) -> None:
        """Record a frame."""
        if self.recorder is not None:
            self._write(self.recorder, frame)

    def notice(self, notice: Notice) -> None:
        """Record how the client stands now, and tell what is wrong."""
        match notice:
            case Syncing():
                if self.recorder is None:
                    self._write(self._begin)
                if self.recorder is not None:
                    self._write(self.recorder.connected)
            case Disconnected(reason, seconds):
                self._lose(reason)
                if seconds is not None:
                    say(words(notice))
            case Stopped(reason) if reason is not None:
                self._lose(reason)
                self._end(reason)

    def close(self) -> None:
        """Write the end, and tell how much there is."""
        if self.recorder is None:
            say("nothing was recorded")
            return
        seconds = self.recorder.seconds
        self.recorder.close()
        say(f"recorded {self.recorder.frames} frames, {self.recorder.size} bytes, {seconds:.1f} s")

    def _begin(self) -> None:
        self.recorder = self._make()

    def _lose(self, reason: Exception) -> None:
        if self.recorder is not None:
            self._write(self.recorder.lost, reason)

    def _write(self, action: Callable[..., None], *given: Any) -> None:
        try:
            action(*given)
        except OSError as error:  # of the file, not of the feed
            self._end(error)

    def _end(self, reason: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(reason)


def check_target(file: Path, *, overwrite: bool) -> None:
    """Raise ``UsageError`` for a file that is there and is not to be replaced."""
    if file != STDIO and not overwrite and file.exists():
        raise UsageError(f"{file} is there already: --overwrite replaces it")


def create(file: Path, **options: Any) -> Recorder:
    """A recorder of a file, or to stdout."""
    return Recorder(sys.stdout if file == STDIO else file, **options)


class _Stdin:
    """Standard input by the line, which a signal ends while a line is waited for."""

    name = "<stdin>"

    def readline(self, size: int) -> bytes:
        with at_once():
            return sys.stdin.buffer.readline(size)


def opened(file: Path) -> Recording:
    """A recording of a file, or from stdin; leaving its block closes the file.

    Raises ``RecordingError`` for what is none, and ``OSError``.
    """
    return read_recording(cast("IO[bytes]", _Stdin()) if file == STDIO else file)
