"""One active call of the simulated PBX's ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import Factory, define

from .model import MEDIA_PLUG
from .participation_ledger import Participants, party_of
from .wait_ledger import Waits

if TYPE_CHECKING:
    from .model import Channel, Fields

# States in which the PBX itself serves the caller.
SERVICES = {"conference", "eavesdrop", "checking_voicemail", "system_operation"}

# States of a caller who wants to talk to somebody, or to leave a message.
_CALLS = {"calling", "calling_siptermination", "bridged", "voicemail"}

# States in which the caller has reached what they dialled. An operation of the PBX may also be a
# step on the way to somebody.
_DIALLED_SERVICES = {
    *("ivr", "xml_ivr", "voicemail", "checking_voicemail", "conference", "eavesdrop"),
}

# Roles of a user who tries to take a call that rings or is parked elsewhere, by the operation.
PICKUPS = {"pickup": "picked_up", "unpark": "retrieved"}


@define(eq=False)
class Talk:
    """Two legs that are connected with each other.

    They do not talk while one of the two users is busy with a newer call: ``held``.
    """

    lead: Channel
    leg: Channel
    since: int  # since when they talk, or are held
    held: bool = False

    @property
    def legs(self) -> tuple[Channel, Channel]:
        """Return both legs."""
        return self.lead, self.leg


@define(eq=False)
class LedgerCall:
    """A call that has not ended.

    ``lead`` is the leg that the call is about now: the first one, until it ends, is parked
    or is bridged to the lead of another call. Times are microseconds since the epoch.
    """

    first: Channel
    lead: Channel
    is_pickup: bool = False  # a user tries to take another call
    is_consult: bool = False  # a user placed it while they were in a talk
    waiting: set[str] = Factory(set)  # uuids of the user's legs in these talks
    talked: set[str] = Factory(set)  # uuids of all legs that have talked
    direction: str | None = None  # None: the caller has not been connected anywhere yet
    legs: dict[str, Channel] = Factory(dict)
    # Legs that are to pick up or retrieve it: their roles by uuid.
    pending_pickups: dict[str, str] = Factory(dict)
    participants: Participants = Factory(Participants)
    waits: Waits = Factory(Waits)
    activity: str = ""  # state of the lead leg, or "group" while it calls a group
    called_somebody: bool = False  # or reached a voicemail box
    was_served: bool = False  # by a service of the PBX that the caller dialled
    target: Fields | None = None  # user or group that the caller asked for
    went_outside: bool = False
    answered: int | None = None
    answered_by: Channel | None = None
    handlers: dict[int | str, None] = Factory(dict)  # user ids and numbers, in order
    last_handler: Channel | None = None
    talk: Talk | None = None
    last_talkers: tuple[Channel, ...] = ()
    talk_began: int = 0
    talking_us: int = 0
    parked: Channel | None = None
    parked_since: int = 0
    parked_us: int = 0
    parks: int = 0
    blind_transfers: int = 0
    attended_transfers: int = 0
    box: Fields | None = None  # voicemail box that the caller reached
    box_us: int = 0  # time in boxes that the caller has left
    box_since: int | None = None  # None: the caller is in no box
    conference_room: str | None = None
    menu_id: str | None = None
    tags: dict[str, None] = Factory(dict)
    hung_up: tuple[Channel, bool] | None = None  # the leg that hung up, and whether by its peer

    def is_callers(self, leg: Channel) -> bool:
        """Return True for the caller's leg, on any of the phones that the API rings."""
        return leg is self.first or leg.forked_from == self.first.uuid

    @property
    def final_direction(self) -> str:
        """Return the direction if the call ended now.

        A call that the API began by ringing a user's phone is an attempt to call outside until
        it reaches somebody.
        """
        if self.direction is not None:
            return self.direction
        first = self.first
        is_attempt = first.direction == "outbound" and first.calling_number != MEDIA_PLUG
        return "outbound" if is_attempt else "internal"

    @property
    def is_attempt(self) -> bool:
        """True for an outbound call, and while the API rings the user who requested a call."""
        first = self.first
        is_requested = first.direction == "outbound" and first.answer_timestamp is None
        return is_requested or self.final_direction == "outbound"

    @property
    def precedence(self) -> tuple[int, int, str]:
        """Return the sort key by which the first of two calls outlives the other one."""
        rank = ("inbound", "outbound", "internal").index(self.final_direction)
        return rank, self.first.offer_timestamp, self.first.uuid

    # -- what happens -----------------------------------------------------------------

    def add_leg(self, channel: Channel) -> None:
        """Add a leg, without its party."""
        self.legs[channel.uuid] = channel
        self.tags |= dict.fromkeys(channel.tags or ())

    def set_waiting(self, uuids: set[str]) -> None:
        """Record on which other legs the caller, a user, is in a talk that waits for this call."""
        self.waiting, self.is_consult = uuids, bool(uuids)

    def leads(self, channel: Channel) -> bool:
        """Return True if the new state of this leg says what the call does."""
        if channel.rings_for is not None or channel.uuid in self.pending_pickups:
            return False
        is_lead = self.first is channel or self.first.uuid not in self.legs
        return is_lead or channel.state.name == "park"

    def lead_changed(self, channel: Channel, now: int) -> None:
        """Follow the new state of the leg that leads the call."""
        state = channel.state
        self.stop_park(now)
        self.box_us, self.box_since = self.time_in_box(now), None
        self.lead = channel
        self.hung_up = None
        self.called_somebody = self.called_somebody or state.name in _CALLS
        self._check_service(channel)
        self.waits.state_changed(state, now)
        is_group = state.name == "calling" and state.data.get("target_type") == "group"
        self.activity = "group" if is_group else state.name
        match state.name:
            case "park":
                self.parked, self.parked_since = channel, now
                self.parks += 1
            case "voicemail":
                self.box, self.box_since = state.data, now
            case "conference":
                self.conference_room = state.data["room_id"]
            case "ivr":
                self.menu_id = state.data["ivr_id"]

    def routed(self, channel: Channel) -> None:
        """Follow the new state of a leg, as far as it decides about the direction."""
        if self.target is None and self.is_callers(channel):
            self.target = channel.target
        if self.target is not None:
            self.route(outside=False)
        state = channel.state
        if state.name in {"calling", "calling_siptermination"}:
            self.route(outside=state.data.get("target_location") != "int")
        elif state.name in _DIALLED_SERVICES and self.is_callers(channel):
            self.route(outside=False)

    def route(self, *, outside: bool) -> None:
        """Record that the call goes to somebody inside or outside."""
        if self.direction is None:
            self.direction = "outbound" if outside else "internal"
        elif self.direction != "outbound":
            self.went_outside = self.went_outside or outside

    def leg_answered(self, channel: Channel, now: int) -> None:
        """Follow the answer of a leg."""
        self.participants.of(channel).ring_ended(channel.uuid, now)
        if channel is self.lead:
            self._check_service(channel)

    def connects(self, leg: Channel) -> bool:
        """Return True if a leg is connected with another one."""
        return self.talk is not None and leg in self.talk.legs

    def start_talk(self, lead: Channel, leg: Channel, now: int) -> None:
        """Connect two legs; who talked before must have stopped."""
        for one in (lead, leg):
            self._connect_pickup(one)
        party = self._newcomer(lead, leg)
        user_id = None if party.user is None else party.user.id
        self.waits.end("answered", now, answered_by_user_id=user_id)
        self.stop_park(now)
        self.box_us, self.box_since = self.time_in_box(now), None
        self.lead = lead if party is leg else leg
        self.talk, self.talk_began = Talk(lead, leg, now), now
        self.last_talkers = (lead, leg)
        self.talked |= {lead.uuid, leg.uuid}
        self.activity = "bridged"
        self.called_somebody = True
        self.hung_up = None
        self.last_handler = party
        self.handlers.setdefault(party_of(party))
        if self.answered is None:
            self.answered, self.answered_by = now, party
        for one in (lead, leg):
            participant = self.participants.of(one)
            participant.ring_ended(one.uuid, now)
            participant.talk_started(one, now)

    def set_held(self, now: int, *, held: bool) -> None:
        """Start or end the time in which the two who are connected do not talk."""
        talk = self.talk
        if talk is not None and talk.held != held:
            if talk.since < now:
                self.participants.add_talk(talk.legs, talk.since, now, held=talk.held)
            talk.since, talk.held = now, held

    def stop_talk(self, now: int) -> None:
        """End the talk, if there is one."""
        talk = self.talk
        if talk is not None:
            self.participants.add_talk(talk.legs, talk.since, now, held=talk.held)
            self.talking_us += now - self.talk_began
            self.talk = None

    def stop_park(self, now: int) -> None:
        """End the stay on a park slot, if there is one."""
        if self.parked is not None:
            self.participants.add_talk([self.parked], self.parked_since, now, held=True)
            self.parked_us += now - self.parked_since
            self.parked = None

    def time_in_box(self, now: int) -> int:
        """Return the time in voicemail boxes, in microseconds."""
        return self.box_us + (0 if self.box_since is None else now - self.box_since)

    def end_leg(self, channel: Channel, now: int) -> None:
        """End a leg."""
        if self.connects(channel):
            self.stop_talk(now)
        if channel is self.parked:
            self.stop_park(now)
        self._connect_pickup(channel)
        participant = self.participants.of(channel)
        hung_up = self.hung_up
        caller_hung_up = hung_up is not None and hung_up[1] and hung_up[0].uuid == channel.rings_for
        participant.ring_failed(channel, now, caller_hung_up=caller_hung_up)
        participant.left = max(participant.left, now)
        del self.legs[channel.uuid]
        is_last_phone = not any(map(self.is_callers, self.legs.values()))
        if self.is_callers(channel) and not is_last_phone:
            self.hung_up = None  # another phone of the caller rings on

    def absorb(self, other: LedgerCall) -> None:
        """Take over the legs and participants of a call that is merged into this one."""
        self.legs |= other.legs
        self.pending_pickups |= other.pending_pickups
        self.tags |= other.tags
        self.talked |= other.talked
        if self.is_consult and self.waiting & self.talked:
            # The talk that waited is a part of this call now.
            self.participants.set_consulted()
            self.is_consult = False
        self.participants.merge(other.participants)
        if self.final_direction != "outbound":
            self.went_outside |= other.went_outside or other.final_direction == "outbound"

    def _newcomer(self, lead: Channel, leg: Channel) -> Channel:
        """Return the one of two legs that comes to the call, or else ``leg``."""
        if self.is_callers(leg):
            return lead
        known = [one for one in (lead, leg) if one in self.last_talkers or self.is_callers(one)]
        return lead if known == [leg] else leg

    def _check_service(self, lead: Channel) -> None:
        """Note if the caller has reached a service of the PBX."""
        is_operation = lead.state.name == "system_operation" and lead.answer_timestamp is not None
        if is_operation or lead.state.name in {"conference", "checking_voicemail"}:
            self.was_served = self.was_served or not self.called_somebody

    def _connect_pickup(self, leg: Channel) -> None:
        """Make the party of a leg that picked the call up, or ended, a participant."""
        role = self.pending_pickups.pop(leg.uuid, None)
        if role is not None:
            self.participants.add(leg, role)
