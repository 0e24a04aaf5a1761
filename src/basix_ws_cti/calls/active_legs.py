"""The legs of an active call: living legs, ended legs and pending pickups."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, evolve, field

from basix_ws_cti.elements import Channel, Hangup, OtherInfo
from basix_ws_cti.states import Bridged, Calling, Eavesdrop, Park, SystemOperation

from .active_leg import ActiveLeg
from .ended_legs import limit_legs
from .leg_history import LegHistory
from .leg_roles import (
    TAKING,
    asks_for_party,
    is_kept_open,
    is_own_call,
    next_role,
    plays_music,
    role_at_first,
)
from .model import Disposition, Leg, Phase, Role
from .user_lines import UserLines

# Maximum time between the answer of a line that dialled a feature code and the call that it takes,
# in microseconds. A line that was answered before is a permanent one.
_PICKUP_TIME = 2_000_000


@define(eq=False)
class ActiveLegs:
    """All legs of one active call."""

    first_uuid: str
    """Uuid of the leg that the others were created for. The feed may never show this leg."""
    users: UserLines
    """The legs on which users are busy, in all calls."""
    living: dict[str, ActiveLeg] = field(init=False, factory=dict)
    """Legs that have not ended, by uuid, in the order in which they joined the call."""
    ended: list[Leg] = field(init=False, factory=list)
    """Legs that ended, oldest first; ``ended_legs`` limits their number."""
    ended_in_phase: list[Leg] = field(init=False, factory=list)
    """Legs that ended since the current phase began; one of them may have ended the call."""
    pending_pickups: frozenset[str] = frozenset()
    """Uuids of living legs that dialled a pickup or a park slot and are not connected yet."""
    lines: frozenset[str] = frozenset()
    """Uuids of living legs that are permanent lines: see ``absorb``."""
    first_has_ended: bool = False
    """True if the feed showed how the first leg ended."""
    opening: LegHistory | None = None
    """History of the first leg, or else of the leg that the feed showed first."""
    is_consult: bool = False
    """True if a user placed the call while a talk of theirs went on in another call."""
    waiting_uuids: frozenset[str] = frozenset()
    """Uuids of the legs of that user whose talks waited when the user placed the call."""
    clock_adjusted: bool = False
    """True if a clock of the PBX was set back: a duration of an ended leg became zero."""

    @property
    def first(self) -> ActiveLeg | None:
        """The first leg; ``None`` if it ended or the feed has not shown it."""
        return self.living.get(self.first_uuid)

    @property
    def opening_role(self) -> Role | None:
        """Role of the opening leg, on which the purpose of the call depends."""
        return None if self.opening is None else self.opening.role

    @property
    def only_pickups_left(self) -> bool:
        """True if every living leg, if any, is a pending pickup."""
        return self.living.keys() <= self.pending_pickups

    @property
    def only_lines_left(self) -> bool:
        """True if every living leg, if any, is a pending pickup or a permanent line."""
        if self.living and not self.pending_pickups and not self.lines:  # the usual case
            return False
        return self.living.keys() <= self.pending_pickups | self.lines

    @property
    def is_idle_line(self) -> bool:
        """True if the call is just a permanent line of a user, who listens in on no call."""
        opening = self.opening
        if opening is None or len(self.living) != 1 or self.ended:
            return False
        line = self.living.get(opening.uuid)
        return (
            line is not None
            and opening.user_id is not None
            and not isinstance(line.channel.state, Eavesdrop)
            and (opening.role == "monitored" or plays_music(line.channel) or _is_served(line))
        )

    def frees_line(self, leg: ActiveLeg) -> bool:
        """Return True if a permanent line leaves the call with this change of its state."""
        if leg.uuid not in self.lines:
            return False
        before = self.living[leg.uuid]
        if not leg.is_bridged:
            return before.is_bridged
        return leg.other_uuid != before.other_uuid and leg.other_uuid not in self.living

    def put(self, leg: ActiveLeg, *, role: Role | None = None) -> ActiveLeg | None:
        """Add a leg, or replace its state; return the state before, or ``None``.

        ``role``: role of a new leg, if it follows from another leg. ``"placed"``: another phone
        of the user who placed the call. ``"picked_up"``, ``"retrieved"``: the leg dialled to
        take the call; it is a pending pickup until it is bridged.
        """
        uuid = leg.uuid
        before = self.living.get(uuid)
        if before is None:
            history = leg.history = self._new_history(leg, role)
            self.living[uuid] = leg
            if leg.is_ringing and leg.answered is None and history.role == "offered":
                history.begin_ring(leg.entered or leg.offered or 0)
                return None  # the usual case
            if role in TAKING and not leg.is_bridged:
                self.pending_pickups |= {uuid}
        else:
            history = leg.history = before.history
            self.living[uuid] = leg
            if leg.answered != before.answered or leg.party is not before.party:
                history.snapshot = None
            if leg.is_bridged and self.pending_pickups:
                self.pending_pickups -= {uuid}
        self._follow(leg, before)
        return before

    def end(
        self, channel: Channel, uuid: str, hangup: Hangup | None, ended: int, outcome: Disposition
    ) -> None:
        """Move a living leg to the ended ones, given the final state of its channel.

        ``ended``: time of its end, in microseconds since the epoch.
        """
        ended_leg = self._end(channel, uuid, hangup, ended, outcome)
        if uuid == self.first_uuid:
            self.first_has_ended = True
        self.ended_in_phase.append(ended_leg)

    def take_line(self, leg: ActiveLeg, phase: Phase) -> None:
        """Note that a permanent line takes this call, which was in this phase before."""
        leg.history.role = "placed"
        self._note_taking(leg, phase, is_line=True)

    def release_line(self, uuid: str, ended: int) -> None:
        """Let a permanent line leave the call at this time, as if its leg had ended."""
        self._end(self.living[uuid].channel, uuid, None, ended, "answered")

    def _end(
        self, channel: Channel, uuid: str, hangup: Hangup | None, ended: int, outcome: Disposition
    ) -> Leg:
        """Move a living leg to the ended ones, and return it; the parameters: see ``end``."""
        leg = self.living.pop(uuid)
        if self.pending_pickups:
            self.pending_pickups -= {uuid}
        if self.lines:
            self.lines -= {uuid}
        history = leg.history
        answered = channel.answer_timestamp
        answered = answered if type(answered) is int else None
        self._end_history(leg, answered, ended, None if hangup is None else hangup.cause)
        if history.role == "placed":
            outcome = self._end_placed(leg, answered, outcome)
        ended_leg = leg.end(channel, ended, hangup, outcome)
        self.ended.append(ended_leg)
        limit_legs(self.ended, self.ended_in_phase)
        return ended_leg

    def absorb(self, other: ActiveLegs, phase: Phase, at: int) -> None:
        """Add all legs of another call, which is a part of this one from now on.

        If the other call is just a leg that the PBX keeps connected to a user, this is a
        permanent line: it may outlive the call, and then take the next one.

        ``phase``: current phase of this call. ``at``: time at which it takes over the other one, in
        microseconds since the epoch.
        """
        if len(other.living) == 1 and not other.ended:
            for leg in other.living.values():
                is_line = is_kept_open(leg.channel) or _is_served(leg, at - _PICKUP_TIME)
                self._note_taking(leg, phase, is_line=is_line)
        for leg in other.living.values():
            leg.history.legs = self
        self.living |= other.living
        self.pending_pickups |= other.pending_pickups
        self.lines |= other.lines
        self.ended = sorted(self.ended + other.ended, key=_end_of)
        self.clock_adjusted = self.clock_adjusted or other.clock_adjusted
        if self.waiting_uuids & {*self.living, *[leg.uuid for leg in self.ended]}:
            # The talk that waited is a part of this call now.
            self.is_consult = False

    def _note_taking(self, leg: ActiveLeg, phase: Phase, *, is_line: bool) -> None:
        """Note that a leg which was the only one of its call takes this call.

        The PBX connects a permanent line of a user (``is_line``), or the user dialled a feature
        code. A user retrieves a parked call in both ways.
        """
        history = leg.history
        history.snapshot = None
        if history.user_id is None or history.role == "offered":
            return
        is_line = is_line or history.is_line
        if is_line:
            self.lines |= {leg.uuid}
        if phase.kind == "parked":
            history.role = "retrieved"
        elif is_line:
            history.role = "offered"
            history.group_id = phase.party.group_id if phase.kind == "queued" else None
        else:
            history.role = "picked_up"

    def mark_consult(self, waiting_uuid: str | None = None) -> None:
        """Note that the call is a consult call, and that those who talk in it were consulted.

        ``waiting_uuid``: the leg whose talk waits; ``None``: the call is joined to another one.
        """
        if waiting_uuid is not None:
            self.waiting_uuids |= {waiting_uuid}
        if not self.is_consult:
            self.is_consult = True
            for leg in self.living.values():
                self._mark_consulted(leg.history)
            self.ended = [_consulted(leg) for leg in self.ended]

    # -- histories of the legs --------------------------------------------------------

    def _new_history(self, leg: ActiveLeg, role: Role | None) -> LegHistory:
        channel = leg.channel
        user_id: object = channel.user_id
        history = LegHistory(leg.uuid, self, user_id if isinstance(user_id, int) else None)
        history.role = role or role_at_first(channel, is_first=leg.uuid == self.first_uuid)
        if self.opening is None or leg.uuid == self.first_uuid:
            self.opening = history
        if history.role == "offered":
            history.group_id = self._offering_group(leg)
        elif channel.direction != "outbound":
            self.users.placed(history, leg.offered or leg.entered or 0)
        if channel.direction == "outbound" and leg.answered is not None and leg.offered:
            history.add_ring(leg.offered, leg.answered)
        return history

    def _offering_group(self, leg: ActiveLeg) -> int | None:
        """Return the id of the group whose queue offers the call to the party of a new leg."""
        lead = None if leg.other_uuid is None else self.living.get(leg.other_uuid)
        if lead is not None and isinstance(lead.channel.state, Calling):
            return _queue_of(lead.channel.state)
        info = leg.channel.other_info
        group_id: object = info.group_id if isinstance(info, OtherInfo) else None
        return group_id if isinstance(group_id, int) else None

    def _follow(self, leg: ActiveLeg, before: ActiveLeg | None) -> None:
        """Update the history of a leg after a change of its channel."""
        history = leg.history
        is_new_state = before is None or not (leg.is_unchanged or _is_same_state(leg, before))
        if not is_new_state and before is not None and leg.answered == before.answered:
            return
        # The role of a party that was called, or has called somebody, stays as it is.
        if history.role != "offered" and not history.has_asked:
            self._follow_role(leg, before)
        if leg.is_ringing and leg.answered is None:
            history.begin_ring(leg.entered or leg.offered or 0)
            if before is not None and before.other_uuid not in {None, leg.other_uuid}:
                self._ring_moved(leg)
        elif history.ring_began is not None:
            history.end_ring(leg.answered or leg.entered or history.ring_began)
        if is_new_state:
            self._follow_state(leg, before)

    def _follow_state(self, leg: ActiveLeg, before: ActiveLeg | None) -> None:
        """Begin, interrupt or end the connection of a leg after a change of its state."""
        history, state = leg.history, leg.channel.state
        at = leg.entered
        if at is None:
            at = leg.answered or leg.offered or 0
        if before is not None and before.entered is not None and at < before.entered:
            self.clock_adjusted = True
        if leg.is_bridged:
            if before is None:
                self._leave_former_partners(leg, at)
            self._connect(leg, at)
            return
        if isinstance(state, Bridged) and history.partner is not None:
            if history.music_since is None:
                history.set_music(at, hears=True)
            return
        is_parked = isinstance(state, Park) and history.has_talked
        if history.is_connected or history.is_parked != is_parked:
            self._leave_partner(history, at)
            history.disconnect(at, is_parked=is_parked)
        if isinstance(state, Calling):
            self._queue_entered(leg, state)

    def _follow_role(self, leg: ActiveLeg, before: ActiveLeg | None) -> None:
        history, channel = leg.history, leg.channel
        if asks_for_party(channel):
            history.has_asked = True
        role = next_role(history.role, channel, has_asked=history.has_asked)
        if role != history.role:
            history.role = role
            history.snapshot = None
            leg.is_unchanged = False
        if self._is_own_phone(leg):
            if leg.answered is not None:
                first = self.first
                if leg.uuid != self.first_uuid and (first is None or first.answered is None):
                    self._make_first(leg)
                self.users.placed(history, leg.answered)
            elif before is not None and not is_own_call(channel):
                history.role = "offered"
                history.group_id = self._offering_group(leg)
                history.snapshot = None
                leg.is_unchanged = False

    def _queue_entered(self, lead: ActiveLeg, state: Calling) -> None:
        """Note the group of the legs that ring for a lead leg and were shown before its state."""
        for leg in self.living.values():
            history = leg.history
            if leg.other_uuid != lead.uuid or history.role != "offered":
                continue
            is_new = lead.entered is None or (leg.offered or 0) >= lead.entered
            if is_new or (history.is_moved and leg.is_ringing):
                history.group_id = _queue_of(state)
                history.snapshot = None

    def _ring_moved(self, leg: ActiveLeg) -> None:
        """Note the group of a phone that goes on ringing for another leg than before.

        The queue in which that user waited for a colleague has offered this call to nobody.
        """
        history = leg.history
        history.is_moved = True
        if history.role == "offered":
            lead = None if leg.other_uuid is None else self.living.get(leg.other_uuid)
            state = None if lead is None else lead.channel.state
            history.group_id = _queue_of(state) if isinstance(state, Calling) else None
            history.snapshot = None

    def _is_own_phone(self, leg: ActiveLeg) -> bool:
        """Return True for a phone that the PBX called for its user's own call."""
        return leg.history.role == "placed" and leg.channel.direction == "outbound"

    def _end_placed(
        self, leg: ActiveLeg, answered: int | None, outcome: Disposition
    ) -> Disposition:
        """Return the outcome of an ended leg of the party that placed the call.

        If it was the first of several phones that rang for the user's own call, another one is
        the first leg from now on.
        """
        if answered is not None or not self._is_own_phone(leg):
            return outcome
        if leg.uuid == self.first_uuid:
            other = next((one for one in self.living.values() if self._is_own_phone(one)), None)
            if other is not None:
                self._make_first(other)
        first = self.first
        if first is None or first.answered is None:
            return outcome
        return "picked_up_elsewhere"

    def _make_first(self, leg: ActiveLeg) -> None:
        leg.is_unchanged = False
        self.first_uuid = leg.uuid
        self.first_has_ended = False
        self.opening = leg.history

    def _connect(self, leg: ActiveLeg, at: int) -> None:
        """Note that a leg is bridged since ``at``."""
        history, partner_uuid = leg.history, leg.other_uuid
        if not history.is_connected or history.partner_uuid != partner_uuid:
            self._leave_partner(history, at)
            history.connect(partner_uuid, at)
            self._mark_consulted(history)
        elif history.music_since is not None:
            history.set_music(at, hears=False)
        self.users.connected(history, at)
        partner = None if partner_uuid is None else self.living.get(partner_uuid)
        if partner is None:
            return
        if partner.is_bridged and partner.other_uuid == leg.uuid:
            if partner.history.partner_uuid != leg.uuid:  # it goes on after an interruption
                partner.history.connect(leg.uuid, at)
                self.users.connected(partner.history, at)
        elif (
            partner.entered is not None
            and partner.entered > at
            and not partner.history.hears_music_for(leg.uuid)
        ):
            history.disconnect(partner.entered)  # the event of this leg came late

    def _leave_partner(self, history: LegHistory, at: int) -> None:
        """End the connection of the leg that this leg is, or was, connected with."""
        partner = history.partner
        if partner is not None and partner.partner_uuid == history.uuid:
            partner.disconnect(at)

    def _leave_former_partners(self, leg: ActiveLeg, at: int) -> None:
        """End the connections with a leg that is connected with another one when it is shown."""
        for other in self.living.values():
            is_former = other.history.partner_uuid == leg.uuid and other.uuid != leg.other_uuid
            if is_former and (other.entered or 0) <= at:
                other.history.disconnect(at)

    def _mark_consulted(self, history: LegHistory) -> None:
        if self.is_consult and history.role == "offered" and history.has_talked:
            history.role = "consulted"
            history.snapshot = None

    def _end_history(
        self, leg: ActiveLeg, answered: int | None, ended: int, cause: str | None
    ) -> None:
        """End the ring, the connection and the periods of a leg.

        ``answered``: time of its answer, in microseconds since the epoch; ``None``: none.
        """
        history = leg.history
        history.end_ring(ended if answered is None else answered)
        if answered is None:
            if leg.channel.direction == "outbound":
                if history.rings == 0 and cause == "NO_ANSWER":
                    history.add_ring(leg.offered or ended, ended)
                history.note_cause(cause)
            elif cause == "NO_PICKUP" and history.role != "retrieved" and not history.has_asked:
                history.role = "picked_up"
        if history.activity is not None or history.is_connected:
            self._leave_partner(history, ended)
            history.disconnect(ended)
        if history.line_key is not None:
            # After a gap in the feed, another leg may show that this one lived longer.
            talked_until = history.talks[-1].ended if history.talks else ended
            self.users.ended(history, max(ended, talked_until))
        if history.clock_adjusted or (leg.entered is not None and ended < leg.entered):
            self.clock_adjusted = True

    # -- lead leg ---------------------------------------------------------------------

    def lead(self, talkers: Iterable[str | None]) -> ActiveLeg:
        """Return the lead leg: the leg whose state is the state of the call.

        This is the first leg while it lives. Otherwise legs that neither ring nor wait for a
        pickup come first; among them ``talkers``, the uuids of the legs that talked last, in
        their order; and among the others the leg that was offered first.
        """
        first = self.living.get(self.first_uuid)
        if first is not None:
            return first

        places = {uuid: place for place, uuid in enumerate(talkers)}

        def rank(leg: ActiveLeg) -> tuple[bool, int, int]:
            is_waiting = leg.is_ringing or leg.uuid in self.pending_pickups
            return is_waiting, places.get(leg.uuid, len(places)), leg.offered or 0

        return min(self.living.values(), key=rank)


