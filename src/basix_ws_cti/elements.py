"""Elements of the feed: channels, users, groups and the rest, typed and immutable.

- A declared field is ``None`` if the PBX left it out or sent no value.
- Fields that the PBX sends and the class does not declare are in ``extra``.
- A field with the annotation ``str | None`` or ``int | None`` holds a scalar of the type that the
  PBX sent: ``str``, ``int``, ``float``, ``bool`` or ``None``. If the PBX sent something else, such
  as a tuple, the field is ``None`` and the decoded term is in ``extra``, under the field's name.
- A structured field (``state``, ``target``, ``end_user``, ``other_info``, ``origination``,
  ``tags``) without the expected shape holds the decoded term as it was sent.
- Timestamps are microseconds since the epoch, UTC. The ``…_at`` properties are the same times
  as aware datetimes.

The rules for decoding values are in docs/explanation/protocol.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import attrs
from attrs import field, frozen

from ._internal.codegen import constructor
from ._internal.display import SetFields
from .states import Calling, OtherState, State, moment
from .terms import Regex


class Extra(dict[str, Any]):
    """Immutable and hashable dict of an element's undeclared fields and raw values."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("the extra fields of an element are immutable")

    if not TYPE_CHECKING:  # type checkers see the methods of dict
        __setitem__ = __delitem__ = __ior__ = _refuse
        clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[Extra], tuple[dict[str, Any]]]:
        return Extra, (dict(self),)


NO_EXTRA = Extra()
"""Value of ``extra`` of all elements without undeclared fields and raw values."""


@frozen(kw_only=True, repr=False)
class EndUser(SetFields):
    """Customer, as known to the helpdesk or CRM system that is connected to the PBX."""

    id: str | None = None
    """Id in the helpdesk or CRM system."""
    name: str | None = None
    """Display name."""
    organization: str | None = None
    """Company or other organization that the customer belongs to."""
    avatar: str | None = None
    """Address of the portrait: a URL if the parser has a ``base_url``, else as sent."""
    prefecture: str | None = None
    """Prefecture of the customer's address."""


@frozen(kw_only=True, repr=False)
class EndUsers(SetFields):
    """Customers found for a telephone number."""

    count: int
    """Number of customers found."""
    items: tuple[EndUser, ...] = ()
    """Customers that the PBX lists, which may be fewer than ``count``."""


@frozen(kw_only=True, repr=False)
class Target(SetFields):
    """User or group that an inbound call is for."""

    type: str | None = None
    """``"user"`` or ``"group"``."""
    id: int | None = None
    """Id of the user or group."""
    name: str | None = None
    """Name of the user or group."""
    address: str | None = None
    """Dialled address of the user or group, usually a public telephone number."""


@frozen(kw_only=True, repr=False)
class OtherInfo(SetFields):
    """Summary of the other channel of a call, as an element shows it.

    If ``type`` is ``"user"``, the party on that channel is given by ``user_id``, otherwise by
    ``end_user``.
    """

    type: str | None = None
    """``"user"``, or ``"end_user"`` for a customer."""
    user_id: int | None = None
    """Id of the user on that channel; ``None`` if the type is not ``"user"``."""
    end_user: EndUsers | Any = None
    """Customers found for the number; ``None`` if the type is ``"user"``, or none was found."""
    direction: str | None = None
    """``"inbound"``: a call to the PBX; ``"outbound"``: a call that the PBX makes."""
    peer_location: str | None = None
    """``"internal"`` or ``"external"``: location of the party, seen from the PBX."""
    address: str | None = None
    """Public telephone number, or name of a terminal."""
    offer_timestamp: int | None = None
    """Creation of that channel, in microseconds since the epoch; ``None``: not yet created."""
    group_id: int | None = None
    """Id of the group concerned."""
    whoscall: str | None = None
    """Entry of the caller directory: percent-encoded JSON; an integer there is ignored."""

    @property
    def offered_at(self) -> datetime | None:
        """Time of ``offer_timestamp`` as an aware datetime in UTC."""
        return moment(self.offer_timestamp)


