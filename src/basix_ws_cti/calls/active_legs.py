"""The legs of an active call: living legs, ended legs and pending pickups."""

from __future__ import annotations

from collections.abc import Container
from typing import Self

from attrs import Factory, define

from basix_ws_cti.elements import Channel

from .channel_facts import (
    has_external_callee,
    is_connected,
    is_phone_ringing,
    leg_of,
    other_leg_uuid,
    other_whoscall,
)
from .model import Leg

# Ended legs kept per call. A queue that rings the same phones for hours produces thousands.
# Beyond this limit the oldest leg that was never answered is dropped first.
MAX_ENDED_LEGS = 200


@define(eq=False)
class ActiveLeg:
    """One state of a living leg: its channel and the facts derived from it.

    The facts are derived once per event of this leg, because each event of the call reads the
    facts of all its legs. ``channel_facts`` explains them.
    """

    channel: Channel
    snapshot: Leg
    """The leg as it appears in ``Call.legs``."""
    uuid: str
    other_uuid: str | None
    """Uuid of the leg at the other end; ``None`` if the channel names none."""
    has_external_callee: bool
    other_whoscall: str | None
    """Caller directory entry of the party at the other end."""
    is_ringing: bool
    """True if the leg is a phone that rings."""
    is_bridged: bool
    """True if the leg is connected to another party."""

    @classmethod
    def of(cls, channel: Channel) -> Self:
        """Derive the facts from a channel."""
        leg = leg_of(channel, channel.hangup)
        return cls(
            channel,
            leg,
            leg.uuid,
            other_leg_uuid(channel),
            has_external_callee(channel),
            other_whoscall(channel),
            is_phone_ringing(channel),
            is_connected(channel),
        )


@define(eq=False)
class ActiveLegs:
    """All legs of one active call."""

    first_uuid: str
    """Uuid of the leg that the others were created for. The feed may never show this leg."""
    living: dict[str, ActiveLeg] = Factory(dict)
    """Legs that have not ended, by uuid, in the order in which they joined the call."""
    ended: list[Leg] = Factory(list)
    """Legs that ended, oldest first; at most ``MAX_ENDED_LEGS``."""
    ended_in_phase: list[Leg] = Factory(list)
    """Legs that ended since the current phase began; one of them may have ended the call."""
    pending_pickups: set[str] = Factory(set)
    """Uuids of living legs that dialled a pickup or a park slot and are not connected yet."""

    @property
    def first(self) -> ActiveLeg | None:
        """The first leg; ``None`` if it ended or the feed has not shown it."""
        return self.living.get(self.first_uuid)

    @property
    def first_has_ended(self) -> bool:
        """True if the feed showed how the first leg ended."""
        return any(leg.uuid == self.first_uuid for leg in self.ended)

    @property
    def only_pickups_left(self) -> bool:
        """True if every living leg, if any, is a pending pickup."""
        return self.living.keys() <= self.pending_pickups

    def put(self, leg: ActiveLeg, *, is_pickup: bool = False) -> None:
        """Add a leg, or replace its state. A pickup is pending until its leg is bridged."""
        self.living[leg.uuid] = leg
        if leg.is_bridged:
            self.pending_pickups.discard(leg.uuid)
        elif is_pickup:
            self.pending_pickups.add(leg.uuid)

    def end(self, leg: Leg) -> None:
        """Move a living leg to the ended ones, given its final state."""
        del self.living[leg.uuid]
        self.pending_pickups.discard(leg.uuid)
        self.ended_in_phase.append(leg)
        self.ended.append(leg)
        if len(self.ended) > MAX_ENDED_LEGS:
            unanswered = (index for index, one in enumerate(self.ended) if one.answered is None)
            del self.ended[next(unanswered, 0)]
            del self.ended_in_phase[:-MAX_ENDED_LEGS]

    def absorb(self, other: ActiveLegs) -> None:
        """Add the living legs of another call."""
        self.living |= other.living
        self.pending_pickups |= other.pending_pickups

    def lead(self, talkers: Container[str | None]) -> ActiveLeg:
        """Return the lead leg: the leg whose state is the state of the call.

        This is the first leg while it lives. Otherwise legs that neither ring nor wait for a
        pickup come first; among them ``talkers``, the uuids of the legs that talked last; and
        among those the leg that was offered first.
        """
        first = self.living.get(self.first_uuid)
        if first is not None:
            return first

        def rank(leg: ActiveLeg) -> tuple[bool, bool, int]:
            is_waiting = leg.is_ringing or leg.uuid in self.pending_pickups
            return is_waiting, leg.uuid not in talkers, leg.snapshot.offered or 0

        return min(self.living.values(), key=rank)
