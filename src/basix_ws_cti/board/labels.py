"""Display text for parties, elements, and phases of calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from attrs import evolve, frozen

from basix_ws_cti._internal.translation import N_, _, pgettext
from basix_ws_cti.calls import Call, Party, Phase
from basix_ws_cti.calls.channel_facts import (
    ANNOUNCEMENT,
    RINGING_TONE,
    number_of,
    other_party,
    own_party,
    phase_of,
)
from basix_ws_cti.calls.model import UNKNOWN_PARTY
from basix_ws_cti.elements import (
    AnyChannel,
    Channel,
    Domain,
    Element,
    EndUsers,
    FullChannel,
    Group,
    GroupMember,
    Terminal,
    User,
)
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.states import Ringing

from .endings import describe_leg_end

# Text of each kind of phase, with and without its party or place.
_BUSY_PHASES = {
    "ivr": (N_("in IVR {place}"), N_("in IVR")),
    "queued": (N_("waiting for {party}"), N_("waiting")),
    "ringing": (N_("calling {party}"), N_("ringing")),
    "talking": (N_("talking with {party}"), N_("talking")),
    "voicemail": (N_("voicemail of {party}"), N_("voicemail")),
    "conference": (N_("in conference {place}"), N_("in a conference")),
}

_WITH_PLACE = frozenset({"ivr", "voicemail", "conference"})

# Places of a phase of the kind "other" that the protocol defines. All others are names of the
# PBX's operations, and shown as they are.
_SERVICES = {
    ANNOUNCEMENT: N_("announcement or music"),
    RINGING_TONE: N_("ringing tone"),
    "checking_voicemail": N_("listening to voicemail"),
    "eavesdrop": N_("listening in on a call"),
}

# Called "numbers" that are no numbers, without the uuid behind the point.
_MARKERS = {
    "pickup_uuid": N_("pickup of a call"),
    "assimilate": N_("pickup of a call"),
    "media_plug": N_("media plug"),
    "RINGING_PARK": N_("ringing park"),
    "LOCAL_PARK": N_("ringing park"),
}

GROUP_TYPES = {0: N_("ring group"), 1: N_("hunt group")}
"""Word for each known type of group; translate with ``_``."""

# Park slots (docs/explanation/protocol.md): three for each user from the first on, then shared.
_FIRST_SLOT, _SLOTS_PER_USER, _SHARED_SLOTS = 901, 3, range(997, 1000)


def join_phrases(phrases: Iterable[str]) -> str:
    """Return independent phrases as a list, such as ``registered, Softphone 4.2``."""
    return pgettext("between items of a list", ", ").join(phrases)


@frozen
class Labels:
    """Display text for people and things, by the names that a mirror has for them."""

    mirror: Mirror
    """Mirror in which users and groups are looked up by id."""

    with_numbers: bool = True
    """True: the number of an outside party follows its name. False: only parties without a name are
    shown by number."""

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
        if party.name and party.number and self.with_numbers:
            return f"{party.name} ({party.number})"
        return str(party.name or party.number or _("unknown"))

    def short_party(self, party: Party) -> str:
        """Return the name of a party; the number only of one without a name."""
        return self.party(evolve(party, number=None) if party.name else party)

    def called_number(self, call: Call) -> str:
        """Return the number that a call was made to; empty if it is unknown."""
        return str(call.called_number or "")

    def park_slot(self, slot: Any, parked_by: Any = None) -> str:
        """Return a park slot with its owner, such as ``907 (NAME)`` or ``998 (shared)``.

        The owner is left out if it is unknown, or the user with the id ``parked_by``.
        """
        if not isinstance(slot, int):
            return str(slot)
        if slot in _SHARED_SLOTS:
            return _("{slot} (shared)").format(slot=slot)
        park_group = (slot - _FIRST_SLOT) // _SLOTS_PER_USER
        owners = [
            user
            for user in self.mirror.users.values()
            if user.park_group == park_group and isinstance(user.park_group, int)
        ]
        if len(owners) != 1 or owners[0].id == parked_by:
            return str(slot)
        return f"{slot} ({self.element(owners[0])})"

    def element(self, element: Element) -> str:
        """Return the name of an element; for a channel, ``CALLER -> CALLED``."""
        if isinstance(element, FullChannel):
            return self._channel_ends(element)
        if isinstance(element, AnyChannel):
            customers = element.end_user.items if isinstance(element.end_user, EndUsers) else ()
            name = customers[0].name if customers else None
            return self.party(Party(name=name, number=getattr(element, "peer_number", None)))
        if isinstance(element, GroupMember):
            return _("{user} in {group}").format(
                user=self.user(element.user_id), group=self.group(element.group_id)
            )
        name = getattr(element, "label", None) or getattr(element, "name", None)
        return str(name or element.extra.get("label") or element.extra.get("name") or element.key)

    def _channel_ends(self, leg: FullChannel) -> str:
        channel = _as_channel(leg)
        is_caller = channel.direction == "inbound"
        behind = other_party(channel)
        if behind.user_id is None and not behind.number:
            number = channel.called_number if is_caller else channel.calling_number
            behind = Party(number=_dialled_text(number), name=behind.name)
        ends = self.party(own_party(channel)), self.party(behind)
        return " -> ".join(ends if is_caller else ends[::-1])

    def activity(self, element: Element) -> str:
        """Return what an element is doing, or its main properties if it does nothing."""
        match element:
            case FullChannel() if element.hangup is not None:
                return describe_leg_end(element, element.hangup)
            case AnyChannel(state=Ringing()):
                return _("ringing")
            case AnyChannel():
                return self.phase(phase_of(_as_channel(element), None, 0))
        return join_phrases(self._properties(element))

    def _properties(self, element: Element) -> Iterator[str]:
        match element:
            case User() | Group() if element.main_extension is not None:
                yield _("extension {number}").format(number=element.main_extension)
            case Terminal(assoc_user_id=owner) if owner is not None:
                yield _("phone of {user}").format(user=self.user(owner))
        match element:
            case User(presence=presence) if presence is not None:
                yield _("presence {value}").format(value=presence)
            case Group(type=0 | 1 as group_type):
                yield _(GROUP_TYPES[group_type])
            case GroupMember(login_status=status) if status is not None:
                yield _("login status {value}").format(value=status)
            case Terminal():
                yield _("registered") if element.registered else _("not registered")
                if element.user_agent:
                    yield str(element.user_agent)
            case Domain(name=name) if name is not None:
                yield _("domain {name}").format(name=name)

    def phase(self, phase: Phase) -> str:
        """Return what a call or channel is doing in a phase, such as ``talking with NAME``."""
        if phase.kind == "parked":
            return self._parking(phase)
        place = "" if phase.place is None else str(phase.place).replace("_", " ")
        if phase.kind not in _BUSY_PHASES:
            return _(_SERVICES[phase.place]) if phase.place in _SERVICES else place
        with_details, without = _BUSY_PHASES[phase.kind]
        has_party = phase.party != UNKNOWN_PARTY
        if not has_party and not (place and phase.kind in _WITH_PLACE):
            return _(without)
        party = self.party(phase.party) if has_party else place
        return _(with_details).format(party=party, place=place)

    def _parking(self, phase: Phase) -> str:
        if phase.place is None:
            return _("parked")
        return describe_parking(self, phase.place, phase.by)


def describe_parking(labels: Labels, slot: Any, parked_by: Any) -> str:
    """Return that a call is parked, such as ``parked on 901 by NAME``.

    ``parked_by``: id of the user who parked the call; ``None``: unknown.
    """
    shown = labels.park_slot(slot, parked_by)
    if parked_by is None:
        return _("parked on {slot}").format(slot=shown)
    return _("parked on {slot} by {user}").format(slot=shown, user=labels.user(parked_by))


def _dialled_text(number: Any) -> Any:
    """Return a dialled number, or words for a marker such as ``pickup_uuid.UUID``."""
    if isinstance(number, str) and number_of(number) is None:
        marker = number.partition(".")[0]
        return _(_MARKERS[marker]) if marker in _MARKERS else None
    return number


def _as_channel(element: AnyChannel) -> Channel:
    """Return an element of any kind of channel as a ``Channel``, as far as it has the fields."""
    if isinstance(element, FullChannel):
        return cast("Channel", element)
    return Channel(uuid=element.uuid, state=element.state, end_user=element.end_user)
