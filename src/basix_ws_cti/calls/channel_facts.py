"""What one channel tells of its call: who is at its ends, and what it is doing."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from basix_ws_cti._internal.codegen import constructor
from basix_ws_cti.elements import Channel, EndUser, EndUsers, Hangup, OtherInfo
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

from .model import NOBODY, Disposition, Leg, Party, Phase

# Made at each event.
_make_leg, _make_party, _make_phase = constructor(Leg), constructor(Party), constructor(Phase)


def party_of(channel: Channel) -> Party:
    """Who is at the end of a channel."""
    dials = _dials(channel)
    if channel.user_id is not None:
        name = channel.calling_name if dials else None
        return _make_party(channel.user_id, None, None, name, None, None)
    person = _first(channel.end_user)
    number = channel.calling_number if dials else channel.called_number
    name = channel.calling_name if dials and channel.calling_name != number else None
    whoscall = channel.extra.get("whoscall")
    if person is not None and person.name:
        name = person.name
    whoscall = whoscall if isinstance(whoscall, str) else None
    return _make_party(None, None, number, name, person, whoscall)


def party_behind(channel: Channel) -> Party:
    """Who is at the other end of a channel, as far as the channel itself tells."""
    info = channel.other_info
    if not isinstance(info, OtherInfo):
        return NOBODY
    if info.type == "user":
        return _make_party(info.user_id, None, None, None, None, None)
    person = _first(info.end_user)
    name = None if person is None else person.name
    return _make_party(None, None, info.address, name, person, info.whoscall)


def heard_of(channel: Channel) -> str | None:
    """What a channel says that the caller directory says of who is at its other end."""
    info = channel.other_info
    return info.whoscall if isinstance(info, OtherInfo) and info.type != "user" else None


def uuid_of(channel: Channel) -> str:
    """What names a channel, as text: a number may have come instead."""
    key = channel.key
    return key if type(key) is str else str(key)


def other_of(channel: Channel) -> str | None:
    """What names the channel at the other end; ``None``: nothing, or nothing that could."""
    other: object = channel.other_uuid
    if type(other) is str and other:
        return other
    return str(other) if isinstance(other, str | int) and other != "" else None


def calls_outside(channel: Channel) -> bool:
    """Whether a channel is, or is about to be, somebody's outside."""
    state = channel.state
    return (channel.peer_location == "external" and not _dials(channel)) or (
        isinstance(state, CallingSipTermination)
        or (isinstance(state, Calling) and state.target_location == "ext")
    )


def since(channel: Channel) -> int | None:
    """When the channel entered its state; ``None``: it does not say."""
    state = channel.state
    return state.ts if isinstance(state, State) and isinstance(state.ts, int) else None


def phase_of(channel: Channel, partner: Channel | None, started: int) -> Phase:  # noqa: C901, PLR0912
    """What a lead leg is doing, from ``started`` on.

    ``partner`` is who talks there, if that is known: the other leg, or the line's own party,
    where the other leg is the caller's and is not shown.
    """
    party = NOBODY
    kind: Any
    place: Any = None
    by: Any = None
    group_id: Any
    user_id: Any
    match channel.state:
        case Bridged():
            kind = "talking"
            party = behind = party_behind(channel)
            if partner is not None:
                party = party_of(partner)
                heard = behind.whoscall
                if partner is not channel and party.whoscall is None and heard is not None:
                    party = evolve(party, whoscall=heard)
        case Calling(target_type="group", group_id=group_id):
            kind, party = "queued", _make_party(None, group_id, None, None, None, None)
        case Calling(user_id=user_id, address=address):
            kind = "ringing"
            party = _make_party(user_id, None, address, None, None, None)
        case CallingSipTermination(url=url):
            kind, party = "ringing", _make_party(None, None, url, None, None, None)
        case Ringing():
            kind, party = "ringing", party_of(channel)
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


def until(phase: Phase, ended: int) -> Phase:
    """A phase that has ended."""
    return _make_phase(phase.kind, phase.started, ended, phase.party, phase.place, phase.by)


def leg_of(
    channel: Channel,
    hangup: Hangup | None,
    ended: int | None = None,
    outcome: Disposition | None = None,
) -> Leg:
    """Return a channel as a leg of its call.

    ``hangup`` is ``channel.hangup``, which the caller passes because it is parsed each time it
    is read. ``ended`` and ``outcome`` are ``None`` while the leg lives.
    """
    offered, answered = channel.offer_timestamp, channel.answer_timestamp
    return _make_leg(
        uuid_of(channel),
        party_of(channel),
        channel.direction,
        offered if isinstance(offered, int) else None,
        answered if isinstance(answered, int) else None,
        ended,
        hangup,
        outcome,
    )


def latest_of(channel: Channel) -> int:
    """The last moment at which a channel is known to have lived."""
    times = (channel.offer_timestamp, channel.answer_timestamp, since(channel))
    return max((time for time in times if isinstance(time, int)), default=0)


def is_second(channel: Channel) -> bool:
    """Whether a channel was made for another, or by what it says came after it."""
    if isinstance(channel.state, Ringing):
        return channel.direction == "outbound"
    before = getattr(channel.other_info, "offer_timestamp", None)
    own = channel.offer_timestamp
    if not isinstance(before, int) or not isinstance(own, int):
        return False
    if before == own:
        return not _dials(channel) and channel.other_info.direction == "inbound"
    return before < own


def _dials(channel: Channel) -> bool:
    """Whether the party at its end made the call that the channel is."""
    return channel.direction == "inbound"


def _first(end_user: object) -> EndUser | None:
    return end_user.items[0] if isinstance(end_user, EndUsers) and end_user.items else None
