"""States of a channel, one class for each, to use with ``match``.

A state has a ``name`` and ``ts``, the time at which the channel entered it. Parts that the
PBX left out, or sent without a value, are ``None``. The parts are scalars (``str``, ``int``,
``float``, ``bool``) of the type that the PBX sent. A state with a part that is none of these, such
as a tuple, is an ``OtherState``.

``PARTS`` names the fields in the order of the state's tuple, after ``{Ts, Name, …``; ``None``
is a position of unknown meaning.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from attrs import frozen

from ._internal.display import SetFields

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(microseconds: Any) -> datetime | None:
    """Return microseconds since the epoch as an aware datetime in UTC.

    Return ``None`` for a value that is not an integer or is outside the years 1 to 9999.
    """
    if type(microseconds) is not int:
        return None
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None


@frozen(kw_only=True, repr=False)
class State(SetFields):
    """Base class of all states."""

    PARTS: ClassVar[tuple[str | None, ...]] = ()

    name: ClassVar[str]
    """Name of the state, as the PBX names it."""
    ts: int | None = None
    """Time at which the channel entered this state, in microseconds since the epoch, UTC."""

    @property
    def since(self) -> datetime | None:
        """Time of ``ts`` as an aware datetime in UTC."""
        return moment(self.ts)


@frozen(kw_only=True, repr=False)
class Calling(State):
    """Call offered to a user, a group, an external number or another endpoint.

    ``target_type`` determines the fields that are set:

    - ``"user"``: ``user_id``;
    - ``"group"``: ``group_type`` and ``group_id``, and ``group_queue_id`` for a ring group;
    - ``"pstn"`` and ``"bridged_endpoint"``: ``address``.
    """

    name: ClassVar[str] = "calling"
    target_location: str | None = None
    """``"int"`` (internal) or ``"ext"`` (external)."""
    target_type: str | None = None
    """``"user"``, ``"group"``, ``"pstn"`` or ``"bridged_endpoint"``."""
    user_id: int | None = None
    """Id of the called user."""
    group_type: str | None = None
    """``"ring"`` or ``"hunt"``."""
    group_id: int | None = None
    """Id of the called group."""
    group_queue_id: str | None = None
    """Id of the ring group's queue in which the channel waits."""
    address: str | None = None
    """Called telephone number or address of an endpoint."""
    data: Any = None
    """Description of the target as sent, whatever its type. A part of it that belongs in one of the
    fields above and is no scalar is found here only."""


@frozen(kw_only=True, repr=False)
class CallingSipTermination(State):
    """Call offered to a SIP URL."""

    name: ClassVar[str] = "calling_siptermination"
    PARTS: ClassVar[tuple[str | None, ...]] = ("url",)
    url: str | None = None
    """SIP URL."""


@frozen(kw_only=True, repr=False)
class Ringing(State):
    """Ringing, not yet answered."""

    name: ClassVar[str] = "ringing"


@frozen(kw_only=True, repr=False)
class Bridged(State):
    """Connected to another channel, the channel's ``other_uuid``."""

    name: ClassVar[str] = "bridged"


@frozen(kw_only=True, repr=False)
class Voicemail(State):
    """Leaving a message in a voicemail box."""

    name: ClassVar[str] = "voicemail"
    PARTS: ClassVar[tuple[str | None, ...]] = ("target_type", "target_id", "target_name")
    target_type: str | None = None
    """``"user"`` or ``"group"``."""
    target_id: int | None = None
    """Id of the user or group whose box it is."""
    target_name: str | None = None
    """Name of the user or group whose box it is."""


@frozen(kw_only=True, repr=False)
class CheckingVoicemail(State):
    """Listening to the messages in a voicemail box."""

    name: ClassVar[str] = "checking_voicemail"
    PARTS: ClassVar[tuple[str | None, ...]] = ("target_name",)
    target_name: str | None = None
    """Name of the user or group whose box it is."""


@frozen(kw_only=True, repr=False)
class Ivr(State):
    """In a voice menu (IVR)."""

    name: ClassVar[str] = "ivr"
    PARTS: ClassVar[tuple[str | None, ...]] = ("ivr_id",)
    ivr_id: str | int | None = None
    """Id of the menu."""


@frozen(kw_only=True, repr=False)
class XmlIvr(State):
    """In a voice menu (IVR) that is controlled by XML."""

    name: ClassVar[str] = "xml_ivr"


@frozen(kw_only=True, repr=False)
class SystemOperation(State):
    """In an operation of the PBX itself."""

    name: ClassVar[str] = "system_operation"
    PARTS: ClassVar[tuple[str | None, ...]] = ("operation",)
    operation: str | None = None
    """Name of the operation."""


@frozen(kw_only=True, repr=False)
class Conference(State):
    """In a conference."""

    name: ClassVar[str] = "conference"
    PARTS: ClassVar[tuple[str | None, ...]] = ("room_id",)
    room_id: str | int | None = None
    """Id of the conference room."""


@frozen(kw_only=True, repr=False)
class Park(State):
    """Parked on a park slot."""

    name: ClassVar[str] = "park"
    PARTS: ClassVar[tuple[str | None, ...]] = ("slot", None, "parker_id", "parker_name")
    slot: int | None = None
    """Number of the slot: 901 to 996 belong to single users, 997 to 999 are shared."""
    parker_id: int | None = None
    """Id of the user who parked the call."""
    parker_name: str | None = None
    """Name of the user who parked the call."""


@frozen(kw_only=True, repr=False)
class Eavesdrop(State):
    """Eavesdropping on another channel."""

    name: ClassVar[str] = "eavesdrop"
    PARTS: ClassVar[tuple[str | None, ...]] = ("uuid", "eavesdrop_state")
    uuid: str | None = None
    """Uuid of the channel that is eavesdropped on."""
    eavesdrop_state: str | None = None
    """Mode of eavesdropping; the values are not documented."""


@frozen(kw_only=True, repr=False)
class OtherState(State):
    """State that this version does not know, or that has a part which is no scalar."""

    name: str  # type: ignore[misc]  # a class variable in all other classes
    """Name of the state, as the PBX names it."""
    data: tuple[Any, ...] = ()
    """Parts after name and timestamp, as sent."""
