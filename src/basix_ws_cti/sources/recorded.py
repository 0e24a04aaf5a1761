"""A recording as a source: what a client would have shown, at the recording's own time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from attrs import field, frozen

from basix_ws_cti import (
    Call,
    CallEvent,
    CallTracker,
    InitialInfo,
    Lagged,
    Message,
    MessageParser,
    Mirror,
)
from basix_ws_cti.exceptions import DecodeError, FeedError, ProtocolError, RecordingError
from basix_ws_cti.mirror.changes import Change, Gap
from basix_ws_cti.mirror.snapshot import SnapshotBuilder
from basix_ws_cti.recording import Connected, Entry, Frame, Lost, Recording
from basix_ws_cti.session.status import (
    ClientState,
    Connecting,
    Disconnected,
    Stopped,
    Synced,
    Syncing,
)

from .source import Notice

# Messages that wait for the picture to be whole; it comes in one for each kind.
_MOST_HELD = 1000

# Entries read without a pause after which others get their turn.
_BURST = 256


class LossRecorded(FeedError):  # noqa: N818 - reads as what happened
    """What ended a connection, as a recording has it: the error's class, and its text if known."""

    def __init__(self, error: str, text: str | None) -> None:
        super().__init__(error, text)
        self.error = error
        self.text = text

    def __str__(self) -> str:
        return self.text or self.error


@frozen
class _Step:
    """What came of an entry, or of the quiet time after one."""

    moment: datetime
    message: Message | None = None
    events: Sequence[CallEvent] = field(factory=tuple)