@frozen(repr=False)
class Hangup(SetFields):
    """End of a call leg: the SIP message that ended it, and the hangup cause."""

    disposition: str
    """SIP message that ended the leg.

    ``recv_bye``, ``recv_cancel``, ``recv_refuse``: received by the PBX from the party on this
    leg. ``send_bye``, ``send_cancel``, ``send_refuse``: sent by the PBX to that party.
    """
    cause: str | None = None
    """Hangup cause of FreeSWITCH, such as ``NORMAL_CLEARING``."""


# A generated constructor: the hang-up is read at the end of each channel.
_make_hangup = constructor(Hangup)

# Characters in a key. A mirror keeps thousands of keys, which must not be as long as a frame. A
# uuid has 36 characters.
MAX_KEY = 255


def _as_key(value: Any) -> int | str | None:
    """Return ``value`` if it can be a key: text of 1 to MAX_KEY characters, or a 64-bit integer."""
    if type(value) is str:
        return value if 0 < len(value) <= MAX_KEY else None
    # A larger integer is not an id, and a peer could choose many with the same hash.
    if type(value) is int and -(2**63) <= value < 2**64:
        return value
    return None


@frozen(kw_only=True, repr=False)
class Element(SetFields):
    """Base class of all elements."""

    KEY: ClassVar[str] = "id"
    """Name of the field that identifies the element among those of its kind."""

    element_name: ClassVar[str]
    """Kind of the element, as the PBX names it."""

    extra: Extra = field(default=NO_EXTRA)
    """Fields that the PBX sent and this class does not declare, by name.

    Also the decoded terms of declared fields that are neither text nor number; the field is
    ``None``.
    """

    @property
    def key(self) -> int | str | None:
        """Key that identifies the element within its kind; ``None`` if the PBX sent none."""
        value = getattr(self, self.KEY)
        # The usual case first: the key is read for each element of a list.
        if type(value) is int and 0 <= value < 2**64:
            return value
        return _as_key(value)

    def to_dict(self) -> dict[str, Any]:
        """Return the element as JSON-ready values; see the function ``to_dict``."""
        return to_dict(self)


@frozen(kw_only=True, repr=False)
class AnyChannel(Element):
    """Base class of all kinds of channel. A channel is one leg of a call."""

    KEY: ClassVar[str] = "uuid"

    uuid: str | None = None
    """Id of the channel. If the PBX makes the call, it is also the SIP Call-ID."""
    state: State | Any = None
    """Current state, an instance of one of the classes in ``states``."""
    end_user: EndUsers | Any = None
    """Customers that the helpdesk or CRM system finds for the channel; ``None``: none found."""

    @property
    def key(self) -> int | str | None:
        """Return the uuid; ``None`` if the PBX sent none, or an empty one."""
        uuid = self.uuid
        # The usual case first: the key is read at each event.
        if type(uuid) is str and 0 < len(uuid) <= MAX_KEY:
            return uuid
        return _as_key(uuid)


