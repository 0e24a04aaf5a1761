"""Recordings on disk: entries, writer and reader.

The docstring of the package ``recording`` describes the format.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import IO, Any, NoReturn, Self

from attrs import frozen

from basix_ws_cti._internal.arguments import check_bool, check_instance, type_name
from basix_ws_cti._internal.callables import check_function
from basix_ws_cti.exceptions import BasixError, RecordingError, UsageError
from basix_ws_cti.session.status import ClientState, Disconnected, Stopped, Syncing
from basix_ws_cti.terms import MAX_FRAME_BYTES

from .anonymiser import Anonymiser
from .compression import COMPRESSION_ERRORS, InputStream

FORMAT = "basix_ws_cti recording"
VERSION = 1

# Maximum length of a line in bytes, so that a file without line breaks does not fill the memory.
# The longest line that a recorder writes contains the largest frame in base64.
MAX_LINE_BYTES = MAX_FRAME_BYTES // 3 * 4 + 1000


@frozen
class Header:
    """First line of a recording."""

    started: datetime
    """Start of the recording, an aware ``datetime`` in UTC."""
    anonymised: bool = False
    """Whether personal data in the frames was replaced."""


@frozen
class Frame:
    """A frame arrived."""

    at: float
    """Time in seconds since the start of the recording."""
    data: bytes | str
    """The frame as ``MessageParser.parse`` takes it: ``bytes``, or ``str`` for a text frame."""


@frozen
class Connected:
    """A connection was opened."""

    at: float
    """Time in seconds since the start of the recording."""


@frozen
class Lost:
    """The connection ended."""

    at: float
    """Time in seconds since the start of the recording."""
    error: str
    """Name of the exception's class."""
    text: str | None = None
    """Text of the exception; ``None``: removed, since it may contain personal data."""
    last_heard: float | None = None
    """Time of the last sign of life on the connection, in seconds since the start of the recording.

    At most ``at``. ``None``: unknown, as in older recordings.
    """


@frozen
class LeftOut:
    """A frame arrived that could not be decoded, and so not anonymised."""

    at: float
    """Time in seconds since the start of the recording."""
    size: int
    """Size of the frame in bytes."""


Entry = Frame | Connected | Lost | LeftOut
"""Any entry of a recording."""


