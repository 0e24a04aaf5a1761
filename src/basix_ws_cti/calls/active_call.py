"""A call that goes on: what the tracker knows of it, and how it reads what its legs do."""

from __future__ import annotations

from typing import Self

from attrs import Factory, define, evolve, field

from basix_ws_cti._internal.codegen import constructor
from basix_ws_cti.elements import Channel, Hangup
from basix_ws_cti.states import Bridged, Ringing

from .channel_facts import (
    calls_outside,
    heard_of,
    leg_of,
    other_of,
    party_behind,
    phase_of,
    since,
    until,
)
from .model import NOBODY, Call, Direction, Disposition, Leg, Party, Phase, Side, Where

_make_call = constructor(Call)

# Legs of a call that ended and are kept; a queue that rings the same telephones for hours
# has thousands. Of those beyond it the oldest that never answered go.
MAX_ENDED_LEGS = 200

# Phases of a call that are kept; the oldest two become one beyond it.
MAX_PHASES = 1000


@define(eq=False)
class ActiveLeg:
    """A leg of such a call: its channel, and what that tells, read once."""

    channel: Channel
    picture: Leg
    uuid: str
    other: str | None  # what names the channel at the other end
    outside: bool  # whether it is, or is about to be, somebody's outside
    heard: str | None  # what it says that the caller directory says of the other end
    rings: bool  # whether it is a telephone that rings
    talks: bool  # whether it is connected to another

    @classmethod
    def of(cls, channel: Channel) -> Self:
        """What a channel tells."""
        leg = leg_of(channel)
        return cls(
            channel,
            leg,
            leg.uuid,
            other_of(channel),
            calls_outside(channel),
            heard_of(channel),
            isinstance(channel.state, Ringing),
            isinstance(channel.state, Bridged),
        )


