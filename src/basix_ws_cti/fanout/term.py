"""Term of a leader: one epoch of the stream, from its marker to the loss of the lease.

A term begins with the takeover: read the stream to its end, append the marker, append what the
journal has left, compare the state, append a snapshot. The marker is only appended after the entry
that was read last, so nothing is between them. After that, the term appends the items of the
journal as they arrive, and a snapshot from time to time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Final, Literal, NoReturn, TypeVar

from attrs import define, frozen

from basix_ws_cti._internal.time_slice import TimeSlice
from basix_ws_cti.exceptions import FeedError, RedisFeedError
from basix_ws_cti.mirror.changes import Gap
from basix_ws_cti.session.status import Disconnected, Synced

from .client_feed import ClientFeed
from .entries import Entry
from .entry_encoder import encode, encode_epoch, encode_snapshot
from .journal import Journal, PendingSnapshot
from .lease import Lease
from .stream import NO_ENTRY, EntryId
from .stream_tail import StreamTail
from .stream_writer import LeaseLost, NewEntry, StreamWriter

T = TypeVar("T")

_logger = logging.getLogger(__name__)

# Bounds of one append, during which Redis serves nobody else.
_MAX_BATCH: Final = 500
_MAX_BATCH_BYTES: Final = 512 * 1024

# Seconds between two attempts while Redis refuses an append.
_RETRY_INTERVAL: Final = 0.25

# Seconds without an item after which the leader checks that the stream is still there.
_CHECK_INTERVAL: Final = 0.5

# A takeover waits for events that the stream has and the PBX has not sent yet: looks before the
# marker, and seconds between two of them.
_AHEAD_LOOKS: Final = 20
_AHEAD_INTERVAL: Final = 0.025

# Seconds after the marker for which it waits for them if the states differ. On a busy machine, the
# connection to the PBX can be a second behind the stream.
_COMPARE_TIME: Final = 3.0

# Attempts to find the states equal. The mirror can be a moment ahead of the journal.
_COMPARISONS: Final = 3

TermEnd = Literal["lease lost", "deposed", "handed over"]
"""Reason for the end of a term."""


class TermEnded(Exception):  # noqa: N818 - no error
    """The term is over; nothing more is appended under its lease."""

    def __init__(self, reason: TermEnd) -> None:
        super().__init__(reason)
        self.reason: TermEnd = reason


class _StreamReplaced(Exception):  # noqa: N818 - no error
    """The stream is not as this publisher left it: it was deleted, or is an older one."""

    def __init__(self, newest: EntryId) -> None:
        super().__init__(newest)
        self.newest: EntryId = newest


class NotCovered(FeedError):  # noqa: N818 - reads as what happened
    """Reason of a gap: no publisher was connected to both the PBX and Redis."""

    def __str__(self) -> str:
        return "no publisher was connected to the PBX and to Redis"


@define(kw_only=True)
class TermStats:
    """Counters over all terms of a publisher."""

    entries: int = 0
    """Entries appended."""
    bytes: int = 0
    """Bytes of their data."""
    snapshots: int = 0
    """Complete snapshots among them."""
    gaps: int = 0
    """Gaps that a publisher has caused, not the connection to the PBX."""
    epochs: int = 0
    """Epochs begun."""
    last_epoch: int = 0
    """Number of the newest epoch; 0: there was none."""


@frozen(kw_only=True)
class TermParts:
    """Parts of a publisher that its terms share."""

    publisher: str
    """Name of the publisher, for the marker."""
    lease: Lease
    """Lease of the leader; its token at the start of the term is that of all appends."""
    writer: StreamWriter
    """Writer of the stream."""
    tail: StreamTail
    """Reader of the stream."""
    journal: Journal
    """Items to append."""
    feed: ClientFeed
    """Source of the items."""
    news: asyncio.Event
    """Set when items were added."""
    stats: TermStats
    """Counters."""
    snapshot_interval: int
    """Number of entries after which a snapshot is due."""
    on_problem: Callable[[RedisFeedError | None], None]
    """Called with the error that keeps entries from being appended; ``None``: it is over."""
    may_hand_over: Callable[[], Awaitable[bool]]
    """Returns True if a standby can go on without a gap; awaited when the PBX is lost."""


class Term:
    """One term as leader, with the parts of its publisher."""

    def __init__(self, parts: TermParts, *, covers: bool) -> None:
        self._parts = parts
        self.covers: bool = covers
        """True if the journal has everything that the stream may lack."""
        self.restarts: int = parts.feed.restarts
        """Number of restarts of the journal for which ``covers`` is valid."""
        self._breaks = parts.tail.breaks
        self._token = parts.lease.token
        self._epoch = 0
        self._last = NO_ENTRY
        self._last_at: int | None = None
        self._snapshot = NO_ENTRY
        # Values of both after the append whose answer has not arrived yet.
        self._unconfirmed = NO_ENTRY, NO_ENTRY
        self._since_snapshot = 0
        self._stream_ended_at: int | None = None  # time of the entry before the marker
        self._began = 0.0  # monotonic time of the marker
        self._comparisons = 0
        self._follows_tail = True  # until the states were compared
        self._taken: list[Entry] = []  # out of the journal, and not known to be appended

    async def run(self) -> NoReturn:
        """Publish until the term ends, which raises ``TermEnded``."""
        while True:
            try:
                await self._publish_epoch()
            except _StreamReplaced as error:
                _logger.warning("fan-out: stream replaced: newest entry %s", error.newest)

    async def _publish_epoch(self) -> NoReturn:
        try:
            await self._begin_epoch()
            while True:
                await self._publish_next()
        finally:
            self._end_epoch()

    async def report_end(self, reason: Exception) -> None:
        """Append that the feed has ended, after ``run`` was cancelled."""
        entry = self._parts.feed.encode_report(Disconnected(reason, None))
        cancelled = self._unconfirmed
        for _ in range(2 if self._epoch else 0):
            try:
                return await self._append([entry])
            except _StreamReplaced as error:
                if error.newest != cancelled[0]:
                    return None
                self._last, self._snapshot = cancelled  # the cancelled append was executed
        return None

    def _end_epoch(self) -> None:
        """Put back what may not be in the stream; the next epoch finds out."""
        parts = self._parts
        parts.feed.is_leading = False
        if parts.journal.restore(self._taken):
            # A gap of the PBX may not be in the stream, and the journal lacks what was lost in it.
            # Entries that may have been appended are older than the journal that begins now.
            parts.feed.restart()
            parts.tail.match_after = max(parts.tail.match_after, self._unconfirmed[0])
        self._taken = []
        parts.tail.reset(max(self._last, parts.tail.last))

    # -- the beginning of an epoch ----------------------------------------------------

    async def _begin_epoch(self) -> None:
        """Read the stream to its end, and append the marker right after it."""
        parts = self._parts
        tail = parts.tail
        self._comparisons, self._follows_tail = 0, True
        while True:
            await self._retrying(tail.catch_up)
            await self._wait_for_pbx()
            marker = await self._append_marker(tail.last)
            if marker is not None:
                break
            tail.reset(tail.last)  # an entry has come in between, or the stream was replaced
        if (tail.breaks, parts.feed.restarts) != (self._breaks, self.restarts):
            # The journal does not have what was appended before and is gone now, or what the PBX
            # sent before the journal started anew.
            self._breaks, self.restarts = tail.breaks, parts.feed.restarts
            self.covers = False
        self._snapshot = marker.snapshot
        is_first = tail.last == NO_ENTRY
        self._stream_ended_at, self._began = tail.last_at, time.monotonic()
        self._note_appended([marker])
        parts.stats.epochs += 1
        parts.feed.is_leading = True
        parts.journal.add(parts.feed.snapshot(is_takeover=True))
        parts.feed.add_loss()
        _logger.info("fan-out: leading, epoch %d", self._epoch)
        if not (self.covers or is_first):
            # Right after the marker: no reader takes the old state for the current one.
            await self._append_gap(self._stream_ended_at)

    async def _wait_for_pbx(self) -> None:
        """Wait for events that are in the stream already, so that the states can be compared."""
        for _ in range(_AHEAD_LOOKS):
            if not self._parts.journal.ahead:
                return
            await asyncio.sleep(_AHEAD_INTERVAL)

    async def _append_marker(self, last: EntryId) -> NewEntry | None:
        """Begin an epoch; return ``None`` if ``last`` is not the newest entry."""
        stats = self._parts.stats
        highest = max(last.epoch, stats.last_epoch)
        while True:
            stats.last_epoch = epoch = max(time.time_ns() // 1000, highest + 1)
            marker = NewEntry(
                EntryId(epoch, 0),
                last,
                self._parts.tail.snapshot,
                epoch,
                encode_epoch(self._parts.publisher),
            )
            newest = await self._append_safely(last, [marker])
            if newest is None:
                self._epoch = epoch
                return marker
            if newest.epoch < epoch:
                return None
            highest = newest.epoch

    # -- items ------------------------------------------------------------------------

    async def _publish_next(self) -> None:
        """Append the oldest items; wait for them if there are none."""
        journal = self._parts.journal
        if journal.has_overflowed:
            await self._restart_after_overflow()
        if (pending := journal.pop_snapshot()) is not None:
            if not pending.is_takeover or await self._complete_takeover(pending):
                await self._append_snapshot(pending)
            return
        self._taken = journal.pop(_MAX_BATCH, _MAX_BATCH_BYTES)
        if not self._taken:
            await self._wait_for_items()
            return
        if any(map(_is_disconnected, self._taken)) and await self._parts.may_hand_over():
            raise TermEnded("handed over")
        await self._append(self._taken)
        self._taken = []
        if self._since_snapshot >= self._parts.snapshot_interval:
            self._since_snapshot = 0
            journal.add(self._parts.feed.snapshot())

    async def _wait_for_items(self) -> None:
        news = self._parts.news
        news.clear()
        try:
            async with asyncio.timeout(_CHECK_INTERVAL):
                await news.wait()
        except TimeoutError:
            await self._append([])  # notices that the stream was deleted

    async def _restart_after_overflow(self) -> None:
        """Replace everything that was lost by a gap and a snapshot."""
        await self._append([])  # returns when Redis accepts commands
        self.covers = False  # until the gap is in the stream
        self._parts.journal.clear()
        await self._append_gap(self._last_at)
        self.covers = True
        self._parts.journal.add(self._parts.feed.snapshot())

    async def _append_snapshot(self, pending: PendingSnapshot) -> None:
        first = EntryId(self._epoch, self._last.seq + 1)
        for batch in await _batches(encode_snapshot(pending.mirror, pending.calls)):
            await self._append(batch, completes=first)
        self._since_snapshot = 0
        self._parts.stats.snapshots += 1

    async def _complete_takeover(self, pending: PendingSnapshot) -> bool:
        """Append what precedes the first snapshot; False: the states must be compared once more."""
        parts = self._parts
        is_comparable = self.covers and parts.tail.snapshot != NO_ENTRY
        is_equal = not is_comparable or await self._equals_stream(pending)
        if not is_equal and self._may_become_equal():
            self._comparisons += 1
            await asyncio.sleep(0.05)
            parts.journal.add(parts.feed.snapshot(is_takeover=True))
            return False
        self._follows_tail = False
        parts.journal.forget_ahead()
        if not is_equal:
            await self._append_gap(self._stream_ended_at)
        await self._append([encode(Synced())])
        self.covers = True
        return True

    def _may_become_equal(self) -> bool:
        """Return True if the states should be compared once more."""
        if self._comparisons < _COMPARISONS:
            return True
        return bool(self._parts.journal.ahead) and time.monotonic() - self._began < _COMPARE_TIME

    async def _equals_stream(self, pending: PendingSnapshot) -> bool:
        """Compare the state that the stream describes with a snapshot, in short steps."""
        state = self._parts.tail.state
        time_slice = TimeSlice()
        count = 0
        for kind in pending.mirror:
            for pair in pending.mirror[kind].items():
                count += 1
                if state.differs(kind, [pair]):
                    return False
                if time_slice.expired():
                    await time_slice.yield_to_loop()
        return state.is_complete and count == len(state)

    async def _append_gap(self, since: int | None) -> None:
        """Append a gap from a time, in microseconds since the epoch, until now."""
        ended = datetime.now(UTC)
        started = ended if since is None else datetime.fromtimestamp(since / 1e6, UTC)
        await self._append([encode(Gap(min(started, ended), ended, NotCovered()))])
        self._parts.stats.gaps += 1

    # -- appending --------------------------------------------------------------------

    async def _append(self, entries: list[Entry], *, completes: EntryId | None = None) -> None:
        """Append entries, or check the end of the stream if there are none.

        ``completes``: first id of the snapshot that the entries may complete.
        """
        at = time.time_ns() // 1000
        new: list[NewEntry] = []
        last, snapshot = self._last, self._snapshot
        for entry in entries:
            if entry.type == "snapshot_end" and completes is not None:
                snapshot = completes
            entry_id = EntryId(self._epoch, last.seq + 1)
            new.append(NewEntry(entry_id, last, snapshot, at, entry))
            last = entry_id
        self._unconfirmed = last, snapshot
        newest = await self._append_safely(self._last, new)
        if newest is not None:
            if newest.epoch > self._epoch:
                _logger.warning("fan-out: deposed by epoch %d", newest.epoch)
                raise TermEnded("deposed")
            raise _StreamReplaced(newest)
        self._snapshot = snapshot
        self._note_appended(new)

    def _note_appended(self, new: list[NewEntry]) -> None:
        if not new:
            return
        self._last, self._last_at = new[-1].id, new[-1].at
        self._since_snapshot += len(new)
        stats = self._parts.stats
        stats.entries += len(new)
        stats.bytes += sum(len(one.entry.data) for one in new)
        if self._follows_tail:
            for one in new:
                self._parts.tail.note_appended(one.id, one.entry)

    async def _append_safely(self, predecessor: EntryId, entries: list[NewEntry]) -> EntryId | None:
        """Append until the outcome is known; return the newest id if another one is in the way."""
        writer = self._parts.writer
        outcome = await self._retrying(partial(writer.append, self._token, predecessor, entries))
        if isinstance(outcome, LeaseLost):
            raise TermEnded("lease lost")
        return None if outcome is None else outcome.newest

    async def _retrying(self, action: Callable[[], Awaitable[T]]) -> T:
        """Await an action until Redis lets it succeed. Raises ``TermEnded`` without a lease."""
        while True:
            if not self._parts.lease.is_held or self._parts.lease.token != self._token:
                raise TermEnded("lease lost")
            try:
                result = await action()
            except RedisFeedError as error:
                self._parts.on_problem(error)
                await asyncio.sleep(_RETRY_INTERVAL)
            else:
                self._parts.on_problem(None)
                return result


def _is_disconnected(entry: Entry) -> bool:
    return entry.type == "state" and b'"disconnected"' in entry.data


async def _batches(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Return entries in batches for one append each; encoding them takes several time slices."""
    batches: list[list[Entry]] = [[]]
    size = 0
    time_slice = TimeSlice()
    for entry in entries:
        if size + len(entry.data) > _MAX_BATCH_BYTES or len(batches[-1]) >= _MAX_BATCH:
            batches.append([])
            size = 0
        batches[-1].append(entry)
        size += len(entry.data)
        if time_slice.expired():
            await time_slice.yield_to_loop()
    return [batch for batch in batches if batch]
