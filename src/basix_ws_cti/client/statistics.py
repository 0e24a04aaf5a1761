"""Counters behind ``Client.stats``."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from basix_ws_cti.messages import Message
from basix_ws_cti.session.status import Stats


class Traffic(Protocol):
    """Counters of a connection."""

    @property
    def frames_read(self) -> int:
        """Number of frames, or of entries of a stream, that were read."""

    @property
    def bytes_read(self) -> int:
        """Number of their bytes."""


class Statistics:
    """Counts what a client does.

    ``counts`` holds the counters that other objects increment: ``connects``, ``bad_frames`` and
    ``missed``.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.messages: Counter[type[Message]] = Counter()
        self.last_frame: float | None = None  # event-loop time
        self._frames = 0  # of closed connections
        self._bytes = 0

    def add_closed(self, connection: Traffic) -> None:
        """Add the totals of a connection that is no longer in use."""
        self._frames += connection.frames_read
        self._bytes += connection.bytes_read

    def snapshot(
        self, connection: Traffic | None, *, gaps: int, lag: int, now: float | None
    ) -> Stats:
        """Return the statistics at ``now`` (event-loop time; ``None`` before the client runs)."""
        age = None if self.last_frame is None or now is None else now - self.last_frame
        return Stats(
            frames=self._frames + (0 if connection is None else connection.frames_read),
            bytes=self._bytes + (0 if connection is None else connection.bytes_read),
            messages={kind.__name__: count for kind, count in self.messages.items()},
            connects=self.counts["connects"],
            reconnects=max(0, self.counts["connects"] - 1),
            gaps=gaps,
            bad_frames=self.counts["bad_frames"],
            missed=self.counts["missed"],
            lag=lag,
            last_frame_age=age,
        )
