"""Player: drives a session from a recording.

A replay reports what the recorded client reported: the same changes, call events, messages and
gaps, at the recorded times. Connection attempts are not recorded, so the state ``Connecting`` and
the delays between attempts are missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import IO, Any, Self

from basix_ws_cti._internal.arguments import check_bool
from basix_ws_cti.calls.model import Call
from basix_ws_cti.exceptions import (
    DecodeError,
    FeedError,
    ProtocolError,
    RecordingError,
    SyncTimeout,
)
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.mirror.snapshot import QUIET_TIME
from basix_ws_cti.parsing.parser import MessageParser
from basix_ws_cti.session.session import Notification, Session
from basix_ws_cti.session.status import (
    ClientState,
    Connecting,
    Disconnected,
    Stopped,
    Synced,
    Syncing,
)

from .disk import Connected, Entry, Frame, Lost, Recording, read_recording


class RecordedLoss(FeedError):  # noqa: N818 - named after the event
    """Error that ended a recorded connection."""

    def __init__(self, error: str, text: str | None) -> None:
        super().__init__(error, text)
        self.error: str = error
        """Class name of the original error."""
        self.text: str | None = text
        """Text of the original error; ``None`` if the recording withholds it."""

    def __str__(self) -> str:
        return self.text or self.error


class Replay(Iterator[tuple[datetime, Notification]]):
    """Iterator over the notifications of a recording, each with its time (aware, UTC).

    Iterating does not wait for the recorded times. At the first damaged line it raises
    ``RecordingError``, after everything before it was reported.

    Use it as a context manager, or exhaust it, to close a file that ``replay`` has opened.
    """

    def __init__(self, recording: Recording, session: Session) -> None:
        self.recording: Recording = recording
        self.state: ClientState = Connecting(1)
        """State of the recorded client."""
        self._session = session
        self._parser = MessageParser()
        self._is_connected = False
        self._at = 0.0  # seconds of the recording
        self._notifications = self._without_due_times()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.recording.close()

    def __next__(self) -> tuple[datetime, Notification]:
        return next(self._notifications)

    @property
    def mirror(self) -> Mirror:
        """State of the PBX after the last notification."""
        return self._session.mirror

    @property
    def calls(self) -> Mapping[str, Call]:
        """Calls in progress, by id: read-only and live."""
        return self._session.calls

    @property
    def is_synced(self) -> bool:
        """True while the mirror shows the state that was current at that time."""
        return self._session.is_synced

    @property
    def is_settled(self) -> bool:
        """False while the notifications that lead to a new snapshot are yielded."""
        return self._session.is_settled

    @property
    def was_synced(self) -> bool:
        """True once a snapshot has been complete."""
        return self._session.was_synced

    def moment(self, at: float) -> datetime:
        """Return the time (aware, UTC) of ``at`` seconds after the recording's start."""
        return self.recording.header.started.astimezone(UTC) + timedelta(seconds=at)

    def steps(self) -> Iterator[float | Notification]:
        """Yield the time of each step before it is taken, and the notifications after it.

        For players that wait for the recorded times. A time is a float, in seconds since the start.
        Use either this method or the iterator.
        """
        damage: RecordingError | None = None
        try:
            for entry in self.recording:
                quiet_at = self._quiet_at()
                if quiet_at is not None and quiet_at <= entry.at:
                    yield quiet_at
                    yield from self._report(self._session.idle(self._unix(quiet_at)))
                yield float(entry.at)
                self._at = entry.at
                yield from self._report(self._apply(entry))
        except RecordingError as error:
            damage = error
        finally:
            self.recording.close()
        # The recording may end within the quiet time: then nothing more belongs to the snapshot. If
        # it ends while the snapshot waits for a late kind, the snapshot is incomplete.
        if self._session.quiet_at <= self._session.settled_at:
            yield from self._report(self._session.idle(self._unix(self._at)))
        self.state = Stopped(damage)
        if damage is not None:
            raise damage

    def _without_due_times(self) -> Iterator[tuple[datetime, Notification]]:
        at = 0.0
        for item in self.steps():
            if isinstance(item, float):
                at = item
            else:
                yield self.moment(at), item

    def _quiet_at(self) -> float | None:
        """Return the end of the quiet time in seconds since the start; ``None``: none has begun."""
        quiet_at = self._session.quiet_at - self._unix(0.0)
        return None if quiet_at == float("inf") else max(quiet_at, self._at)

    def _unix(self, at: float) -> float:
        return self.recording.header.started.timestamp() + at

    def _report(self, notifications: Iterable[Any]) -> Iterator[Any]:
        for item in notifications:
            if item is None:  # a pause point
                continue
            if isinstance(item, Syncing | Synced | Disconnected):
                self.state = item
            yield item

    def _apply(self, entry: Entry) -> Iterator[Any]:
        session = self._session
        match entry:
            case Connected():
                yield from self._connect()
            case Lost(error=name, text=text):
                loss = RecordedLoss(name, text)
                self._is_connected = False
                reported = session.lost(
                    loss,
                    self._unix(entry.at),
                    self._last_heard(entry),
                    timed_out=name == SyncTimeout.__name__,
                )
                yield from reported or [Disconnected(loss, None)]
                yield from session.discard_snapshot()
            case Frame(data=frame):
                if not self._is_connected:  # a recording of a bare connection has no such entries
                    yield from self._connect()
                try:
                    message = self._parser.parse(frame)
                except (DecodeError, ProtocolError) as error:
                    # If the client lost its state over this frame, a ``Lost`` entry follows.
                    yield from session.reject(error, self._unix(entry.at))
                else:
                    yield from session.receive(message, self._unix(entry.at))

    def _last_heard(self, entry: Lost) -> float | None:
        return None if entry.last_heard is None else self._unix(entry.last_heard)

    def _connect(self) -> Iterator[Any]:
        self._is_connected = True
        self._parser = MessageParser()  # field specs belong to a connection
        yield from self._session.connected()


def replay(
    source: str | os.PathLike[str] | IO[bytes] | Recording,
    *,
    calls: bool = True,
    quiet_time: float = QUIET_TIME,
    country_code: str = "81",
) -> Replay:
    """Return an iterator over everything that the recorded client reported, without waiting.

    ``source`` is a path, an open binary file, or a ``Recording``. ``calls=False`` saves the time of
    following calls, and yields no call events. ``quiet_time`` and ``country_code`` are those of
    ``Client``. Raises ``UsageError`` for invalid arguments, ``RecordingError`` if the source is no
    recording, and ``OSError``.

    Example::

        for moment, item in replay("day.rec.gz"):
            if isinstance(item, CallEnded):
                print(moment, CallRecord.of(item.call))
    """
    check_bool("calls", calls)
    session = Session(quiet_time=quiet_time, country_code=country_code)
    recording = source if isinstance(source, Recording) else read_recording(source)
    if calls:
        session.follow_calls()
    return Replay(recording, session)
