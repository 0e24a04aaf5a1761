"""Display text for parties, elements, calls and durations."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from attrs import frozen

from basix_ws_cti._internal.translation import N_, _
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

# Text of a phase by its kind: without and with the name of the party or place.
_PHASE_TEXTS = {
    "ivr": (N_("in IVR"), N_("in IVR {name}")),
    "queued": (N_("waiting"), N_("waiting for {name}")),
    "ringing": (N_("ringing"), N_("calling {name}")),
    "talking": (N_("talking"), N_("talking with {name}")),
    "parked": (N_("parked"), N_("parked on {name}")),
    "voicemail": (N_("voicemail"), N_("voicemail of {name}")),
    "conference": (N_("in conference"), N_("in conference {name}")),
    "other": ("", "{name}"),
    "unknown": ("", "{name}"),
}


def format_duration(microseconds: int) -> str:
    """Return a duration as ``0:07`` or ``1:02:03``.

    A negative one is ``0:00?``: the PBX's timestamps contradict each other. Less than a second is
    ``0:00``, since it may be rounding.
    """
    if microseconds <= -1_000_000:
        return "0:00?"
    minutes, seconds = divmod(max(0, microseconds) // 1_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def to_microseconds(moment: datetime) -> int:
    """Return a time in microseconds since the epoch, as the PBX sends times."""
    return round(moment.timestamp() * 1_000_000)


@frozen
class Labels:
    """Display text for people and things, by the names that a mirror has for them."""

    mirror: Mirror
    """Mirror in which users and groups are looked up by id."""

    def user(self, user_id: Any) -> str:
        """Return a user's label or name, or ``user ID`` for an unknown id."""
        element = self.mirror["user"].get(user_id) if isinstance(user_id, int | str) else None
        return self.element(element) if element is not None else _("user {id}").format(id=user_id)

    def group(self, group_id: Any) -> str:
        """Return a group's label or name, or ``group ID`` for an unknown id."""
        element = self.mirror["group"].get(group_id) if isinstance(group_id, int | str) else None
        return self.element(element) if element is not None else _("group {id}").format(id=group_id)

    def party(self, party: Party) -> str:
        """Return the name of a party, with the number of an outside party."""
        if party.user_id is not None:
            return self.user(party.user_id)
        if party.group_id is not None:
            return self.group(party.group_id)
        if party.name and party.number:
            return f"{party.name} ({party.number})"
        return str(party.name or party.number or _("unknown"))

    def element(self, element: Element) -> str:
        """Return the name of an element; for a channel, ``CALLER -> CALLED``."""
        if isinstance(element, FullChannel):
            return self._channel_ends(element)
        if isinstance(element, AnyChannel):
            customers = element.end_user.items if isinstance(element.end_user, EndUsers) else ()
            name = customers[0].name if customers else None
            return self.party(Party(name=name, number=getattr(element, "peer_number", None)))
        if isinstance(element, GroupMember):
            user, group = self.user(element.user_id), self.group(element.group_id)
            return _("{user} in {group}").format(user=user, group=group)
        name = getattr(element, "label", None) or getattr(element, "name", None)
        return str(name or element.extra.get("label") or element.extra.get("name") or element.key)

    def _channel_ends(self, leg: FullChannel) -> str:
        channel = _as_channel(leg)
        is_caller = channel.direction == "inbound"
        behind = other_party(channel)
        if behind.user_id is None and not behind.number:
            number = channel.called_number if is_caller else channel.calling_number
            behind = Party(number=number, name=behind.name)
        ends = self.party(own_party(channel)), self.party(behind)
        return " -> ".join(ends if is_caller else ends[::-1])

    def activity(self, element: Element) -> str:
        """Return what an element is doing, or its main properties if it does nothing."""
        match element:
            case FullChannel() if element.hangup is not None:
                return _describe_hangup(element, element.hangup)
            case AnyChannel(state=Ringing()):
                return _("ringing")
            case AnyChannel():
                return self.phase(phase_of(_as_channel(element), None, 0))
            case User():
                properties = {
                    _("extension {value}"): element.main_extension,
                    _("presence {value}"): element.presence,
                }
            case Group():
                properties = {_("extension {value}"): element.main_extension}
            case GroupMember():
                properties = {_("login status {value}"): element.login_status}
            case Terminal():
                registered = _("registered") if element.registered else _("not registered")
                return f"{registered}, {element.user_agent}" if element.user_agent else registered
            case Domain():
                properties = {_("domain {value}"): element.name}
            case _:
                properties = {}
        return ", ".join(
            text.format(value=value) for text, value in properties.items() if value is not None
        )

    def phase(self, phase: Phase) -> str:
        """Return what a call or channel is doing in a phase, such as ``talking with NAME``."""
        without_name, with_name = _PHASE_TEXTS[phase.kind]
        if phase.party != Party():
            text = _(with_name).format(name=self.party(phase.party))
        elif phase.place is not None and phase.kind not in {"ringing", "talking"}:
            text = _(with_name).format(name=str(phase.place).replace("_", " "))
        else:
            text = _(without_name) if without_name else ""
        if phase.by is not None:
            text = _("{activity} by {name}").format(activity=text, name=self.user(phase.by))
        return text.strip()


def _describe_hangup(leg: FullChannel, hangup: Hangup) -> str:
    text = _("ended ({disposition}): {cause}").format(
        disposition=hangup.disposition,
        cause=meaning(hangup.cause) or hangup.cause or _("no cause"),
    )
    ended, answered = leg.hangup_timestamp, leg.answer_timestamp
    if isinstance(ended, int) and isinstance(answered, int):
        return _("{text}, after {duration}").format(
            text=text, duration=format_duration(ended - answered)
        )
    return text


def _as_channel(element: AnyChannel) -> Channel:
    """Return an element of any kind of channel as a ``Channel``, as far as it has the fields."""
    if isinstance(element, FullChannel):
        return cast("Channel", element)
    return Channel(uuid=element.uuid, state=element.state, end_user=element.end_user)
