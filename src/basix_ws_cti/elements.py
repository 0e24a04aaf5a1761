"""The elements of the feed: channels, users, groups and the rest, typed and immutable.

Every declared field is ``None`` when the PBX left it out or sent no value. Fields that a
class does not know, and the PBX sent, are in ``extra``. Scalars are passed through as they
were sent; a structured field (``state``, ``target``, ``end_user``, ``other_info``,
``origination``, ``tags``) that does not have the expected shape holds what was sent, raw.
Timestamps are microseconds since the epoch, UTC; the ``…_at`` properties are the same as
aware datetimes. How values are read: docs/explanation/protocol.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import attrs
from attrs import field, frozen

from .states import Calling, OtherState, State, moment
from .terms import Regex


class Extra(dict[str, Any]):
    """A dict that can't be changed, so that an element can't change under its holder."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("an element's extra fields can't be changed")

    if not TYPE_CHECKING:  # to a type checker they are those of any dict
        __setitem__ = __delitem__ = __ior__ = _refuse
        clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[Extra], tuple[dict[str, Any]]]:
        return Extra, (dict(self),)


NO_EXTRA = Extra()


@frozen(kw_only=True)
class EndUser:
    """A customer, as the helpdesk or CRM system behind the PBX knows them."""

    id: str | None = None
    """Their id in the helpdesk or CRM system."""
    name: str | None = None
    """Their name there."""
    organization: str | None = None
    """The organization they belong to."""
    avatar: str | None = None
    """The picture's address: a URL where the parser knows ``base_url``, else as it was sent."""
    prefecture: str | None = None
    """The prefecture they live in."""


@frozen(kw_only=True)
class EndUsers:
    """The customers found for a number: ``count`` of them, of which ``items`` are listed."""

    count: int
    """How many customers were found."""
    items: tuple[EndUser, ...] = ()
    """Those of them that the PBX lists."""


@frozen(kw_only=True)
class Target:
    """The user or group that a call is for, and the address that was dialled to reach it."""

    type: str | None = None
    """``"user"`` or ``"group"``."""
    id: int | None = None
    """The user's or group's id."""
    name: str | None = None
    """The user's or group's name."""
    address: str | None = None
    """What was dialled to reach it, mostly the number in the public network."""


@frozen(kw_only=True)
class OtherInfo:
    """A summary of the channel at the other end.

    With ``type`` ``"user"``, ``user_id`` and ``group_id`` say who is there; otherwise
    ``end_user`` does. ``offer_timestamp`` is ``None`` while that channel does not exist yet.
    ``whoscall`` is a caller-directory entry, percent-encoded JSON.
    """

    type: str | None = None
    """``"user"``, or ``"end_user"`` for a customer."""
    user_id: int | None = None
    """The user there, if the type is ``"user"``."""
    end_user: EndUsers | Any = None
    """The customers found for the number, if the type is another."""
    direction: str | None = None
    """``"inbound"``: offered to the PBX; ``"outbound"``: offered by it."""
    peer_location: str | None = None
    """``"internal"`` or ``"external"``: where whoever is there is."""
    address: str | None = None
    """A number of the public network, or a terminal's name."""
    offer_timestamp: int | None = None
    """When that channel came about, in microseconds since the epoch."""
    group_id: int | None = None
    """The group concerned, if the type is ``"user"``."""
    whoscall: str | None = None
    """What the caller directory says: percent-encoded JSON."""

    @property
    def offered_at(self) -> datetime | None:
        """``offer_timestamp`` as an aware datetime in UTC."""
        return moment(self.offer_timestamp)


@frozen
class Hangup:
    """How a leg ended: ``disposition`` as seen from the leg, ``cause`` as FreeSWITCH says it.

    ``recv_bye``, ``recv_cancel`` and ``recv_refuse`` came to the PBX from this leg's own
    peer; ``send_bye``, ``send_cancel`` and ``send_refuse`` went from the PBX to it.
    """

    disposition: str
    """Who ended the leg and how, such as ``recv_bye`` or ``send_cancel``."""
    cause: str | None = None
    """FreeSWITCH's cause, such as ``NORMAL_CLEARING``."""


