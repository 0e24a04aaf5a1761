"""Facts that a single channel states about its call.

A channel is one leg of a call. It has two ends: *its own party*, the phone or number that the
PBX is connected to through this channel, and the *other party*, which the PBX connects or has
connected to it. ``Channel.direction`` is the PBX's view: the own party of an ``inbound`` channel
dialled, the own party of an ``outbound`` channel was called.

All functions here are public. User interfaces need three of them: ``own_party``, ``other_party``
and ``phase_of``. The call tracker uses all. None of them raises an error, whatever values the
PBX sent: a value of an unexpected type counts as absent.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import evolve

from basix_ws_cti._internal.codegen import constructor
from basix_ws_cti.elements import Channel, EndUser, EndUsers, OtherInfo, Target
from basix_ws_cti.states import (
    Bridged,
    Calling,
    CallingSipTermination,
    Conference,
    Ivr,
    Park,
    Ringing,
    State,
    SystemOperation,
    Voicemail,
    XmlIvr,
)

from .model import UNKNOWN_PARTY, Party, Phase

ANNOUNCEMENT = "bridged"
"""``Phase.place`` of a phase of kind ``other`` in which the leg is bridged to no other party."""

RINGING_TONE = "ringing"
"""``Phase.place`` of a phase of kind ``other`` in which the caller's own leg is ``ringing``."""

# Texts that the PBX writes in place of a number: they name a leg or a function, and no party.
_MARKER = re.compile(
    r"(?:pickup_uuid|assimilate)\..*|media_plug|(?:RINGING|LOCAL)_PARK(?:\..*)?", re.DOTALL
)

# Generated constructors take positional arguments and a fifth of the time of the classes' own
# ones; these objects are created at each channel event.
_make_party, _make_phase = constructor(Party), constructor(Phase)


def other_leg_uuid(channel: Channel) -> str | None:
    """Return the channel's ``other_uuid`` as text; ``None`` if it is absent or empty.

    The leg of that uuid may be unknown to the mirror: it may not be shown, or it has ended.
    """
    other: object = channel.other_uuid
    if type(other) is str and other:
        return other
    return str(other) if isinstance(other, str | int) and other != "" else None


def number_of(text: str | None) -> str | None:
    """Return a number as the PBX sent it; ``None`` if it is empty or one of the PBX's markers.

    Markers are ``pickup_uuid.UUID``, ``assimilate.UUID``, ``media_plug``, ``RINGING_PARK`` and
    ``LOCAL_PARK``, the last two also with ``.UUID`` behind.
    """
    value: object = text
    # Nearly all numbers begin with a digit, and need no regular expression.
    if value == "" or (isinstance(value, str) and value[0].isalpha() and _MARKER.fullmatch(value)):
        return None
    return text


def own_party(channel: Channel) -> Party:
    """Return the party at the channel's own end.

    A user of the PBX has a ``user_id``, and a name only if the user dialled. A party outside has
    a number, the name of the first end user that the CRM knows by it (else the name that the
    caller sent), that end user, and the caller directory entry.
    """
    is_caller = _is_caller(channel)
    if channel.user_id is not None:
        name = channel.calling_name if is_caller else None
        return _make_party(channel.user_id, None, None, name, None, None)
    end_user = _first_end_user(channel.end_user)
    number = number_of(channel.calling_number if is_caller else channel.called_number)
    name = channel.calling_name if is_caller and channel.calling_name != number else None
    if end_user is not None and end_user.name:
        name = end_user.name
    whoscall = channel.extra.get("whoscall")
    whoscall = whoscall if isinstance(whoscall, str) else None
    return _make_party(None, None, number, name, end_user, whoscall)


def other_party(channel: Channel) -> Party:
    """Return the party at the other end, as far as this channel's ``other_info`` names it.

    Without ``other_info`` nothing is known: ``Party()``.
    """
    info = channel.other_info
    if not isinstance(info, OtherInfo):
        return UNKNOWN_PARTY
    if info.type == "user":
        return _make_party(info.user_id, None, None, None, None, None)
    end_user = _first_end_user(info.end_user)
    name = None if end_user is None else end_user.name
    return _make_party(None, None, number_of(info.address), name, end_user, info.whoscall)


def other_whoscall(channel: Channel) -> str | None:
    """Return the caller directory entry of the other party, if that party is outside."""
    info = channel.other_info
    return info.whoscall if isinstance(info, OtherInfo) and info.type != "user" else None


def party_key(party: Party) -> int | str | None:
    """Return the user id or else the number of a party; ``None``: it has neither."""
    user_id: object = party.user_id
    if isinstance(user_id, int):
        return user_id
    number: object = party.number
    return number if isinstance(number, str) else None


def requested_party(channel: Channel) -> Party:
    """Return the user or group that the channel's ``target`` names; ``Party()``: none."""
    target = channel.target
    if not isinstance(target, Target) or not isinstance(target.id, int):
        return UNKNOWN_PARTY
    if target.type == "user":
        return _make_party(target.id, None, None, target.name, None, None)
    if target.type == "group":
        return _make_party(None, target.id, None, target.name, None, None)
    return UNKNOWN_PARTY


def has_external_callee(channel: Channel) -> bool:
    """Return True if the channel calls, or is about to call, somebody outside the PBX.

    A user's own phone outside, such as a mobile, is not somebody outside.
    """
    state = channel.state
    if isinstance(state, Calling):
        if state.target_location == "ext":
            return True
    elif isinstance(state, CallingSipTermination):
        return True
    is_outside = channel.peer_location == "external" and channel.user_id is None
    return is_outside and not _is_caller(channel)


