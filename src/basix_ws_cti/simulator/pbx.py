"""The model of a PBX: users, groups, terminals, and the channels of calls.

Pure: no I/O, no wall clock, no randomness but the seeded kind. Every change is published
to the listeners at once, as ``(kind, element, event_name)``.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SECOND = 1_000_000  # microseconds, the PBX's unit of time

KINDS = ("channel", "channel_waiting", "user", "group", "group_member", "terminal")

_FIRST_USER_ID = 10001001
_GROUP_ID = 10001901
_PARK_SLOTS = range(901, 997)


@define
class Person:
    """Somebody outside: a customer the CRM knows (``id``), or just a number."""

    number: str
    id: str = ""
    name: str = ""
    organization: str = ""
    avatar: str = ""
    prefecture: str = ""


@define
class User:
    """A user of the PBX."""

    id: int
    name: str
    label: str
    extension: str
    park_group: int
    presence: int = 0


@define
class Group:
    """A ring group."""

    id: int
    name: str
    label: str
    extension: str


@define
class GroupMember:
    """A user's place in a group."""

    id: int
    group_id: int
    user_id: int


@define
class Terminal:
    """A user's telephone."""

    id: int
    name: str
    user_id: int
    user_agent: str = "Softphone 4.2"
    registered: bool = True


@define
class State:
    """What a channel is doing since ``ts``; ``parts`` are the state's own."""

    ts: int
    name: str
    parts: tuple[Any, ...] = ()


@define
class Channel:
    """One leg of a call: between the PBX and ``person`` outside or ``user`` inside."""

    uuid: str
    direction: str
    peer_location: str
    calling_number: str
    called_number: str
    offer_timestamp: int
    state: State
    address: str  # of the peer: a number outside, or a terminal's name
    calling_name: str | None = None
    answer_timestamp: int | None = None
    hangup_timestamp: int | None = None
    person: Person | None = None
    user: User | None = None
    group: Group | None = None
    did: str | None = None  # the number that was dialled to reach `group`
    other: Channel | None = field(default=None, repr=False)
    last_event: str = "CHANNEL_CREATE"
    last_event_data: str | None = None
    call_id: str = ""


Element = Channel | User | Group | GroupMember | Terminal


@define
class Pbx:
    """The world: what there is, and what can be done in it.

    ``now`` is its clock, in microseconds since the epoch; whoever drives it moves it on.
    """

    seed: int = 0
    now: int = 1_735_689_600 * SECOND  # the first of January 2025
    elements: dict[str, dict[int | str, Element]] = field(init=False)
    listeners: list[Callable[[str, Element, str], None]] = field(factory=list, init=False)
    random: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - a world to repeat, not a secret
        self.elements = {kind: {} for kind in KINDS}

    # -- the company ------------------------------------------------------------------

    def staff(self, labels: Iterable[str], group_label: str) -> Group:
        """Hire people, each with a telephone, into one ring group."""
        group = Group(_GROUP_ID, "support", group_label, "1900")
        self._publish("group", group, group.id)
        for number, label in enumerate(labels, 1):
            user = User(
                id=_FIRST_USER_ID + number,
                name=f"user{number}",
                label=label,
                extension=str(1000 + number),
                park_group=number,
            )
            self._publish("user", user, user.id)
            terminal = Terminal(5000 + number, f"term{number}", user.id)
            self._publish("terminal", terminal, terminal.id)
            member = GroupMember(110001000 + number, group.id, user.id)
            self._publish("group_member", member, member.id)
        return group

    def members(self, group: Group) -> list[User]:
        """The users of a group, in the order of their joining."""
        return [
            self.elements["user"][member.user_id]  # type: ignore[misc]
            for member in self.elements["group_member"].values()
            if isinstance(member, GroupMember) and member.group_id == group.id
        ]

    def terminal(self, user: User) -> Terminal:
        """The user's telephone."""
        return next(
            terminal
            for terminal in self.elements["terminal"].values()
            if isinstance(terminal, Terminal) and terminal.user_id == user.id
        )

    # -- legs of calls ----------------------------------------------------------------

    def offer(self, direction: str, **details: Any) -> Channel:
        """A new leg: ``"inbound"`` is offered to the PBX, ``"outbound"`` by it."""
        digits = f"{self.random.getrandbits(128):032x}"
        uuid = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        state = State(self.now, *details.pop("state"))
        channel = Channel(
            uuid=uuid,
            direction=direction,
            peer_location="external" if details.get("person") else "internal",
            offer_timestamp=self.now,
            state=state,
            call_id=f"{uuid}@192.0.2.1",
            **details,
        )
        self._publish("channel", channel, uuid)
        return channel

    def enter(self, channel: Channel, name: str, *parts: Any) -> None:
        """The channel changes its state."""
        channel.state = State(self.now, name, parts)
        self._update(channel, "STATE_CHANGE")

    def wait(self, channel: Channel) -> None:
        """The channel stands in a ring queue or on a park slot."""
        self._publish("channel_waiting", channel, channel.uuid)

    def fetch(self, channel: Channel) -> None:
        """The channel waits no longer."""
        if self.elements["channel_waiting"].pop(channel.uuid, None) is not None:
            self._tell("channel_waiting", channel, "removed")

    def answer(self, channel: Channel) -> None:
        """The leg is answered."""
        channel.answer_timestamp = self.now
        self._update(channel, "CHANNEL_ANSWER")

    def bridge(self, one: Channel, other: Channel) -> None:
        """Two legs talk to each other."""
        one.other, other.other = other, one
        self.enter(one, "bridged")
        self.enter(other, "bridged")

    def free_slot(self, user: User) -> int:
        """A slot of the user's own three that nobody stands on; the first if all are taken."""
        first = _PARK_SLOTS.start + 3 * user.park_group % len(_PARK_SLOTS)
        taken = {
            channel.state.parts[0]
            for channel in self.elements["channel_waiting"].values()
            if isinstance(channel, Channel) and channel.state.name == "park"
        }
        return next((slot for slot in range(first, first + 3) if slot not in taken), first)

    def park(self, channel: Channel, leg: Channel) -> User:
        """The user on ``leg`` parks the channel on one of their slots, and is off the line."""
        user = leg.user
        if user is None:
            raise ValueError("only a user of the PBX can park a call")
        channel.other = None
        self.enter(channel, "park", self.free_slot(user), None, user.id, user.label)
        self.wait(channel)
        self.hang_up(leg, "send_bye", "NORMAL_CLEARING")
        return user

    def hang_up(self, channel: Channel, disposition: str, cause: str) -> None:
        """The leg ends: one last update that says how, and it is gone."""
        self.fetch(channel)
        channel.hangup_timestamp = self.now
        channel.last_event_data = f"{disposition},{cause}"
        self._update(channel, "CHANNEL_HANGUP")
        del self.elements["channel"][channel.uuid]
        self._tell("channel", channel, "removed")

    def _update(self, channel: Channel, event: str) -> None:
        channel.last_event = event
        self._tell("channel", channel, "updated")
        if channel.uuid in self.elements["channel_waiting"]:
            self._tell("channel_waiting", channel, "updated")

    def _publish(self, kind: str, element: Element, key: int | str) -> None:
        self.elements[kind][key] = element
        self._tell(kind, element, "added")

    def _tell(self, kind: str, element: Element, event_name: str) -> None:
        for listener in tuple(self.listeners):
            listener(kind, element, event_name)