class Recorder:
    """Writer of a recording; ``connect`` and ``Client`` take it as ``on_frame``.

    Each entry is written and flushed at once, so that a crash loses nothing. Use it as a context
    manager, or call ``close``: both write the last line of the recording. To record connections
    and losses too, register ``on_state`` with ``Client.on_state``.

    - ``target``: path of the file to create, or an open text file, which is not closed. The file
      is readable for its owner only (mode 0600), and compressed if its name ends in ``.gz``.
    - ``anonymiser``: replaces personal data in each frame. The texts of errors are then removed.
      ``None``: frames are written as they are.
    - ``started``: start of the recording, an aware ``datetime``; ``None``: now.
    - ``overwrite``: replace an existing file instead of raising ``FileExistsError``.
    - ``clock``: function that returns the current time in seconds; for tests.

    Raises ``UsageError`` for invalid arguments, and ``OSError`` if the file cannot be created or
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
        is_path = isinstance(target, str | os.PathLike)
        if not is_path and (
            not hasattr(target, "write") or isinstance(target, io.RawIOBase | io.BufferedIOBase)
        ):
            raise UsageError(
                f"target must be a path or a file open for text, got {type(target).__name__}"
            )
        if anonymiser is not None and (
            isinstance(anonymiser, type) or not hasattr(anonymiser, "start_connection")
        ):
            raise UsageError(
                f"anonymiser must be an Anonymiser (or None), got {type_name(anonymiser)}"
            )
        check_instance("started", started, datetime, "a datetime", optional=True)
        if started is not None and started.tzinfo is None:
            raise UsageError("started has no time zone: pass datetime.now(UTC), for example")
        check_bool("overwrite", overwrite)
        check_function("clock", clock)
        self._anonymiser = anonymiser
        self._clock = clock
        self._start_time = clock()
        self._connected = False
        self._last_heard: datetime | None = None  # of a lost connection that is being closed
        self._last_at = 0.0
        self.frames: int = 0
        """Number of frames recorded so far, including those left out."""
        self.size: int = 0
        """Total size of these frames in bytes, as they arrived."""
        self.is_closed: bool = False
        """Whether the last line has been written."""
        self._name: str | None = None
        if isinstance(target, str | os.PathLike):
            self._name = os.fspath(target)
            self._file, self._owned = _create(self._name, overwrite=overwrite), True
        else:
            self._file, self._owned = target, False
        header = Header(started or datetime.now(UTC), anonymiser is not None)
        self._started = header.started
        try:
            self._write_line(
                {
                    "format": FORMAT,
                    "version": VERSION,
                    "started": header.started.astimezone(UTC).isoformat(timespec="microseconds"),
                    "anonymised": header.anonymised,
                }
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
        """Time since the start of the recording, in seconds."""
        return self._clock() - self._start_time

    def __call__(self, frame: bytes | str) -> None:
        """Record a frame that has just arrived."""
        self.write(Frame(self.seconds, frame))

    def connected(self) -> None:
        """Record that a connection has just been opened."""
        self.write(Connected(self.seconds))

    def lost(self, error: BaseException | None, last_heard: datetime | None = None) -> None:
        """Record that the connection has just ended.

        - ``error``: the reason. Only the class name of an exception from outside this package is
          recorded: its text may contain secrets.
        - ``last_heard``: the last sign of life on the connection, an aware ``datetime``, as in
          ``Disconnected.last_heard``; ``None``: unknown. A time outside of the recording is limited
          to it.

        Does nothing without an open connection or if ``error`` is ``None``.
        """
        if self._connected and error is not None:
            at = self.seconds
            text = str(error) if isinstance(error, BasixError) else None
            since_start = None
            if last_heard is not None:
                since_start = min(max(0.0, (last_heard - self._started).total_seconds()), at)
            self.write(Lost(at, type(error).__name__, text, since_start))

    def on_state(self, state: ClientState) -> None:
        """Record what a client's new state says about the connection: opened, or lost.

        A loss is recorded once the connection is closed: until then, frames that arrived before
        the loss are still read.
        """
        match state:
            case Syncing():
                self._last_heard = None
                self.connected()
            case Disconnected(_, None):
                self._last_heard = state.last_heard
            case Disconnected(reason) | Stopped(reason):
                self.lost(reason, self._last_heard)

    def write(self, entry: Entry) -> None:
        """Record an entry with its own time instead of the current one."""
        at = self._last_at = round(entry.at, 6)
        match entry:
            case Frame(_, data):
                self.frames += 1
                self.size += len(data)
                self._write_frame(at, data)
            case LeftOut(_, size):
                self.frames += 1
                self.size += size
                self._write_line({"at": at, "event": "left out", "size": size})
            case Connected():
                self._connected = True
                if self._anonymiser is not None:
                    self._anonymiser.start_connection()
                self._write_line({"at": at, "event": "connected"})
            case _:  # Lost, the only other entry
                self._connected = False
                text = entry.text if self._anonymiser is None else None
                line = {"at": at, "event": "lost", "error": entry.error, "text": text}
                if entry.last_heard is not None:
                    line["last_heard"] = round(entry.last_heard, 6)
                self._write_line(line)

    def close(self) -> None:
        """Write the last line, and close the file if the recorder opened it.

        Does nothing if closed already. Recording afterwards raises ``ValueError``.
        """
        if self.is_closed:
            return
        self.is_closed = True
        try:
            at = max(self._last_at, round(self.seconds, 6))
            self._write_line({"at": at, "event": "end", "frames": self.frames})
        finally:
            if self._owned:
                with self._named_errors():
                    self._file.close()

    def _write_frame(self, at: float, data: bytes | str) -> None:
        if self._anonymiser is not None:
            replaced = self._anonymiser(data)
            if replaced is None:
                self._write_line({"at": at, "event": "left out", "size": len(data)})
                return
            data = replaced
        if isinstance(data, str):
            self._write_line({"at": at, "text": data})
        else:
            self._write_line({"at": at, "frame": base64.b64encode(data).decode()})

    def _write_line(self, values: dict[str, Any]) -> None:
        line = json.dumps(values, separators=(",", ":")) + "\n"
        with self._named_errors():
            self._file.write(line)
            self._file.flush()

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Add the name of the file to an ``OSError``, which has none while a file is written."""
        try:
            yield
        except OSError as error:
            error.filename = error.filename or self._name
            raise