def is_phone_ringing(channel: Channel) -> bool:
    """Return True if the channel is a phone that rings.

    A leg that dialled may be in the state ``ringing``, too: its party hears a ringing tone.
    """
    return isinstance(channel.state, Ringing) and not _is_caller(channel)


def is_bridged_to_party(channel: Channel) -> bool:
    """Return True if the channel is bridged to another party.

    A bridged channel that names no other end hears an announcement, or music on hold.
    """
    return isinstance(channel.state, Bridged) and (
        other_leg_uuid(channel) is not None or isinstance(channel.other_info, OtherInfo)
    )


def is_b_leg(channel: Channel) -> bool:
    """Return True if the PBX created the channel for another leg (a B leg in FreeSWITCH).

    A ringing leg is one if it is outbound. In other states, a leg that is connected with a caller
    from outside is the B leg. Of two other legs, the one that was offered later is the B leg; of
    two legs offered at the same microsecond, the outbound one.
    """
    if isinstance(channel.state, Ringing):
        return channel.direction == "outbound"
    info = channel.other_info
    other_offered = getattr(info, "offer_timestamp", None)
    own_offered = channel.offer_timestamp
    if not isinstance(other_offered, int) or not isinstance(own_offered, int):
        return False
    is_outside = _is_caller(channel) and channel.peer_location == "external"
    other_is_outside = info.direction == "inbound" and info.peer_location == "external"
    if is_outside is not other_is_outside:
        return other_is_outside
    if other_offered == own_offered:
        return not _is_caller(channel) and info.direction == "inbound"
    return other_offered < own_offered


def state_entered(channel: Channel) -> int | None:
    """Return the time at which the channel entered its state, in microseconds since the epoch.

    ``None`` if the PBX sent no time.
    """
    state = channel.state
    return state.ts if isinstance(state, State) and isinstance(state.ts, int) else None


def last_known_alive(channel: Channel) -> int:
    """Return the latest time at which the channel existed for certain.

    In microseconds since the epoch; 0 if the channel has no times.
    """
    times = (channel.offer_timestamp, channel.answer_timestamp, state_entered(channel))
    return max((time for time in times if isinstance(time, int)), default=0)


def phase_of(channel: Channel, partner: Channel | None, started: int) -> Phase:
    """Return the channel's state as an open phase of its call.

    - ``partner``: the channel whose own party the phase names while the state is ``Bridged``.
      That is the other leg, or ``channel`` itself if the other leg is the caller's. ``None``: the
      phase names the party in ``other_info``.
    - ``started``: start of the phase, in microseconds since the epoch.
    """
    own = own_party(channel)
    if partner is not None:
        return phase_with(channel, own, own if partner is channel else own_party(partner), started)
    return phase_with(channel, own, None, started)


def phase_with(  # noqa: C901, PLR0912
    channel: Channel, own: Party, partner: Party | None, started: int
) -> Phase:
    """Return what ``phase_of`` returns, given the parties that the tracker has found already.

    ``own``: the channel's own party. ``partner``: the own party of the partner, which is the
    object ``own`` if that is ``channel`` itself.
    """
    party = UNKNOWN_PARTY
    kind: Any
    place: Any = None
    by: Any = None
    group_id: Any
    user_id: Any
    match channel.state:
        case Bridged() if is_bridged_to_party(channel):
            kind = "talking"
            party = other = other_party(channel)
            if partner is not None:
                party = partner
                if partner is not own and party.whoscall is None and other.whoscall is not None:
                    party = evolve(party, whoscall=other.whoscall)
        case Calling(target_type="group", group_id=group_id):
            kind, party = "queued", _make_party(None, group_id, None, None, None, None)
        case Calling(user_id=user_id, address=address):
            kind = "ringing"
            party = _make_party(user_id, None, number_of(address), None, None, None)
        case CallingSipTermination(url=url):
            kind, party = "ringing", _make_party(None, None, url, None, None, None)
        case Ringing() if _is_caller(channel):
            # The party that is called, if the PBX says so: no phone of the caller rings.
            kind, party = "ringing", other_party(channel)
            if party == UNKNOWN_PARTY:
                kind, place = "other", RINGING_TONE
        case Ringing():
            kind, party = "ringing", own
        case Ivr(ivr_id=place):
            kind = "ivr"
        case XmlIvr():
            kind = "ivr"
        case Park(slot=place, parker_id=by):
            kind = "parked"
        case Voicemail(target_type="group", target_id=group_id, target_name=place):
            kind, party = "voicemail", _make_party(None, group_id, None, None, None, None)
        case Voicemail(target_id=user_id, target_name=place):
            kind, party = "voicemail", _make_party(user_id, None, None, None, None, None)
        case Conference(room_id=place):
            kind = "conference"
        case SystemOperation(operation=place):
            kind = "other"
        case State(name=place):
            kind = "other"
        case _:
            kind = "unknown"
    return _make_phase(kind, started, None, party, place, by)


def end_phase(phase: Phase, ended: int) -> Phase:
    """Return the phase with its end, in microseconds since the epoch."""
    return _make_phase(phase.kind, phase.started, ended, phase.party, phase.place, phase.by)


def _is_caller(channel: Channel) -> bool:
    """Return True if the channel's own party dialled."""
    return channel.direction == "inbound"


def _first_end_user(end_user: object) -> EndUser | None:
    return end_user.items[0] if isinstance(end_user, EndUsers) and end_user.items else None
