"""The talks of an active call: the pair that talks, the first answer and transfers."""

from __future__ import annotations

from attrs import define, evolve, field

from .active_leg import ActiveLeg
from .model import UNKNOWN_PARTY, Party, Phase, Transfer

# Transfers kept per call. Beyond this limit the oldest one is dropped.
MAX_TRANSFERS = 1000


@define(eq=False)
class TalkHistory:
    """The two legs that talk or talked last, the first answer and the transfers of a call."""

    talkers: dict[str | None, Party] = field(init=False, factory=dict)
    """The two parties of the current or last talk, by the uuids of their legs, lead leg first."""
    answered: int | None = None
    """Start of the first talk, in microseconds since the epoch; ``None`` before it."""
    answered_by: Party | None = None
    """The party of the first talk."""
    transfers: int = 0
    """Number of transfers so far."""
    attended_transfers: int = 0
    """Number of attended transfers so far; part of ``transfers``."""
    history: tuple[Transfer, ...] = ()
    """The transfers, oldest first, with those of calls that were joined to this one."""
    is_truncated: bool = False
    """True once the limit made a transfer get lost."""
    next_is_attended: bool = True
    """False if the call was joined with a consult call in which nobody has talked."""
    requested_again: int | None = None
    """Time since which the call waits, or waited, for its next party, in microseconds since the
    epoch: the end of the talk before the last transfer, or the last recall from a park slot.
    ``None``: neither happened."""

    def is_between(self, lead: ActiveLeg) -> bool:
        """Return True if the lead leg and its other end are the pair that talked last."""
        return {lead.uuid, lead.other_uuid} == self.talkers.keys()

    def party_left_behind(self, lead: ActiveLeg) -> Party:
        """Return the party of the last talk that the lead leg is no longer connected to.

        That party transferred the call.
        """
        here = {lead.uuid, lead.other_uuid}
        return next(
            (self.talkers[uuid] for uuid in self.talkers if uuid not in here), UNKNOWN_PARTY
        )

    def record(self, lead: ActiveLeg, other_party: Party, phase: Phase) -> None:
        """Record a talking phase between the lead leg and ``other_party``.

        The first talk is the answer. A later event of the same talk may identify its party
        better and then replaces ``answered_by``.
        """
        before = self.talkers.keys()
        self.talkers = {lead.uuid: lead.party, lead.other_uuid: other_party}
        is_same_talk = not self.transfers and before == self.talkers.keys()
        if self.answered is None or (is_same_talk and self.answered == phase.started):
            self.answered, self.answered_by = phase.started, phase.party

    def record_transfer(self, source: Party, phase: Phase, waits_since: int) -> None:
        """Record a transfer by ``source`` that began a phase; the call waits for its next party.

        ``waits_since``: end of the talk before it, in microseconds since the epoch.

        If that party talks at once, the transfer is attended, unless nobody talked in the consult
        call.
        """
        is_attended = phase.kind == "talking" and self.next_is_attended
        self.transfers += 1
        self.attended_transfers += is_attended
        self.next_is_attended = True
        self.requested_again = waits_since
        transfer = Transfer(
            at=phase.started,
            source=source,
            target=phase.party,
            phase=phase.kind,
            attended=is_attended,
        )
        self._keep((*self.history, transfer))

    def correct_target(self, phase: Phase, party: Party) -> None:
        """Replace the target of the last transfer, if it began ``phase``, whose party changes."""
        last = self.history[-1] if self.history else None
        if last is not None and (last.at, last.phase, last.target) == (
            phase.started,
            phase.kind,
            phase.party,
        ):
            self.history = (*self.history[:-1], evolve(last, target=party))

    def absorb(self, other: TalkHistory) -> None:
        """Take over the transfers of a call that is joined to this one."""
        # Only a consult call in which both talked makes the transfer that joins them attended.
        self.next_is_attended = other.answered is not None and self.answered is not None
        if other.history:
            transfers = (*self.history, *other.history)
            self._keep(tuple(sorted(transfers, key=lambda transfer: transfer.at)))

    def _keep(self, history: tuple[Transfer, ...]) -> None:
        """Keep the last transfers."""
        self.is_truncated = self.is_truncated or len(history) > MAX_TRANSFERS
        self.history = history[-MAX_TRANSFERS:]
