"""Call legs of the simulated PBX: how they appear, ring, change state, are bridged and end.

A call is a lead leg (the caller's, as a rule) and the legs that the PBX offers on its behalf
(``Channel.rings_for``), one per phone that rings. Answering one of them bridges it to the
lead leg; the others are cancelled.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from attrs import Factory, define, field

from .call_ledger import Ledger
from .company import Company
from .errors import NotPossibleError
from .model import MEDIA_PLUG, SECOND, Channel, Person, State, Terminal, User

if TYPE_CHECKING:
    from collections.abc import Iterable

# Hangup cause of a leg for which no cause was given, by its disposition.
_CAUSES = {
    "recv_bye": "NORMAL_CLEARING",
    "send_bye": "NORMAL_CLEARING",
    "recv_cancel": "ORIGINATOR_CANCEL",
    "send_cancel": "ORIGINATOR_CANCEL",
    "recv_refuse": "USER_BUSY",
    "send_refuse": "NO_ANSWER",
}

_WAITING_KINDS = ("channel_waiting", "queued_channel", "parked_channel")


@define(eq=False)
class CallLegs(Company):
    """The channels of the PBX and the operations on single legs.

    Base class of ``Pbx``, which documents the attributes.
    """

    seed: int = 0
    now: int = 1_735_689_600 * SECOND  # 2025-01-01T00:00:00Z
    channels: dict[str, Channel] = field(factory=dict, init=False, repr=False)
    ledger: Ledger = field(factory=Ledger, init=False, repr=False)
    random: random.Random = field(
        # Seeded so that a run can be repeated; nothing here is a secret.
        default=Factory(lambda self: random.Random(self.seed), takes_self=True),  # noqa: S311
        init=False,
        repr=False,
    )

    # -- look-ups ---------------------------------------------------------------------

    def channel(self, uuid: str) -> Channel:
        """Return the active channel with this uuid; raise ``NotPossibleError`` if none."""
        try:
            return self.channels[uuid]
        except KeyError:
            raise NotPossibleError(f"no active channel has the uuid {uuid!r}") from None

    def channels_of(self, user: User) -> list[Channel]:
        """Return the user's channels."""
        return [leg for leg in self.channels.values() if leg.user is user]

    def ringing_for(self, lead: Channel) -> list[Channel]:
        """Return the legs that ring on behalf of a lead leg."""
        return [leg for leg in self.channels.values() if leg.rings_for == lead.uuid]

    def partner(self, channel: Channel) -> Channel | None:
        """Return the channel bridged to this one; ``None``: it is not bridged."""
        other = self.channels.get(channel.other_uuid or "")
        if other is None or channel.state.name != "bridged" or other.other_uuid != channel.uuid:
            return None
        return other

    def parked_channels(self) -> list[Channel]:
        """Return the channels on park slots."""
        return [leg for leg in self.channels.values() if leg.state.name == "park"]

    def available(self, users: Iterable[User]) -> list[User]:
        """Return those of the users who can take a call: not in a call, phone registered."""
        busy = {leg.user.id for leg in self.channels.values() if leg.user is not None}
        return [
            user
            for user in users
            if user.id in self.users
            and user.id not in busy
            and any(phone.registered for phone in self.terminals_of(user))
        ]

    # -- new legs ---------------------------------------------------------------------

    def receive(self, caller: Person | User, called_number: str, **details: Any) -> Channel:
        """Return a new inbound leg: a person outside or a user dials a number.

        The leg has no state yet. ``set_state()`` gives it the first one, and publishes it as
        ``added``. ``details`` are fields of ``Channel``.
        """
        return self._new_leg("inbound", caller, called_number=called_number, **details)

    def originate(
        self, user: User, called_number: str, *, auto_answer: bool = True, **details: Any
    ) -> Channel:
        """Ring a user's phone, as the API's ``call_user`` does; return the user's leg.

        - ``called_number``: destination that the PBX calls once the user has answered.
        - ``auto_answer``: tell the phone to answer by itself.
        - ``details``: fields of ``Channel``.
        """
        if called_number == MEDIA_PLUG:
            details["calling_number"] = MEDIA_PLUG
        leg = self._new_leg(
            "outbound",
            user,
            called_number=called_number,
            origination=("call_user", str(user.id), called_number),
            tags=("auto_answer",) if auto_answer else None,
            **details,
        )
        self.set_state(leg, "ringing")
        return leg

    def ring(self, lead: Channel, callee: Person | User, phone: Terminal | None = None) -> Channel:
        """Ring a phone on behalf of a lead leg in the state ``calling``; return the new leg.

        ``phone`` is the one of the user's phones that rings; ``None``: the first one registered.
        """
        self._check_state(lead, "calling")
        leg = self._new_leg(
            "outbound",
            callee,
            calling_number=lead.calling_number,
            calling_name=lead.person.name or None if lead.person else lead.calling_name,
            called_number=callee.main_extension if isinstance(callee, User) else callee.number,
            other_uuid=lead.uuid,
            other_info=lead.summary,
            group_id=lead.group_id if isinstance(callee, User) else None,
            rings_for=lead.uuid,
            address=None if phone is None else phone.name,
        )
        self.set_state(leg, "ringing")
        return leg

    # -- changes of a leg -------------------------------------------------------------

    def set_state(self, channel: Channel, name: str, **data: Any) -> None:
        """Change the state of a channel; the first state of a new leg publishes the leg.

        ``data`` are the state's parts besides its name, named as in the feed.
        """
        self._check_active(channel)
        channel.state = State(self.now, name, data)
        if name not in {"calling", "park"}:
            channel.waiting = False
        if channel.uuid in self.channels:
            self.ledger.state_changed(channel, self.now)
            self._publish_update(channel, "STATE_CHANGE")
        else:
            self.ledger.leg_added(channel, self._served_by(channel), self.now)
            self.ledger.state_changed(channel, self.now)
            self.channels[channel.uuid] = channel
            self._changes.publish("channel", channel.uuid, channel, "added")
            self._publish_waiting(channel)

    def answer(self, channel: Channel) -> None:
        """Mark a leg as answered; without effect if it has been answered before."""
        self._check_active(channel)
        if channel.answer_timestamp is None:
            if channel.uuid not in self.channels:
                self.set_state(channel, channel.state.name)
            channel.answer_timestamp = self.now
            self.ledger.leg_answered(channel, self.now)
            self._publish_update(channel, "CHANNEL_ANSWER")

    def bridge(self, lead: Channel, other: Channel) -> None:
        """Connect two legs: both enter the state ``bridged``.

        ``lead`` is the leg that leads the call (the caller's, usually). A third leg that was
        bridged to one of the two loses its partner and keeps its state; the caller of this method
        hangs it up or connects it. Raises ``NotPossibleError`` if a leg has ended.
        """
        self._check_active(lead)
        self._check_active(other)
        for leg, peer in ((lead, other), (other, lead)):
            leg.waiting = False
            leg.rings_for = None
            leg.other_uuid, leg.other_info = peer.uuid, peer.summary
            if leg.person is not None and peer.user is not None:
                leg.last_bridged_user_id = peer.user.id
        self.ledger.legs_bridged(lead, other, self.now)
        self.set_state(lead, "bridged")
        self.set_state(other, "bridged")

    def hang_up(self, channel: Channel, cause: str | None = None, *, by_peer: bool = True) -> None:
        """End a channel and all that depends on it.

        ``by_peer``: the channel's own peer hangs up, else the PBX does. ``cause`` is a
        FreeSWITCH hangup cause; ``None``: the usual one.

        These end too: the leg bridged to it, the legs that ring on its behalf, channels that
        listen in on it, and the lead leg for which it rang, unless that leg waits in a queue or
        other phones still ring for it.
        """
        lead = self.channels.get(channel.rings_for or "")
        partner = self.partner(channel)
        ringing = self.ringing_for(channel)
        if channel.uuid in self.channels:
            self.ledger.leg_hung_up(channel, by_peer=by_peer)
        self._end(channel, _disposition(channel, by_peer=by_peer), cause)
        for leg in ringing:
            self._end(leg, "send_cancel")
        if partner is not None:
            self._end(partner, "send_bye", cause)
        if lead is None or lead.uuid not in self.channels or lead.waiting:
            return
        if not self.ringing_for(lead):
            self._end(lead, _disposition(lead, by_peer=False), cause)

    def drop_channels(self) -> None:
        """Remove all channels at once without publishing it, as when the PBX restarts."""
        for channel in self.channels.values():
            channel.hangup_timestamp = self.now
        self.ledger.channels_dropped(self.now)
        self.channels.clear()
        self._changes.forget(("channel", *_WAITING_KINDS))

    # -- helpers ----------------------------------------------------------------------

    def new_uuid(self) -> str:
        """Return a uuid for a leg."""
        digits = f"{self.random.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def _address_of(self, user: User) -> str:
        """Return the name of the phone that rings for a user; empty: the user has no phone."""
        phones = self.terminals_of(user)
        return next(
            (phone.name for phone in phones if phone.registered), phones[0].name if phones else ""
        )

    def _new_leg(self, direction: str, peer: Person | User, **details: Any) -> Channel:
        uuid = details.pop("uuid", None) or self.new_uuid()
        if isinstance(peer, User):
            peer_fields: dict[str, Any] = {
                "user": peer,
                "address": details.pop("address", None) or self._address_of(peer),
            }
            details.setdefault("calling_number", peer.main_extension)
            details.setdefault("calling_name", peer.label)
        else:
            peer_fields = {"person": peer, "address": details.pop("address", None) or peer.number}
            details.setdefault("calling_number", peer.number)
            details.setdefault("calling_name", peer.number)
        return Channel(
            uuid=uuid,
            direction=direction,
            peer_location="internal" if isinstance(peer, User) else "external",
            offer_timestamp=self.now,
            state=State(self.now, "system_operation"),
            call_id=f"{uuid}@192.0.2.1",
            **peer_fields,
            **details,
        )

    def _served_by(self, channel: Channel) -> Channel | None:
        """Return the channel that a new leg rings for or with, or is to pick up or retrieve."""
        if channel.forked_from is not None:
            return self.channels.get(channel.forked_from)
        number = channel.called_number
        for parked in self.parked_channels() if channel.user is not None else ():
            if number == str(parked.state.data["slot"]):
                return parked
        return self.channels.get(channel.rings_for or number.removeprefix("pickup_uuid."))

    def _check_active(self, channel: Channel) -> None:
        if channel.hangup_timestamp is not None:
            raise NotPossibleError(f"channel {channel.uuid} has ended")

    def _check_state(self, channel: Channel, name: str) -> None:
        self._check_active(channel)
        if channel.state.name != name:
            raise NotPossibleError(
                f"channel {channel.uuid} is in state {channel.state.name}, not {name}"
            )

    def _end(self, channel: Channel, disposition: str, cause: str | None = None) -> None:
        """End one leg: publish the last update and the removal.

        Channels that listen in on the leg end with it.
        """
        self.channel(channel.uuid)
        channel.hangup_timestamp = self.now
        channel.last_event_data = f"{disposition},{cause or _CAUSES[disposition]}"
        channel.waiting = False
        del self.channels[channel.uuid]
        self.ledger.leg_ended(channel, self.now)
        self._publish_update(channel, "CHANNEL_HANGUP")
        self._changes.publish("channel", channel.uuid, channel, "removed")
        for plug in tuple(self.channels.values()):
            listens = plug.state.name == "eavesdrop" and plug.state.data["uuid"] == channel.uuid
            if listens and plug.uuid in self.channels:
                self._end(plug, "send_bye")

    def _publish_update(self, channel: Channel, last_event: str) -> None:
        channel.last_event = last_event
        self._changes.publish("channel", channel.uuid, channel, "updated")
        self._publish_waiting(channel)

    def _publish_waiting(self, channel: Channel) -> None:
        """Publish a channel under the waiting kind that it belongs to now, and remove others."""
        current = None
        if channel.waiting and not self.older:
            current = "channel_waiting"
        elif channel.waiting:
            current = "parked_channel" if channel.state.name == "park" else "queued_channel"
        for kind in _WAITING_KINDS:
            published = self._changes.holds(kind, channel.uuid)
            if kind == current:
                event_name = "updated" if published else "added"
                self._changes.publish(kind, channel.uuid, channel, event_name)
            elif published:
                self._changes.publish(kind, channel.uuid, channel, "removed")


def _disposition(channel: Channel, *, by_peer: bool) -> str:
    """Return the disposition with which a leg ends, for its ``last_event_data``."""
    if channel.answer_timestamp is not None:
        return "recv_bye" if by_peer else "send_bye"
    if channel.direction == "inbound":
        return "recv_cancel" if by_peer else "send_refuse"
    return "recv_refuse" if by_peer else "send_cancel"
