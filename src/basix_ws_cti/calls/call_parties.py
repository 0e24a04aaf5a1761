"""Parties of an active call: who called, whom they asked for, and in which direction."""

from __future__ import annotations

from operator import attrgetter
from typing import TypeGuard

from attrs import define, evolve, field

from basix_ws_cti.elements import Channel
from basix_ws_cti.states import (
    Bridged,
    Calling,
    CallingSipTermination,
    CheckingVoicemail,
    Conference,
    Eavesdrop,
    Ivr,
    Voicemail,
    XmlIvr,
)

from .active_leg import ActiveLeg
from .active_legs import ActiveLegs
from .channel_facts import (
    has_external_callee,
    last_known_alive,
    number_of,
    other_party,
    requested_party,
)
from .leg_roles import OF_CALLER
from .model import UNKNOWN_PARTY, Direction, Party

# Tags kept per call. A leg has a few; a peer that sends ever new ones must not fill the memory.
MAX_TAGS = 100

# States in which the first leg is in a service of the PBX that was dialled. A system operation may
# also be a step on the way to somebody outside.
_SERVICES = frozenset({Ivr, XmlIvr, Voicemail, CheckingVoicemail, Conference, Eavesdrop})

# Types of targets inside the PBX.
_INSIDE = frozenset({"user", "group"})

_CALLING = frozenset({Calling, CallingSipTermination})

# The values of ``CallParties`` that a ``Call`` shows.
_values_of = attrgetter(
    "caller", "called_number", "direction", "requested", "origination", "tags", "went_outside"
)


