"""How a feed has fared: its states and gaps in words, the newest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo

from attrs import Factory, define, frozen

from basix_ws_cti.exceptions import BasixError, FeedError
from basix_ws_cti.mirror.changes import Gap
from basix_ws_cti.session.status import (
    ClientState,
    Connecting,
    Disconnected,
    Stopped,
    Synced,
    Syncing,
)
from basix_ws_cti.sources.source import Notice

# Entries that are kept: a PBX that is away for a day is asked again every minute or so.
MAX_ENTRIES = 500


@frozen
class Entry:
    """Something about the feed, and when; ``number`` counts them. ``bad``: nobody wants it."""

    number: int
    at: datetime
    notice: Notice
    bad: bool


@define
class History:
    """Takes the notices of a source. ``clock`` is when they come: the recording's, of one."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    gaps: int = 0
    _entries: deque[Entry] = Factory(lambda: deque(maxlen=MAX_ENTRIES))
    _count: int = 0

    def __call__(self, notice: Notice) -> None:
        """Take a notice, if it is worth a line."""
        match notice:
            case Connecting() | Syncing() | FeedError():  # errors of the feed come as states, too
                return
            case Disconnected(reason):
                last = self._entries[0].notice if self._entries else None
                if isinstance(last, Disconnected) and last.reason is reason:
                    self._entries.popleft()  # the same loss: now it is known what follows
            case Gap():
                self.gaps += 1
        self._count += 1
        bad = not (isinstance(notice, Synced) or notice == Stopped(None))
        self._entries.appendleft(Entry(self._count, self.clock(), notice, bad))

    def __iter__(self) -> Iterator[Entry]:
        """The entries, the newest first."""
        return iter(self._entries)


def words(notice: Notice, zone: tzinfo | None = None) -> str:
    """A notice as a line; its times in ``zone``, ``None`` being the local one."""
    match notice:
        case Gap(started, ended, reason):
            seconds = (ended - started).total_seconds()
            times = " to ".join(f"{at.astimezone(zone):%H:%M:%S}" for at in (started, ended))
            return f"blind from {times}, {seconds:.1f} s: {why(reason)}"
        case Disconnected(reason, None):
            return f"lost: {why(reason)}"
        case Disconnected(reason, seconds):
            return f"no feed: {why(reason)}; next attempt in {seconds:.1f} s"
        case Stopped(None):
            return "the feed has ended"
        case Stopped(reason):
            return f"stopped: {why(reason)}"
        case Synced():
            return "live"
        case Exception():
            return why(notice)
    return state_word(notice)


def state_word(state: ClientState) -> str:
    """How a feed stands, in a word or two."""
    match state:
        case Connecting(attempt) if attempt > 1:
            return f"connecting, attempt {attempt}"
        case Disconnected():
            return "no feed"
        case Stopped(None):
            return "ended"
        case Synced():
            return "live"
    return type(state).__name__.lower()


def why(reason: Exception | None, tell: Callable[[BasixError], str] = str) -> str:
    """An error in words, ours as ``tell`` has them: others might quote anything."""
    if isinstance(reason, BasixError):
        return tell(reason)
    return "unknown" if reason is None else type(reason).__name__