class Recorded:
    """A ``Source`` that is a recording: iterating reads it, and waits for its times.

    ``speed`` is how many of its seconds pass in one; ``None``: it does not wait at all.
    Iterating raises ``RecordingError`` where the recording is damaged, after all before that.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        speed: float | None = 1.0,
        on_notice: Callable[[Notice], object] | None = None,
    ) -> None:
        self._recording = recording
        self._speed = speed
        self.on_notice = on_notice
        self._state: ClientState = Connecting(1)
        self._mirror = Mirror()
        self._tracker: CallTracker | None = None
        self._steps = self._read()
        self._at = 0.0  # of the recording's seconds, how far it is told
        self._due: float | None = None  # what it waits for
        self._began: float | None = None  # the clock at the recording's start
        self._whole_once = False
        self._damage: RecordingError | None = None
        self._blind: tuple[datetime, Exception] | None = None
        self._told: set[str] = set()
        self._parser = MessageParser()
        self._snapshot: SnapshotBuilder | None = SnapshotBuilder()

    @property
    def mirror(self) -> Mirror:
        return self._mirror

    @property
    def calls(self) -> Mapping[str, Call]:
        return self._followed().calls

    @property
    def state(self) -> ClientState:
        return self._state

    def now(self) -> datetime:
        at = self._at
        if self._due is not None:
            at = max(at, min(self._due, self._passed()))
        return self._moment(at)

    async def messages(self) -> AsyncIterator[tuple[datetime, Message | Lagged]]:
        # Who an element is about may come after it: told once the picture is whole.
        held: list[tuple[datetime, Message]] = []
        try:
            async for step in self._steps:
                item = None if step.message is None else (step.moment, step.message)
                if item is not None and (held or isinstance(item[1], InitialInfo)):
                    held.append(item)
                    item = None
                if held and (self._snapshot is None or len(held) >= _MOST_HELD):
                    for one in held:
                        yield one
                    held.clear()
                if item is not None:
                    yield item
        except RecordingError:
            for one in held:
                yield one
            raise
        for one in held:
            yield one

    async def call_events(self) -> AsyncIterator[tuple[datetime, CallEvent | Lagged]]:
        self._followed()
        async for step in self._steps:
            for event in step.events:
                yield step.moment, event

    async def synced(self) -> Mirror:
        while not self._whole_once:
            try:
                await anext(self._steps)
            except StopAsyncIteration:
                self.check()
                raise RecordingError(
                    self._recording.name,
                    self._recording.line,
                    "the recording ends before the picture is whole",
                ) from None
        return self._mirror

    async def read_on(self) -> None:
        """Read all that is left. Where the recording is damaged, ``check`` says so."""
        with contextlib.suppress(RecordingError):
            async for _ in self._steps:
                pass

    def check(self) -> None:
        """Raise ``RecordingError`` if the recording was found damaged."""
        if self._damage is not None:
            raise self._damage

    def _followed(self) -> CallTracker:
        if self._tracker is None:
            self._tracker = CallTracker(self._mirror.channels.values())
        return self._tracker

    # -- the recording's time ---------------------------------------------------------

    def _moment(self, at: float) -> datetime:
        return self._recording.header.started + timedelta(seconds=at)

    def _passed(self) -> float:
        """How many of the recording's seconds have passed."""
        if self._began is None or self._speed is None:
            return self._at
        return (time.monotonic() - self._began) * self._speed

    async def _until(self, at: float) -> None:
        """Wait for a moment of the recording."""
        if self._speed is not None:
            if self._began is None:
                self._began = time.monotonic()
            if (left := at - self._passed()) > 0:
                self._due = at
                await asyncio.sleep(left / self._speed)
                self._due = None
        self._at = max(self._at, at)

    # -- what it tells ----------------------------------------------------------------

    async def _read(self) -> AsyncIterator[_Step]:
        """What comes of each entry, one after the other, when it is time."""
        try:
            for count, entry in enumerate(self._entries()):
                if count % _BURST == 0:
                    await asyncio.sleep(0)
                if self._snapshot is not None and self._snapshot.quiet_at <= entry.at:
                    await self._until(self._snapshot.quiet_at)
                    yield _Step(self.now(), events=self._is_whole())
                await self._until(entry.at)
                if isinstance(entry, Connected):
                    self._begin()
                elif isinstance(entry, Lost):
                    self._lose(LossRecorded(entry.error, entry.text))
                elif isinstance(entry, Frame) and (step := self._take(entry.data)) is not None:
                    yield step
            if self._snapshot is not None and self._snapshot.may_be_complete:
                # Nothing followed: the recording ends within the quiet time.
                yield _Step(self.now(), events=self._is_whole())
            if self._damage is not None:
                raise self._damage
        finally:
            self._enter(Stopped(self._damage))

    def _entries(self) -> Iterator[Entry]:
        """All entries; where the recording is damaged, that is kept for the end."""
        try:
            yield from self._recording
        except RecordingError as error:
            self._damage = error

    def _begin(self) -> None:
        """A connection begins: what it tells is kept aside until it is whole."""
        self._parser = MessageParser()
        self._snapshot = SnapshotBuilder()
        self._enter(Syncing())

    def _lose(self, reason: Exception) -> None:
        if isinstance(self._state, Synced):
            self._blind = self.now(), reason
        self._snapshot = None
        self._enter(Disconnected(reason, None))

    def _take(self, frame: bytes | str) -> _Step | None:
        if isinstance(self._state, Connecting):  # of a recording without connections
            self._enter(Syncing())
        try:
            message = self._parser.parse(frame)
        except (DecodeError, ProtocolError) as error:
            # What came of it in the client follows: the loss of the connection.
            self._tell_once(error)
            return None
        aside = self._snapshot
        if aside is None:
            changes: Sequence[Change] = self._mirror.apply(message)
            return _Step(self.now(), message, self._apply(changes))
        if aside.is_complete(message):
            events = [*self._is_whole(), *self._apply(self._mirror.apply(message))]
            return _Step(self.now(), message, events)
        deque(aside.add(message, self._at), maxlen=0)  # all steps at once
        return _Step(self.now(), message)

    def _is_whole(self) -> Sequence[CallEvent]:
        """The picture is whole, and shown from now on; what happened to calls meanwhile."""
        assert self._snapshot is not None  # noqa: S101 - for the type checker
        changes: list[Change | Gap] = [*self._mirror.become(self._snapshot.mirror)]
        self._snapshot = None
        self._whole_once = True
        self._enter(Synced())
        if self._blind is not None:
            since, reason = self._blind
            self._blind = None
            gap = Gap(since, self.now(), reason)
            changes.insert(0, gap)
            self._notify(gap)
        return self._apply(changes)

    def _apply(self, changes: Sequence[Change | Gap]) -> Sequence[CallEvent]:
        return self._tracker.apply(changes) if self._tracker is not None else ()

    def _enter(self, state: ClientState) -> None:
        self._state = state
        self._notify(state)

    def _tell_once(self, error: DecodeError | ProtocolError) -> None:
        sort = getattr(error, "problem", None) or type(error).__name__
        if sort not in self._told:
            self._told.add(sort)
            self._notify(error)

    def _notify(self, notice: Notice) -> None:
        if self.on_notice is not None:
            self.on_notice(notice)