@define(eq=False)
class ActiveCall:
    """A call that goes on."""

    id: str
    first: str  # the uuid of its first leg, which may not be shown to us
    started: int
    complete: bool
    caller: Party = NOBODY
    called_number: str | None = None
    direction: Direction = "internal"
    legs: dict[str, ActiveLeg] = Factory(dict)
    ended_legs: list[Leg] = Factory(list)
    phases: list[Phase] = Factory(list)
    # Legs that want to fetch the call, and do not talk yet.
    pending_pickups: set[str] = Factory(set)
    # Whose phase the last one is.
    led_by: str = ""
    # The line as it was when it was looked at last.
    followed: ActiveLeg = field(init=False)
    # Who talks, or talked last, by their legs' uuids: the line first.
    talkers: dict[str | None, Party] = Factory(dict)
    # Uuids of its legs, and of those that they name.
    names: set[str] = Factory(set)
    # Legs that ended since the last phase began.
    finals: list[Leg] = Factory(list)
    # When somebody was asked for again, after a transfer or a time on a slot.
    asked_again: int | None = None
    answered: int | None = None
    answered_by: Party | None = None
    transfers: int = 0

    @property
    def lead_leg(self) -> ActiveLeg:
        """The leg that leads: the first, or who is left of those who talked, or the oldest."""
        first = self.legs.get(self.first)
        if first is not None:
            return first

        def place(leg: ActiveLeg) -> tuple[bool, bool, int]:
            uuid = leg.uuid
            return (
                leg.rings or uuid in self.pending_pickups,
                uuid not in self.talkers,
                leg.picture.offered or 0,
            )

        return min(self.legs.values(), key=place)

    def take(self, leg: ActiveLeg) -> None:
        """A leg is there, or is another now."""
        uuid, began = leg.uuid, leg.picture.offered
        self.legs[uuid] = leg
        if leg.talks:
            self.pending_pickups.discard(uuid)
        # A time of zero says as little as none.
        if uuid == self.first and began and began < self.started:
            # The first leg, after another that was made for it.
            self.started = began
            self.phases[0] = evolve(self.phases[0], started=began)

    def doing(self, at: int = 0) -> Phase:
        """What its line does, and since when: since ``at`` at the earliest."""
        lead_leg = self.lead_leg
        entered = since(lead_leg.channel)
        if entered is None:
            entered = self.phases[-1].started if self.phases else at
        # With the first leg, if that is not shown to us, is the line itself.
        other = lead_leg.other
        partner = lead_leg if other == self.first else self.legs.get(other or "")
        return phase_of(
            lead_leg.channel, None if partner is None else partner.channel, max(entered, at)
        )

    def picture(
        self,
        ended: int | None = None,
        disposition: Disposition | None = None,
        abandoned_in: Where | None = None,
        ended_by: Side | None = None,
        hangup: Hangup | None = None,
    ) -> Call:
        """The call as it is now, or as it was when it ended."""
        living = [leg.picture for leg in self.legs.values()]
        return _make_call(
            self.id,
            self.direction,
            self.caller,
            self.called_number,
            self.started,
            tuple(self.phases),
            (*self.ended_legs, *living),
            self.answered,
            self.answered_by,
            self.transfers,
            self.complete,
            ended,
            disposition,
            abandoned_in,
            ended_by,
            hangup,
            None,
        )

    def describe(self) -> bool:
        """Read again who calls, whom, and which way; whether any of that is new."""
        first = self.legs.get(self.first)
        legs = self.legs.values()
        before = (self.caller, self.called_number, self.direction)
        if first is not None:
            self.caller = first.picture.party
            if self.caller.whoscall is None:  # others say that of it
                heard = before[0].whoscall
                for leg in legs:
                    if leg.heard and leg.other == self.first:
                        heard = leg.heard
                        break
                if heard is not None:
                    self.caller = evolve(self.caller, whoscall=heard)
            self.called_number = first.channel.called_number
            outside = first.channel.peer_location == "external"
        elif not any(leg.uuid == self.first for leg in self.ended_legs):  # it is not shown to us
            lead_leg = self.lead_leg.channel
            self.caller = party_behind(lead_leg)
            self.called_number = lead_leg.called_number
            outside = self.caller.user_id is None
        else:
            outside = self.direction == "inbound"
        if outside:
            self.direction = "inbound"
        elif any(leg.outside for leg in legs):
            self.direction = "outbound"
        return (self.caller, self.called_number, self.direction) != before

    def keep(self, leg: Leg) -> None:
        """Remember a leg that ended, within bounds."""
        self.finals.append(leg)
        self.ended_legs.append(leg)
        if len(self.ended_legs) > MAX_ENDED_LEGS:
            idle = (at for at, one in enumerate(self.ended_legs) if one.answered is None)
            del self.ended_legs[next(idle, 0)]
            del self.finals[:-MAX_ENDED_LEGS]

    def enter(self, at: int = 0) -> Phase | None:
        """Take in what the line does, since ``at`` at the earliest.

        Returns the phase before, if this is one of its own.
        """
        last = self.phases[-1]
        lead_leg = self.lead_leg
        if lead_leg is self.followed and last.kind != "talking":
            return None  # of who talks more may be known now
        self.followed = lead_leg
        phase = self.doing(at)
        known = phase.party == last.party
        same = (phase.kind, phase.place, phase.by) == (last.kind, last.place, last.by)
        if phase.kind == "talking" and same:
            same = {lead_leg.uuid, lead_leg.other} == self.talkers.keys()
        elif not known:
            same = same and phase.started <= last.started
        if same:
            if not known:
                self.phases[-1] = evolve(last, party=phase.party)
            return None
        self.led_by = lead_leg.uuid
        start = max(phase.started, last.started)
        self.phases[-1] = closed = until(last, start)
        self.phases.append(phase if phase.started == start else evolve(phase, started=start))
        self.finals.clear()
        if len(self.phases) > MAX_PHASES:
            first, second, *_ = self.phases
            self.phases[:2] = [Phase(kind="unknown", started=first.started, ended=second.ended)]
            self.complete = False
        return closed
