"""One leg of an active call, and the facts derived from its channel."""

from __future__ import annotations

from operator import attrgetter

from attrs import define

from basix_ws_cti._internal.codegen import writable
from basix_ws_cti.elements import Channel, Hangup
from basix_ws_cti.states import Bridged, Ringing, State

from .channel_facts import (
    is_bridged_to_party,
    is_phone_ringing,
    other_leg_uuid,
    other_whoscall,
    own_party,
)
from .leg_history import LegHistory
from .model import Disposition, Leg, Party

# Legs are created at most events, and this is faster than their constructor.
_WritableLeg = writable(Leg)

# All fields of a channel that the tracker reads, except for the state and the time of its answer.
_facts_of = attrgetter(
    "offer_timestamp",
    "other_uuid",
    "other_info",
    "user_id",
    "direction",
    "peer_location",
    "calling_name",
    "calling_number",
    "called_number",
    "end_user",
    "extra",
    "target",
    "origination",
    "tags",
)


@define(eq=False, init=False)
class ActiveLeg:
    """One state of a living leg: its channel and the facts derived from it.

    The facts are derived once per event of this leg, because each event of the call reads the
    facts of all its legs. ``channel_facts`` explains them.
    """

    channel: Channel
    uuid: str
    party: Party
    """The party at the leg's own end."""
    offered: int | None
    """Time at which the leg was created, in microseconds since the epoch."""
    answered: int | None
    """Time at which the leg was answered, in microseconds since the epoch."""
    entered: int | None
    """Time at which the leg entered its state, in microseconds since the epoch."""
    other_uuid: str | None
    """Uuid of the leg at the other end; ``None`` if the channel names none."""
    other_whoscall: str | None
    """Caller directory entry of the party at the other end."""
    is_ringing: bool
    """True if the leg is a phone that rings."""
    is_bridged: bool
    """True if the leg is connected to another party."""
    is_unchanged: bool
    """True if neither a fact but ``answered`` nor the role differs from the state before."""
    history: LegHistory
    """What happened on the leg so far; set when the leg becomes a part of a call."""

    def __init__(self, channel: Channel, uuid: str, before: ActiveLeg | None = None) -> None:
        """Derive the facts from a channel, given its uuid and the leg's state before, if any."""
        answered = channel.answer_timestamp
        self.channel = channel
        self.uuid = uuid
        self.answered = answered if type(answered) is int else None
        if (
            before is not None
            and channel.state == before.channel.state
            and _facts_of(channel) == _facts_of(before.channel)
        ):
            self.is_unchanged = True
            self.party = before.party
            self.offered = before.offered
            self.entered = before.entered
            self.other_uuid = before.other_uuid
            self.other_whoscall = before.other_whoscall
            self.is_ringing = before.is_ringing
            self.is_bridged = before.is_bridged
            return
        offered = channel.offer_timestamp
        state = channel.state
        entered = state.ts if isinstance(state, State) else None
        self.is_unchanged = False
        self.party = own_party(channel) if before is None else before.party_of(channel)
        self.offered = offered if type(offered) is int else None
        self.entered = entered if type(entered) is int else None
        self.other_uuid = None if channel.other_uuid is None else other_leg_uuid(channel)
        self.other_whoscall = other_whoscall(channel)
        self.is_ringing = type(state) is Ringing and is_phone_ringing(channel)
        self.is_bridged = type(state) is Bridged and is_bridged_to_party(channel)

    def party_of(self, channel: Channel) -> Party:
        """Return the party at the leg's own end, given a newer state of its channel.

        This is the same object unless something about the party changed.
        """
        old, user_id = self.channel, channel.user_id
        if (
            user_id == old.user_id
            and channel.calling_name == old.calling_name
            and channel.direction == old.direction
            and (
                user_id is not None
                or (
                    channel.calling_number == old.calling_number
                    and channel.called_number == old.called_number
                    and channel.end_user == old.end_user
                    and channel.extra == old.extra
                )
            )
        ):
            return self.party
        return own_party(channel)

    def new_snapshot(self) -> Leg:
        """Return the living leg as it appears in ``Call.legs``, after a change."""
        self.history.snapshot = snapshot = self._leg_of(None, self.channel.hangup, None)
        return snapshot

    def end(self, channel: Channel, ended: int, hangup: Hangup | None, outcome: Disposition) -> Leg:
        """Return the ended leg as it appears in ``Call.legs``, given the last state of its channel.

        ``ended``: time of its end, in microseconds since the epoch.
        """
        offered, answered = channel.offer_timestamp, channel.answer_timestamp
        self.party = self.party_of(channel)
        self.channel = channel
        self.offered = offered if type(offered) is int else None
        self.answered = answered if type(answered) is int else None
        return self._leg_of(ended, hangup, outcome)

    def _leg_of(self, ended: int | None, hangup: Hangup | None, outcome: Disposition | None) -> Leg:
        history = self.history
        leg = _WritableLeg()
        leg.uuid = self.uuid
        leg.party = self.party
        leg.direction = self.channel.direction
        leg.offered = self.offered
        leg.answered = self.answered
        leg.ended = ended
        leg.hangup = hangup
        leg.outcome = outcome
        leg.role = history.role
        leg.group_id = history.group_id
        leg.rings = history.rings
        leg.rang_us = history.rang_us
        leg.timed_out = history.timed_out
        leg.talks = history.talks
        leg.holds = history.holds
        leg.talking_since = history.since if history.activity == "talk" else None
        leg.__class__ = Leg
        return leg  # type: ignore[no-any-return]
