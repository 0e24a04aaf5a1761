"""Which elements and calls are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import Factory, frozen

from basix_ws_cti.calls import Call, CallEvent, Party
from basix_ws_cti.elements import (
    AnyChannel,
    Element,
    FullChannel,
    Group,
    GroupMember,
    OtherInfo,
    Target,
    Terminal,
    User,
)
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.mirror.phone_numbers import normalise_number
from basix_ws_cti.states import Calling, Park, Voicemail

INITIAL = "initial"
"""Stands for an event's name where there was none: the element was there already."""


@frozen(kw_only=True)
class Concerned:
    """Whom something is about: ids of users and groups, telephone numbers."""

    # As they were sent, whatever that is: not even hashable, perhaps.
    users: list[Any] = Factory(list)
    groups: list[Any] = Factory(list)
    numbers: list[Any] = Factory(list)


def of_element(element: Element) -> Concerned:
    """Whom an element is about."""
    match element:
        case AnyChannel():
            return _of_channel(element)
        case User(id=user):
            return Concerned(users=[user])
        case Group(id=group):
            return Concerned(groups=[group])
        case GroupMember(user_id=user, group_id=group):
            return Concerned(users=[user], groups=[group])
        case Terminal(assoc_user_id=user):
            return Concerned(users=[user])
    return Concerned()


def _of_channel(leg: AnyChannel) -> Concerned:
    told = Concerned(numbers=[getattr(leg, "peer_number", None)])
    parts: list[Any] = [leg.state]
    if isinstance(leg, FullChannel):
        parts += [leg, leg.target, leg.other_info]
        told.numbers.extend((leg.calling_number, leg.called_number))
    for part in parts:
        match part:
            case FullChannel() | OtherInfo() | Calling():
                told.users.append(part.user_id)
                told.groups.append(part.group_id)
            case Park():
                told.users.append(part.parker_id)
            case Target(type=kind, id=one) | Voicemail(target_type=kind, target_id=one):
                (told.groups if kind == "group" else told.users).append(one)
        told.numbers.append(getattr(part, "address", None))
    return told


def of_call(call: Call) -> Concerned:
    """Whom a call is about: whoever took part, was rung or waited for."""
    parties = [
        call.caller,
        call.answered_by or Party(),
        *(leg.party for leg in call.legs),
        *(phase.party for phase in call.phases),
    ]
    return Concerned(
        users=[one.user_id for one in parties] + [phase.by for phase in call.phases],
        groups=[one.group_id for one in parties],
        numbers=[call.called_number, *(one.number for one in parties)],
    )


@frozen(kw_only=True)
class Filters:
    """What is asked for: of each sort any, of all sorts each; nothing given is no filter."""

    kinds: frozenset[str]
    events: frozenset[str]
    users: frozenset[str]
    groups: frozenset[str]
    numbers: frozenset[str]

    @classmethod
    def of(
        cls,
        *,
        kinds: Iterable[str] = (),
        events: Iterable[str] = (),
        users: Iterable[str] = (),
        groups: Iterable[str] = (),
        numbers: Iterable[str] = (),
    ) -> Filters:
        """Filters as they are written; ``UsageError`` for a number that is none."""
        plain = frozenset(map(_plain, numbers))
        return cls(
            kinds=frozenset(kinds),
            events=frozenset(events),
            users=frozenset(users),
            groups=frozenset(groups),
            numbers=plain,
        )

    @property
    def any(self) -> bool:
        """Whether anything is asked for; then what is neither element nor call is not."""
        return bool(self.kinds or self.events) or self._ask_who

    @property
    def _ask_who(self) -> bool:
        return bool(self.users or self.groups or self.numbers)

    def strangers(self, mirror: Mirror) -> list[str]:
        """Options that name a user or group whom the picture does not have."""
        asked = (("user", self.users, User), ("group", self.groups, Group))
        return [
            f"--{option} {name}"
            for option, names, sort in asked
            for name in sorted(
                names.difference(_names([*mirror[option]], mirror[option], None, sort))
            )
        ]

    def want_element(self, kind: str, element: Element, event: str, mirror: Mirror) -> bool:
        """Whether an element is asked for, of a kind, at an event."""
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.events or event in self.events)
            and (not self._ask_who or self._concern(of_element(element), mirror, element))
        )

    def want_call(self, event: CallEvent, name: str, mirror: Mirror) -> bool:
        """Whether a call is asked for, at the event of a name."""
        return (not self.events or name in self.events) and (
            not self._ask_who or self._concern(of_call(event.call), mirror)
        )

    def _concern(self, told: Concerned, mirror: Mirror, itself: Element | None = None) -> bool:
        asked = (
            (self.users, lambda: _names(told.users, mirror["user"], itself, User)),
            (self.groups, lambda: _names(told.groups, mirror["group"], itself, Group)),
            (self.numbers, lambda: map(normalise_number, told.numbers)),
        )
        return all(not wanted or not wanted.isdisjoint(names()) for wanted, names in asked)


def _plain(number: str) -> str:
    plain = normalise_number(number)
    if plain is None:
        raise UsageError(f"--number takes a telephone number, not {number!r}")
    return plain


def _names(
    ids: list[Any], known: Mapping[Any, Element], itself: Element | None, sort: type[User | Group]
) -> Iterator[str]:
    """All that users or groups with these ids can be asked for by."""
    for one in ids:
        if isinstance(one, int | str):
            yield str(one)
    found = (known.get(one) for one in ids if isinstance(one, int | str))
    # What is removed is known no more, and describes itself.
    for element in (*found, itself):
        if isinstance(element, sort):
            names = (element.name, element.label, element.main_extension)
            yield from (str(name) for name in names if name is not None)