# Texts as long as a frame, of which a mirror remembers thousands. A uuid has 36 characters.
MAX_KEY = 255


def _as_key(value: Any) -> int | str | None:
    """``value`` if it can be an element's key: a text of 1 to MAX_KEY characters, or 64 bits."""
    if type(value) is str:
        return value if 0 < len(value) <= MAX_KEY else None
    # Larger ones are no ids, and can be made to share one hash.
    if type(value) is int and -(2**63) <= value < 2**64:
        return value
    return None


@frozen(kw_only=True)
class Element:
    """What all elements have."""

    KEY: ClassVar[str] = "id"

    element_name: ClassVar[str]

    extra: Extra = field(default=NO_EXTRA)
    """Fields that the PBX sent and this class does not know, by name."""

    @property
    def key(self) -> int | str | None:
        """What tells this element from others of its kind; ``None`` if it was sent without."""
        return _as_key(getattr(self, self.KEY))


@frozen(kw_only=True)
class AnyChannel(Element):
    """What all kinds of channel have."""

    KEY: ClassVar[str] = "uuid"

    uuid: str | None = None
    """What tells it from all others; of a call that the PBX makes, also its SIP Call-ID."""
    state: State | Any = None
    """What it is doing, as one of the classes in ``states``."""
    end_user: EndUsers | Any = None
    """The customers whom the helpdesk or CRM system finds for this channel."""

    @property
    def key(self) -> int | str | None:
        """The uuid; ``None`` if the channel was sent without one, or with an empty one."""
        uuid = self.uuid
        if (
            type(uuid) is str and 0 < len(uuid) <= MAX_KEY
        ):  # asked at each event: without the general case's detour
            return uuid
        return _as_key(uuid)


@frozen(kw_only=True)
class FullChannel(AnyChannel):
    """What a channel has, and one that waits on newer servers."""

    direction: str | None = None
    """``"inbound"``: offered to the PBX; ``"outbound"``: offered by it."""
    peer_location: str | None = None
    """``"internal"`` or ``"external"``: where whoever is at its end is."""
    calling_name: str | None = None
    """The caller's display name."""
    calling_number: str | None = None
    """The caller's number."""
    called_number: str | None = None
    """The number that was dialled; a marker where none was (``pickup_uuid.…``)."""
    offer_timestamp: int | None = None
    """When it was offered, in microseconds since the epoch."""
    answer_timestamp: int | None = None
    """When it was answered, in microseconds since the epoch."""
    hangup_timestamp: int | None = None
    """When it ended, in microseconds since the epoch."""
    other_uuid: str | None = None
    """The channel that it is bridged with, or was made for."""
    user_id: int | None = None
    """The id of the user whose telephone this is."""
    group_id: int | None = None
    """The id of the group that owns the channel."""
    target: Target | Any = None
    """The user or group that an inbound call is for."""
    origination: tuple[str, ...] | Any = None
    """How an API call asked for this channel, part by part."""
    tags: tuple[str, ...] | Any = None
    """Marks for the work of a call centre, such as ``monitoring_required``."""
    last_bridged_user_id: int | None = None
    """Of a customer's channel: the id of the user who talked there last."""
    last_event: str | None = None
    """What happened to it last, such as ``CHANNEL_ANSWER``; for finding faults."""
    last_event_data: str | None = None
    """More on that; at ``CHANNEL_HANGUP`` it is what ``hangup`` holds."""
    other_info: OtherInfo | Any = None
    """A summary of the channel that ``other_uuid`` names."""
    call_id: str | None = None
    """The SIP Call-ID."""

    @property
    def offered_at(self) -> datetime | None:
        """``offer_timestamp`` as an aware datetime in UTC."""
        return moment(self.offer_timestamp)

    @property
    def answered_at(self) -> datetime | None:
        """``answer_timestamp`` as an aware datetime in UTC; ``None``: not answered."""
        return moment(self.answer_timestamp)

    @property
    def hung_up_at(self) -> datetime | None:
        """``hangup_timestamp`` as an aware datetime in UTC; ``None``: not hung up."""
        return moment(self.hangup_timestamp)

    @property
    def hangup(self) -> Hangup | None:
        """How the leg ended, once ``last_event`` is ``CHANNEL_HANGUP`` and the PBX said how."""
        if self.last_event != "CHANNEL_HANGUP" or type(self.last_event_data) is not str:
            return None
        disposition, _, cause = self.last_event_data.partition(",")
        return Hangup(disposition, cause or None) if disposition else None