@frozen(kw_only=True, repr=False)
class FullChannel(AnyChannel):
    """Base class of ``Channel`` and ``WaitingChannel``, which have the same fields."""

    direction: str | None = None
    """``"inbound"``: a call to the PBX; ``"outbound"``: a call that the PBX makes."""
    peer_location: str | None = None
    """``"internal"`` or ``"external"``: location of the party, seen from the PBX."""
    calling_name: str | None = None
    """Display name of the caller."""
    calling_number: str | None = None
    """Telephone number of the caller."""
    called_number: str | None = None
    """Dialled number; a marker such as ``pickup_uuid.UUID`` if no number was dialled."""
    offer_timestamp: int | None = None
    """Time at which the call was offered, in microseconds since the epoch."""
    answer_timestamp: int | None = None
    """Time of the answer, in microseconds since the epoch; ``None``: not answered."""
    hangup_timestamp: int | None = None
    """Time of the hangup, in microseconds since the epoch; ``None``: not hung up."""
    other_uuid: str | None = None
    """Uuid of the channel that this one is bridged with, or was created for."""
    user_id: int | None = None
    """Id of the user whose phone the channel leads to."""
    group_id: int | None = None
    """Id of the group that owns the channel."""
    target: Target | Any = None
    """User or group that an inbound call is for."""
    origination: tuple[str, ...] | Any = None
    """Parts of the API request that created the channel, percent-decoded."""
    tags: tuple[str, ...] | Any = None
    """Tags for call-centre work, such as ``monitoring_required``."""
    last_bridged_user_id: int | None = None
    """On a customer's channel: id of the user who talked to the customer last."""
    last_event: str | None = None
    """Last event of the channel, such as ``CHANNEL_ANSWER``; for troubleshooting."""
    last_event_data: str | None = None
    """Data of the last event; after ``CHANNEL_HANGUP``, see ``hangup``."""
    other_info: OtherInfo | Any = None
    """Summary of the channel ``other_uuid``."""
    call_id: str | None = None
    """SIP Call-ID."""

    @property
    def offered_at(self) -> datetime | None:
        """Time of ``offer_timestamp`` as an aware datetime in UTC."""
        return moment(self.offer_timestamp)

    @property
    def answered_at(self) -> datetime | None:
        """Time of ``answer_timestamp`` as an aware datetime in UTC; ``None``: not answered."""
        return moment(self.answer_timestamp)

    @property
    def hung_up_at(self) -> datetime | None:
        """Time of ``hangup_timestamp`` as an aware datetime in UTC; ``None``: not hung up."""
        return moment(self.hangup_timestamp)

    @property
    def hangup(self) -> Hangup | None:
        """Disposition and cause of the hangup.

        ``None`` until ``last_event`` is ``CHANNEL_HANGUP``, and if the PBX sent no disposition.
        """
        if self.last_event != "CHANNEL_HANGUP" or type(self.last_event_data) is not str:
            return None
        disposition, _, cause = self.last_event_data.partition(",")
        return _make_hangup(disposition, cause or None) if disposition else None


@frozen(kw_only=True, repr=False)
class Channel(FullChannel):
    """One leg of a call between the PBX and a phone or the public network."""

    element_name: ClassVar[str] = "channel"


@frozen(kw_only=True, repr=False)
class WaitingChannel(FullChannel):
    """Channel that waits in a ring queue or on a park slot (newer servers)."""

    element_name: ClassVar[str] = "channel_waiting"

    whoscall: str | None = None
    """Entry of the caller directory: percent-encoded JSON."""


@frozen(kw_only=True, repr=False)
class QueuedChannel(AnyChannel):
    """Channel that waits in a ring queue (older servers)."""

    element_name: ClassVar[str] = "queued_channel"

    peer_number: str | None = None
    """Telephone number of the waiting party."""


@frozen(kw_only=True, repr=False)
class ParkedChannel(AnyChannel):
    """Channel that is parked on a park slot (older servers)."""

    element_name: ClassVar[str] = "parked_channel"

    peer_number: str | None = None
    """Telephone number of the parked party."""


@frozen(kw_only=True, repr=False)
class User(Element):
    """User of the PBX."""

    element_name: ClassVar[str] = "user"

    id: int | None = None
    """Id of the user."""
    name: str | None = None
    """Technical name, such as ``user1``."""
    fwd_always_status: int | None = None
    """State of forwarding all calls; the values are not documented."""
    do_not_disturb_status: int | None = None
    """State of do-not-disturb; the values are not documented."""
    language: int | None = None
    """Number of the user's language; the values are not documented."""
    main_extension: str | None = None
    """Main extension."""
    presence: int | None = None
    """Presence; the values are not documented."""
    role: int | None = None
    """Role; the values are not documented."""
    park_group: int | None = None
    """Number of the user's park slots, which are the three from 901 + 3 × ``park_group`` on."""
    mwi_target: str | None = None
    """Target of the message-waiting indicator (MWI); the format is not documented."""
    flags: int | None = None
    """Bit field; the bits are not documented."""
    followme: str | None = None
    """Destination of follow-me; the format is not documented."""
    email: str | None = None
    """E-mail address."""
    avatar: str | None = None
    """Address of the portrait: a URL if the parser has a ``base_url``, else as sent."""
    label: str | None = None
    """Display name."""
    mwi: str | None = None
    """Counts of new and saved voicemail messages; the format is not documented."""


