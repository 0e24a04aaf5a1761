"""Participation: the view that a publisher connected to the PBX has of feed and stream. No I/O."""

from __future__ import annotations

import time
from typing import Final

from basix_ws_cti.client.client import Client

from .client_feed import ClientFeed
from .journal import Journal
from .lease import TTL
from .stream_tail import StreamTail

# Seconds for which somebody must have led without an event of the PBX until this publisher relies
# on the leader for what happened before it connected. Longer than a lease lasts: a leader that was
# stopped at the beginning cannot have renewed it. An event that both have received is a quicker
# proof.
_OVERLAP: Final = TTL + 1.0

# Seconds for which a standby keeps an item that it does not find in the stream while somebody
# leads. If the leader could not append it for so long, the comparison of the states at the takeover
# shows a difference, and a gap is reported.
_JOURNAL_TIME: Final = 60.0


class Participation:
    """Connection to the PBX of a publisher that is no longer cold, with journal and stream."""

    def __init__(
        self, client: Client, journal: Journal, tail: StreamTail, feed: ClientFeed
    ) -> None:
        self.client = client
        self.journal = journal
        self.tail = tail
        self.feed = feed
        self.covers: bool = False
        """True if the journal has everything that the stream may lack."""
        self._restarts = 0
        self._breaks = tail.breaks
        self._started = time.monotonic()

    def note_restart(self) -> None:
        """Notice that the journal has started anew, or that entries of the stream are gone."""
        if self._breaks != self.tail.breaks:
            self._breaks = self.tail.breaks
            self._started = time.monotonic()
            self.covers = self.journal.has_matched = False
        if self.journal.has_overflowed:
            self.journal.clear()
        elif self._restarts == self.feed.restarts:
            self.covers = self.covers or self.journal.has_matched
            return
        self._restarts = self.feed.restarts
        self._started = time.monotonic()
        self.covers = False
        self.tail.match_after = max(self.tail.match_after, self.tail.last)

    def note_term(self, *, covers: bool, restarts: int) -> None:
        """Notice the end of a term; ``covers`` is valid for a number of restarts."""
        self.covers, self._restarts = covers, restarts

    def note_vacancy(self) -> None:
        """Notice that nobody leads, as far as it is known."""
        self._started = time.monotonic()

    def note_leader(self) -> None:
        """Notice that another publisher leads, which has appended what came before the journal."""
        self.covers = self.covers or time.monotonic() - self._started > _OVERLAP
        self.journal.drop_older(_JOURNAL_TIME)