@frozen(kw_only=True)
class Channel(FullChannel):
    """One leg of a call."""

    element_name: ClassVar[str] = "channel"


@frozen(kw_only=True)
class WaitingChannel(FullChannel):
    """A channel in a ring queue or on a park slot (newer servers)."""

    element_name: ClassVar[str] = "channel_waiting"

    whoscall: str | None = None
    """What the caller directory says: percent-encoded JSON."""


@frozen(kw_only=True)
class QueuedChannel(AnyChannel):
    """A channel in a ring queue (older servers)."""

    element_name: ClassVar[str] = "queued_channel"

    peer_number: str | None = None
    """The number of who waits."""


@frozen(kw_only=True)
class ParkedChannel(AnyChannel):
    """A channel on a park slot (older servers)."""

    element_name: ClassVar[str] = "parked_channel"

    peer_number: str | None = None
    """The number of who stands there."""


@frozen(kw_only=True)
class User(Element):
    """A user of the PBX. ``mwi`` counts the new and saved messages in the voicemail box."""

    element_name: ClassVar[str] = "user"

    id: int | None = None
    """The user's id."""
    name: str | None = None
    """The user's name, such as ``user1``."""
    fwd_always_status: int | None = None
    """Whether all calls are forwarded, as a number whose values are not documented."""
    do_not_disturb_status: int | None = None
    """Whether nobody may disturb, as a number whose values are not documented."""
    language: int | None = None
    """A number for the user's language; which is which is not documented."""
    main_extension: str | None = None
    """The extension that the user is called by."""
    presence: int | None = None
    """A number whose meaning is not documented."""
    role: int | None = None
    """A number whose meaning is not documented."""
    park_group: int | None = None
    """Which park slots are the user's own: three, from 901 + 3 × ``park_group`` on."""
    mwi_target: str | None = None
    """What the message lamp stands for; its form is not documented."""
    flags: int | None = None
    """A number whose meaning is not documented."""
    followme: str | None = None
    """Where calls follow the user to; its form is not documented."""
    email: str | None = None
    """The user's e-mail address."""
    avatar: str | None = None
    """The picture's address: a URL where the parser knows ``base_url``, else as it was sent."""
    label: str | None = None
    """The name to show to people."""
    mwi: str | None = None
    """The new and saved messages in the voicemail box; its form is not documented."""


@frozen(kw_only=True)
class Group(Element):
    """A group of users. ``type`` is 0 (ring) or 1 (hunt)."""

    element_name: ClassVar[str] = "group"

    id: int | None = None
    """The group's id."""
    name: str | None = None
    """The group's name."""
    type: int | None = None
    """0: a ring group, 1: a hunt group."""
    language: int | None = None
    """A number for the group's language; which is which is not documented."""
    main_extension: str | None = None
    """The extension that the group is called by."""
    queue: int | None = None
    """A number about the group's queue, whose meaning is not documented."""
    label: str | None = None
    """The name to show to people."""
    flags: int | None = None
    """A number whose meaning is not documented."""
    check_login_status: int | None = None
    """Whether members have to be logged in, as a number whose values are not documented."""
    mwi: str | None = None
    """The new and saved messages in the group's voicemail box, as for a user."""


