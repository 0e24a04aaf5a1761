"""The elements of the feed: channels, users, groups and the rest, typed and immutable.

Every declared field is ``None`` when the PBX left it out or sent no value. Fields that a
class does not know, and the PBX sent, are in ``extra``. Scalars are passed through as they
were sent; a structured field (``state``, ``target``, ``end_user``, ``other_info``,
``origination``, ``tags``) that does not have the expected shape holds what was sent, raw.
Timestamps are microseconds since the epoch, UTC; the ``…_at`` properties are the same as
aware datetimes. Sources: PROTOCOL, kinds, and "From terms to values".
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


_NOTHING = Extra()


@frozen(kw_only=True)
class EndUser:
    """A customer, as the helpdesk or CRM system behind the PBX knows them."""

    id: str | None = None
    name: str | None = None
    organization: str | None = None
    avatar: str | None = None
    prefecture: str | None = None


@frozen(kw_only=True)
class EndUsers:
    """The customers found for a number: ``count`` of them, of which ``items`` are listed."""

    count: int
    items: tuple[EndUser, ...] = ()


@frozen(kw_only=True)
class Target:
    """The user or group that a call is for, and the address that was dialled to reach it."""

    type: str | None = None
    id: int | None = None
    name: str | None = None
    address: str | None = None


@frozen(kw_only=True)
class OtherInfo:
    """A summary of the channel at the other end.

    With ``type`` ``"user"``, ``user_id`` and ``group_id`` say who is there; otherwise
    ``end_user`` does. ``offer_timestamp`` is ``None`` while that channel does not exist yet.
    ``whoscall`` is a caller-directory entry, percent-encoded JSON.
    """

    type: str | None = None
    user_id: int | None = None
    end_user: EndUsers | Any = None
    direction: str | None = None
    peer_location: str | None = None
    address: str | None = None
    offer_timestamp: int | None = None
    group_id: int | None = None
    whoscall: str | None = None

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
    cause: str | None = None


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

    extra: Extra = field(default=_NOTHING)

    @property
    def key(self) -> int | str | None:
        """What tells this element from others of its kind; ``None`` if it was sent without."""
        return _as_key(getattr(self, self.KEY))


@frozen(kw_only=True)
class AnyChannel(Element):
    """What all kinds of channel have."""

    KEY: ClassVar[str] = "uuid"

    uuid: str | None = None
    state: State | Any = None
    end_user: EndUsers | Any = None

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
    peer_location: str | None = None
    calling_name: str | None = None
    calling_number: str | None = None
    called_number: str | None = None
    offer_timestamp: int | None = None
    answer_timestamp: int | None = None
    hangup_timestamp: int | None = None
    other_uuid: str | None = None
    user_id: int | None = None
    group_id: int | None = None
    target: Target | Any = None
    origination: tuple[str, ...] | Any = None
    tags: tuple[str, ...] | Any = None
    last_bridged_user_id: int | None = None
    last_event: str | None = None
    last_event_data: str | None = None
    other_info: OtherInfo | Any = None
    call_id: str | None = None

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


@frozen(kw_only=True)
class QueuedChannel(AnyChannel):
    """A channel in a ring queue (older servers)."""

    element_name: ClassVar[str] = "queued_channel"

    peer_number: str | None = None


@frozen(kw_only=True)
class ParkedChannel(AnyChannel):
    """A channel on a park slot (older servers)."""

    element_name: ClassVar[str] = "parked_channel"

    peer_number: str | None = None


@frozen(kw_only=True)
class User(Element):
    """A user of the PBX. ``mwi`` counts the new and saved messages in the voicemail box."""

    element_name: ClassVar[str] = "user"

    id: int | None = None
    name: str | None = None
    fwd_always_status: int | None = None
    do_not_disturb_status: int | None = None
    language: int | None = None
    main_extension: str | None = None
    presence: int | None = None
    role: int | None = None
    park_group: int | None = None
    mwi_target: str | None = None
    flags: int | None = None
    followme: str | None = None
    email: str | None = None
    avatar: str | None = None
    label: str | None = None
    mwi: str | None = None


@frozen(kw_only=True)
class Group(Element):
    """A group of users. ``type`` is 0 (ring) or 1 (hunt)."""

    element_name: ClassVar[str] = "group"

    id: int | None = None
    name: str | None = None
    type: int | None = None
    language: int | None = None
    main_extension: str | None = None
    queue: int | None = None
    label: str | None = None
    flags: int | None = None
    check_login_status: int | None = None
    mwi: str | None = None


@frozen(kw_only=True)
class GroupMember(Element):
    """A user's membership of a group."""

    element_name: ClassVar[str] = "group_member"

    id: int | None = None
    group_id: int | None = None
    user_id: int | None = None
    priority: int | None = None
    login_status: int | None = None
    role: int | None = None

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
    name: str | None = None
    assoc_user_id: int | None = None
    type: int | None = None
    user_agent: str | None = None
    registered: int | bool | None = None


@frozen(kw_only=True)
class Domain(Element):
    """The PBX's domain: one element, kept even when ``removed`` (newer servers)."""

    element_name: ClassVar[str] = "domain"

    id: int | None = None
    name: str | None = None
    label: str | None = None
    flags: int | None = None


@frozen(kw_only=True)
class OtherElement(Element):
    """An element of a kind that this version does not know; all its fields are ``extra``."""

    element_name: str  # type: ignore[misc]  # all the others have it of their class

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
        attribute.name: _plain(getattr(element, attribute.name))
        for attribute in attrs.fields(type(element))
        if attribute.name not in {"extra", "element_name"}
    }
    for name, value in element.extra.items():
        values.setdefault(name, _plain(value))
    return values


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, State):
        return _plain_state(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: _plain(item) for key, item in value.items()}
        return [[_plain(key), _plain(item)] for key, item in value.items()]
    if isinstance(value, EndUser | EndUsers | Target | OtherInfo | Regex):
        return {
            attribute.name: _plain(getattr(value, attribute.name))
            for attribute in attrs.fields(type(value))
        }
    raise AssertionError(f"no element holds a {type(value).__name__}")


def _plain_state(state: State) -> dict[str, Any]:
    # What the reference leaves out stays out: an unknown state's parts, a target's raw data.
    hidden = {"ts", "name", "data"} if isinstance(state, Calling | OtherState) else {"ts"}
    data = {
        attribute.name: _plain(value)
        for attribute in attrs.fields(type(state))
        if attribute.name not in hidden and (value := getattr(state, attribute.name)) is not None
    }
    return {"ts": state.ts, "name": state.name, "data": data}
