"""Snapshot of a new connection while it arrives. No I/O, no clock.

After connecting, the PBX announces each kind with a ``field_spec`` and sends its elements with an
``initial_info``. It may announce all kinds first, or each one just before its elements. Nothing
marks the end of this phase, and events come in between. The snapshot is complete when

1. the elements of every announced kind have arrived, and
2. no new kind has been announced or sent for ``quiet_time``; or for ``LATE_KIND_WAIT``, while a
   kind is missing that the previous connection had.

Events neither complete the snapshot nor extend the quiet time: the former would publish half a
snapshot, the latter would keep a busy PBX from ever being synced. Those between two kinds are
applied to the snapshot, so that all of its elements are of the same time. Those after the last kind
are kept, to be applied one by one once the snapshot is visible: a call that starts or ends during
the quiet time is then reported step by step.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from collections.abc import Set as AbstractSet

from attrs import Factory, define, field

from basix_ws_cti.messages import FieldSpec, InfoEvent, InitialInfo, Message

from .mirror import Mirror

# Seconds without a new kind. Kinds follow each other within milliseconds; a longer wait would only
# delay the snapshot.
QUIET_TIME = 0.25

# Seconds after the last new kind for which a kind is waited for that may never come: one that the
# previous connection had, or one that was announced and perhaps is in a frame that could not be
# read. Without the wait, all calls would end and start again if their kind is late after a
# reconnect. A PBX that no longer has a kind delays one snapshot by this time. A client needs up to
# 13.5 s to notice a dead connection, and must not take it for the end of the snapshot.
LATE_KIND_WAIT = 15.0

# Seconds after the quiet time at which a snapshot is completed although messages wait to be read.
# Before, they may have arrived while the event loop was blocked, and hold another kind.
BACKLOG_TIME = 1.0

# Events that are kept until the snapshot is visible. With more, they are applied to the snapshot:
# the state is the same, but its steps are lost. A PBX with 500 events per second stays below it.
MAX_KEPT_EVENTS = 10_000


@define
class SnapshotBuilder:
    """Collects the snapshot of one connection in a mirror of its own.

    The caller passes its time as ``now``, in seconds on any steady clock.
    """

    quiet_time: float = QUIET_TIME
    """Seconds without a new kind after which the snapshot is complete."""

    previous_kinds: AbstractSet[str] = frozenset()
    """Kinds that the previous connection had."""

    unsent_kinds: AbstractSet[str] = frozenset()
    """Kinds that the PBX announces and never sends, as an earlier connection has shown."""

    mirror: Mirror = Factory(Mirror)
    """The elements that have arrived so far, as of the last new kind."""

    events: list[InfoEvent] = field(factory=list, init=False)
    """Events since then, oldest first: the caller applies them after ``mirror``."""

    announced: set[str] = field(factory=set, init=False)
    """Kinds whose field_spec has arrived."""

    loaded: set[str] = field(factory=set, init=False)
    """Kinds whose initial_info has arrived."""

    has_lost_frames: bool = field(default=False, init=False)
    """True once a frame could not be read that may have been an initial_info."""

    _last_new_kind: float = field(default=math.inf, init=False)

    @property
    def missing(self) -> set[str]:
        """Kinds that were announced and have not arrived."""
        return self.announced - self.loaded

    @property
    def settled_at(self) -> float:
        """Time from which the snapshot may be completed; infinite while an announced kind is due.

        Until ``quiet_at``, it waits for kinds that may never come.
        """
        due = set() if self.has_lost_frames else self.missing - self.unsent_kinds
        if due or not self.loaded:
            return math.inf
        return self._last_new_kind + self.quiet_time

    @property
    def quiet_at(self) -> float:
        """Time at which the snapshot is complete; infinite while an announced kind is due."""
        settled_at = self.settled_at
        if settled_at < math.inf and (self.missing or not self.previous_kinds <= self.loaded):
            return max(settled_at, self._last_new_kind + LATE_KIND_WAIT)
        return settled_at

    def is_overdue(self, now: float) -> bool:
        """Return True if messages that wait to be read must not delay the snapshot any longer."""
        return now >= self.quiet_at + BACKLOG_TIME

    def add(self, message: Message, now: float) -> Generator[None, None, None]:
        """Add a message, step by step."""
        match message:
            case FieldSpec(kind, _):
                if kind not in self.announced:
                    self.announced.add(kind)
                    self._last_new_kind = now
            case InitialInfo(kind, elements):
                yield from self._apply_events()
                yield from self.mirror.load_stepwise(kind, elements)
                if kind not in self.loaded:
                    self.loaded.add(kind)
                    self._last_new_kind = now
            case InfoEvent():
                self.events.append(message)
                if len(self.events) > MAX_KEPT_EVENTS:
                    yield from self._apply_events()

    def _apply_events(self) -> Generator[None, None, None]:
        for event in self.events:
            self.mirror.apply(event)
            yield
        self.events.clear()
