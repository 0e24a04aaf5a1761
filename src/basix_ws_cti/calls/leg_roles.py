"""Role of a leg's party in the call, as far as the channel itself reveals it.

The role changes while the call goes on: ``role_at_first`` is that of a new leg, ``next_role`` that
after a change of its state. ``ActiveLegs`` adds what follows from other legs: the roles
``"consulted"``, and ``"picked_up"`` and ``"retrieved"`` of a user who dialled a feature code.
"""

from __future__ import annotations

import re

from basix_ws_cti.elements import Channel, OtherInfo
from basix_ws_cti.states import (
    Bridged,
    Calling,
    CallingSipTermination,
    CheckingVoicemail,
    Conference,
    Eavesdrop,
    SystemOperation,
    Voicemail,
)

from .channel_facts import is_bridged_to_party
from .model import Role

MEDIA_PLUG = "media_plug"
"""Number of a channel through which a user listens in on calls: the destination that requests it,
and its calling number once it is answered."""

PICKUP = re.compile(r"(?:pickup_uuid|assimilate)\.(.+)", re.DOTALL)
"""Number that a user's phone dials to take a call: the call that rings on the leg of that uuid, or
the call that is offered to web phones as RINGING_PARK.UUID."""

OF_CALLER: frozenset[Role] = frozenset({"placed", "monitored"})
"""Roles of a leg that the PBX called for its own party: to call or to listen in."""

TAKING: frozenset[Role] = frozenset({"picked_up", "retrieved"})
"""Roles of a leg that dialled to take a call."""

_ASKING = frozenset({Calling, CallingSipTermination, Bridged, Voicemail})

_PARK_SLOT = re.compile(r"9(?!00)[0-9]{2}")  # 901 to 999


def is_own_call(channel: Channel) -> bool:
    """Return True if the PBX called a user for a call of the user's own (click-to-call).

    A leg that is offered for another leg names that one.
    """
    return (
        channel.direction == "outbound"
        and channel.user_id is not None
        and channel.other_uuid is None
        and not isinstance(channel.other_info, OtherInfo)
    )


def own_call_key(channel: Channel) -> tuple[int, str | None, tuple[str, ...]] | None:
    """Return a key that is the same for all phones that the PBX rings for one click-to-call.

    ``None`` if the channel is no such phone.
    """
    user_id, called, origination = channel.user_id, channel.called_number, channel.origination
    if not is_own_call(channel) or not isinstance(user_id, int):
        return None
    request = origination if isinstance(origination, tuple) else ()
    return user_id, called if isinstance(called, str) else None, request


def role_at_first(channel: Channel, *, is_first: bool) -> Role:
    """Return the role of a new leg.

    ``is_first``: this is the first leg of its call.
    """
    if MEDIA_PLUG in (channel.calling_number, channel.called_number):
        return "monitored"
    if channel.direction == "outbound":
        return "placed" if is_first and is_own_call(channel) else "offered"
    called: object = channel.called_number
    if channel.peer_location == "internal" and isinstance(called, str):
        if PICKUP.fullmatch(called):
            return "picked_up"
        if _PARK_SLOT.fullmatch(called):
            return "retrieved"
    return "placed"


def asks_for_party(channel: Channel) -> bool:
    """Return True if the state of a channel is that of a call to somebody."""
    return type(channel.state) in _ASKING


def is_kept_open(channel: Channel) -> bool:
    """Return True if a leg that was alone in its call until now is a permanent line.

    The PBX called its user, or it plays music to a user who dialled.
    """
    return channel.direction == "outbound" or plays_music(channel)


def plays_music(channel: Channel) -> bool:
    """Return True if an answered leg, which called no user or group, plays music."""
    return (
        channel.answer_timestamp is not None
        and channel.target is None
        and isinstance(channel.state, Bridged)
        and not is_bridged_to_party(channel)
    )


def next_role(role: Role, channel: Channel, *, has_asked: bool) -> Role:
    """Return the role of a leg after a change of its state or its answer.

    ``has_asked``: ``asks_for_party`` was true for this or an earlier state.
    """
    state = channel.state
    if isinstance(state, Eavesdrop):
        return "monitored"
    if role == "monitored":
        # A permanent line, through which the user takes a call. It may play music between calls.
        return "offered" if is_bridged_to_party(channel) else role
    if role == "placed":
        if MEDIA_PLUG in (channel.calling_number, channel.called_number):
            return "monitored"
        return "service" if not has_asked and _serves_user(channel) else role
    if role == "service":
        return "placed" if has_asked else role
    if role == "retrieved" and isinstance(state, Calling | CallingSipTermination):
        return "placed"  # the number was that of a party, not of a park slot
    return role


def _serves_user(channel: Channel) -> bool:
    """Return True if a user who dialled is in a service of the PBX."""
    if channel.user_id is None or channel.direction == "outbound":
        return False
    state = channel.state
    if isinstance(state, SystemOperation):
        return channel.answer_timestamp is not None
    return isinstance(state, CheckingVoicemail | Conference)
