"""Schedule of the snapshots that unreadable frames make necessary. No clock."""

from __future__ import annotations

import math

from basix_ws_cti.exceptions import DecodeError, ProtocolError

# Seconds from one resync to the next. A resync takes the feed away for about half a second; a PBX
# that sends an unreadable frame every few seconds must not take away more than a few per cent.
RESYNC_INTERVAL = 30.0

_TEXT_MESSAGES = frozenset({"msg", "system_msg"})
_ELEMENT_MESSAGES = frozenset({"info_event", "initial_info"})


class ResyncSchedule:
    """Decides when the next snapshot is due. All times are those of the session.

    The first unreadable frame makes a resync due at once, the next ones once ``RESYNC_INTERVAL``
    has passed since the last resync.
    """

    problem: DecodeError | ProtocolError | None
    """Error of the first frame since the last snapshot that may have changed the state; ``None``:
    there was none."""

    since: float
    """Time of that frame; infinite: there was none."""

    due_at: float
    """Time at which a resync is due; infinite: none is."""

    def __init__(self) -> None:
        self._last = -math.inf
        self.clear()

    def request(self, problem: DecodeError | ProtocolError, now: float) -> None:
        """Schedule a resync because of an unreadable frame, unless one is scheduled."""
        if self.problem is None:
            self.problem, self.since = problem, now
            # The upper limit holds if the clock was set back since the last resync.
            self.due_at = min(max(now, self._last + RESYNC_INTERVAL), now + RESYNC_INTERVAL)

    def snapshot_completed(self, now: float) -> None:
        """Note that a snapshot is complete, apart from the unreadable frames within it."""
        if self.problem is not None:
            self.since = now

    def began(self, now: float) -> None:
        """Note that the driver ended the connection for a resync."""
        self._last = now

    def clear(self) -> None:
        """Forget the unreadable frames: a new snapshot begins."""
        self.problem = None
        self.since = self.due_at = math.inf


def concerns_elements(error: DecodeError | ProtocolError, known_kinds: set[str]) -> bool:
    """Return True if the unreadable frame may have held news of elements.

    ``known_kinds`` are the kinds that have a field_spec or elements. A frame that is no message (a
    text frame, a term without a message name), a ``msg``, a ``system_msg``, and elements of a kind
    without a field_spec cannot have changed the state.
    """
    if isinstance(error, DecodeError):
        return True
    if error.field is None:
        return error.element_name is not None
    if error.field in _ELEMENT_MESSAGES and error.element_name is not None:
        return error.element_name in known_kinds
    return error.field not in _TEXT_MESSAGES
