"""Snapshot of a new connection while it arrives. No I/O, no clock.

After connecting, the PBX announces each kind with a ``field_spec`` and sends its elements with an
``initial_info``. Nothing marks the end of this phase. The snapshot counts as complete once every
announced kind has arrived and then either an ``info_event`` arrives or the PBX sends nothing for
``quiet_time``.
"""

from __future__ import annotations

import math
from collections.abc import Generator

from attrs import Factory, define

from basix_ws_cti.messages import FieldSpec, InfoEvent, InitialInfo, Message

from .mirror import Mirror

# Seconds without a message after the last ``initial_info``. Kinds follow each other within
# milliseconds; a longer wait would only delay the snapshot of a quiet PBX.
QUIET_TIME = 0.25


@define
class SnapshotBuilder:
    """Collects the snapshot of one connection in a mirror of its own.

    The caller passes its time as ``now``, in seconds on any steady clock.
    """

    quiet_time: float = QUIET_TIME
    """Seconds without a message after which the snapshot is complete."""

    mirror: Mirror = Factory(Mirror)
    """The elements that have arrived so far."""

    quiet_at: float = math.inf
    """Time at which the quiet time is over; infinite while an announced kind is missing."""

    _missing: set[str] = Factory(set)
    _loaded: set[str] = Factory(set)

    @property
    def has_all_kinds(self) -> bool:
        """True if at least one kind has arrived and no announced kind is missing."""
        return bool(self._loaded) and not self._missing

    def is_completed_by(self, message: Message) -> bool:
        """Return True if the snapshot was complete before this message."""
        return isinstance(message, InfoEvent) and self.has_all_kinds

    def add(self, message: Message, now: float) -> Generator[None, None, None]:
        """Add a message, step by step."""
        match message:
            case FieldSpec(kind, _) if kind not in self._loaded:
                self._missing.add(kind)
                self.quiet_at = math.inf
            case InitialInfo(kind, elements):
                self._loaded.add(kind)
                self._missing.discard(kind)
                yield from self.mirror.load_stepwise(kind, elements)
                self.quiet_at = math.inf if self._missing else now + self.quiet_time
            case _:
                self.mirror.apply(message)
