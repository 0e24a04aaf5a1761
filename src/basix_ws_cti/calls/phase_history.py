"""The phases of an active call, oldest first."""

from __future__ import annotations

from attrs import Factory, define, evolve

from .channel_facts import end_phase
from .model import Party, Phase

# Phases kept per call. Beyond this limit the oldest two are merged into one unknown phase.
MAX_PHASES = 1000


@define(eq=False)
class PhaseHistory:
    """Phases that tile the life of a call.

    Each phase starts at the microsecond at which its predecessor ended. The current phase is
    open (its ``ended`` is ``None``) until the call ends.
    """

    current: Phase
    earlier: list[Phase] = Factory(list)
    """The ended phases before the current one."""
    is_truncated: bool = False
    """True once phases were merged because of ``MAX_PHASES``."""

    def as_tuple(self) -> tuple[Phase, ...]:
        """Return all phases, oldest first."""
        return (*self.earlier, self.current)

    def start_earlier(self, started: int) -> None:
        """Move the start of the first phase to an earlier time."""
        if self.earlier:
            self.earlier[0] = evolve(self.earlier[0], started=started)
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
            first, second, *_ = earlier
            earlier[:2] = [Phase(kind="unknown", started=first.started, ended=second.ended)]
            self.is_truncated = True
        return ended

    def close(self, ended: int) -> Phase:
        """End the current phase and return it."""
        self.current = closed = end_phase(self.current, ended)
        return closed
