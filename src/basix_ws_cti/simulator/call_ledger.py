"""Log of the calls that ended in the simulated PBX, to compare with a client's rows.

The ledger follows the operations of the PBX (which leg rings for which, which legs are bridged,
transferred, parked, hung up), and not the feed. So it is an independent check of code that
derives calls from the feed. ``ledger_calls`` has the active call, ``wait_ledger`` its stays in
queues, ``participation_ledger`` its participants, ``ledger_outcome`` says how a call ended, and
``ledger_rows`` has the rows.

A user may have several calls, but talks in the newest one only. Each user has a list of the legs
that take their attention, until they end, in the order in which they began to: a leg that the user
dialled from its offer, one that the API rang from its answer, any other from its first bridge; a
leg that is bridged again becomes the newest. Two legs that are connected are *held* while one of
them is not the newest of its user.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from attrs import Factory, define, field, frozen

from .ledger_calls import PICKUPS, LedgerCall
from .ledger_outcome import Ending, call_row, left_waiting, purpose_of, set_roles
from .model import MEDIA_PLUG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .ledger_calls import Talk
    from .ledger_rows import CallRow, ParticipationRow, WaitRow
    from .model import Channel

# Calls whose rows are kept, the newest: enough for 36 hours of a call centre.
MAX_ROWS = 20_000


@frozen
class _Rows:
    """The rows of one call that ended."""

    call: CallRow
    waits: tuple[WaitRow, ...]
    participations: tuple[ParticipationRow, ...]


@define(eq=False)
class Ledger:
    """Log of completed calls; iterates over the calls kept, in the order of their ends.

    ``max_rows`` is the number of calls kept, the newest.
    """

    max_rows: int = MAX_ROWS
    _rows: deque[_Rows] = field(
        init=False, default=Factory(lambda self: deque(maxlen=self.max_rows), takes_self=True)
    )
    # By uuid of each of its legs.
    _call_of: dict[str, LedgerCall] = field(init=False, factory=dict)
    # By user id: the legs that take the user's attention, the newest last.
    _busy_legs: dict[int, list[Channel]] = field(init=False, factory=dict)

    def __iter__(self) -> Iterator[CallRow]:
        return iter([rows.call for rows in self._rows])

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def waits(self) -> tuple[WaitRow, ...]:
        """The waits in queues of the calls kept, in the order of the calls' ends."""
        return tuple(wait for rows in self._rows for wait in rows.waits)

    @property
    def participations(self) -> tuple[ParticipationRow, ...]:
        """The participations in the calls kept, in the order of the calls' ends."""
        return tuple(one for rows in self._rows for one in rows.participations)

    @property
    def active_calls(self) -> int:
        """Number of calls that have not ended."""
        return len({*self._call_of.values()})

    # -- operations of the PBX --------------------------------------------------------

    def leg_added(self, channel: Channel, served: Channel | None, now: int) -> None:
        """Record a new leg. ``now``, here and below: microseconds since the epoch.

        ``served`` is the channel for which or with which it rings, or which it is to pick up or
        retrieve; ``None``: the leg starts a call.
        """
        call = self._call_of.get(served.uuid) if served is not None else None
        if call is None or served is None:
            call = self._start_call(channel)
        elif channel.rings_for is not None:
            is_queued = served.state.data.get("target_type") == "group"
            call.participants.add(channel, "offered", served.group_id if is_queued else None)
            call.waits.phone_rang()
            if channel.person is not None:
                call.route(outside=True)
        elif channel.forked_from is not None:
            call.participants.add(channel, "placed")
        else:
            role = "retrieved" if served.state.name == "park" else "picked_up"
            call.pending_pickups[channel.uuid] = role
        call.add_leg(channel)
        self._call_of[channel.uuid] = call
        if channel.state.name == "ringing":
            call.participants.of(channel).ring_started(channel.uuid, now)
        if channel.direction == "inbound" and channel not in self._legs_of_user(channel):
            self._occupy(channel, now)

    def state_changed(self, channel: Channel, now: int) -> None:
        """Record the new state of a leg."""
        call = self._call_of[channel.uuid]
        if channel.state.name != "bridged" and call.connects(channel):
            call.stop_talk(now)
        if call.leads(channel):
            call.lead_changed(channel, now)
        call.routed(channel)

    def legs_bridged(self, lead: Channel, leg: Channel, now: int) -> None:
        """Record that two legs are connected: ``leg`` answers, or replaces the former one.

        If they belong to two calls, one of them is merged into the other.
        """
        call = self._join(lead, leg, now)
        call.stop_talk(now)
        call.start_talk(lead, leg, now)
        for one in (lead, leg):
            self._occupy(one, now)

    def leg_answered(self, channel: Channel, now: int) -> None:
        """Record that a leg has been answered, by its peer or by the PBX."""
        call = self._call_of[channel.uuid]
        if channel.uuid not in call.pending_pickups:
            call.leg_answered(channel, now)
        is_originated = call.is_callers(channel) and channel.direction == "outbound"
        if is_originated and channel.calling_number != MEDIA_PLUG:
            call.set_waiting(self._talks_of(channel))
            self._occupy(channel, now)

    def ring_moved(self, ringing: Channel, lead: Channel, now: int) -> None:
        """Record that a phone rings on behalf of another lead leg, perhaps of another call."""
        call = self._call_of[ringing.uuid]
        call.participants.of(ringing).offer_moved(ringing.uuid)
        call.waits.end("overflowed", now)
        self._join(lead, ringing, now)

    def transferred(self, lead: Channel, *, attended: bool) -> None:
        """Record a transfer."""
        call = self._call_of[lead.uuid]
        if attended:
            call.attended_transfers += 1
        else:
            call.blind_transfers += 1

    def leg_hung_up(self, channel: Channel, *, by_peer: bool) -> None:
        """Record a hangup, by the leg's peer or by the PBX, before the leg ends.

        The last hangup decides how the call ended, but none after the caller's is recorded.
        """
        call = self._call_of[channel.uuid]
        if call.hung_up is None or not call.is_callers(call.hung_up[0]):
            call.hung_up = (channel, by_peer)

    def leg_ended(self, channel: Channel, now: int) -> None:
        """Record the end of a leg; the call ends with its last leg.

        A leg that waits to pick the call up does not keep it going, and becomes a call itself.
        """
        call = self._call_of.pop(channel.uuid)
        call.end_leg(channel, now)
        self._release(channel, now)
        if call.legs.keys() <= call.pending_pickups.keys():
            self._close(call, now, Ending.of(call, channel, now))
            for leg in call.legs.values():
                self.leg_added(leg, None, now)
                self.state_changed(leg, now)

    def channels_dropped(self, now: int) -> None:
        """Record the end of all calls with an unknown cause, as when the PBX restarts."""
        for call in dict.fromkeys(self._call_of.values()):
            for leg in [*call.legs.values()]:
                call.end_leg(leg, now)
            self._close(call, now, None)
        self._call_of.clear()
        self._busy_legs.clear()

    # -- helpers ----------------------------------------------------------------------

    def _start_call(self, channel: Channel) -> LedgerCall:
        """Return the new call of its first leg."""
        is_plug = channel.calling_number == MEDIA_PLUG
        operation = channel.state.data.get("operation", "")
        call = LedgerCall(
            first=channel,
            lead=channel,
            is_pickup=operation in PICKUPS,
            direction="inbound" if channel.person is not None else None,
        )
        role = "monitored" if is_plug else PICKUPS.get(operation, "placed")
        call.participants.add(channel, role)
        if channel.direction == "inbound":
            call.set_waiting(self._talks_of(channel))
        return call

    def _join(self, lead: Channel, leg: Channel, now: int) -> LedgerCall:
        """Merge the calls of two legs if they are two; return the call of both."""
        call, other = self._call_of[lead.uuid], self._call_of[leg.uuid]
        if call is other:
            return call
        call, other = sorted((call, other), key=lambda one: one.precedence)
        party = lead if lead.uuid in call.legs else leg
        user_id = None if party.user is None else party.user.id
        other.stop_talk(now)
        other.stop_park(now)
        other.waits.end("answered", now, answered_by_user_id=user_id)
        self._close(other, now, None, joined=call.first.uuid)
        call.absorb(other)
        self._call_of |= dict.fromkeys(other.legs, call)
        return call

    def _close(
        self, call: LedgerCall, now: int, ending: Ending | None, *, joined: str | None = None
    ) -> None:
        """Add the rows of a call that ends; ``ending`` and ``joined`` are as in ``call_row``."""
        result = "unknown"
        if ending is not None:
            result = "abandoned" if left_waiting(call, ending) else "ended"
        purpose = purpose_of(call, joined=joined is not None)
        set_roles(call, purpose)
        row = call_row(call, now, purpose, ending, joined)
        call.waits.end(result, now)
        waits = tuple(call.waits.rows(row.id, purpose))
        participations = (
            () if joined is not None else tuple(call.participants.rows(row.id, call.first))
        )
        self._rows.append(_Rows(row, waits, participations))

    # -- users who are in several calls -------------------------------------------------

    def _legs_of_user(self, channel: Channel) -> list[Channel]:
        """Return the legs that take the attention of a leg's user, the newest last."""
        return [] if channel.user is None else self._busy_legs.get(channel.user.id, [])

    def _talks_of(self, channel: Channel) -> set[str]:
        """Return the uuids of the legs on which a leg's user is connected with somebody."""
        return {leg.uuid for leg in self._legs_of_user(channel) if self._talk_of(leg) is not None}

    def _talk_of(self, leg: Channel) -> Talk | None:
        """Return the talk that a leg has part in; ``None``: it is connected with no other leg."""
        call = self._call_of.get(leg.uuid)
        return call.talk if call is not None and call.connects(leg) else None

    def _occupy(self, leg: Channel, now: int) -> None:
        """Record that a leg is now the newest that takes its user's attention."""
        if leg.user is not None:
            legs = self._busy_legs.setdefault(leg.user.id, [])
            if leg in legs:
                legs.remove(leg)
            legs.append(leg)
            self._review_talks(legs, now)

    def _release(self, leg: Channel, now: int) -> None:
        """Record that a leg does not take its user's attention any more."""
        legs = self._legs_of_user(leg)
        if leg in legs and leg.user is not None:
            legs.remove(leg)
            self._review_talks(legs, now)
            if not legs:
                del self._busy_legs[leg.user.id]

    def _review_talks(self, legs: list[Channel], now: int) -> None:
        """Start or end the holds of the talks in which a user's legs have part."""
        for leg in legs:
            talk = self._talk_of(leg)
            if talk is not None:
                held = any(
                    others[-1] is not one
                    for one in talk.legs
                    if (others := self._legs_of_user(one))
                )
                self._call_of[leg.uuid].set_held(now, held=held)
