"""The phases of an active call, oldest first.

A call that is parked and retrieved, or returns to a queue after each announcement, for hours has
thousands of phases. Beyond ``MAX_PHASES`` the oldest ones are merged into one phase of kind
``unknown``. What the call did in them, for how long, and its waits in queues are kept, as
``MergedPhases``.
"""

from __future__ import annotations

from attrs import Factory, define, evolve, field

from .channel_facts import end_phase
from .model import MergedPhases, Party, Phase, Wait
from .queue_wait import add_phase

# Phases kept per call. Beyond this limit the oldest two are merged into one unknown phase.
MAX_PHASES = 1000

# Sums of merged phases kept per call, one for each kind, party and place.
MAX_SUMS = 1000

# Waits kept of the merged phases of a call. Beyond this limit the oldest one is dropped. A call
# that changed queues every two seconds would reach it after about six hours, the longest duration
# of a call.
MAX_MERGED_WAITS = 10_000


@define(eq=False)
class PhaseHistory:
    """Phases that tile the life of a call.

    Each phase starts at the microsecond at which its predecessor ended. The current phase is
    open (its ``ended`` is ``None``) until the call ends.
    """

    current: Phase
    earlier: list[Phase] = Factory(list)
    """The ended phases before the current one."""
    merged: MergedPhases | None = None
    """What the merged phases contained; ``None``: no phases were merged. If there were, they are
    the first of ``earlier``."""
    is_truncated: bool = field(init=False, default=False)
    """True once a limit made a merged wait, or the party or place of a merged phase, get lost."""
    _sums: list[Phase] = field(init=False, factory=list)
    _waits: list[Wait] = field(init=False, factory=list)

    def as_tuple(self) -> tuple[Phase, ...]:
        """Return all phases, oldest first."""
        return (*self.earlier, self.current)

    def summed(self) -> tuple[Phase, ...]:
        """Return what ``Call.summed_phases`` shows."""
        if self.merged is None:
            return self.as_tuple()
        return (*self.merged.phases, *self.earlier[1:], self.current)

    def start_earlier(self, started: int) -> None:
        """Move the start of the first phase to an earlier time."""
        if self.earlier:
            first = self.earlier[0]
            self.earlier[0] = evolve(first, started=started)
            if self.merged is not None:
                self._add(Phase(kind="unknown", started=started, ended=first.started))
                self.merged = self._summary()
        else:
            self.current = evolve(self.current, started=started)

    def set_party(self, party: Party) -> None:
        """Replace the party of the current phase by a better known one."""
        self.current = evolve(self.current, party=party)

    def begin(self, phase: Phase) -> Phase:
        """End the current phase, begin the next one and return the ended one.

        A phase whose start lies before its predecessor's begins together with that one.
        """
        start = max(phase.started, self.current.started)
        ended = self.close(start)
        earlier = self.earlier
        earlier.append(ended)
        self.current = phase if phase.started == start else evolve(phase, started=start)
        if len(earlier) >= MAX_PHASES:
            self._merge_oldest()
        return ended

    def close(self, ended: int) -> Phase:
        """End the current phase and return it."""
        self.current = closed = end_phase(self.current, ended)
        return closed

    def _merge_oldest(self) -> None:
        """Merge the oldest two phases; the first one may be a merged one already."""
        first, second = self.earlier[:2]
        for phase in (first, second) if self.merged is None else (second,):
            self._add(phase)
            add_phase(self._waits, phase)
        if len(self._waits) > MAX_MERGED_WAITS:
            del self._waits[:-MAX_MERGED_WAITS]
            self.is_truncated = True
        self.earlier[:2] = [Phase(kind="unknown", started=first.started, ended=second.ended)]
        self.merged = self._summary()

    def _add(self, phase: Phase) -> None:
        """Add a phase to the sum of its kind, party and place."""
        sums = self._sums
        same_kind: int | None = None
        for index, one in enumerate(sums):
            if one.kind == phase.kind:
                if (one.party, one.place) == (phase.party, phase.place):
                    break
                if same_kind is None:
                    same_kind = index
        else:
            if same_kind is None or len(sums) < MAX_SUMS:
                sums.append(phase)
                return
            self.is_truncated = True
            index = same_kind
        total = sums[index].duration + phase.duration
        sums[index] = evolve(sums[index], ended=sums[index].started + total)

    def _summary(self) -> MergedPhases:
        return MergedPhases(phases=tuple(self._sums), waits=tuple(self._waits))
