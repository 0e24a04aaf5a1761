"""Time limit of a snapshot, which progress extends. No clock."""

from __future__ import annotations

import math

from basix_ws_cti.messages import FieldSpec, InitialInfo, Message
from basix_ws_cti.transport.keepalive import MIN_RATE

# Seconds after which a snapshot has failed, whatever its progress: a peer could invent kinds
# without end. At the lowest rate that counts as progress, 3.6 MB arrive in this time.
MAX_SYNC_TIME = 3600.0


class SyncDeadline:
    """Decides when a PBX has taken too long to send its snapshot.

    The limit of ``timeout`` seconds (``None``: no limit) restarts with progress, so that a slow
    link has the time that it needs. Progress is a part of the snapshot that this connection has not
    sent before, or ``MIN_RATE`` bytes per second of a long frame. Other messages are no progress: a
    busy PBX may send events forever. ``MAX_SYNC_TIME`` bounds everything, unless ``timeout`` is
    longer.

    All times are in seconds on the clock of the event loop.
    """

    at: float
    """Time at which ``has_passed`` must be called; infinite while no snapshot is awaited."""

    def __init__(self, timeout: float | None) -> None:
        self.timeout = math.inf if timeout is None else timeout
        self.at = math.inf
        self._last = math.inf
        self._bytes = 0
        self._parts: set[tuple[type, str]] = set()

    def start(self, now: float) -> None:
        """Start the time limit of a new connection."""
        self._last = now + max(self.timeout, MAX_SYNC_TIME)
        self._parts.clear()
        self._bytes = 0
        self.at = now + self.timeout

    def end(self) -> None:
        """Note that the snapshot is complete."""
        self.at = math.inf

    def received(self, message: Message, now: float) -> None:
        """Restart the time limit if ``message`` is a new part of the snapshot."""
        if isinstance(message, FieldSpec | InitialInfo) and self.at < math.inf:
            part = type(message), message.element_name
            if part not in self._parts:
                self._parts.add(part)
                self._restart(now)

    def has_passed(self, now: float, partial_bytes: int) -> bool:
        """Return True if the snapshot has failed; restart the limit if a long frame arrives.

        ``partial_bytes`` is the number of bytes received of an incomplete frame.
        """
        if now < self.at:
            return False
        if now >= self._last:
            return True
        # A new frame starts to count at zero.
        grown = partial_bytes - self._bytes if partial_bytes >= self._bytes else partial_bytes
        if grown < MIN_RATE * self.timeout or not grown:
            return True
        self._bytes = partial_bytes
        self._restart(now)
        return False

    def _restart(self, now: float) -> None:
        self.at = min(now + self.timeout, self._last)
