"""Who talks to whom in an active call, when it was answered and how often transferred."""

from __future__ import annotations

from attrs import Factory, define

from .active_legs import ActiveLeg
from .model import UNKNOWN_PARTY, Party, Phase


@define(eq=False)
class TalkHistory:
    """The pair of legs that talk or talked last, the first answer, and transfers."""

    talkers: dict[str | None, Party] = Factory(dict)
    """The two parties of the current or last talk, by the uuids of their legs, lead leg first."""
    answered: int | None = None
    """Start of the first talk, in microseconds since the epoch; ``None`` before it."""
    answered_by: Party | None = None
    transfers: int = 0
    requested_again: int | None = None
    """Time at which the call last began to wait for another party, after a transfer or a time
    on a park slot, in microseconds since the epoch; ``None``: only when it started."""

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
        self.talkers = {lead.uuid: lead.leg.party, lead.other_uuid: other_party}
        is_same_talk = not self.transfers and before == self.talkers.keys()
        if self.answered is None or (is_same_talk and self.answered == phase.started):
            self.answered, self.answered_by = phase.started, phase.party

    def record_transfer(self, at: int) -> None:
        """Count a transfer; the call waits for its next party from ``at`` on."""
        self.transfers += 1
        self.requested_again = at