def _is_same_state(leg: ActiveLeg, before: ActiveLeg) -> bool:
    """Return True if a leg is in the same state as before, connected with the same leg."""
    return (
        leg.entered == before.entered
        and leg.is_bridged == before.is_bridged
        and leg.is_ringing == before.is_ringing
        and leg.other_uuid == before.other_uuid
        and type(leg.channel.state) is type(before.channel.state)
    )


def _is_served(leg: ActiveLeg, answered_before: int | None = None) -> bool:
    """Return True if a user dialled, and an operation of the PBX serves them on the answered line.

    ``answered_before``: so that the line was answered before this time.
    """
    is_operation = isinstance(leg.channel.state, SystemOperation)
    if leg.history.role != "service" or not is_operation or leg.answered is None:
        return False
    return answered_before is None or leg.answered < answered_before


def _queue_of(state: Calling) -> int | None:
    """Return the id of the group that a leg calls; ``None`` if it calls no group."""
    group_id: object = state.group_id
    return group_id if state.target_type == "group" and isinstance(group_id, int) else None


def _end_of(leg: Leg) -> int:
    return leg.ended or 0


def _consulted(leg: Leg) -> Leg:
    """Return an ended leg of a consult call: a party that was called and talked was consulted."""
    return evolve(leg, role="consulted") if leg.role == "offered" and leg.talks else leg
