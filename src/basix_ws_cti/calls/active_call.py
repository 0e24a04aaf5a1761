"""State machine of one active call: pure, without I/O and without a clock.

The PBX reports legs (channels), not calls. ``ActiveCall`` holds the legs that belong together
and infers from their states what the call does. Apart from ``mark_incomplete``, it changes
through five transitions only. Each of them changes no other call and returns the call events
that follow from it:

``start(leg)``
    The first event of the call that the feed shows.
``update_leg(leg)``
    A leg joined the call, or a leg of the call changed its state.
``end_leg(channel)``
    A leg ended. The call ends with its last leg: ``is_over`` is true from then on.
``absorb(other)``
    A leg of this call was bridged to a leg of another call, or rings for it: the two calls become
    one. ``CallTracker`` explains which of them goes on.
``release_line(leg)``
    A permanent line, which outlives the call that it takes, left the call.

``CallTracker`` decides which call a leg belongs to and calls the transitions. Parts of the state
have classes of their own: ``ActiveLegs``, ``PhaseHistory``, ``TalkHistory`` (the pair that talks,
the answer, transfers) and ``CallParties`` (caller, dialled number, direction).

Invariants:

- Phases tile the life of the call: the first begins at ``started``, each next one at the moment
  its predecessor ended. A state that is older than the current phase begins together with it.
- The state of the lead leg is the phase of the call. The lead leg is the first leg while it
  lives; ``ActiveLegs.lead`` says which leg takes over.
- A phase ends when the kind, place or parker of the lead leg's state changes; in a talk, also
  when the pair of connected legs changes; in any other phase, also when the party changes and
  the state is newer. If only more is known about the party, the phase goes on with that party.
- A phase never begins before the end of the last lead leg.
- ``complete`` turns false, and stays false, once something of the call may have been missed: the
  feed showed a leg late, or had a gap, or phases or transfers were dropped because there were too
  many.

Events of a new phase (``_phase_began``); the first match counts:

==================  ============================================  ===================
previous phase      new phase                                     event
==================  ============================================  ===================
any                 parked                                        ``CallParked``
parked              talking                                       ``CallRetrieved``
talking, perhaps    queued, ringing, talking (with another leg),  ``CallTransferred``
with ivr or other   voicemail
in between
any but conference  talking                                       ``CallAnswered``
any                 any                                           ``CallUpdated``
==================  ============================================  ===================

A transition without any of these events returns a ``CallUpdated`` if it changed what events must
show (``has_news``): a leg joined or left the call, or something in the ``Call`` changed other than
details of legs, ``complete`` and ``clock_adjusted``.

Further inferences:

- The call is answered when the first talk begins. A talk that a later event shows to be with
  another party than named at first corrects ``answered_by``.
- The source of a transfer is the party of the previous talk that is not connected any more.
- A transfer is attended if the next party talks at once, unless the calls were joined and nobody
  had talked in one of them.
- The purpose of the call follows from the role of the first leg's party, unless they talked.
- ``CallAnswered.waited`` counts from the start of the call, from the end of the talk before the
  last transfer, or from the last recall from a park slot.
- When the lead leg ends, the phase changes only if the state of the new lead leg describes the
  call. It does not if that leg rings (it stops ringing in a moment), is a pending pickup, or has
  just lost its partner (it is about to be transferred or to end).
- The call ends when no leg is left but pending pickups. ``outcome`` explains which leg's hang-up
  decides, which side ended the call, and how it went.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Self

from attrs import define, evolve, field

from basix_ws_cti._internal.codegen import constructor, writable
from basix_ws_cti.elements import Channel

from .active_leg import ActiveLeg
from .active_legs import ActiveLegs
from .call_end import CallEnd, end_of
from .call_parties import CallParties
from .channel_facts import (
    end_phase,
    last_known_alive,
    phase_with,
)
from .events import (
    CallAnswered,
    CallEnded,
    CallEvent,
    CallParked,
    CallRetrieved,
    CallRinging,
    CallStarted,
    CallTransferred,
    CallUpdated,
)
from .leg_roles import OF_CALLER
from .model import (
    UNKNOWN_PARTY,
    WITHOUT_PARTY,
    Call,
    Disposition,
    Leg,
    Party,
    Phase,
    PhaseKind,
    Purpose,
    Role,
)
from .outcome import joined_disposition, leg_outcome
from .phase_history import PhaseHistory
from .talk_history import TalkHistory
from .user_lines import UserLines

# A call is created at most events, and this is faster than its constructor.
_WritableCall = writable(Call)

_NOT_ENDED = CallEnd()

# Generated constructors take positional arguments and a fifth of the time of the classes' own ones.
_make_started, _make_ringing = constructor(CallStarted), constructor(CallRinging)
_make_answered, _make_transferred = constructor(CallAnswered), constructor(CallTransferred)
_make_parked, _make_retrieved = constructor(CallParked), constructor(CallRetrieved)
_make_updated, _make_ended = constructor(CallUpdated), constructor(CallEnded)

# Purpose of a call without a talk by the role of the leg with which it started; all others are
# calls, or consult calls.
_PURPOSES: dict[Role, Purpose] = {
    "monitored": "monitor",
    "picked_up": "pickup",
    "retrieved": "pickup",
    "service": "service",
}

# Phases that may begin with a transfer.
_AFTER_TRANSFER: frozenset[PhaseKind] = frozenset({"queued", "ringing", "talking", "voicemail"})


@define(eq=False)
class ActiveCall:
    """A call that has not ended. The module docstring explains its transitions."""

    id: str
    legs: ActiveLegs
    started: int = 0
    """Start of the call, in microseconds since the epoch."""
    complete: bool = True
    """False once something of the call may have been missed."""
    is_over: bool = False
    """True once the last leg has ended. No transition may follow."""
    phases: PhaseHistory = field(init=False)
    parties: CallParties = field(init=False, factory=CallParties)
    talk: TalkHistory = field(init=False, factory=TalkHistory)
    lead: ActiveLeg = field(init=False)
    """The lead leg, in the state from which the current phase was derived last."""
    lead_ended: int = 0
    """Time at which the last lead leg ended, in microseconds since the epoch; 0: none has."""
    left_to_line: tuple[int, bool] | None = None
    """Time at which the last leg ended that is no permanent line, and True if that is the time
    of a comparison of snapshots; ``None`` while there is another leg."""
    own_call_key: Hashable = None
    """Key under which ``CallIndex`` finds a user's own call (click-to-call)."""
    phase_lead_uuid: str = ""
    """Uuid of the leg that was the lead leg when the current phase began."""
    has_news: bool = False
    """True if an event must follow, because something changed that the last event does not show."""

    @classmethod
    def of(cls, call_id: str, first_uuid: str, users: UserLines) -> Self:
        """Create a call that waits for ``start``.

        ``users``: the legs on which users are busy, in all calls of the tracker.
        """
        return cls(call_id, ActiveLegs(first_uuid, users))

    # -- transitions ------------------------------------------------------------------

    def start(
        self, leg: ActiveLeg, *, synthetic: bool = False, role: Role | None = None
    ) -> list[CallEvent]:
        """Start the call with its first known leg.

        ``synthetic``: a comparison of snapshots found the leg. Its activity before it entered
        its present state is unknown.
        ``role``: role of the leg; ``None``: the one that its channel reveals.
        """
        entered = leg.entered
        # A zero as time of the offer means the same as no time.
        started = leg.offered or entered or 0
        if leg.uuid != self.legs.first_uuid:
            # A leg of an older call may have been connected with the caller.
            first_offered = getattr(leg.channel.other_info, "offer_timestamp", None)
            started = max(started, first_offered if isinstance(first_offered, int) else 0)
        self.started = started
        self.complete = not synthetic
        self.legs.put(leg, role=role)
        self.lead = leg
        self.phase_lead_uuid = leg.uuid
        self.parties.update(self.legs, leg, leg)
        phase = self._phase_of(leg, started if entered is None else max(entered, started))
        earlier: list[Phase] = []
        if synthetic and entered is not None and entered > started:
            earlier = [Phase(kind="unknown", started=started, ended=entered)]
        elif phase.started != started:
            phase = evolve(phase, started=started)
        self.phases = PhaseHistory(phase, earlier)
        events: list[CallEvent] = [_make_started(self.snapshot())]
        self._record_talk()
        if leg.is_ringing:
            # A talk has not begun: the call is as it was a moment ago.
            events.append(_make_ringing(events[0].call, leg.party))
        return events

    def update_leg(
        self, leg: ActiveLeg, *, synthetic: bool = False, role: Role | None = None
    ) -> list[CallEvent]:
        """Add a leg, or replace its state.

        ``role``: role of a new leg, if it is not one that another leg names: see
        ``ActiveLegs.put``.
        """
        legs = self.legs
        first_uuid, opening_role = legs.first_uuid, legs.opening_role
        before = legs.put(leg, role=role)
        if legs.first_uuid != first_uuid:
            self._follow_first(first_uuid)
        if before is None or legs.opening_role != opening_role:
            self.has_news = True
        if synthetic:
            self.complete = False
        offered = leg.offered
        # The first leg may be shown after a leg that was created for it.
        if leg.uuid == legs.first_uuid and offered and offered < self.started:
            self.started = offered
            self.phases.start_earlier(offered)
            self.has_news = True
        lead = legs.lead(self.talk.talkers)
        if leg.is_unchanged and not self.has_news and self._is_no_news(leg, lead, before):
            return []
        parties_changed = self.parties.update(legs, lead, leg)
        events: list[CallEvent] = []
        # In a talk, another leg may have revealed more about who talks.
        is_news = lead is not self.lead or self.phases.current.kind == "talking"
        if is_news and (lead.uuid == self.phase_lead_uuid or self._describes_call(lead)):
            events = self._follow(lead, self.lead_ended)
        if leg.is_ringing and (before is None or not before.is_ringing):
            events.append(_make_ringing(self.snapshot(), leg.party))
        if parties_changed:
            self.has_news = True
        return self._with_news(events)

    def _with_news(self, events: list[CallEvent]) -> list[CallEvent]:
        """Return the events of a transition, or an update if it made news without an event."""
        if self.has_news:
            self.has_news = False
            if not events:
                return [_make_updated(self.snapshot())]
        return events

    def _is_no_news(self, leg: ActiveLeg, lead: ActiveLeg, before: ActiveLeg | None) -> bool:
        """Return True if nothing but the history of an unchanged leg follows from its event.

        This is so if the current phase was derived from the lead leg as it is. During a talk, it
        may not be so.
        """
        if self.phases.current.kind == "talking":
            return False
        if lead is leg and self.lead is before:
            self.lead = leg
        return lead is self.lead

    def end_leg(
        self,
        channel: Channel,
        uuid: str,
        *,
        synthetic: bool = False,
        gap_started: int | None = None,
    ) -> list[CallEvent]:
        """End a living leg, given the last state of its channel and its uuid.

        ``synthetic``: a comparison of snapshots found that the leg is gone. If the channel has no
        time of hang-up, the leg is taken to have ended at ``gap_started``, or, without a gap, at
        the last time at which it is known to have lived (microseconds since the epoch).
        """
        legs = self.legs
        was_lead = legs.lead(self.talk.talkers).uuid == uuid
        hangup = channel.hangup
        unseen = synthetic and hangup is None
        ended = channel.hangup_timestamp
        if not isinstance(ended, int):
            ended = gap_started
        if ended is None:
            ended = last_known_alive(legs.living[uuid].channel)
        outcome: Disposition = "unknown"
        if not unseen:
            role = legs.living[uuid].history.role
            outcome = leg_outcome(
                hangup,
                answered=channel.answer_timestamp is not None,
                is_callers=channel.direction == "inbound" or role in OF_CALLER,
            )
        first_uuid, opening_role = legs.first_uuid, legs.opening_role
        legs.end(channel, uuid, hangup, ended, outcome)
        if legs.first_uuid != first_uuid:
            self._follow_first(first_uuid)
        if legs.opening_role != opening_role:
            self.has_news = True
        if synthetic:
            self.complete = False
        if legs.only_lines_left:
            return self._end_unless_line_lives(ended, unseen=unseen)
        if was_lead:
            self.lead_ended = max(ended, self.lead_ended)
            lead = legs.lead(self.talk.talkers)
            if self._describes_call(lead):
                return self._with_news(self._follow(lead, self.lead_ended))
        return self._with_news([])

    def _describes_call(self, lead: ActiveLeg) -> bool:
        """Return True if the state of a new lead leg is what the call does."""
        if lead.is_ringing or lead.uuid in self.legs.pending_pickups:
            return lead.uuid == self.legs.first_uuid
        lost_partner = lead.is_bridged and lead.other_uuid not in self.legs.living
        return not lost_partner or (lead.entered or 0) >= self.lead_ended

    def _end_unless_line_lives(self, ended: int, *, unseen: bool) -> list[CallEvent]:
        """End the call, unless a permanent line lives: its next event shows if it ended too."""
        if self.left_to_line is None:
            self.left_to_line = (ended, unseen)
        if not self.legs.only_pickups_left:
            return self._with_news([])
        ended, unseen = self.left_to_line
        return [self._finish(ended, unseen=unseen)]

    def absorb(self, other: ActiveCall, leg: ActiveLeg) -> list[CallEvent]:
        """Take over the legs of a call that becomes part of this one.

        ``leg`` belongs to one of the calls, and is bridged to a leg of the other one or rings for
        it. Return the event that the other call ended. The other call must not be used afterwards.
        ``update_leg(leg)`` must follow; it returns an event of this call.
        """
        is_users = other.parties.caller.user_id is not None and other.purpose != "monitor"
        if is_users:
            other.legs.mark_consult()
        call = other.snapshot()
        current = other.phases.current
        ended = max(current.started, leg.entered or 0)
        is_taken = leg.is_bridged and current.kind != "talking"
        taken_by = self._taker_in(other, leg) if is_taken else None
        self.talk.absorb(other.talk)
        self.legs.absorb(other.legs, self._phase_before_talk(), leg.entered or ended)
        self.parties.absorb(other.parties)
        self.complete = self.complete and other.complete and not self.talk.is_truncated
        self.has_news = True
        return [
            CallEnded(
                evolve(
                    call,
                    phases=(*call.phases[:-1], end_phase(current, ended)),
                    ended=ended,
                    disposition=joined_disposition(call.summed_phases, call.caller),
                    joined=self.id,
                    purpose="consult" if is_users else call.purpose,
                    taken_by=taken_by,
                )
            )
        ]

    def _taker_in(self, other: ActiveCall, leg: ActiveLeg) -> Party:
        """Return the party that talks from now on to the one that waited in another call.

        ``leg``: see ``absorb``. The lead leg of the phase waited. If it is not one of the two legs
        that are bridged, its party completed a transfer: then the taker is the party that was
        called in that call.
        """
        living = self.legs.living | other.legs.living
        pair = [living.get(uuid) for uuid in (leg.uuid, leg.other_uuid) if uuid is not None]
        takers = [one for one in pair if one is not None and one.uuid != other.lead.uuid]
        called = [one for one in takers if one.uuid in other.legs.living]
        return next((one.party for one in called or takers), UNKNOWN_PARTY)

    def mark_incomplete(self) -> None:
        """Note that something of the call may have been missed."""
        self.complete = False

    def take_line(self, leg: ActiveLeg) -> None:
        """Note that a leg of this call is a permanent line, which was in another call before."""
        self.legs.take_line(leg, self._phase_before_talk())

    def release_line(self, leg: ActiveLeg) -> list[CallEvent]:
        """Let a permanent line leave the call, given its new state; the call may end with that."""
        if self.left_to_line is None:
            self.legs.release_line(leg.uuid, leg.entered or last_known_alive(leg.channel))
            return [_make_updated(self.snapshot())]
        ended, unseen = self.left_to_line
        self.legs.release_line(leg.uuid, ended)
        return [self._finish(ended, unseen=unseen)]

    def _follow_first(self, first_uuid: str) -> None:
        """Follow a change of the first leg, which is another phone of the same user now."""
        if self.phase_lead_uuid == first_uuid:
            self.phase_lead_uuid = self.legs.first_uuid

    # -- snapshots --------------------------------------------------------------------

    @property
    def purpose(self) -> Purpose:
        """Purpose of the call, as far as it is known."""
        legs = self.legs
        if legs.opening is not None and legs.opening.role in _PURPOSES:
            purpose = self._purpose_without_talk(legs.opening.role)
            if purpose is not None:
                return purpose
        return "consult" if legs.is_consult else "call"

    def _purpose_without_talk(self, role: Role) -> Purpose | None:
        """Return the purpose that follows from the role of the first party, unless they talked.

        A conference that a user dialled is a call.
        """
        if self.talk.answered is not None:
            return None
        kinds = {phase.kind for phase in self.phases.summed()}
        return None if role == "service" and "conference" in kinds else _PURPOSES[role]

    def snapshot(self) -> Call:
        """Return the call as it is now."""
        legs = self.legs
        living = [leg.history.snapshot or leg.new_snapshot() for leg in legs.living.values()]
        return self._call_of((*legs.ended, *living), _NOT_ENDED)

    def _call_of(self, legs: tuple[Leg, ...], end: CallEnd) -> Call:
        """Return the call with these legs and this end."""
        parties, talk, phases = self.parties, self.talk, self.phases
        call = _WritableCall()
        call.id = self.id
        call.direction = parties.direction
        call.caller = parties.caller
        call.called_number = parties.called_number
        call.started = self.started
        call.phases = phases.as_tuple()
        call.legs = legs
        call.answered = talk.answered
        call.answered_by = talk.answered_by
        call.transfers = talk.transfers
        call.attended_transfers = talk.attended_transfers
        call.transfer_history = talk.history
        call.purpose = self.purpose
        call.requested = parties.requested
        call.origination = parties.origination
        call.tags = parties.tags
        call.went_outside = parties.went_outside
        call.clock_adjusted = self.legs.clock_adjusted
        call.complete = self.complete
        call.ended = end.ended
        call.disposition = end.disposition
        call.abandoned_in = end.abandoned_in
        call.ended_by = end.ended_by
        call.hangup = end.hangup
        call.joined = None
        call.taken_by = None
        call.merged = phases.merged
        call.__class__ = Call
        return call  # type: ignore[no-any-return]

    # -- phases -----------------------------------------------------------------------

    def _follow(self, lead: ActiveLeg, not_before: int = 0) -> list[CallEvent]:
        """Derive the phase from the lead leg; return an event if a new phase began.

        A new phase begins at ``not_before`` at the earliest.
        """
        phases = self.phases
        current = phases.current
        # In a talk, another leg may have revealed more about who talks.
        if lead is self.lead and current.kind != "talking":
            return []
        self.lead = lead
        entered = lead.entered
        if entered is None:
            entered = current.started
        phase = self._phase_of(lead, max(entered, not_before))
        same_party = phase.party is current.party or phase.party == current.party
        if self._continues(current, phase, same_party=same_party):
            if not same_party:
                self.talk.correct_target(current, phase.party)
                phases.set_party(phase.party)
                self.has_news = True
            self._record_talk()
            return []
        ended = phases.begin(phase)
        self.complete = self.complete and not phases.is_truncated
        self.phase_lead_uuid = lead.uuid
        self.legs.ended_in_phase.clear()
        source, left = self.talk.party_left_behind(lead), self._talk_left(lead)
        self._record_talk()
        return [self._phase_began(ended, phases.current, source, left)]

    def _phase_of(self, lead: ActiveLeg, started: int) -> Phase:
        """Return the phase that the lead leg's state means for the call."""
        # If the other end is the first leg, the caller talks with the lead leg's own party.
        partner: ActiveLeg | None = None
        if lead.other_uuid == self.legs.first_uuid:
            partner = lead
        elif lead.other_uuid is not None:
            partner = self.legs.living.get(lead.other_uuid)
        return phase_with(
            lead.channel, lead.party, None if partner is None else partner.party, started
        )

    def _continues(self, current: Phase, phase: Phase, *, same_party: bool) -> bool:
        """Return True if ``phase`` is the current phase, perhaps with a better known party."""
        if (phase.kind, phase.place, phase.by) != (current.kind, current.place, current.by):
            return False
        if phase.kind == "talking":
            return self.talk.is_between(self.lead)
        return same_party or phase.started <= current.started

    def _phase_before_talk(self) -> Phase:
        """Return the current phase; if it is a talk, the one before it."""
        current, earlier = self.phases.current, self.phases.earlier
        return earlier[-1] if current.kind == "talking" and earlier else current

    def _talk_left(self, lead: ActiveLeg) -> Phase | None:
        """Return the talk that a transfer ended, if the current phase began with a transfer.

        A menu, an announcement or a service may come in between, but then not after the hang-up
        of a caller outside, and not before the same two legs talk again.
        """
        phase, earlier = self.phases.current, self.phases.earlier
        if phase.kind not in _AFTER_TRANSFER:
            return None
        before = next((one for one in reversed(earlier) if one.kind not in WITHOUT_PARTY), None)
        if before is None or before.kind != "talking":
            return None
        if before is earlier[-1]:
            return before
        is_same_talk = phase.kind == "talking" and self.talk.is_between(lead)
        has_hung_up = self.legs.first_has_ended and self.parties.caller.user_id is None
        return None if is_same_talk or has_hung_up else before

    def _record_talk(self) -> None:
        """Record who talks, if the current phase is a talk."""
        phase, lead = self.phases.current, self.lead
        if phase.kind == "talking":
            with_caller = lead.other_uuid == self.legs.first_uuid
            self.talk.record(lead, self.parties.caller if with_caller else phase.party, phase)

    def _phase_began(
        self, ended: Phase, phase: Phase, source: Party, left: Phase | None
    ) -> CallEvent:
        """Record a transfer or recall; return the event, by the table in the module docstring.

        ``source`` and ``left``: the party that transferred the call, if it did, and the talk that
        it left.
        """
        talk = self.talk
        if phase.kind == "parked":
            return _make_parked(self.snapshot(), phase.place, phase.by)
        if phase.kind == "talking" and ended.kind == "parked":
            return _make_retrieved(self.snapshot(), phase.party, ended.duration)
        if left is not None:
            waits_since = phase.started if left.ended is None else left.ended
            talk.record_transfer(source, phase, waits_since)
            self.complete = self.complete and not talk.is_truncated
            return _make_transferred(self.snapshot(), source, phase.party)
        if phase.kind == "talking" and ended.kind != "conference":
            requested = self.started if talk.requested_again is None else talk.requested_again
            return _make_answered(self.snapshot(), phase.party, phase.started - requested)
        if ended.kind == "parked":  # usually a recall: the phone of the user who parked it rings
            talk.requested_again = phase.started
        return _make_updated(self.snapshot())

    # -- end --------------------------------------------------------------------------

    def _finish(self, ended: int, *, unseen: bool) -> CallEnded:
        """End the call. Living legs are pending pickups and are no part of it any more.

        ``unseen``: a comparison of snapshots found that the last leg is gone. How the call
        ended is unknown.
        """
        self.is_over = True
        # The leg that ended last may be shown before another one.
        ended = max([ended, *[leg.ended or 0 for leg in self.legs.ended_in_phase]])
        self.phases.close(max(ended, self.phases.current.started))
        end = end_of(
            self.legs,
            self.phases.summed(),
            talkers=self.talk.talkers,
            lead_uuid=self.phase_lead_uuid,
            direction=self.parties.direction,
            purpose=self.purpose,
            unseen=unseen,
        )
        call = self._call_of(tuple(self.legs.ended), end)
        # This breaks a reference cycle: a call that is over needs no garbage collection.
        self.legs.opening = None
        return _make_ended(call, unseen)