class Recording(Iterator[Entry]):
    """Reader of a recording: an iterator of its entries; ``read_recording`` creates it.

    It keeps one line at a time in memory. Iterating raises ``RecordingError`` at the first
    invalid line, or where an incomplete recording ends. Use it as a context manager, or call
    ``close``.
    """

    def __init__(self, file: IO[bytes], name: str, *, owned: bool) -> None:
        self._file = file
        self._stream = InputStream(file)
        self._owned = owned
        self.name: str = name
        """Name of the file, as it appears in errors."""
        self.line: int = 0
        """Number of the line read last, counted from 1."""
        self._frames = 0
        self._ended = False
        self.header: Header = self._read_header()
        """First line of the recording."""

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
        """Close the file if ``read_recording`` opened it."""
        if self._owned:
            self._file.close()

    @property
    def bytes_read(self) -> int:
        """Number of bytes of the file read so far; if it is compressed, of compressed bytes."""
        return self._stream.bytes_read

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Entry:
        if self._ended:
            raise StopIteration
        values = self._read_values()
        if values is None:
            self._fail("the recording is incomplete: its last line is missing")
        if values.get("event") == "end":
            self._check_end(values)
            raise StopIteration
        entry = self._entry(self._at(values), values)
        if isinstance(entry, Frame | LeftOut):
            self._frames += 1
        return entry

    def _entry(self, at: float, values: dict[str, Any]) -> Entry:
        match values:
            case {"frame": str(text)}:
                return Frame(at, self._decode_frame(text))
            case {"text": str(text), **rest} if "event" not in rest:
                return Frame(at, text)
            case {"event": "connected"}:
                return Connected(at)
            case {"event": "lost", "error": str(error), "text": str() | None as why}:
                return Lost(at, error, why, self._last_heard(at, values))
            case {"event": "left out", "size": int(size)}:
                return LeftOut(at, size)
        return self._fail("not a recording entry: unknown event, or missing or invalid keys")

    def _check_end(self, values: dict[str, Any]) -> None:
        if values.get("frames") != self._frames:
            self._fail(f"wrong number of frames in the last line: the recording has {self._frames}")
        if self._read_line():
            self._fail("unexpected data after the last line of the recording")
        self.line -= 1
        self._ended = True

    def _read_header(self) -> Header:
        values = self._read_values()
        if values is None or values.get("format") != FORMAT:
            self.line = 1
            self._fail("not a recording: the first line is not its header")
        version = values.get("version")
        if version != VERSION:
            shown = version if type(version) is int else "?"
            self._fail(f"unsupported recording version {shown}: expected {VERSION}")
        try:
            started = datetime.fromisoformat(values["started"])
            if started.tzinfo is None:
                raise ValueError  # noqa: TRY301 - handled like a start that cannot be parsed
            started = started.astimezone(UTC)
        except (KeyError, TypeError, ValueError, OverflowError):
            self._fail("the header has no valid start time")
        return Header(started, values.get("anonymised") is True)

    def _read_values(self) -> dict[str, Any] | None:
        """Return the JSON object in the next line; ``None``: end of the file."""
        line = self._read_line()
        if not line:
            return None
        if len(line) > MAX_LINE_BYTES:
            self._fail("the line is longer than that of any frame")
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            self._fail(
                "not valid JSON"
                if line.endswith(b"\n")
                else "the recording is incomplete: this line is cut off"
            )
        if not isinstance(values, dict):
            self._fail("not a JSON object")
        return values

    def _read_line(self) -> bytes:
        self.line += 1
        try:
            return self._stream.readline(MAX_LINE_BYTES + 1)
        except EOFError:
            self._fail("the recording is incomplete: the compressed data is cut off")
        except COMPRESSION_ERRORS:
            self._fail("the compressed data is damaged")
        except OSError as error:
            error.filename = error.filename or self.name
            raise

    def _at(self, values: dict[str, Any]) -> float:
        """Return the time of an entry, in seconds since the start.

        Refuses negative times, and those that ``moment`` cannot convert to a ``datetime``.
        """
        at = values.get("at")
        if type(at) not in {int, float} or not at >= 0:  # type: ignore[operator]
            self._fail("'at' must be a number of seconds, 0 or more")
        try:
            self.header.started + timedelta(seconds=at)  # type: ignore[arg-type]
        except OverflowError:
            self._fail("'at' is later than the latest possible date")
        return float(at)  # type: ignore[arg-type]

    def _last_heard(self, at: float, values: dict[str, Any]) -> float | None:
        last_heard = values.get("last_heard")
        if last_heard is None:
            return None
        if type(last_heard) not in {int, float} or not 0 <= last_heard <= at:
            self._fail("'last_heard' must be a number of seconds, from 0 to 'at'")
        return float(last_heard)

    def _decode_frame(self, text: str) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:
            self._fail("the frame is not valid base64")

    def _fail(self, problem: str) -> NoReturn:
        self._ended = True
        raise RecordingError(self.name, self.line, problem) from None

    def moment(self, entry: Entry) -> datetime:
        """Return the time of an entry as an aware ``datetime`` in UTC."""
        return self.header.started + timedelta(seconds=entry.at)


