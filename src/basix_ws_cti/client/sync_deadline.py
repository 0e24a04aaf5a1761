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

    All times are in seconds on the clock of the event loop. ``bytes_received`` is the number of
    bytes that the connection has received so far.
    """

    at: float
    """Time at which ``has_passed`` must be called; infinite while no snapshot is awaited."""

    def __init__(self, timeout: float | None) -> None:
        self.timeout: float = math.inf if timeout is None else timeout
        self.at = math.inf
        self._last = math.inf
        self._bytes_before = 0
        self._parts: set[tuple[type, str]] = set()

    def start(self, now: float, bytes_received: int) -> None:
        """Start the time limit of a new connection."""
        self._last = now + max(self.timeout, MAX_SYNC_TIME)
        self._parts.clear()
        self._restart(now, bytes_received)

    def end(self) -> None:
        """Note that the snapshot is complete."""
        self.at = math.inf

    def received(self, message: Message, now: float, bytes_received: int) -> None:
        """Restart the time limit if ``message`` is a new part of the snapshot."""
        if isinstance(message, FieldSpec | InitialInfo) and self.at < math.inf:
            part = type(message), message.element_name
            if part not in self._parts:
                self._parts.add(part)
                self._restart(now, bytes_received)

    def has_passed(self, now: float, bytes_received: int, partial_bytes: int) -> bool:
        """Return True if the snapshot has failed; restart the limit if a long frame arrives.

        ``partial_bytes`` is the number of those bytes that belong to an incomplete frame.
        """
        if now < self.at:
            return False
        if now >= self._last:
            return True
        grown = min(partial_bytes, bytes_received - self._bytes_before)
        if grown < max(1, MIN_RATE * self.timeout):
            return True
        self._restart(now, bytes_received)
        return False

    def _restart(self, now: float, bytes_received: int) -> None:
        self.at = min(now + self.timeout, self._last)
        self._bytes_before = bytes_received
