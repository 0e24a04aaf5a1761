"""Who is who, and what they are doing, in words: of a feed's elements and calls."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from attrs import frozen

from basix_ws_cti.calls import Party, Phase
from basix_ws_cti.calls.channel_facts import other_party, own_party, phase_of
from basix_ws_cti.calls.hangup_causes import meaning
from basix_ws_cti.elements import (
    AnyChannel,
    Channel,
    Domain,
    Element,
    EndUsers,
    FullChannel,
    Group,
    GroupMember,
    Hangup,
    Terminal,
    User,
)
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.states import Ringing

_PHASES = {
    "ivr": "in the menu",
    "queued": "waiting for",
    "ringing": "calling",
    "talking": "talking with",
    "parked": "parked on",
    "voicemail": "voicemail of",
    "conference": "in the conference",
    "other": "",
    "unknown": "",
}


def duration(microseconds: int) -> str:
    """``0:07``, or ``1:02:03``."""
    minutes, seconds = divmod(max(0, microseconds) // 1_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def microseconds(moment: datetime) -> int:
    """A moment as the PBX writes it."""
    return round(moment.timestamp() * 1_000_000)


@frozen
class Labels:
    """Words for people and things, as far as a picture knows them."""

    mirror: Mirror

    def user(self, user_id: Any) -> str:
        """A user's label, name, or at least id."""
        found = self.mirror["user"].get(user_id) if isinstance(user_id, int | str) else None
        return self.element(found) if found is not None else f"user {user_id}"

    def group(self, group_id: Any) -> str:
        """A group's label, name, or at least id."""
        found = self.mirror["group"].get(group_id) if isinstance(group_id, int | str) else None
        return self.element(found) if found is not None else f"group {group_id}"

    def party(self, party: Party) -> str:
        """Who is at one end of a call."""
        if party.user_id is not None:
            return self.user(party.user_id)
        if party.group_id is not None:
            return self.group(party.group_id)
        if party.name and party.number:
            return f"{party.name} ({party.number})"
        return str(party.name or party.number or "somebody")

    def element(self, element: Element) -> str:
        """Whom an element is about: of a channel, who calls whom."""
        if isinstance(element, FullChannel):
            return self._ends(element)
        if isinstance(element, AnyChannel):
            people = element.end_user.items if isinstance(element.end_user, EndUsers) else ()
            name = people[0].name if people else None
            return self.party(Party(name=name, number=getattr(element, "peer_number", None)))
        if isinstance(element, GroupMember):
            return f"{self.user(element.user_id)} in {self.group(element.group_id)}"
        name = getattr(element, "label", None) or getattr(element, "name", None)
        return str(name or element.extra.get("label") or element.extra.get("name") or element.key)

    def _ends(self, leg: FullChannel) -> str:
        channel = _channel(leg)
        dials = channel.direction == "inbound"
        behind = other_party(channel)
        if behind.user_id is None and not behind.number:
            number = channel.called_number if dials else channel.calling_number
            behind = Party(number=number, name=behind.name)
        ends = self.party(own_party(channel)), self.party(behind)
        return " -> ".join(ends if dials else ends[::-1])

    def doing(self, element: Element) -> str:
        """What an element is doing, as it tells itself."""
        match element:
            case FullChannel() if element.hangup is not None:
                return _ending(element, element.hangup)
            case AnyChannel(state=Ringing()):
                return "ringing"
            case AnyChannel():
                return self.phase(phase_of(_channel(element), None, 0))
            case User():
                told = {"extension": element.main_extension, "presence": element.presence}
            case Group():
                told = {"extension": element.main_extension}
            case GroupMember():
                told = {"login status": element.login_status}
            case Terminal():
                registered = "registered" if element.registered else "not registered"
                return f"{registered}, {element.user_agent}" if element.user_agent else registered
            case Domain():
                told = {"domain": element.name}
            case _:
                told = {}
        return ", ".join(f"{name} {value}" for name, value in told.items() if value is not None)

    def phase(self, phase: Phase) -> str:
        """What a call or a channel is doing."""
        words = [_PHASES[phase.kind]]
        if phase.kind == "ringing" and phase.party == Party():
            return "ringing"
        if phase.party != Party():
            words.append(self.party(phase.party))
        elif phase.kind == "talking":
            return "talking"
        elif phase.place is not None:
            words.append(str(phase.place).replace("_", " "))
        if phase.by is not None:
            words.append(f"by {self.user(phase.by)}")
        return " ".join(words).strip()


def _ending(leg: FullChannel, hangup: Hangup) -> str:
    words = [f"ended ({hangup.disposition}): {meaning(hangup.cause) or hangup.cause or 'no cause'}"]
    ended, answered = leg.hangup_timestamp, leg.answer_timestamp
    if isinstance(ended, int) and isinstance(answered, int):
        words.append(f"after {duration(ended - answered)}")
    return ", ".join(words)


def _channel(element: AnyChannel) -> Channel:
    """What waits as a channel: it has all that a channel has, or some of it."""
    if isinstance(element, FullChannel):
        return cast("Channel", element)
    return Channel(uuid=element.uuid, state=element.state, end_user=element.end_user)
