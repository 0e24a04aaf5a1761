"""The talks of an active call: the pair that talks, the first answer and transfers."""

from __future__ import annotations

from attrs import Factory, define

from .active_legs import ActiveLeg
from .model import UNKNOWN_PARTY, Party, Phase


@define(eq=False)
class TalkHistory:
    """The two legs that talk or talked last, the first answer and the transfers of a call."""

    talkers: dict[str | None, Party] = Factory(dict)
    """The two parties of the current or last talk, by the uuids of their legs, lead leg first."""
    answered: int | None = None
    """Start of the first talk, in microseconds since the epoch; ``None`` before it."""
    answered_by: Party | None = None
    """The party of the first talk."""
    transfers: int = 0
    """Number of transfers so far."""
    attended_transfers: int = 0
    """Number of attended transfers so far; part of ``transfers``."""
    next_is_attended: bool = True
    """False if the call was joined with a consult call in which nobody has talked."""
    requested_again: int | None = None
    """Time of the last transfer or recall from a park slot, in microseconds since the epoch:
    since then the call waits, or waited, for its next party. ``None``: neither happened."""

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

    def record_transfer(self, at: int, *, is_direct: bool) -> None:
        """Count a transfer; the call waits for its next party from ``at`` on.

        ``is_direct``: the next party talks at once. The transfer is attended, unless nobody
        talked in the consult call.
        """
        self.transfers += 1
        self.attended_transfers += is_direct and self.next_is_attended
        self.next_is_attended = True
        self.requested_again = at
