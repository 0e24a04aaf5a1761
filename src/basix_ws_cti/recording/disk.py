"""Recordings written and read; the package's docstring is the format."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import os
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import IO, Any, NoReturn, Self

from attrs import frozen

from basix_ws_cti.exceptions import BasixError, RecordingError
from basix_ws_cti.terms import MAX_FRAME_BYTES

from .anonymiser import Anonymiser

FORMAT = "basix_ws_cti recording"
VERSION = 1

_GZIP = b"\x1f\x8b"

# A line without end. The longest that is written holds the largest frame in base64.
MAX_LINE = MAX_FRAME_BYTES // 3 * 4 + 1000


@frozen
class Header:
    """When a recording was ``started`` (aware, UTC), and whether it is ``anonymised``."""

    started: datetime
    anonymised: bool = False


@frozen
class Frame:
    """A frame as it came, ``at`` seconds after the start.

    ``data`` is what ``MessageParser.parse`` takes: ``bytes``, or ``str`` for a text frame.
    """

    at: float
    data: bytes | str


@frozen
class Connected:
    """A connection begins."""

    at: float


@frozen
class Lost:
    """The connection ended, with an error of the class ``error``.

    ``text`` is the error's; ``None``: it is kept back.
    """

    at: float
    error: str
    text: str | None = None


@frozen
class LeftOut:
    """A frame of ``size`` bytes came that could not be read, and so not be anonymised."""

    at: float
    size: int


Entry = Frame | Connected | Lost | LeftOut
"""Any of what a recording tells."""


class Recorder:
    """Writes a recording, each line at once; ``connect`` and ``Client`` take it as ``on_frame``.

    ``target`` is a path, or an open text file, which stays open. A file is made for its owner
    alone (mode 0600), compressed if its name ends in ``.gz``; one that is there already is a
    ``FileExistsError``, unless ``overwrite`` lets it be replaced. ``anonymiser`` replaces what
    tells of people in each frame, and keeps back the texts of errors. ``started`` is the time
    of the start (aware), now if it is ``None``.

    Leaving its block, or ``close``, writes the last line. ``frames`` and ``size`` (in bytes)
    count what came; ``seconds`` is how long it has been. Raises ``OSError`` for what can't be
    written.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | IO[str],
        *,
        anonymiser: Anonymiser | None = None,
        started: datetime | None = None,
        overwrite: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._anonymiser = anonymiser
        self._clock = clock
        self._began = clock()
        self._connected = False
        self._last = 0.0
        self.frames: int = 0
        self.size: int = 0
        self.is_closed: bool = False
        if isinstance(target, str | os.PathLike):
            self._file, self._owned = _create(os.fspath(target), overwrite=overwrite), True
        else:
            self._file, self._owned = target, False
        header = Header(started or datetime.now(UTC), anonymiser is not None)
        try:
            self._line(
                format=FORMAT,
                version=VERSION,
                started=header.started.astimezone(UTC).isoformat(timespec="microseconds"),
                anonymised=header.anonymised,
            )
        except OSError:
            if self._owned:
                with contextlib.suppress(OSError):
                    self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._began

    def __call__(self, frame: bytes | str) -> None:
        """Record a frame that comes now."""
        self.write(Frame(self.seconds, frame))

    def connected(self) -> None:
        """Record that a connection begins now."""
        self.write(Connected(self.seconds))

    def lost(self, error: BaseException | None) -> None:
        """Record that the connection ends now, and why; nothing, if there is none.

        Of an error that is not this package's own there is the class alone: its text is not
        known to be fit for a file.
        """
        if self._connected and error is not None:
            text = str(error) if isinstance(error, BasixError) else None
            self.write(Lost(self.seconds, type(error).__name__, text))

    def write(self, entry: Entry) -> None:
        """Record what came when ``entry`` says."""
        at = self._last = round(entry.at, 6)
        match entry:
            case Frame(_, data):
                self.frames += 1
                self.size += len(data)
                self._frame(at, data)
            case LeftOut(_, size):
                self.frames += 1
                self.size += size
                self._line(at=at, event="left out", size=size)
            case Connected():
                self._connected = True
                if self._anonymiser is not None:
                    self._anonymiser.begin()
                self._line(at=at, event="connected")
            case Lost(_, error, text):
                self._connected = False
                kept = None if self._anonymiser is not None else text
                self._line(at=at, event="lost", error=error, text=kept)

    def close(self) -> None:
        """Write the last line; again is harmless. What comes afterwards is a ``ValueError``."""
        if self.is_closed:
            return
        self.is_closed = True
        try:
            at = max(self._last, round(self.seconds, 6))
            self._line(at=at, event="end", frames=self.frames)
        finally:
            if self._owned:
                self._file.close()

    def _frame(self, at: float, data: bytes | str) -> None:
        if self._anonymiser is not None:
            replaced = self._anonymiser(data)
            if replaced is None:
                self._line(at=at, event="left out", size=len(data))
                return
            data = replaced
        if isinstance(data, str):
            self._line(at=at, text=data)
        else:
            self._line(at=at, frame=base64.b64encode(data).decode())

    def _line(self, **values: Any) -> None:
        self._file.write(json.dumps(values, separators=(",", ":")) + "\n")
        self._file.flush()


