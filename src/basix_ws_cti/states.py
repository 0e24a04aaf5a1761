"""What a channel is doing: one class per state, to ``match`` on.

Each state has ``name`` and ``ts``, the microseconds since the epoch (UTC) at which the
channel entered it; ``since`` is the same as an aware datetime. Parts that the PBX left
out, or sent as no value, are ``None``; scalars are passed through as they were sent.

``PARTS`` says where the parts stand in the state's tuple after ``{Ts, Name, …``;
``None`` marks a position whose meaning is not known.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from attrs import frozen

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(microseconds: Any) -> datetime | None:
    """Microseconds since the epoch as an aware datetime in UTC.

    ``None`` for ``None``, and for what is no integer or lies outside the years 1 to 9999.
    """
    if type(microseconds) is not int:
        return None
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None


@frozen(kw_only=True)
class State:
    """What all states have."""

    PARTS: ClassVar[tuple[str | None, ...]] = ()

    name: ClassVar[str]
    ts: int | None = None
    """When the channel came into this state, in microseconds since the epoch."""

    @property
    def since(self) -> datetime | None:
        """``ts`` as an aware datetime in UTC."""
        return moment(self.ts)


@frozen(kw_only=True)
class Calling(State):
    """Offered to somebody: a user, a group, a number outside, another endpoint.

    Of the fields after ``target_type`` those that apply are set: ``user_id`` for
    ``"user"``; ``group_type`` and ``group_id`` for ``"group"``, with ``group_queue_id`` if
    the type is ``"ring"``; ``address`` for ``"pstn"`` and ``"bridged_endpoint"``. ``data``
    holds the target's description as it was sent, whatever its type.
    """

    name: ClassVar[str] = "calling"
    target_location: str | None = None
    """``"int"`` or ``"ext"``: inside or outside of the PBX."""
    target_type: str | None = None
    """``"user"``, ``"group"``, ``"pstn"`` or ``"bridged_endpoint"``."""
    user_id: int | None = None
    """The user who is called."""
    group_type: str | None = None
    """``"ring"`` or ``"hunt"``."""
    group_id: int | None = None
    """The group that is called."""
    group_queue_id: str | None = None
    """The queue of a ring group, in which the channel waits."""
    address: str | None = None
    """The number, or the endpoint's address, that is called."""
    data: Any = None
    """The target's description as it was sent."""


@frozen(kw_only=True)
class CallingSipTermination(State):
    """Calling a SIP URL."""

    name: ClassVar[str] = "calling_siptermination"
    PARTS: ClassVar[tuple[str | None, ...]] = ("url",)
    url: str | None = None
    """The URL."""


@frozen(kw_only=True)
class Ringing(State):
    """Ringing."""

    name: ClassVar[str] = "ringing"


@frozen(kw_only=True)
class Bridged(State):
    """Connected to another channel: the channel's ``other_uuid``."""

    name: ClassVar[str] = "bridged"


@frozen(kw_only=True)
class Voicemail(State):
    """Leaving a message in the voicemail box of a user or group."""

    name: ClassVar[str] = "voicemail"
    PARTS: ClassVar[tuple[str | None, ...]] = ("target_type", "target_id", "target_name")
    target_type: str | None = None
    """``"user"`` or ``"group"``."""
    target_id: int | None = None
    """The user's or group's id."""
    target_name: str | None = None
    """The user's or group's name."""


@frozen(kw_only=True)
class CheckingVoicemail(State):
    """Listening to the voicemail box of a user or group."""

    name: ClassVar[str] = "checking_voicemail"
    PARTS: ClassVar[tuple[str | None, ...]] = ("target_name",)
    target_name: str | None = None
    """The user's or group's name."""


@frozen(kw_only=True)
class Ivr(State):
    """In a voice menu."""

    name: ClassVar[str] = "ivr"
    PARTS: ClassVar[tuple[str | None, ...]] = ("ivr_id",)
    ivr_id: str | int | None = None
    """Which menu."""


@frozen(kw_only=True)
class XmlIvr(State):
    """In a voice menu driven by XML."""

    name: ClassVar[str] = "xml_ivr"


@frozen(kw_only=True)
class SystemOperation(State):
    """In an operation of the PBX itself."""

    name: ClassVar[str] = "system_operation"
    PARTS: ClassVar[tuple[str | None, ...]] = ("operation",)
    operation: str | None = None
    """Which operation."""


@frozen(kw_only=True)
class Conference(State):
    """In a conference room."""

    name: ClassVar[str] = "conference"
    PARTS: ClassVar[tuple[str | None, ...]] = ("room_id",)
    room_id: str | int | None = None
    """Which room."""


@frozen(kw_only=True)
class Park(State):
    """Parked on a slot, by whom."""

    name: ClassVar[str] = "park"
    PARTS: ClassVar[tuple[str | None, ...]] = ("slot", None, "parker_id", "parker_name")
    slot: int | None = None
    """The slot's number: 901 to 996 belong to users, 997 to 999 to everybody."""
    parker_id: int | None = None
    """The id of the user who parked it."""
    parker_name: str | None = None
    """That user's name."""


@frozen(kw_only=True)
class Eavesdrop(State):
    """Listening in on the channel ``uuid``."""

    name: ClassVar[str] = "eavesdrop"
    PARTS: ClassVar[tuple[str | None, ...]] = ("uuid", "eavesdrop_state")
    uuid: str | None = None
    """The channel that is listened to."""
    eavesdrop_state: str | None = None
    """How it is listened to, as it was sent."""


@frozen(kw_only=True)
class OtherState(State):
    """A state nobody knows yet: its name, its timestamp, and the rest as it was sent."""

    name: str  # type: ignore[misc]  # all the others have it of their class
    """Its name, as the PBX calls it."""
    data: tuple[Any, ...] = ()
    """What came after name and timestamp."""
