"""A call that goes on: what the tracker knows of it, and how it reads what its legs do."""

from __future__ import annotations

from attrs import Factory, define, evolve

from basix_ws_cti.elements import Channel
from basix_ws_cti.states import Bridged, Ringing

from .model import NOBODY, Call, Direction, Leg, Party, Phase
from .reading import (
    calls_outside,
    leg_of,
    offered,
    other_of,
    party_behind,
    party_of,
    phase_of,
    since,
    uuid_of,
)

# Legs of a call that ended and are kept; a queue that rings the same telephones for hours
# has thousands. Of those beyond it the oldest that never answered go.
MAX_ENDED_LEGS = 200

# Phases of a call that are kept; the oldest two become one beyond it.
MAX_PHASES = 1000


@define(eq=False)
class Live:
    """A call that goes on."""

    id: str
    first: str  # the uuid of its first leg, which may not be shown to us
    started: int
    complete: bool
    caller: Party = NOBODY
    called_number: str | None = None
    direction: Direction = "internal"
    legs: dict[str, Channel] = Factory(dict)
    ended_legs: list[Leg] = Factory(list)
    phases: list[Phase] = Factory(list)
    rung: set[str] = Factory(set)
    # Legs that want to fetch the call, and do not talk yet.
    guests: set[str] = Factory(set)
    # Whose phase the last one is.
    led_by: str = ""
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
    def line(self) -> Channel:
        """The leg that leads: the first, or who is left of those who talked, or the oldest."""
        first = self.legs.get(self.first)
        if first is not None:
            return first

        def place(leg: Channel) -> tuple[bool, bool, int]:
            uuid = uuid_of(leg)
            idle = isinstance(leg.state, Ringing) or uuid in self.guests
            return idle, uuid not in self.talkers, offered(leg) or 0

        return min(self.legs.values(), key=place)

    def take(self, uuid: str, channel: Channel) -> None:
        """A leg is there, or is another now."""
        self.legs[uuid] = channel
        if isinstance(channel.state, Bridged):
            self.guests.discard(uuid)
        began = offered(channel)
        # A time of zero says as little as none.
        if uuid == self.first and began and began < self.started:
            # The first leg, after another that was made for it.
            self.started = began
            self.phases[0] = evolve(self.phases[0], started=began)

    def doing(self, at: int = 0) -> Phase:
        """What its line does, and since when: since ``at`` at the earliest."""
        line = self.line
        entered = since(line)
        if entered is None:
            entered = self.phases[-1].started if self.phases else at
        # With the first leg, if that is not shown to us, is the line itself.
        other = other_of(line)
        partner = line if other == self.first else self.legs.get(other or "")
        return phase_of(line, partner, max(entered, at))

    def picture(self) -> Call:
        """The call as it is now."""
        living = [leg_of(channel) for channel in self.legs.values()]
        return Call(
            id=self.id,
            direction=self.direction,
            caller=self.caller,
            called_number=self.called_number,
            started=self.started,
            phases=tuple(self.phases),
            legs=(*self.ended_legs, *living),
            answered=self.answered,
            answered_by=self.answered_by,
            transfers=self.transfers,
            complete=self.complete,
        )

    def describe(self) -> bool:
        """Read again who calls, whom, and which way; whether any of that is new."""
        first = self.legs.get(self.first)
        legs = self.legs.values()
        before = (self.caller, self.called_number, self.direction)
        if first is not None:
            self.caller = party_of(first)
            if self.caller.whoscall is None:  # others say that of it
                heard = before[0].whoscall
                for leg in legs:
                    if other_of(leg) == self.first and (told := party_behind(leg).whoscall):
                        heard = told
                        break
                if heard is not None:
                    self.caller = evolve(self.caller, whoscall=heard)
            self.called_number = first.called_number
            outside = first.peer_location == "external"
        elif not any(leg.uuid == self.first for leg in self.ended_legs):  # it is not shown to us
            line = self.line
            self.caller = party_behind(line)
            self.called_number = line.called_number
            outside = self.caller.user_id is None
        else:
            outside = self.direction == "inbound"
        if outside:
            self.direction = "inbound"
        elif any(map(calls_outside, legs)):
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

    def enter(self, phase: Phase) -> Phase | None:
        """Take in what the line does; the phase before, if this is one of its own."""
        last = self.phases[-1]
        line = self.line
        same = (phase.kind, phase.place, phase.by) == (last.kind, last.place, last.by)
        if phase.kind == "talking" and same:
            same = {uuid_of(line), other_of(line)} == self.talkers.keys()
        elif phase.party != last.party:
            same = same and phase.started <= last.started
        if same:
            if phase.party != last.party:
                self.phases[-1] = evolve(last, party=phase.party)
            return None
        self.led_by = uuid_of(line)
        start = max(phase.started, last.started)
        self.phases[-1] = closed = evolve(last, ended=start)
        self.phases.append(phase if phase.started == start else evolve(phase, started=start))
        self.finals.clear()
        if len(self.phases) > MAX_PHASES:
            first, second, *_ = self.phases
            self.phases[:2] = [Phase(kind="unknown", started=first.started, ended=second.ended)]
            self.complete = False
        return closed
