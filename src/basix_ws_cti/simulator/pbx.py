"""The simulated PBX: a company, its telephones, and what can be done with calls.

Pure: no I/O, no wall clock, no randomness but the seeded kind. Whoever drives the PBX moves
its clock ``now``. Every change is told to the listeners at once, as ``(kind, key, picture,
event_name)``, and what was told last is what ``snapshot()`` holds.

What the protocol leaves open is decided here, and listed in docs/reference/simulator.md.
"""

from __future__ import annotations

import random
from itertools import chain
from typing import TYPE_CHECKING, Any

from attrs import define, field, fields

from basix_ws_cti.exceptions import BasixError

from .call_ledger import Ledger
from .model import (
    Channel,
    Domain,
    Group,
    GroupMember,
    Person,
    State,
    Terminal,
    User,
    other_info,
    picture,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .model import Element

    Key = int | str
    Picture = dict[str, Any]
    Listener = Callable[[str, Key, Picture, str], None]


SECOND = 1_000_000  # microseconds, the PBX's unit of time

DID = "0501234567"  # the company's number

_DOMAIN_ID = 10001
_FIRST_USER_ID = 10001001
_FIRST_GROUP_ID = 90001001
_FIRST_MEMBER_ID = 110001001
_FIRST_TERMINAL_ID = 5001
_PARK_SLOTS = range(901, 997)
_SHARED_SLOTS = range(997, 1000)

# Why a leg ended, when nobody says: by its disposition.
_CAUSES = {
    "recv_bye": "NORMAL_CLEARING",
    "send_bye": "NORMAL_CLEARING",
    "recv_cancel": "ORIGINATOR_CANCEL",
    "send_cancel": "ORIGINATOR_CANCEL",
    "recv_refuse": "USER_BUSY",
    "send_refuse": "NO_ANSWER",
}


class NotPossibleError(BasixError):
    """What was asked can't be done as things stand: the channel is gone, or does another thing."""


def kinds(*, older: bool) -> tuple[str, ...]:
    """The kinds of the feed, in the order in which they are announced."""
    waiting = ("queued_channel", "parked_channel") if older else ("channel_waiting",)
    newer = () if older else ("domain",)
    return ("channel", *waiting, "user", "group", "group_member", "terminal", *newer)


@define(eq=False)
class Pbx:
    """A PBX. ``older`` ones know queued and parked channels apart, and no domain.

    ``now`` is its clock, in microseconds since the epoch. A listener is given kind, key,
    picture and event_name. ``ledger`` is its own book of the calls that ended. An operation
    on a call raises ``NotPossibleError`` when a channel is gone, or is not doing what the
    operation needs.
    """

    seed: int = 0
    older: bool = False
    now: int = 1_735_689_600 * SECOND  # the first of January 2025
    channels: dict[str, Channel] = field(factory=dict, init=False, repr=False)
    users: dict[int, User] = field(factory=dict, init=False, repr=False)
    groups: dict[int, Group] = field(factory=dict, init=False, repr=False)
    members: dict[int, GroupMember] = field(factory=dict, init=False, repr=False)
    terminals: dict[int, Terminal] = field(factory=dict, init=False, repr=False)
    listeners: list[Listener] = field(factory=list, init=False, repr=False)
    ledger: Ledger = field(factory=Ledger, init=False, repr=False)
    random: random.Random = field(init=False, repr=False)
    _told: dict[str, dict[Key, Picture]] = field(init=False, repr=False)
    _hired: int = field(default=0, init=False, repr=False)
    _founded: int = field(default=0, init=False, repr=False)
    _joined: int = field(default=0, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - a world to repeat, not a secret
        self._told = {kind: {} for kind in kinds(older=self.older)}
        if not self.older:
            domain = Domain(_DOMAIN_ID, "demo", "株式会社デモ")
            self._tell("domain", domain.id, domain, "added")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the feed, in the order in which they are announced."""
        return tuple(self._told)

    def snapshot(self, user_id: int | None = None) -> dict[str, dict[Key, Picture]]:
        """What a client must hold now: plain dicts by kind and key, in the shape of ``to_dict``.

        With ``user_id``, what a client holds that asked for this user's channels alone. The
        values inside an element's dict are shared: look, don't touch.
        """
        return {
            kind: {
                key: dict(told)
                for key, told in elements.items()
                if kind != "channel" or user_id is None or told["user_id"] == user_id
            }
            for kind, elements in self._told.items()
        }

    # -- the company ------------------------------------------------------------------

    def add_user(self, label: str, *, terminal: bool = True) -> User:
        """A new user, with an extension and (mostly) a telephone that is registered."""
        number, self._hired = self._hired, self._hired + 1
        user = User(
            id=_FIRST_USER_ID + number,
            name=f"user{number + 1}",
            label=label,
            main_extension=str(1001 + number if number < 800 else 20000 + number),
            park_group=number,
            email=f"user{number + 1}@example.com",
        )
        self.users[user.id] = user
        self._tell("user", user.id, user, "added")
        if terminal:
            phone = Terminal(_FIRST_TERMINAL_ID + number, f"term{number + 1}", user.id)
            self.terminals[user.id] = phone
            self._tell("terminal", phone.id, phone, "added")
        return user

    def remove_user(self, user: User) -> None:
        """The user leaves: their calls end, and their memberships and telephone go too."""
        self._there("user", user)
        for leg in self.legs_of(user):
            if leg.uuid in self.channels:
                self.hang_up(leg, by_peer=False)
        for member in [one for one in self.members.values() if one.user_id == user.id]:
            self.leave(member)
        phone = self.terminals.pop(user.id, None)
        if phone is not None:
            self._tell("terminal", phone.id, phone, "removed")
        del self.users[user.id]
        self._tell("user", user.id, user, "removed")

    def create_group(self, label: str, *, hunt: bool = False) -> Group:
        """A new group, which rings all its members at once, or one after another."""
        number, self._founded = self._founded, self._founded + 1
        group = Group(
            id=_FIRST_GROUP_ID + number,
            name=f"group{number + 1}",
            label=label,
            main_extension=str(1900 + number if number < 100 else 19000 + number),
            type=int(hunt),
        )
        self.groups[group.id] = group
        self._tell("group", group.id, group, "added")
        return group

    def join(self, user: User, group: Group) -> GroupMember:
        """The user becomes a member of the group."""
        number, self._joined = self._joined, self._joined + 1
        member = GroupMember(_FIRST_MEMBER_ID + number, group.id, user.id)
        self.members[member.id] = member
        self._tell("group_member", member.id, member, "added")
        return member

    def leave(self, member: GroupMember) -> None:
        """The membership ends."""
        self._there("group_member", member)
        del self.members[member.id]
        self._tell("group_member", member.id, member, "removed")

    def dissolve(self, group: Group) -> None:
        """The group is no more, and neither are its memberships."""
        self._there("group", group)
        for member in [one for one in self.members.values() if one.group_id == group.id]:
            self.leave(member)
        del self.groups[group.id]
        self._tell("group", group.id, group, "removed")

    def edit(self, element: User | Group | GroupMember | Terminal, **changes: Any) -> None:
        """Change fields of an element, named as on the wire."""
        kinds = {User: "user", Group: "group", GroupMember: "group_member", Terminal: "terminal"}
        known = {attribute.name for attribute in fields(type(element))} - {"id"}
        unknown = [name for name in changes if name not in known]
        if unknown:
            raise ValueError(f"a {kinds[type(element)]} has no field {unknown[0]} to change")
        self._there(kinds[type(element)], element)
        for name, value in changes.items():
            setattr(element, name, value)
        self._tell(kinds[type(element)], element.id, element, "updated")

    def staff(self, group: Group) -> list[User]:
        """The members of a group, in the order of their joining."""
        ids = dict.fromkeys(m.user_id for m in self.members.values() if m.group_id == group.id)
        return [self.users[user_id] for user_id in ids]

    def free(self, users: Iterable[User]) -> list[User]:
        """Those of the users who could take a call: not on the phone, and registered."""
        busy = {leg.user.id for leg in self.channels.values() if leg.user is not None}
        return [
            user
            for user in users
            if user.id in self.users
            and user.id not in busy
            and (phone := self.terminals.get(user.id)) is not None
            and phone.registered
        ]

    def find(self, number: str) -> User | Group | None:
        """The user or group with an extension."""
        everybody: Iterable[User | Group] = (*self.users.values(), *self.groups.values())
        return next((one for one in everybody if one.main_extension == number), None)

    # -- channels ---------------------------------------------------------------------

    def channel(self, uuid: str) -> Channel:
        """The live channel of that uuid."""
        try:
            return self.channels[uuid]
        except KeyError:
            raise NotPossibleError(f"there is no channel {uuid!r}") from None

    def legs_of(self, user: User) -> list[Channel]:
        """The user's channels."""
        return [leg for leg in self.channels.values() if leg.user is user]

    def ringing_for(self, line: Channel) -> list[Channel]:
        """The channels that ring on behalf of another."""
        return [leg for leg in self.channels.values() if leg.rings_for == line.uuid]

    def partner(self, channel: Channel) -> Channel | None:
        """The channel that this one talks to."""
        other = self.channels.get(channel.other_uuid or "")
        if other is None or channel.state.name != "bridged" or other.other_uuid != channel.uuid:
            return None
        return other

    def receive(self, caller: Person | User, called_number: str, **details: Any) -> Channel:
        """A leg offered to the PBX: somebody outside, or a user, dials a number.

        The channel is not doing anything yet; what it enters first is told as ``added``.
        """
        return self._leg("inbound", caller, called_number=called_number, **details)

    def originate(self, user: User, destination: str) -> Channel:
        """The API rings a user's telephone, to connect it to a number once it is answered."""
        line = self._leg(
            "outbound",
            user,
            called_number=destination,
            origination=("call_user", str(user.id), destination),
            tags=("auto_answer",),
        )
        self.set_state(line, "ringing")
        return line

    def ring(self, line: Channel, callee: Person | User) -> Channel:
        """A leg that the PBX offers on behalf of ``line``: a telephone rings."""
        self._doing(line, "calling")
        leg = self._leg(
            "outbound",
            callee,
            calling_number=line.calling_number,
            calling_name=line.person.name or None if line.person else line.calling_name,
            called_number=callee.main_extension if isinstance(callee, User) else callee.number,
            other_uuid=line.uuid,
            other_info=line.summary,
            group_id=line.group_id if isinstance(callee, User) else None,
            rings_for=line.uuid,
        )
        self.set_state(leg, "ringing")
        return leg

    def set_state(self, channel: Channel, name: str, **data: Any) -> None:
        """The channel changes its state; a new one appears with its first."""
        self._alive(channel)
        channel.state = State(self.now, name, data)
        if name not in {"calling", "park"}:
            channel.waiting = False
        if channel.uuid in self.channels:
            self.ledger.enters(channel, self.now)
            self._update(channel, "STATE_CHANGE")
        else:
            self.ledger.begins(channel, self._served_by(channel))
            self.ledger.enters(channel, self.now)
            self.channels[channel.uuid] = channel
            self._tell("channel", channel.uuid, channel, "added")
            self._place(channel)

    def answer(self, channel: Channel) -> None:
        """The leg is answered, by the PBX or by its own peer."""
        self._alive(channel)
        if channel.answer_timestamp is None:
            if channel.uuid not in self.channels:
                self.set_state(channel, channel.state.name)
            channel.answer_timestamp = self.now
            self._update(channel, "CHANNEL_ANSWER")

    def call_user(self, line: Channel, user: User) -> Channel:
        """The line rings a user's telephone."""
        self._alive(line)
        phone = self.terminals.get(user.id)
        line.target = line.target or _target("user", user, line.called_number)
        self._expect(line, user, "internal", phone.name if phone else "")
        self.set_state(line, "calling", target_location="int", target_type="user", user_id=user.id)
        return self.ring(line, user)

    def call_group(self, line: Channel, group: Group) -> list[Channel]:
        """The line goes to a group: into its queue, and to all free members' telephones.

        A hunt group's members ring one by one: the first does, and the others are for the
        caller to ``ring()``.
        """
        self._alive(line)
        line.target = line.target or _target("group", group, line.called_number)
        line.group_id = group.id
        line.waiting = bool(group.queue)
        line.other_uuid = line.other_info = None
        place = {"target_location": "int", "target_type": "group", "group_id": group.id}
        if group.type:
            self.set_state(line, "calling", **place, group_type="hunt")
        else:
            self.set_state(line, "calling", **place, group_type="ring", group_queue_id=group.name)
        free = self.free(self.staff(group))
        return [self.ring(line, user) for user in (free[:1] if group.type else free)]

    def call_out(self, line: Channel, person: Person) -> Channel:
        """The line rings a telephone outside."""
        self._alive(line)
        self._expect(line, person, "external", person.number)
        self.set_state(
            line, "calling", target_location="ext", target_type="pstn", address=person.number
        )
        return self.ring(line, person)

    def connect(self, leg: Channel) -> None:
        """A ringing leg is answered: the others lose the race, and the two talk."""
        line = self.channel(leg.rings_for or "")
        self.answer(leg)
        self.answer(line)
        for other in self.ringing_for(line):
            if other is not leg:
                self._end(other, "send_cancel", "LOSE_RACE")
        self.bridge(line, leg)

    def bridge(self, one: Channel, other: Channel) -> None:
        """Two legs talk to each other; a third that either talked to is on its own."""
        self._alive(one)
        self._alive(other)
        for leg, peer in ((one, other), (other, one)):
            leg.waiting = False
            leg.rings_for = None
            leg.other_uuid, leg.other_info = peer.uuid, peer.summary
            if leg.person is not None and peer.user is not None:
                leg.last_bridged_user_id = peer.user.id
        self.ledger.bridges(one, other, self.now)
        self.set_state(one, "bridged")
        self.set_state(other, "bridged")

    def free_slot(self, user: User) -> int:
        """A park slot of the user's own three, or a shared one, on which nobody stands."""
        first = _PARK_SLOTS.start + 3 * user.park_group % len(_PARK_SLOTS)
        taken = {leg.state.data["slot"] for leg in self.parked()}
        for slot in chain(range(first, first + 3), _SHARED_SLOTS):
            if slot not in taken:
                return slot
        raise NotPossibleError(f"all park slots of {user.name} are taken")

    def parked(self) -> list[Channel]:
        """The channels on park slots."""
        return [leg for leg in self.channels.values() if leg.state.name == "park"]

    def park(self, line: Channel) -> int:
        """The user to whom a channel talks parks it, and is off the line; which slot it is."""
        leg = self.partner(line)
        if leg is None or leg.user is None:
            raise NotPossibleError(f"the channel {line.uuid} talks to no user who could park it")
        slot = self.free_slot(leg.user)
        line.other_uuid = line.other_info = None
        line.waiting = True
        self.set_state(line, "park", slot=slot, parker_id=leg.user.id, parker_name=leg.user.label)
        self._end(leg, "recv_bye")
        return slot

    def retrieve(self, leg: Channel, line: Channel) -> None:
        """Who dialled the slot talks to who stands on it."""
        self._doing(line, "park")
        self.answer(leg)
        self.bridge(line, leg)

    def pick_up(self, leg: Channel, line: Channel) -> None:
        """A user answers for another whose telephone rings."""
        ringing = self.ringing_for(line)
        if not ringing:
            raise NotPossibleError(f"nobody's telephone rings for the channel {line.uuid}")
        self.answer(leg)
        self.answer(line)
        for other in ringing:
            self._end(other, "send_cancel", "PICKED_OFF")
        self.bridge(line, leg)

    def transfer(self, line: Channel, to: User | Group | Person) -> list[Channel]:
        """The channel is sent on, unannounced: whom it talked to is off the line."""
        leg = self.partner(line)
        self._alive(line)
        if line.rings_for is not None:
            raise NotPossibleError(
                f"the channel {line.uuid} still rings: there is nobody to send on"
            )
        if leg is not None:
            self.ledger.sends_on(line)
            self._end(leg, "recv_bye")
        for ringing in self.ringing_for(line):
            self._end(ringing, "send_cancel")
        line.waiting = False
        if isinstance(to, Group):
            return self.call_group(line, to)
        return [self.call_user(line, to) if isinstance(to, User) else self.call_out(line, to)]

    def join_calls(self, line: Channel, other: Channel) -> None:
        """An announced transfer: who talked to both is off both lines, and they talk."""
        legs = [self.partner(line), self.partner(other)]
        users = {leg.user.id for leg in legs if leg is not None and leg.user is not None}
        if None in legs or legs[0] is other or legs[0] is legs[1] or len(users) != 1:
            raise NotPossibleError("an announced transfer needs two calls of one user")
        self.bridge(line, other)
        self.ledger.sends_on(line)
        for leg in legs:
            if leg is not None:
                self._end(leg, "recv_bye")

    def confer(self, channels: Iterable[Channel], room_id: str) -> None:
        """The channels meet in a conference room; nobody is anybody's partner there.

        Nothing rings for them any more.
        """
        everybody = list(channels)
        for channel in everybody:
            self._alive(channel)
        for channel in everybody:
            for ringing in self.ringing_for(channel):
                self._end(ringing, "send_cancel")
            channel.other_uuid = channel.other_info = None
            self.set_state(channel, "conference", room_id=room_id)

    def eavesdrop(self, plug: Channel, target: Channel, subcommand: str = "listen") -> None:
        """The user on ``plug`` listens in on another channel."""
        self._alive(target)
        taken = plug.rings_for or plug.waiting or self.ringing_for(plug) or self.partner(plug)
        if plug is target or taken:
            raise NotPossibleError("listening in needs a channel of its own")
        self.answer(plug)
        self.set_state(plug, "eavesdrop", uuid=target.uuid, eavesdrop_state=subcommand)

    def leave_message(self, line: Channel, box: User | Group) -> None:
        """The caller talks to a voicemail box."""
        self.answer(line)
        kind = "group" if isinstance(box, Group) else "user"
        line.waiting = False
        line.other_uuid = line.other_info = None
        self.set_state(line, "voicemail", target_type=kind, target_id=box.id, target_name=box.name)

    def count_messages(self, box: User | Group, new: int, saved: int) -> None:
        """A voicemail box's counters change."""
        self.edit(box, mwi=f"{new}/{saved}" if new or saved else "")

    def refuse(self, leg: Channel, cause: str = "USER_BUSY") -> None:
        """The one whose telephone rings does not take the call; others may still ring."""
        self._doing(leg, "ringing")
        self.ledger.hangs_up(leg, by_peer=True)
        self._end(leg, "recv_refuse", cause)

    def give_up(self, leg: Channel, cause: str = "NO_ANSWER") -> None:
        """The PBX stops ringing a telephone; others may still ring."""
        self._doing(leg, "ringing")
        self.ledger.hangs_up(leg, by_peer=False)
        self._end(leg, "send_cancel", cause)

    def hang_up(self, channel: Channel, cause: str | None = None, *, by_peer: bool = True) -> None:
        """The channel ends, by its own peer or by the PBX, and with it what hangs on it.

        That is whom it talked to, the telephones that ring for it, who listens in, and the
        line for which it rang if that waits for nobody else.
        """
        line = self.channels.get(channel.rings_for or "")
        partner = self.partner(channel)
        ringing = self.ringing_for(channel)
        if channel.uuid in self.channels:
            self.ledger.hangs_up(channel, by_peer=by_peer)
        self._end(channel, _disposition(channel, by_peer=by_peer), cause)
        for leg in ringing:
            self._end(leg, "send_cancel")
        if partner is not None:
            self._end(partner, "send_bye", cause)
        if line is None or line.uuid not in self.channels or line.waiting:
            return
        if not self.ringing_for(line):
            self._end(line, _disposition(line, by_peer=False), cause)

    def lose_channels(self) -> None:
        """All channels are gone at once, and nobody is told: the PBX restarts."""
        for channel in self.channels.values():
            channel.hangup_timestamp = self.now
        self.ledger.loses_all(self.now)
        self.channels.clear()
        for kind in ("channel", "channel_waiting", "queued_channel", "parked_channel"):
            if kind in self._told:
                self._told[kind].clear()

    # -- how it is done ---------------------------------------------------------------

    def _leg(self, direction: str, peer: Person | User, **details: Any) -> Channel:
        digits = f"{self.random.getrandbits(128):032x}"
        uuid = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        if isinstance(peer, User):
            phone = self.terminals.get(peer.id)
            who: dict[str, Any] = {"user": peer, "address": phone.name if phone else ""}
            details.setdefault("calling_number", peer.main_extension)
            details.setdefault("calling_name", peer.label)
        else:
            who = {"person": peer, "address": peer.number}
            details.setdefault("calling_number", peer.number)
            details.setdefault("calling_name", peer.number)
        return Channel(
            uuid=uuid,
            direction=direction,
            peer_location="internal" if isinstance(peer, User) else "external",
            offer_timestamp=self.now,
            state=State(self.now, "system_operation"),
            call_id=f"{uuid}@192.0.2.1",
            **who,
            **details,
        )

    def _served_by(self, channel: Channel) -> Channel | None:
        """The channel for whose sake a new one is there: it rings for it, or wants to fetch it."""
        number = channel.called_number
        for line in self.parked() if channel.user is not None else ():
            if number == str(line.state.data["slot"]):
                return line
        return self.channels.get(channel.rings_for or number.removeprefix("pickup_uuid."))

    def _expect(self, line: Channel, whom: User | Person, location: str, address: str) -> None:
        """The line will talk to a channel that is not there yet."""
        line.other_uuid = None
        line.other_info = other_info(
            whom,
            direction="outbound",
            peer_location=location,
            address=address,
            offer_timestamp=None,
            group_id=None,
        )

    def _there(self, kind: str, element: User | Group | GroupMember | Terminal) -> None:
        if element.id not in self._told[kind]:
            raise NotPossibleError(f"the {kind} {element.id} is gone")

    def _alive(self, channel: Channel) -> None:
        if channel.hangup_timestamp is not None:
            raise NotPossibleError(f"the channel {channel.uuid} is gone")

    def _doing(self, channel: Channel, name: str) -> None:
        self._alive(channel)
        if channel.state.name != name:
            raise NotPossibleError(
                f"the channel {channel.uuid} is not in the state {name} but {channel.state.name}"
            )

    def _end(self, channel: Channel, disposition: str, cause: str | None = None) -> None:
        """One leg ends: a last update that says how, and it is gone; so is who listened in."""
        self.channel(channel.uuid)
        channel.hangup_timestamp = self.now
        channel.last_event_data = f"{disposition},{cause or _CAUSES[disposition]}"
        channel.waiting = False
        del self.channels[channel.uuid]
        self.ledger.ends(channel, self.now)
        self._update(channel, "CHANNEL_HANGUP")
        self._tell("channel", channel.uuid, channel, "removed")
        for plug in tuple(self.channels.values()):
            listens = plug.state.name == "eavesdrop" and plug.state.data["uuid"] == channel.uuid
            if listens and plug.uuid in self.channels:
                self._end(plug, "send_bye")

    def _update(self, channel: Channel, event: str) -> None:
        channel.last_event = event
        self._tell("channel", channel.uuid, channel, "updated")
        self._place(channel)

    def _place(self, channel: Channel) -> None:
        place = None
        if channel.waiting and not self.older:
            place = "channel_waiting"
        elif channel.waiting:
            place = "parked_channel" if channel.state.name == "park" else "queued_channel"
        for kind in ("channel_waiting", "queued_channel", "parked_channel"):
            there = channel.uuid in self._told.get(kind, ())
            if kind == place:
                self._tell(kind, channel.uuid, channel, "updated" if there else "added")
            elif there:
                self._tell(kind, channel.uuid, channel, "removed")

    def _tell(self, kind: str, key: Key, element: Element, event_name: str) -> None:
        told = picture(kind, element)
        if event_name == "removed":
            self._told[kind].pop(key, None)
        else:
            self._told[kind][key] = told
        for listener in tuple(self.listeners):
            listener(kind, key, told, event_name)


def _disposition(channel: Channel, *, by_peer: bool) -> str:
    """How a leg ends, seen from it: the disposition in last_event_data."""
    if channel.answer_timestamp is not None:
        return "recv_bye" if by_peer else "send_bye"
    if channel.direction == "inbound":
        return "recv_cancel" if by_peer else "send_refuse"
    return "recv_refuse" if by_peer else "send_cancel"


def _target(kind: str, to: User | Group, address: str) -> Picture:
    return {"type": kind, "id": to.id, "name": to.name, "address": address}
