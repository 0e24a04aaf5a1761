"""Reader of the stream for a publisher: knows its end, its state, and what is in it already."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from .entries import Entry, EntryError, ReceivedEntry
from .entry_decoder import received
from .journal import Journal
from .redis_connection import RedisConnection
from .stream import NO_ENTRY, EntryId, fields_of, follows
from .stream_state import StreamState

# Entries per answer of Redis. One of them can have 256 KiB.
_PAGE: Final = 50


class StreamTail:
    """Position at the end of the stream, with the state up to it.

    - ``connection``: used by this reader only.
    - ``name``: name of the stream.
    - ``journal``: entries after ``match_after`` are matched with its items.
    """

    def __init__(self, connection: RedisConnection, name: str, journal: Journal) -> None:
        self._connection = connection
        self._name = name
        self._journal = journal
        self._is_positioned = False
        self.state: StreamState = StreamState()
        """State after the last entry that was read."""
        self.last: EntryId = NO_ENTRY
        """Id of the last entry that was read; ``NO_ENTRY``: the stream is empty."""
        self.last_at: int | None = None
        """Time of that entry, in microseconds since the epoch; ``None``: unknown."""
        self.snapshot: EntryId = NO_ENTRY
        """Id of the first entry of the newest complete snapshot; ``NO_ENTRY``: there is none."""
        self.match_after: EntryId = NO_ENTRY
        """Entries up to this one are older than the journal, or were matched already."""
        self.breaks: int = 0
        """Number of times that the stream was not the continuation of what was read: it was
        deleted, or replaced by an older one."""

    def reset(self, last: EntryId) -> None:
        """Start again with the newest snapshot at the next ``catch_up``.

        ``last``: newest entry that is known to be in the stream; its absence counts as a break.
        """
        self._is_positioned = False
        # What was read is read a second time from the snapshot on, and must not be matched again.
        self.match_after = max(self.match_after, self.last, last)
        self.last = last

    async def catch_up(self) -> None:
        """Read to the end of the stream. Raises ``RedisFeedError``.

        If an entry after the newest snapshot is missing, the rest is skipped: the state is
        incomplete until the next snapshot.
        """
        attempts = 0
        while True:
            if not self._is_positioned:
                await self._find_snapshot(is_readable=attempts < 2)
            page = await self._read_page()
            if page is None:  # the last entry is gone, or the next one does not follow it
                attempts += 1
                self.breaks += 1
                self.reset(NO_ENTRY)
                continue
            if len(page) < _PAGE - 1:
                return
            await asyncio.sleep(0)

    def note_appended(self, entry_id: EntryId, entry: Entry) -> None:
        """Apply an entry that this publisher has appended."""
        self._apply(entry)
        self.last = entry_id

    async def _find_snapshot(self, *, is_readable: bool) -> None:
        """Move to the start of the newest snapshot, or to the end if there is none to read."""
        is_gone = self.last != NO_ENTRY and not await self._entries_at(self.last)
        answer = await self._connection.execute("XREVRANGE", self._name, "+", "-", "COUNT", 1)
        newest = _parse(answer[0]) if answer else None
        first = None
        if is_readable and newest is not None and newest.snapshot != NO_ENTRY:
            found = await self._entries_at(newest.snapshot)
            first = _parse(found[0]) if found else None
        # Nothing changes before everything was read: Redis can fail at any time.
        self.breaks += is_gone
        self.state.reset()
        self.last, self.last_at, self.snapshot = NO_ENTRY, None, NO_ENTRY
        self._is_positioned = True
        if answer:
            self.last = EntryId.parse(answer[0][0])
        if first is not None:
            self._apply(first)
            self.last, self.last_at, self.snapshot = first.id, first.at, first.id
        elif newest is not None and not is_readable:
            self.last_at, self.snapshot = newest.at, newest.snapshot

    async def _entries_at(self, entry_id: EntryId) -> list[Any]:
        """Return the entry with an id in a list, which is empty if there is none."""
        raw_id = entry_id.encode()
        answer: list[Any] = await self._connection.execute("XRANGE", self._name, raw_id, raw_id)
        return answer

    async def _read_page(self) -> list[Any] | None:
        """Read the next entries; ``None``: they do not follow the last one."""
        after = self.last
        start = after.encode() if after != NO_ENTRY else b"-"
        # From the last entry on, which has to be there still.
        answer: list[Any] = await self._connection.execute(
            "XRANGE", self._name, start, "+", "COUNT", _PAGE
        )
        if after != NO_ENTRY:
            if not answer or EntryId.parse(answer[0][0]) != after:
                return None
            answer = answer[1:]
        for raw in answer:
            entry = _parse(raw)
            if entry is None:
                self.state.reset()
                self.last = EntryId.parse(raw[0])
                continue
            if self.last != NO_ENTRY and not follows(entry.id, entry.previous, self.last):
                return None
            self._advance(entry)
            if entry.id > self.match_after:
                self._journal.match(entry.type, entry.data)
        return answer

    def _advance(self, entry: ReceivedEntry) -> None:
        self._apply(entry)
        self.last, self.last_at, self.snapshot = entry.id, entry.at, entry.snapshot

    def _apply(self, entry: ReceivedEntry | Entry) -> None:
        with contextlib.suppress(EntryError):  # the state is incomplete from there on
            self.state.apply(entry)


def _parse(raw: list[Any]) -> ReceivedEntry | None:
    """Return an entry; ``None`` if it is not readable."""
    try:
        return received(EntryId.parse(raw[0]), fields_of(raw[1] or []))
    except EntryError:
        return None
