"""Elements of the simulated PBX, and their representation in the feed.

The classes are the mutable state of the PBX. ``element_to_dict()`` returns what the feed
shows of one element at this moment: a plain dict in the shape of the library's ``to_dict``.
``frame_writer`` encodes that dict as a record.
"""

from __future__ import annotations

from typing import Any

from attrs import Factory, define

Key = int | str  # the key of an element in the feed: its id, or the uuid of a channel
Fields = dict[str, Any]  # the fields of an element by name

# Destination of the API's call_user for a channel that stays connected to nobody: a client can
# listen in on calls through it.
MEDIA_PLUG = "media_plug"

SECOND = 1_000_000  # microseconds: the PBX counts time in microseconds since the epoch

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

# Fields of each kind's records, in the order of a server's field_spec.
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


def feed_kinds(*, older: bool) -> tuple[str, ...]:
    """Return the kinds in the feed of a newer or an ``older`` server, in the order sent."""
    waiting = ("queued_channel", "parked_channel") if older else ("channel_waiting",)
    newer = () if older else ("domain",)
    return ("channel", *waiting, "user", "group", "group_member", "terminal", *newer)


@define
class Person:
    """A person outside the PBX: a customer known to the CRM, or just a phone number."""

    number: str
    """Phone number as ``str``, or ``"anonymous"``."""
    id: str = ""
    """Id in the CRM as ``str``; empty: the CRM does not know the number."""
    name: str = ""
    """Name in the CRM as ``str``; may be empty."""
    organization: str = ""
    """Company as ``str``; may be empty."""
    avatar: str = ""
    """File name or URL of the avatar as ``str``; may be empty."""
    prefecture: str = ""
    """Prefecture as ``str``; may be empty."""
    other_matches: tuple[Person, ...] = ()
    """Other people whom the CRM has under the same number, as a tuple of ``Person``."""
    unlisted_matches: int = 0
    """Number of further matches as ``int``: the feed counts them, but does not list them."""
    whoscall: str | None = None
    """Entry of the caller directory as percent-encoded JSON; ``None``: no entry."""


@define
class User:
    """A user of the PBX. Fields are named as in the feed."""

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
    """A group of users. Fields are named as in the feed.

    ``type`` 0 is a ring group, which rings all members at once; 1 is a hunt group, which
    rings them one after another. ``queue`` 1: calls wait in a queue.
    """

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
    """The membership of a user in a group. Fields are named as in the feed."""

    id: int
    group_id: int
    user_id: int
    priority: int = 0
    login_status: int = 0
    role: int = 0


@define
class Terminal:
    """The phone of a user. Fields are named as in the feed; ``registered`` is 0 or 1."""

    id: int
    name: str
    assoc_user_id: int
    type: int = 0
    user_agent: str = "Softphone 4.2"
    registered: int = 1


@define
class Domain:
    """The PBX as an element of its feed. Fields are named as in the feed."""

    id: int
    name: str
    label: str
    flags: int = 0


@define
class State:
    """The state of a channel.

    ``ts`` is the time when the state began, in microseconds since the epoch; ``data`` holds
    the parts that this state has besides its name, by their names in the feed.
    """

    ts: int
    name: str
    data: Fields = Factory(dict)


@define(eq=False)
class Channel:
    """One call leg: between the PBX and a ``person`` outside or a ``user`` inside.

    Fields without a comment are named as in the feed. Timestamps are microseconds since the
    epoch.
    """

    uuid: str
    direction: str
    peer_location: str
    calling_name: str | None
    calling_number: str
    called_number: str
    offer_timestamp: int
    state: State
    address: str  # of the peer: a number outside, or the name of a terminal
    call_id: str
    person: Person | None = None  # the peer, if outside
    user: User | None = None  # the peer, if inside
    answer_timestamp: int | None = None
    hangup_timestamp: int | None = None
    other_uuid: str | None = None
    group_id: int | None = None
    target: Fields | None = None
    origination: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    last_bridged_user_id: int | None = None
    last_event: str = "CHANNEL_CREATE"
    last_event_data: str | None = None
    other_info: Fields | None = None
    rings_for: str | None = None  # until answered: the uuid of the lead leg for which it rings
    # The API rings several phones for one call: uuid of the first one's leg, for all other legs.
    forked_from: str | None = None
    destination: str | None = None  # until answered: number that the API is to call then
    waiting: bool = False  # in a queue or on a park slot

    @property
    def summary(self) -> Fields:
        """Return the summary that the leg at the other end shows as its ``other_info``."""
        return other_info(
            self.user or self.person,
            direction=self.direction,
            peer_location=self.peer_location,
            address=self.address,
            offer_timestamp=self.offer_timestamp,
            group_id=self.group_id,
        )


Element = Channel | User | Group | GroupMember | Terminal | Domain


def other_info(
    peer: User | Person | None,
    *,
    direction: str,
    peer_location: str,
    address: str,
    offer_timestamp: int | None,
    group_id: int | None,
) -> Fields:
    """Return the summary of a channel whose peer is ``peer``.

    ``offer_timestamp`` is ``None`` for a channel that does not exist yet.
    """
    return {
        "type": "user" if isinstance(peer, User) else "end_user",
        "user_id": peer.id if isinstance(peer, User) else None,
        "end_user": end_user(peer) if isinstance(peer, Person) else None,
        "direction": direction,
        "peer_location": peer_location,
        "address": address,
        "offer_timestamp": offer_timestamp,
        "group_id": group_id,
        "whoscall": peer.whoscall if isinstance(peer, Person) else None,
    }


def end_user(person: Person | None) -> Fields | None:
    """Return the CRM's matches for a person's number; ``None``: no match."""
    if person is None or not person.id:
        return None
    matches = (person, *person.other_matches)
    names = ("id", "name", "organization", "avatar", "prefecture")
    return {
        "count": len(matches) + person.unlisted_matches,
        "items": [{name: getattr(one, name) for name in names} for one in matches],
    }


def element_to_dict(kind: str, element: Element) -> Fields:
    """Return all fields that the feed shows of an element as one of this kind.

    A channel can be of several kinds: ``channel``, and one of the waiting kinds.
    """
    if not isinstance(element, Channel):
        return {name: getattr(element, name) for name in FIELDS[kind]}
    values = {
        **{name: getattr(element, name, None) for name in FIELDS[kind]},
        "state": _state_to_dict(element.state),
        "end_user": end_user(element.person),
    }
    if kind in {"channel", "channel_waiting"}:
        values["user_id"] = element.user.id if element.user else None
        values["tags"] = _list_or_none(element.tags)
        values["origination"] = _list_or_none(element.origination)
    if kind == "channel_waiting":
        values["whoscall"] = element.person.whoscall if element.person else None
    if "peer_number" in values:
        values["peer_number"] = element.calling_number
    return values


def _state_to_dict(state: State) -> Fields:
    data = {name: value for name, value in state.data.items() if value is not None}
    return {"ts": state.ts, "name": state.name, "data": data}


def _list_or_none(items: tuple[str, ...] | None) -> list[str] | None:
    return list(items) if items else None