@define(eq=False)
class CallParties:
    """Caller, dialled number, direction and labels of a call, as far as the legs reveal them.

    - While the first leg lives, its party is the caller. If the feed never showed the first leg,
      the caller is the other party of the lead leg.
    - Of numbers that change during the call, the last one counts. One of the PBX's markers is no
      number, and the number before it counts.
    - The direction is inbound if the caller is outside. Otherwise it depends on whom the call
      reached first: outbound for somebody outside; internal for a user or group, also if the
      ``target`` of the first leg names one, and for a service of the PBX. Of two at the same time,
      the one inside counts, so that the order of simultaneous events does not matter. A later
      transfer or forward to outside changes ``went_outside`` only.
    - A call that the PBX itself began, by ringing the phone of the user who requested it through
      the API, is outbound until it reaches somebody. So an attempt that ends before is outbound.
    """

    caller: Party = UNKNOWN_PARTY
    called_number: str | None = None
    direction: Direction = "internal"
    requested: Party = UNKNOWN_PARTY
    """User or group in the first ``target`` of the first leg; ``Party()``: none."""
    origination: tuple[str, ...] = ()
    """``origination`` of the first leg."""
    tags: tuple[str, ...] = ()
    """Tags of all legs, in the order in which they appeared."""
    went_outside: bool = False
    """True if somebody outside was called for a call that is not outbound."""
    inside_since: int | None = None
    """Time at which the call first reached a user, group or service of the PBX, in microseconds
    since the epoch."""
    outside_since: int | None = None
    """Time at which the call first reached somebody outside."""
    reached: tuple[int | None, int | None] = (None, None)
    """The two times above from which the direction was derived last."""
    is_joined: bool = False
    """True once another call became a part of this one: its legs say nothing about the direction
    of this one."""
    tag_order: dict[str, tuple[int, int, int]] = field(init=False, factory=dict)
    """Sort key of each tag: time of its appearance, offer of its leg, place among its tags."""

    def update(self, legs: ActiveLegs, lead: ActiveLeg, changed: ActiveLeg) -> bool:
        """Follow a change of the leg ``changed``; return True if something here changed."""
        first = legs.living.get(legs.first_uuid)
        is_first = changed is first
        self._observe(changed, is_first=is_first)
        reached = self.inside_since, self.outside_since
        if (
            first is not None
            and not is_first
            and reached == self.reached
            and not changed.other_whoscall
            and not changed.channel.tags
        ):
            return False
        self.reached = reached
        before = _values_of(self)
        first_has_ended = first is None and legs.first_has_ended
        if first is not None:
            if is_first:
                self._follow_caller(first, legs)
                self._read_labels(first)
            elif changed.other_whoscall and self.caller.whoscall is None:
                self.caller = self._with_whoscall(self.caller, legs)
        elif not first_has_ended:
            self.caller = other_party(lead.channel)
            self._follow_called_number(lead.channel)
        if changed.channel.tags:
            self._add_tags(changed, legs)
        self.direction = self._direction(first, first_has_ended=first_has_ended)
        self.went_outside = self.direction != "outbound" and self.outside_since is not None
        return _values_of(self) != before

    def absorb(self, other: CallParties) -> None:
        """Take over what is known of a call that becomes part of this one."""
        self.is_joined = True
        if other.outside_since is not None:
            self.outside_since = _earlier(self.outside_since, other.outside_since)
        for tag, order in other.tag_order.items():
            if len(self.tag_order) < MAX_TAGS or tag in self.tag_order:
                self.tag_order[tag] = min(order, self.tag_order.get(tag, order))
        self._sort_tags()

    # -- caller and dialled number --------------------------------------------------------

    def _follow_caller(self, first: ActiveLeg, legs: ActiveLegs) -> None:
        caller = first.party
        if caller.number is None and caller.user_id is None and self.caller.number is not None:
            caller = evolve(caller, number=self.caller.number)
        self.caller = self._with_whoscall(caller, legs)
        self._follow_called_number(first.channel)

    def _follow_called_number(self, channel: Channel) -> None:
        if channel.called_number != self.called_number:
            called_number = number_of(channel.called_number)
            if called_number is not None:
                self.called_number = called_number

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

    # -- requested party, origination, tags -----------------------------------------------

    def _read_labels(self, first: ActiveLeg) -> None:
        """Read the labels that only the first leg has."""
        channel = first.channel
        if channel.target is not None and self.requested is UNKNOWN_PARTY:
            self.requested = requested_party(channel)
            if self.requested is not UNKNOWN_PARTY:
                self.inside_since = _earlier(self.inside_since, _time_of(first))
        if isinstance(channel.origination, tuple) and channel.origination:
            self.origination = tuple(filter(_is_text, channel.origination))

    def _add_tags(self, leg: ActiveLeg, legs: ActiveLegs) -> None:
        tags = leg.channel.tags
        if not isinstance(tags, tuple) or self.tag_order.keys() >= {*filter(_is_text, tags)}:
            return
        # The latest time of all legs is the same for simultaneous events in any order.
        now = max(last_known_alive(one.channel) for one in legs.living.values())
        for place, tag in enumerate(tags):
            if _is_text(tag) and tag not in self.tag_order and len(self.tag_order) < MAX_TAGS:
                self.tag_order[tag] = now, leg.offered or 0, place
        self._sort_tags()

    def _sort_tags(self) -> None:
        self.tags = tuple(sorted(self.tag_order, key=lambda tag: (self.tag_order[tag], tag)))

    # -- direction --------------------------------------------------------------------------

    def _observe(self, leg: ActiveLeg, *, is_first: bool) -> None:
        """Note when the call reached the parties that a leg calls, or was created to call."""
        channel = leg.channel
        state = channel.state
        is_calling = type(state) in _CALLING
        # A phone of a user has an external callee only if it calls one.
        if (is_calling or channel.user_id is None) and has_external_callee(channel):
            at = _time_of(leg) if is_calling or leg.offered is None else leg.offered
            self.outside_since = _earlier(self.outside_since, at)
        # A phone that the PBX called for its own user, who placed the call, is no callee.
        is_own = is_first or leg.history.role in OF_CALLER
        if (is_calling and isinstance(state, Calling) and state.target_type in _INSIDE) or (
            is_own and type(state) in _SERVICES
        ):
            self.inside_since = _earlier(self.inside_since, _time_of(leg))
        elif not is_own and channel.user_id is not None and channel.direction != "inbound":
            at = _time_of(leg) if leg.offered is None else leg.offered
            self.inside_since = _earlier(self.inside_since, at)

    def _direction(self, first: ActiveLeg | None, *, first_has_ended: bool) -> Direction:
        """Return the direction, which depends on the first leg and on whom the call reached."""
        if self.is_joined:
            return self.direction
        inside, outside = self.inside_since, self.outside_since
        if first is not None:
            channel = first.channel
            is_inbound = channel.peer_location == "external" and channel.direction != "outbound"
        elif first_has_ended:
            is_inbound = self.direction == "inbound"
        else:
            is_inbound = self.caller.user_id is None
        if is_inbound:
            return "inbound"
        if outside is not None and (inside is None or outside < inside):
            return "outbound"
        if inside is not None or outside is not None:
            return "internal"
        is_attempt = self.direction == "outbound" if first is None else _is_attempt(first)
        return "outbound" if is_attempt else "internal"


def _is_attempt(first: ActiveLeg) -> bool:
    """Return True if the PBX rings the user who placed the call, and nobody else so far."""
    if first.channel.direction != "outbound" or first.history.role != "placed":
        return False
    # Once that user has answered, they may hear an announcement.
    return first.is_ringing or (isinstance(first.channel.state, Bridged) and not first.is_bridged)


def _time_of(leg: ActiveLeg) -> int:
    """Return the time of a leg's state, in microseconds since the epoch; 0 if it has no times."""
    return leg.offered or 0 if leg.entered is None else leg.entered


def _earlier(one: int | None, other: int) -> int:
    return other if one is None or other < one else one


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)
