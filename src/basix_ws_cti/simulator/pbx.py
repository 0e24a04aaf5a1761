"""The simulated PBX: its users and groups, and everything that can be done with calls.

The model is pure: no I/O, no wall clock, and only seeded randomness. The code that drives the
PBX moves its clock ``now``. The model has three layers, each a base class of the next:
``Company`` (users, groups, phones), ``CallLegs`` (operations on single legs) and ``Pbx``
(operations on calls). docs/reference/simulator.md lists how they behave where the protocol
leaves that open.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from attrs import define

from .call_legs import CallLegs
from .errors import NotPossibleError
from .model import MEDIA_PLUG, Group, Person, User, other_info

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .model import Channel, Fields, Terminal

_PARK_SLOTS = range(901, 997)  # three for each user
_SHARED_SLOTS = range(997, 1000)


@define(eq=False)
class Pbx(CallLegs):
    """A simulated PBX without a network.

    An operation on a call raises ``NotPossibleError`` if a channel has ended, or is not in
    the state that the operation needs.

    :param int seed: seed of all random decisions.
    :param bool older: simulate an older server, with the kinds ``queued_channel`` and
        ``parked_channel`` instead of ``channel_waiting``, and without ``domain``.
    :param int now: the PBX's clock, in microseconds since the epoch; the code that drives the
        PBX moves it.
    :ivar channels: active channels by uuid.
    :ivar users: users by id.
    :ivar groups: groups by id.
    :ivar members: memberships by id.
    :ivar terminals: phones by id.
    :ivar listeners: functions called with the kind, key, fields and event name of each change.
    :ivar ledger: log of the calls that ended; iterates over ``CallRow``, the oldest first; its
        ``waits`` and ``participations`` have the ``WaitRow`` and ``ParticipationRow`` of them.
    :ivar random: the seeded ``random.Random`` of all random decisions.
    """

    def remove_user(self, user: User) -> None:
        """Remove a user with their memberships and phones; their calls end."""
        self._check_exists(user)
        for leg in self.channels_of(user):
            if leg.uuid in self.channels:
                self.hang_up(leg, by_peer=False)
        super().remove_user(user)

    # -- calling ----------------------------------------------------------------------

    def request(self, lead: Channel, to: User | Group) -> None:
        """Record whom the caller asks for; the first one counts. Nothing rings yet."""
        kind = "user" if isinstance(to, User) else "group"
        lead.target = lead.target or _target(kind, to, lead.called_number)

    def call_user(self, lead: Channel, user: User) -> Channel:
        """Ring a user's phone for a lead leg; return the leg that rings."""
        self._check_active(lead)
        self.request(lead, user)
        self._announce_callee(lead, user)
        return self.ring(lead, user)

    def call_group(self, lead: Channel, group: Group) -> list[Channel]:
        """Put a lead leg into a group's queue, and ring members; return the legs that ring.

        A ring group rings all available members. A hunt group rings the first one; the
        caller of this method rings the next ones with ``ring()``.
        """
        self._check_active(lead)
        self.request(lead, group)
        lead.group_id = group.id
        lead.waiting = bool(group.queue)
        lead.other_uuid = lead.other_info = None
        target = {"target_location": "int", "target_type": "group", "group_id": group.id}
        if group.type:
            self.set_state(lead, "calling", **target, group_type="hunt")
        else:
            self.set_state(lead, "calling", **target, group_type="ring", group_queue_id=group.name)
        available = self.available(self.members_of(group))
        return [self.ring(lead, user) for user in (available[:1] if group.type else available)]

    def call_out(self, lead: Channel, person: Person) -> Channel:
        """Ring a phone outside for a lead leg; return the leg that rings."""
        self._check_active(lead)
        self._announce_callee(lead, person)
        return self.ring(lead, person)

    def connect(self, leg: Channel) -> None:
        """Answer a ringing leg and bridge it to its lead leg; the other phones stop ringing."""
        lead = self.channel(leg.rings_for or "")
        self.answer(leg)
        self.answer(lead)
        for other in self.ringing_for(lead):
            if other is not leg:
                self._end(other, "send_cancel", "LOSE_RACE")
        self.bridge(lead, leg)

    def refuse(self, leg: Channel, cause: str = "USER_BUSY") -> None:
        """End a ringing leg because its peer refuses the call; other phones keep ringing."""
        self._check_state(leg, "ringing")
        self.ledger.leg_hung_up(leg, by_peer=True)
        self._end(leg, "recv_refuse", cause)

    def stop_ringing(self, leg: Channel, cause: str = "NO_ANSWER") -> None:
        """End a ringing leg because the PBX cancels it; other phones keep ringing."""
        self._check_state(leg, "ringing")
        self.ledger.leg_hung_up(leg, by_peer=False)
        self._end(leg, "send_cancel", cause)

    # -- calls started by the API -------------------------------------------------------

    def ring_endpoints(
        self, phones: Mapping[str, Terminal], destination: str, **details: Any
    ) -> list[Channel]:
        """Ring phones as the API does, as the first half of a call to ``destination``.

        ``phones``: each phone by the uuid of the leg that it gets. ``details``: as for
        ``originate()``. Returns the legs that ring; ``answer_originated()`` answers one of them.
        """
        legs: list[Channel] = []
        for uuid, phone in phones.items():
            user = self.users.get(phone.assoc_user_id)
            if user is not None and phone.id in self.terminals:
                leg = self.originate(
                    user,
                    destination,
                    uuid=uuid,
                    address=phone.name,
                    forked_from=legs[0].uuid if legs else None,
                    destination=destination,
                    **details,
                )
                legs.append(leg)
        return legs

    def answer_originated(self, leg: Channel) -> list[Channel]:
        """Answer a leg that the API rings, and call its destination; return the legs that ring.

        The other phones of the same call stop ringing. Nothing rings for ``media_plug``.
        """
        self._check_state(leg, "ringing")
        destination, leg.destination = leg.destination, None
        self.answer(leg)
        for other in self.forks_of(leg):
            self._end(other, "send_cancel", "LOSE_RACE")
        if destination is None or destination == MEDIA_PLUG:
            return []
        return self._call(leg, self.find_extension(destination) or Person(destination))

    def forks_of(self, leg: Channel) -> list[Channel]:
        """Return the other legs that the API rings for the same call."""
        first = leg.forked_from or leg.uuid
        return [
            other
            for other in self.channels.values()
            if other is not leg and first in {other.uuid, other.forked_from}
        ]

    # -- park, pickup, transfer ---------------------------------------------------------

    def free_slot(self, user: User) -> int:
        """Return a free park slot: one of the user's own three, or else a shared one."""
        first = _PARK_SLOTS.start + 3 * user.park_group % len(_PARK_SLOTS)
        taken = {leg.state.data["slot"] for leg in self.parked_channels()}
        for slot in chain(range(first, first + 3), _SHARED_SLOTS):
            if slot not in taken:
                return slot
        raise NotPossibleError(f"all park slots of {user.name} are taken")

    def park(self, lead: Channel, *, by_peer: bool = True) -> int:
        """Park a channel that talks to a user; return its slot. The user's leg ends.

        ``by_peer``: the user parks with their phone, else the PBX ends the leg.
        """
        leg = self.partner(lead)
        if leg is None or leg.user is None:
            raise NotPossibleError(f"channel {lead.uuid} talks to no user who could park it")
        slot = self.free_slot(leg.user)
        lead.other_uuid = lead.other_info = None
        lead.waiting = True
        self.set_state(lead, "park", slot=slot, parker_id=leg.user.id, parker_name=leg.user.name)
        self._end(leg, "recv_bye" if by_peer else "send_bye")
        return slot

    def retrieve(self, leg: Channel, parked: Channel) -> None:
        """Bridge the leg that dialled a park slot to the channel parked there."""
        self._check_state(parked, "park")
        self.answer(leg)
        self.bridge(parked, leg)

    def pick_up(self, leg: Channel, lead: Channel) -> None:
        """Bridge a user's leg to a lead leg for which other phones ring; they stop ringing."""
        ringing = self.ringing_for(lead)
        if not ringing:
            raise NotPossibleError(f"no phone rings for channel {lead.uuid}")
        self.answer(leg)
        self.answer(lead)
        for other in ringing:
            self._end(other, "send_cancel", "PICKED_OFF")
        self.bridge(lead, leg)

    def transfer(
        self, lead: Channel, to: User | Group | Person, *, by_peer: bool = True
    ) -> list[Channel]:
        """Make a blind transfer of a channel; return the legs that ring.

        The leg bridged to it ends, and so do legs that ring on its behalf. ``by_peer``: the
        bridged leg's own phone transfers and hangs up, else the PBX ends the leg.
        """
        leg = self.partner(lead)
        self._check_active(lead)
        is_unanswered = lead.state.name == "ringing" and lead.answer_timestamp is None
        if lead.rings_for is not None or is_unanswered:
            raise NotPossibleError(
                f"channel {lead.uuid} still rings: only an answered channel can be transferred"
            )
        if leg is not None:
            self.ledger.transferred(lead, attended=False)
            self._end(leg, "recv_bye" if by_peer else "send_bye")
        for ringing in self.ringing_for(lead):
            self._end(ringing, "send_cancel")
        lead.waiting = False
        return self._call(lead, to)

    def attended_transfer(self, lead: Channel, other: Channel) -> None:
        """Bridge the two peers of a user who has two calls; the user's two legs end."""
        legs = [self.partner(lead), self.partner(other)]
        users = [None if leg is None or leg.user is None else leg.user.id for leg in legs]
        if users[0] is None or users[0] != users[1] or legs[0] is other or legs[0] is legs[1]:
            raise NotPossibleError("an attended transfer needs two calls of one user")
        self.bridge(lead, other)
        self.ledger.transferred(lead, attended=True)
        for leg in legs:
            if leg is not None:
                self._end(leg, "recv_bye")

    def semi_attended_transfer(self, lead: Channel, ringing: Channel) -> None:
        """Make a phone that rings for a user's consult call ring for the channel that waits.

        So a user completes a transfer before the colleague answers. The user's two legs end.
        """
        self._check_state(ringing, "ringing")
        consulting = self.channel(ringing.rings_for or "")
        leg, callee = self.partner(lead), ringing.user or ringing.person
        if leg is None or leg.user is None or leg.user is not consulting.user or callee is None:
            raise NotPossibleError("a semi-attended transfer needs two calls of one user")
        self.ledger.ring_moved(ringing, lead, self.now)
        self.ledger.transferred(lead, attended=False)
        ringing.rings_for = ringing.other_uuid = lead.uuid
        ringing.other_info = lead.summary
        lead.waiting = False
        self._announce_callee(lead, callee)
        self.set_state(ringing, "ringing")
        self._end(leg, "recv_bye")
        self._end(consulting, "recv_cancel")

    # -- conference, eavesdrop, voicemail -----------------------------------------------

    def start_conference(self, channels: Iterable[Channel], room_id: str) -> None:
        """Move channels into a conference room.

        They are bridged to no single channel there, and legs that ring on their behalf end.
        """
        participants = list(channels)
        for channel in participants:
            self._check_active(channel)
        for channel in participants:
            for ringing in self.ringing_for(channel):
                self._end(ringing, "send_cancel")
            channel.other_uuid = channel.other_info = None
            self.set_state(channel, "conference", room_id=room_id)

    def eavesdrop(self, plug: Channel, target: Channel, subcommand: str = "listen") -> None:
        """Let the user on the media plug ``plug``, which is answered, listen in on ``target``."""
        self._check_active(plug)
        self._check_active(target)
        if plug.calling_number != MEDIA_PLUG or plug.answer_timestamp is None:
            raise NotPossibleError(f"channel {plug.uuid} is no answered media plug")
        taken = plug.rings_for or plug.waiting or self.ringing_for(plug) or self.partner(plug)
        if plug is target or taken:
            raise NotPossibleError(
                f"channel {plug.uuid} cannot listen in: it is the target, or part of another call"
            )
        self.set_state(plug, "eavesdrop", uuid=target.uuid, eavesdrop_state=subcommand)

    def leave_message(self, lead: Channel, box: User | Group) -> None:
        """Connect a caller to the voicemail box of a user or group."""
        self.answer(lead)
        kind = "group" if isinstance(box, Group) else "user"
        lead.waiting = False
        lead.other_uuid = lead.other_info = None
        self.set_state(lead, "voicemail", target_type=kind, target_id=box.id, target_name=box.name)

    def _call(self, lead: Channel, to: User | Group | Person) -> list[Channel]:
        """Ring a user, a group or a phone outside for a lead leg; return the legs that ring."""
        if isinstance(to, Group):
            return self.call_group(lead, to)
        return [self.call_user(lead, to) if isinstance(to, User) else self.call_out(lead, to)]

    def _announce_callee(self, lead: Channel, callee: User | Person) -> None:
        """Let a lead leg enter the state ``calling`` for one user or phone outside."""
        if isinstance(callee, User):
            _expect_peer(lead, callee, "internal", self._address_of(callee))
            state = {"target_location": "int", "target_type": "user", "user_id": callee.id}
        else:
            _expect_peer(lead, callee, "external", callee.number)
            state = {"target_location": "ext", "target_type": "pstn", "address": callee.number}
        self.set_state(lead, "calling", **state)


def _expect_peer(lead: Channel, peer: User | Person, location: str, address: str) -> None:
    """Describe in ``other_info`` the peer of a leg that does not exist yet."""
    lead.other_uuid = None
    lead.other_info = other_info(
        peer,
        direction="outbound",
        peer_location=location,
        address=address,
        offer_timestamp=None,
        group_id=None,
    )


def _target(kind: str, to: User | Group, address: str) -> Fields:
    return {"type": kind, "id": to.id, "name": to.name, "address": address}
