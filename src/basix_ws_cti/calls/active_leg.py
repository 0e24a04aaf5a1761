"""One leg of an active call, and the facts derived from its channel."""

from __future__ import annotations

from operator import attrgetter
from typing import Self

from attrs import define, field

from basix_ws_cti._internal.codegen import constructor
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

_make_leg = constructor(Leg)

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


@define(eq=False)
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
    is_unchanged: bool = False
    """True if neither a fact but ``answered`` nor the role differs from the state before."""
    history: LegHistory = field(init=False)
    """What happened on the leg so far; set when the leg becomes a part of a call."""

    @classmethod
    def of(cls, channel: Channel, uuid: str, before: ActiveLeg | None = None) -> Self:
        """Derive the facts from a channel, given its uuid and the leg's state before, if any."""
        answered = channel.answer_timestamp
        answered = answered if type(answered) is int else None
        if (
            before is not None
            and channel.state == before.channel.state
            and _facts_of(channel) == _facts_of(before.channel)
        ):
            return cls(
                channel,
                uuid,
                before.party,
                before.offered,
                answered,
                before.entered,
                before.other_uuid,
                before.other_whoscall,
                before.is_ringing,
                before.is_bridged,
                is_unchanged=True,
            )
        offered = channel.offer_timestamp
        state = channel.state
        entered = state.ts if isinstance(state, State) else None
        other_uuid = channel.other_uuid
        if other_uuid is not None:
            other_uuid = other_leg_uuid(channel)
        return cls(
            channel,
            uuid,
            own_party(channel) if before is None else before.party_of(channel),
            offered if type(offered) is int else None,
            answered,
            entered if type(entered) is int else None,
            other_uuid,
            other_whoscall(channel),
            type(state) is Ringing and is_phone_ringing(channel),
            type(state) is Bridged and is_bridged_to_party(channel),
        )

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
        """Return the leg as it appears in ``Call.legs``, after a change."""
        history, channel = self.history, self.channel
        history.snapshot = snapshot = leg_of(
            channel, self.party, self.offered, self.answered, None, channel.hangup, None, history
        )
        return snapshot


def leg_of(  # noqa: PLR0917
    channel: Channel,
    party: Party,
    offered: int | None,
    answered: int | None,
    ended: int | None,
    hangup: Hangup | None,
    outcome: Disposition | None,
    history: LegHistory,
) -> Leg:
    """Return a leg as it appears in ``Call.legs``; the arguments are its fields."""
    return _make_leg(
        history.uuid,
        party,
        channel.direction,
        offered,
        answered,
        ended,
        hangup,
        outcome,
        history.role,
        history.group_id,
        history.rings,
        history.rang_us,
        history.timed_out,
        history.talks,
        history.holds,
        history.since if history.activity == "talk" else None,
    )