@frozen(kw_only=True)
class GroupMember(Element):
    """A user's membership of a group."""

    element_name: ClassVar[str] = "group_member"

    id: int | None = None
    """The membership's own id."""
    group_id: int | None = None
    """The group's id."""
    user_id: int | None = None
    """The user's id."""
    priority: int | None = None
    """The member's place in the order, as a number."""
    login_status: int | None = None
    """A number whose meaning is not documented."""
    role: int | None = None
    """A number whose meaning is not documented."""

    @property
    def key(self) -> int | str | None:
        """``id``, or ``"USER_ID:GROUP_ID"`` where the PBX sends none."""
        key = _as_key(self.id)
        if key is not None:
            return key
        user, group = _as_key(self.user_id), _as_key(self.group_id)
        return None if user is None or group is None else f"{user}:{group}"


@frozen(kw_only=True)
class Terminal(Element):
    """A SIP terminal. ``registered`` is 0 or 1, or a bool."""

    element_name: ClassVar[str] = "terminal"

    id: int | None = None
    """The terminal's id."""
    name: str | None = None
    """The terminal's name."""
    assoc_user_id: int | None = None
    """The id of the user it belongs to."""
    type: int | None = None
    """A number for the kind of terminal, whose meaning is not documented."""
    user_agent: str | None = None
    """What the telephone calls itself (SIP User-Agent)."""
    registered: int | bool | None = None
    """Whether the telephone is registered now."""


@frozen(kw_only=True)
class Domain(Element):
    """The PBX's domain: one element, kept even when ``removed`` (newer servers)."""

    element_name: ClassVar[str] = "domain"

    id: int | None = None
    """The domain's id."""
    name: str | None = None
    """The domain's name."""
    label: str | None = None
    """The name to show to people."""
    flags: int | None = None
    """A number whose meaning is not documented."""


@frozen(kw_only=True)
class OtherElement(Element):
    """An element of a kind that this version does not know; all its fields are ``extra``."""

    element_name: str  # type: ignore[misc]  # all the others have it of their class
    """The kind, as the PBX calls it."""

    @property
    def key(self) -> int | str | None:
        """``id``, else ``uuid``, else ``None``."""
        key = _as_key(self.extra.get("id"))
        return _as_key(self.extra.get("uuid")) if key is None else key


def to_dict(element: Element) -> dict[str, Any]:
    """The element as plain JSON-ready values, in the JavaScript reference's shape.

    Every declared field has its key, ``None`` where there is no value; extra fields stand
    beside them. A state is ``{"ts": …, "name": …, "data": {…}}``, its data holding what
    applies. Raw values are kept, tuples as lists, maps with other keys than text as lists
    of pairs.
    """
    values = {
        attribute.name: to_plain(getattr(element, attribute.name))
        for attribute in attrs.fields(type(element))
        if attribute.name not in {"extra", "element_name"}
    }
    for name, value in element.extra.items():
        values.setdefault(name, to_plain(value))
    return values


def to_plain(value: Any) -> Any:
    """Return a value of an element, or a term, as JSON-ready data; see ``to_dict``.

    Raises ``AssertionError`` for a type that no element holds.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, State):
        return _plain_state(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: to_plain(item) for key, item in value.items()}
        return [[to_plain(key), to_plain(item)] for key, item in value.items()]
    if isinstance(value, EndUser | EndUsers | Target | OtherInfo | Regex):
        return {
            attribute.name: to_plain(getattr(value, attribute.name))
            for attribute in attrs.fields(type(value))
        }
    raise AssertionError(f"no element holds a {type(value).__name__}")


def _plain_state(state: State) -> dict[str, Any]:
    # What the reference leaves out stays out: an unknown state's parts, a target's raw data.
    hidden = {"ts", "name", "data"} if isinstance(state, Calling | OtherState) else {"ts"}
    data = {
        attribute.name: to_plain(value)
        for attribute in attrs.fields(type(state))
        if attribute.name not in hidden and (value := getattr(state, attribute.name)) is not None
    }
    return {"ts": state.ts, "name": state.name, "data": data}
