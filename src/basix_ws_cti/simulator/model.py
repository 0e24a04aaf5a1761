"""What there is in the simulated PBX, and what the feed says of it.

The classes are the PBX's own memory and change as things happen. ``picture()`` is what the
feed says of one of them at a moment: a plain dict in the shape of the library's
``to_dict``, from which ``wire`` writes the record.
"""

from __future__ import annotations

from typing import Any

from attrs import Factory, define

_CHANNEL = (
    "uuid",
    "direction",
    "peer_location",
    "calling_name",
    "calling_number",
    "called_number",
    "offer_timestamp",
    "answer_timestamp",
    "hangup_timestamp",
    "other_uuid",
    "user_id",
    "state",
    "group_id",
    "target",
    "origination",
    "end_user",
    "tags",
    "last_bridged_user_id",
    "last_event",
    "last_event_data",
    "other_info",
    "call_id",
)

# The fields of each kind's records, in the order in which they are sent.
FIELDS: dict[str, tuple[str, ...]] = {
    "channel": _CHANNEL,
    "channel_waiting": (*_CHANNEL, "whoscall"),
    "queued_channel": ("uuid", "state", "peer_number", "end_user"),
    "parked_channel": ("uuid", "state", "peer_number", "end_user"),
    "user": (
        "id",
        "name",
        "fwd_always_status",
        "do_not_disturb_status",
        "language",
        "main_extension",
        "presence",
        "role",
        "park_group",
        "mwi_target",
        "flags",
        "followme",
        "email",
        "avatar",
        "label",
        "mwi",
    ),
    "group": (
        "id",
        "name",
        "type",
        "language",
        "main_extension",
        "queue",
        "label",
        "flags",
        "check_login_status",
        "mwi",
    ),
    "group_member": ("id", "group_id", "user_id", "priority", "login_status", "role"),
    "terminal": ("id", "name", "assoc_user_id", "type", "user_agent", "registered"),
    "domain": ("id", "name", "label", "flags"),
}


@define
class Person:
    """Somebody outside: a customer whom the CRM knows (``id``), or just a number.

    ``namesakes`` are others whom the CRM finds under the same number; of ``unlisted`` more
    it tells the count alone. ``whoscall`` is what a caller directory says of the number.
    """

    number: str
    id: str = ""
    name: str = ""
    organization: str = ""
    avatar: str = ""
    prefecture: str = ""
    namesakes: tuple[Person, ...] = ()
    unlisted: int = 0
    whoscall: str | None = None


@define
class User:
    """A user of the PBX."""

    id: int
    name: str
    label: str
    main_extension: str
    park_group: int
    email: str
    fwd_always_status: int = 0
    do_not_disturb_status: int = 0
    language: int = 0
    presence: int = 0
    role: int = 0
    mwi_target: str | None = None
    flags: int = 0
    followme: str | None = None
    avatar: str | None = None
    mwi: str = ""


@define
class Group:
    """A group: ``type`` 0 rings all its members at once, 1 one after another."""

    id: int
    name: str
    label: str
    main_extension: str
    type: int = 0
    language: int = 0
    queue: int = 1
    flags: int = 0
    check_login_status: int = 0
    mwi: str = ""


@define
class GroupMember:
    """A user's place in a group."""

    id: int
    group_id: int
    user_id: int
    priority: int = 0
    login_status: int = 0
    role: int = 0


@define
class Terminal:
    """A user's telephone."""

    id: int
    name: str
    assoc_user_id: int
    type: int = 0
    user_agent: str = "Softphone 4.2"
    registered: int = 1


@define
class Domain:
    """The PBX itself."""

    id: int
    name: str
    label: str
    flags: int = 0


@define
class State:
    """What a channel is doing since ``ts``; ``data`` holds the state's own parts by name."""

    ts: int
    name: str
    data: dict[str, Any] = Factory(dict)


@define(eq=False)
class Channel:
    """One leg of a call: between the PBX and ``person`` outside or ``user`` inside.

    ``address`` is the peer's: a number outside, or a terminal's name. ``rings_for`` is the
    uuid of the channel on whose behalf the PBX offers this one, until it is answered.
    """

    uuid: str
    direction: str
    peer_location: str
    calling_name: str | None
    calling_number: str
    called_number: str
    offer_timestamp: int
    state: State
    address: str
    call_id: str
    person: Person | None = None
    user: User | None = None
    answer_timestamp: int | None = None
    hangup_timestamp: int | None = None
    other_uuid: str | None = None
    group_id: int | None = None
    target: dict[str, Any] | None = None
    origination: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    last_bridged_user_id: int | None = None
    last_event: str = "CHANNEL_CREATE"
    last_event_data: str | None = None
    other_info: dict[str, Any] | None = None
    rings_for: str | None = None
    waiting: bool = False  # in a ring queue or on a park slot

    @property
    def summary(self) -> dict[str, Any]:
        """What the channel at the other end says of this one, as its ``other_info``."""
        return other_info(
            self.user or self.person,
            direction=self.direction,
            peer_location=self.peer_location,
            address=self.address,
            offer_timestamp=self.offer_timestamp,
            group_id=self.group_id,
        )


Element = Channel | User | Group | GroupMember | Terminal | Domain


def other_info(who: User | Person | None, **parts: Any) -> dict[str, Any]:
    """A summary of a channel; one without ``offer_timestamp`` does not exist yet."""
    inside = isinstance(who, User)
    return {
        "type": "user" if inside else "end_user",
        "user_id": who.id if isinstance(who, User) else None,
        "end_user": end_user(who) if isinstance(who, Person) else None,
        "direction": parts["direction"],
        "peer_location": parts["peer_location"],
        "address": parts["address"],
        "offer_timestamp": parts["offer_timestamp"],
        "group_id": parts["group_id"],
        "whoscall": who.whoscall if isinstance(who, Person) else None,
    }


def end_user(person: Person | None) -> dict[str, Any] | None:
    """Whom the CRM finds under a person's number; ``None``: nobody."""
    if person is None or not person.id:
        return None
    found = (person, *person.namesakes)
    names = ("id", "name", "organization", "avatar", "prefecture")
    return {
        "count": len(found) + person.unlisted,
        "items": [{name: getattr(one, name) for name in names} for one in found],
    }


def picture(kind: str, element: Element) -> dict[str, Any]:
    """What the feed says of an element, as one of its kind: every field, by name."""
    if not isinstance(element, Channel):
        return {name: getattr(element, name) for name in FIELDS[kind]}
    values = {
        **{name: getattr(element, name, None) for name in FIELDS[kind]},
        "state": _state(element.state),
        "end_user": end_user(element.person),
    }
    if kind in {"channel", "channel_waiting"}:
        values["user_id"] = element.user.id if element.user else None
        values["tags"] = _list(element.tags)
        values["origination"] = _list(element.origination)
    if kind == "channel_waiting":
        values["whoscall"] = element.person.whoscall if element.person else None
    if "peer_number" in values:
        values["peer_number"] = element.calling_number
    return values


def _state(state: State) -> dict[str, Any]:
    data = {name: value for name, value in state.data.items() if value is not None}
    return {"ts": state.ts, "name": state.name, "data": data}


def _list(items: tuple[str, ...] | None) -> list[str] | None:
    return list(items) if items else None
