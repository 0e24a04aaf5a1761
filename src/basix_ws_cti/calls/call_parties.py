"""Caller, dialled number and direction of an active call."""

from __future__ import annotations

from attrs import define, evolve

from .active_legs import ActiveLeg, ActiveLegs
from .channel_facts import other_party
from .model import UNKNOWN_PARTY, Direction, Party


@define(eq=False)
class CallParties:
    """Caller, dialled number and direction, as far as the legs reveal them.

    - While the first leg lives, its party is the caller.
    - If the feed never showed the first leg, the caller is the other party of the lead leg.
    - After the end of the first leg, caller and dialled number stay as they were.
    - The direction is inbound if the caller is outside, otherwise outbound as soon as one leg
      has an external callee; it never returns to internal.
    """

    caller: Party = UNKNOWN_PARTY
    called_number: str | None = None
    direction: Direction = "internal"
    went_outside: bool = False

    def update(self, legs: ActiveLegs, lead: ActiveLeg) -> bool:
        """Derive all three from the legs again; return True if one of them changed."""
        first = legs.first
        before = (self.caller, self.called_number, self.direction)
        if first is not None:
            self.caller = self._with_whoscall(first.party, legs)
            self.called_number = first.channel.called_number
            is_inbound = first.channel.peer_location == "external"
        elif not legs.first_has_ended:
            self.caller = other_party(lead.channel)
            self.called_number = lead.channel.called_number
            is_inbound = self.caller.user_id is None
        else:
            is_inbound = self.direction == "inbound"
        if is_inbound:
            self.direction = "inbound"
        elif any(leg.has_external_callee for leg in legs.living.values()):
            self.direction = "outbound"
        return (self.caller, self.called_number, self.direction) != before

    def _with_whoscall(self, caller: Party, legs: ActiveLegs) -> Party:
        """Return the caller with their caller directory entry.

        The PBX often puts the entry on the legs that ring for the caller only. It is kept when
        those legs have ended.
        """
        if caller.whoscall is not None:
            return caller
        whoscall = self.caller.whoscall
        for leg in legs.living.values():
            if leg.other_whoscall and leg.other_uuid == legs.first_uuid:
                whoscall = leg.other_whoscall
                break
        return caller if whoscall is None else evolve(caller, whoscall=whoscall)
