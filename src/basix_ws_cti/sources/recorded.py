"""Recorded feed: plays a recording at its own pace, or as fast as possible."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import get_args

from basix_ws_cti.alerts.rule import Alert, AlertRule
from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.calls.model import Call
from basix_ws_cti.exceptions import RecordingError
from basix_ws_cti.messages import InitialInfo, Message
from basix_ws_cti.mirror.changes import Gap, Lagged
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.recording.disk import Recording
from basix_ws_cti.recording.player import replay
from basix_ws_cti.session.session import Notification
from basix_ws_cti.session.status import ClientState, Disconnected, Stopped, Synced, Syncing

from .recorded_alerts import RecordedAlerts
from .source import Notice

# Messages that are held back until the snapshot is complete; there is one per kind. The bound keeps
# a recording whose snapshot never completes from filling the memory.
_MOST_HELD = 1000

# Notifications processed without a pause, after which the event loop serves other tasks.
_BURST = 256

_MESSAGES = get_args(Message)
_CALL_EVENTS = get_args(CallEvent)
_NOTICES = (Syncing, Synced, Disconnected, Gap, Exception)

_SECOND = 1_000_000  # in microseconds


class RecordedSource:
    """Recording as a ``Source``. Iterating reads it and waits for the recorded times.

    - ``speed``: seconds of the recording per real second; ``None``: does not wait.
    - ``on_notice``: called with each state, gap and error.

    Iterating raises ``RecordingError`` at a damaged line, after everything before it was reported.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        speed: float | None = 1.0,
        on_notice: Callable[[Notice], object] | None = None,
    ) -> None:
        self.on_notice = on_notice
        self._speed = speed
        self._replay = replay(recording, calls=False)
        self._items = self._play()
        self._at = 0.0  # seconds of the recording that have been played
        self._waits_for: float | None = None
        self._clock: Callable[[], float] | None = None  # of the event loop that plays it
        self._started_at = 0.0  # the clock's time at the recording's start
        self._damage: RecordingError | None = None
        self._alerts: RecordedAlerts | None = None  # None: there is no rule

    @property
    def mirror(self) -> Mirror:
        return self._replay.mirror

    @property
    def calls(self) -> Mapping[str, Call]:
        return self._replay.calls

    @property
    def state(self) -> ClientState:
        return self._replay.state

    @property
    def is_settled(self) -> bool:
        return self._replay.is_settled

    def now(self) -> datetime:
        at = self._at
        if self._waits_for is not None:
            at = max(at, min(self._waits_for, self._elapsed()))
        return self._replay.moment(at)

    async def messages(self) -> AsyncIterator[tuple[datetime, Message | Lagged]]:
        # The names in a snapshot's messages may be in a later one: hold them until it is complete.
        held: list[tuple[datetime, Message]] = []
        try:
            async for moment, item in self._items:
                if isinstance(item, _MESSAGES):
                    if not held and not isinstance(item, InitialInfo):
                        yield moment, item
                        continue
                    held.append((moment, item))
                if held and (self._replay.is_synced or len(held) >= _MOST_HELD):
                    for one in held:
                        yield one
                    held.clear()
        except RecordingError:
            for one in held:
                yield one
            raise
        for one in held:
            yield one

    async def call_events(self) -> AsyncIterator[tuple[datetime, CallEvent | Lagged]]:
        _ = self._replay.calls  # the first access starts following calls
        async for moment, item in self._items:
            if isinstance(item, _CALL_EVENTS):
                yield moment, item

    def on_alert(self, rule: AlertRule, callback: Callable[[Alert], object]) -> Callable[[], None]:
        if self._alerts is None:
            self._alerts = RecordedAlerts(lambda: self.mirror.groups, self._microseconds(0.0))
        return self._alerts.add(rule, callback, self.calls)

    async def synced(self) -> Mirror:
        while not self._replay.was_synced:
            try:
                await anext(self._items)
            except StopAsyncIteration:
                self.check()
                raise RecordingError(
                    self._replay.recording.name,
                    self._replay.recording.line,
                    "the recording ends before its first snapshot is complete",
                ) from None
        return self.mirror

    async def read_to_end(self) -> None:
        """Read the rest of the recording. Call ``check`` afterwards to find damage."""
        with contextlib.suppress(RecordingError):
            async for _ in self._items:
                pass

    def check(self) -> None:
        """Raise ``RecordingError`` if the recording was found to be damaged."""
        if self._damage is not None:
            raise self._damage

    async def _play(self) -> AsyncIterator[tuple[datetime, Notification]]:
        """Yield each notification when it is due."""
        count = 0
        try:
            for item in self._replay.steps():
                count += 1
                if count % _BURST == 0:
                    await asyncio.sleep(0)
                if isinstance(item, float):
                    await self._check_alerts(item)
                    await self._wait_until(item)
                    continue
                if isinstance(item, _NOTICES):
                    self._notify(item)
                if self._alerts is not None:
                    _pass_on(item, self._alerts)
                yield self._replay.moment(self._at), item
            await self._check_alerts(self._at)
        except RecordingError as error:
            self._damage = error
            raise
        finally:
            self._notify(Stopped(self._damage))

    async def _check_alerts(self, until: float) -> None:
        """Check the alerts after the last step, and at the times before the next one.

        ``until``: time of the next step, in seconds since the start.
        """
        alerts = self._alerts
        if alerts is None:
            return
        alerts.check(self._microseconds(self._at))
        end = self._microseconds(until)
        while (due := alerts.next_check()) is not None and due < end:
            await self._wait_until((due - self._microseconds(0.0)) / _SECOND)
            alerts.check(due)
        alerts.advance(end)

    def _microseconds(self, at: float) -> int:
        """Return a time of the recording in microseconds since the epoch."""
        return round(self._replay.moment(at).timestamp() * _SECOND)

    async def _wait_until(self, at: float) -> None:
        if self._speed is not None:
            if self._clock is None:
                self._clock = asyncio.get_running_loop().time
                self._started_at = self._clock()
            if (left := at - self._elapsed()) > 0:
                self._waits_for = at
                await asyncio.sleep(left / self._speed)
                self._waits_for = None
        self._at = max(self._at, at)

    def _elapsed(self) -> float:
        """Return the seconds of the recording that should have been played by now."""
        if self._clock is None or self._speed is None:
            return self._at
        return (self._clock() - self._started_at) * self._speed

    def _notify(self, notice: Notice) -> None:
        if self.on_notice is not None:
            self.on_notice(notice)


def _pass_on(item: Notification, alerts: RecordedAlerts) -> None:
    """Pass an item that concerns alerts to them."""
    if isinstance(item, _CALL_EVENTS):
        alerts.apply(item)
    elif isinstance(item, Syncing | Synced | Disconnected):
        alerts.enter(item)