class Recording(Iterator[Entry]):
    """A recording that is read: its ``header``, and an iterator of what it tells.

    Holds one line at a time. Iterating raises ``RecordingError`` at the first line that can't
    be read, or where the recording breaks off. Leaving its block, or ``close``, closes a file
    that was opened for it.
    """

    def __init__(self, file: IO[bytes], name: str, *, owned: bool) -> None:
        self._file = file
        self._owned = owned
        self.name: str = name
        self.line: int = 0
        self._frames = 0
        self._ended = False
        self.header: Header = self._header()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, if it was opened for this."""
        if self._owned:
            self._file.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Entry:
        if self._ended:
            raise StopIteration
        values = self._values()
        if values is None:
            self._fail("the recording breaks off here")
        if values.get("event") == "end":
            self._end(values)
            raise StopIteration
        entry = self._entry(self._seconds(values), values)
        if isinstance(entry, Frame | LeftOut):
            self._frames += 1
        return entry

    def _entry(self, at: float, values: dict[str, Any]) -> Entry:
        match values:
            case {"frame": str(text)}:
                return Frame(at, self._bytes(text))
            case {"text": str(text), **rest} if "event" not in rest:
                return Frame(at, text)
            case {"event": "connected"}:
                return Connected(at)
            case {"event": "lost", "error": str(error), "text": str() | None as why}:
                return Lost(at, error, why)
            case {"event": "left out", "size": int(size)}:
                return LeftOut(at, size)
        return self._fail("nothing that a recording holds")

    def _end(self, values: dict[str, Any]) -> None:
        if values.get("frames") != self._frames:
            self._fail(f"{self._frames} frames stand before it, which is not what it says")
        if self._read():
            self._fail("the recording ended in the line before")
        self.line -= 1
        self._ended = True

    def _header(self) -> Header:
        values = self._values()
        if values is None or values.get("format") != FORMAT:
            self.line = 1
            self._fail("no recording: that begins with its header")
        version = values.get("version")
        if version != VERSION:
            shown = version if type(version) is int else "?"
            self._fail(f"a recording of version {shown}; this is able to read version {VERSION}")
        try:
            started = datetime.fromisoformat(values["started"])
            if started.tzinfo is None:
                raise ValueError  # noqa: TRY301 - as the parser does
            started = started.astimezone(UTC)
        except (KeyError, TypeError, ValueError, OverflowError):
            self._fail("the header does not say when the recording started")
        return Header(started, values.get("anonymised") is True)

    def _values(self) -> dict[str, Any] | None:
        """The next line's; ``None``: there is none."""
        line = self._read()
        if not line:
            return None
        if len(line) > MAX_LINE:
            self._fail("a line longer than any frame")
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            if line.startswith(_GZIP):
                self._fail("compressed, which no name that ends in .gz tells: unpack it first")
            self._fail("no JSON" if line.endswith(b"\n") else "the recording breaks off in it")
        if not isinstance(values, dict):
            self._fail("no JSON object")
        return values

    def _read(self) -> bytes:
        self.line += 1
        try:
            return self._file.readline(MAX_LINE + 1)
        except EOFError:
            self._fail("the compressed file breaks off here")
        except (gzip.BadGzipFile, zlib.error):
            self._fail("not gzip's data, though the file's name ends in .gz")

    def _seconds(self, values: dict[str, Any]) -> float:
        """Seconds since the start: not before it, and not beyond the calendar."""
        at = values.get("at")
        if type(at) not in {int, float} or not at >= 0:  # type: ignore[operator]
            self._fail("it does not say when that was")
        try:
            self.header.started + timedelta(seconds=at)  # type: ignore[arg-type]
        except OverflowError:
            self._fail("it was later than any date")
        return float(at)  # type: ignore[arg-type]

    def _bytes(self, text: str) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:
            self._fail("the frame is not base64")

    def _fail(self, problem: str) -> NoReturn:
        self._ended = True
        raise RecordingError(self.name, self.line, problem) from None

    def moment(self, entry: Entry) -> datetime:
        """When something came (aware, UTC)."""
        return self.header.started + timedelta(seconds=entry.at)


def read_recording(source: str | os.PathLike[str] | IO[bytes]) -> Recording:
    """Open a recording: a path, or an open binary file, which stays open.

    Raises ``RecordingError`` for what is none, or of a version that is not known, and
    ``OSError`` for a file that can't be read.
    """
    if not isinstance(source, str | os.PathLike):
        return Recording(source, str(getattr(source, "name", "the recording")), owned=False)
    name = os.fspath(source)
    file: Any = gzip.open(name) if name.endswith(".gz") else open(name, "rb")  # noqa: PTH123, SIM115
    try:
        return Recording(file, name, owned=True)
    except BaseException:
        file.close()
        raise


def _create(name: str, *, overwrite: bool) -> IO[str]:
    how = os.O_TRUNC if overwrite else os.O_EXCL
    number = os.open(name, os.O_WRONLY | os.O_CREAT | how, 0o600)
    if hasattr(os, "fchmod") and stat.S_ISREG(os.fstat(number).st_mode):
        os.fchmod(number, 0o600)  # it may have been there, readable for all
    file: Any = os.fdopen(number, "wb")
    if name.endswith(".gz"):
        file = _Zipped(file)
    return io.TextIOWrapper(file, "ascii", newline="\n")


class _Zipped(gzip.GzipFile):
    """A compressed file that closes the one below it."""

    def __init__(self, below: IO[bytes]) -> None:
        super().__init__("", "wb", fileobj=below, mtime=0)
        self.below = below

    def close(self) -> None:
        super().close()
        self.below.close()