@frozen(kw_only=True, repr=False)
class Group(Element):
    """Group of users that can be called together."""

    element_name: ClassVar[str] = "group"

    id: int | None = None
    """Id of the group."""
    name: str | None = None
    """Technical name."""
    type: int | None = None
    """0: ring group; 1: hunt group."""
    language: int | None = None
    """Number of the group's language; the values are not documented."""
    main_extension: str | None = None
    """Main extension."""
    queue: int | None = None
    """Number concerning the group's queue; the meaning is not documented."""
    label: str | None = None
    """Display name."""
    flags: int | None = None
    """Bit field; the bits are not documented."""
    check_login_status: int | None = None
    """Setting whether members have to be logged in; the values are not documented."""
    mwi: str | None = None
    """Counts of new and saved voicemail messages; the format is not documented."""


@frozen(kw_only=True, repr=False)
class GroupMember(Element):
    """Membership of a user in a group."""

    element_name: ClassVar[str] = "group_member"

    id: int | None = None
    """Id of the membership."""
    group_id: int | None = None
    """Id of the group."""
    user_id: int | None = None
    """Id of the user."""
    priority: int | None = None
    """Position of the member in the order of the group."""
    login_status: int | None = None
    """Login state of the member in this group; the values are not documented."""
    role: int | None = None
    """Role; the values are not documented."""

    @property
    def key(self) -> int | str | None:
        """Return ``id``, or ``"USER_ID:GROUP_ID"`` if the PBX sent no id."""
        key = _as_key(self.id)
        if key is not None:
            return key
        user, group = _as_key(self.user_id), _as_key(self.group_id)
        return None if user is None or group is None else f"{user}:{group}"


@frozen(kw_only=True, repr=False)
class Terminal(Element):
    """SIP phone or other SIP endpoint."""

    element_name: ClassVar[str] = "terminal"

    id: int | None = None
    """Id of the terminal."""
    name: str | None = None
    """Name of the terminal."""
    assoc_user_id: int | None = None
    """Id of the user that the terminal belongs to."""
    type: int | None = None
    """Kind of terminal; the values are not documented."""
    user_agent: str | None = None
    """SIP User-Agent of the phone."""
    registered: int | bool | None = None
    """SIP registration: true or 1 while the phone is registered, else false or 0."""


@frozen(kw_only=True, repr=False)
class Domain(Element):
    """Domain of the PBX: a single element, which stays even when ``removed`` (newer servers)."""

    element_name: ClassVar[str] = "domain"

    id: int | None = None
    """Id of the domain."""
    name: str | None = None
    """Name of the domain."""
    label: str | None = None
    """Display name."""
    flags: int | None = None
    """Bit field; the bits are not documented."""


@frozen(kw_only=True, repr=False)
class OtherElement(Element):
    """Element of a kind that this version does not know; all its fields are in ``extra``."""

    element_name: str  # type: ignore[misc]  # a class variable in all other classes
    """Kind of the element, as the PBX names it."""

    @property
    def key(self) -> int | str | None:
        """Return ``id``, else ``uuid``, else ``None``."""
        key = _as_key(self.extra.get("id"))
        return _as_key(self.extra.get("uuid")) if key is None else key


def to_dict(element: Element) -> dict[str, Any]:
    """Return the element as JSON-ready values, in the shape of the JavaScript reference library.

    - Every declared field has its key, with ``None`` for no value; extra fields are beside them,
      and the raw value of a declared field is in its place.
    - A state is ``{"ts": …, "name": …, "data": {…}}``; ``data`` has the parts with a value.
    - Raw values are kept: tuples become lists, and maps with keys other than text become lists
      of pairs.
    """
    values = {
        attribute.name: to_plain(getattr(element, attribute.name))
        for attribute in attrs.fields(type(element))
        if attribute.name not in {"extra", "element_name"}
    }
    for name, value in element.extra.items():
        if values.get(name) is None:
            values[name] = to_plain(value)
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
        return _state_to_plain(value)
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
    raise AssertionError(f"an element can't contain a {type(value).__name__}")


def _state_to_plain(state: State) -> dict[str, Any]:
    # The reference leaves out the parts of an unknown state and the raw data of a call target.
    hidden = {"ts", "name", "data"} if isinstance(state, Calling | OtherState) else {"ts"}
    data = {
        attribute.name: to_plain(value)
        for attribute in attrs.fields(type(state))
        if attribute.name not in hidden and (value := getattr(state, attribute.name)) is not None
    }
    return {"ts": state.ts, "name": state.name, "data": data}