def read_recording(source: str | os.PathLike[str] | IO[bytes]) -> Recording:
    """Open a recording and read its header.

    ``source`` is a path, or an open binary file, which is not closed. Data compressed with gzip is
    recognised by its first bytes, whatever the name, and decompressed. Raises ``RecordingError`` if
    it is not a recording or has an unsupported version, ``OSError`` if the file cannot be read, and
    ``UsageError`` for another argument.
    """
    if not isinstance(source, str | os.PathLike):
        given: object = source
        if not hasattr(given, "readline") or isinstance(given, io.TextIOBase):
            raise UsageError(
                "the source of a recording must be a path or a file open in binary mode, "
                f"got {type(source).__name__}"
            )
        return Recording(source, str(getattr(source, "name", "the recording")), owned=False)
    name = os.fspath(source)
    file = open(name, "rb")  # noqa: PTH123, SIM115 - the recording closes it
    try:
        return Recording(file, name, owned=True)
    except BaseException:
        file.close()
        raise


def _create(name: str, *, overwrite: bool) -> IO[str]:
    """Create a file that only its owner can read; it contains personal data."""
    mode = os.O_TRUNC if overwrite else os.O_EXCL
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | mode, 0o600)
    if hasattr(os, "fchmod") and stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, 0o600)  # an existing file keeps its mode, which may be wider
    file: Any = os.fdopen(descriptor, "wb")
    if name.endswith(".gz"):
        file = _GzipWriter(file)
    return io.TextIOWrapper(file, "ascii", newline="\n")


class _GzipWriter(gzip.GzipFile):
    """Compressed file that also closes the file that it writes to.

    It stores neither a name nor a time in the gzip header.
    """

    def __init__(self, below: IO[bytes]) -> None:
        super().__init__("", "wb", fileobj=below, mtime=0)
        self.below = below

    def close(self) -> None:
        super().close()
        self.below.close()
