"""History of a feed: its states, gaps and errors as readable entries, newest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo

from attrs import Factory, define, frozen

from basix_ws_cti._internal.translation import _
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

from .error_texts import error_text

# Entries kept. While a PBX is unreachable, about one entry per minute is added.
MAX_ENTRIES = 500


@frozen
class FeedEntry:
    """Entry of the history."""

    number: int
    """Running number of the entry, from 1."""

    at: datetime
    """Time of the notice, timezone-aware."""

    notice: Notice
    """State, gap or error."""

    is_problem: bool
    """True unless the feed became live or ended normally."""


@define
class FeedHistory:
    """Callback for a source's notices that keeps the last ``MAX_ENTRIES`` of them.

    Iterating yields the entries, newest first.
    """

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    """Function that returns the current time of the feed; for a recording, the recording's."""

    gaps: int = 0
    """Number of gaps so far."""

    _entries: deque[FeedEntry] = Factory(lambda: deque(maxlen=MAX_ENTRIES))
    _count: int = 0

    def __call__(self, notice: Notice) -> None:
        """Add an entry for a notice, unless it is a mere intermediate state."""
        match notice:
            case Connecting() | Syncing() | FeedError():  # a feed error is reported as a state, too
                return
            case Disconnected(reason):
                last = self._entries[0].notice if self._entries else None
                if isinstance(last, Disconnected) and last.reason is reason:
                    # The same disconnection, now with the time of the next attempt.
                    self._entries.popleft()
            case Gap():
                self.gaps += 1
        self._count += 1
        is_problem = not (isinstance(notice, Synced) or notice == Stopped(None))
        self._entries.appendleft(FeedEntry(self._count, self.clock(), notice, is_problem))

    def __iter__(self) -> Iterator[FeedEntry]:
        """Iterate over the entries, newest first."""
        return iter(self._entries)


def describe_notice(notice: Notice, zone: tzinfo | None = None) -> str:
    """Return a notice as one line of text. Times are in ``zone``; ``None`` is local time."""
    match notice:
        case Gap(started, ended, reason):
            text = _("gap from {start} to {end}, {seconds} s: {reason}")
            return text.format(
                start=f"{started.astimezone(zone):%H:%M:%S}",
                end=f"{ended.astimezone(zone):%H:%M:%S}",
                seconds=f"{(ended - started).total_seconds():.1f}",
                reason=describe_error(reason),
            )
        case Disconnected(reason, seconds):
            return describe_disconnection(describe_error(reason), seconds)
        case Stopped(None):
            return _("feed ended")
        case Stopped(reason):
            return _("stopped: {reason}").format(reason=describe_error(reason))
        case Exception():
            return describe_error(notice)
    return describe_state(notice)


def describe_disconnection(reason: str, retry_in: float | None) -> str:
    """Return a disconnection as text.

    ``retry_in``: seconds until the next attempt; ``None``: not yet known.
    """
    if retry_in is None:
        return _("disconnected: {reason}").format(reason=reason)
    text = _("disconnected: {reason}; retrying in {seconds} s")
    return text.format(reason=reason, seconds=f"{retry_in:.1f}")


def describe_state(state: ClientState) -> str:
    """Return a feed's state in one to three words."""
    match state:
        case Connecting(attempt) if attempt > 1:
            return _("connecting, attempt {attempt}").format(attempt=attempt)
        case Connecting():
            return _("connecting")
        case Syncing():
            return _("syncing")
        case Synced():
            return _("live")
        case Disconnected():
            return _("disconnected")
        case Stopped(None):
            return _("ended")
    return _("stopped")


def describe_error(
    reason: Exception | None, describe: Callable[[BasixError], str] = error_text
) -> str:
    """Return an error as text; ``None`` is an unknown reason.

    ``describe`` converts errors of this package. Other errors are named by their class only,
    because their text may contain anything, such as personal data.
    """
    if isinstance(reason, BasixError):
        return describe(reason)
    return _("unknown reason") if reason is None else type(reason).__name__
