"""Filters of ``listen``: selection of elements and calls by kind, event and participant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import Factory, frozen

from basix_ws_cti._internal.translation import _
from basix_ws_cti.calls import Call, Party
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
from basix_ws_cti.exceptions import UsageError, printable
from basix_ws_cti.mirror.dialling_plans import calling_code, dialling_plan
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.mirror.phone_numbers import HOME_COUNTRY, normalise_number
from basix_ws_cti.states import Calling, Park, Voicemail

from .suggestions import unknown_name


@frozen(kw_only=True)
class Participants:
    """Ids of users and groups, and telephone numbers, that an element or call involves.

    Values are as the PBX sent them: they may be of any type, even unhashable.
    """

    users: list[Any] = Factory(list)
    groups: list[Any] = Factory(list)
    numbers: list[Any] = Factory(list)


def participants_of_element(element: Element) -> Participants:
    """Return the participants of an element."""
    match element:
        case AnyChannel():
            return _participants_of_channel(element)
        case User(id=user):
            return Participants(users=[user])
        case Group(id=group):
            return Participants(groups=[group])
        case GroupMember(user_id=user, group_id=group):
            return Participants(users=[user], groups=[group])
        case Terminal(assoc_user_id=user):
            return Participants(users=[user])
    return Participants()


def _participants_of_channel(channel: AnyChannel) -> Participants:
    found = Participants(numbers=[getattr(channel, "peer_number", None)])
    parts: list[Any] = [channel.state]
    if isinstance(channel, FullChannel):
        parts += [channel, channel.target, channel.other_info]
        found.numbers.extend((channel.calling_number, channel.called_number))
    for part in parts:
        match part:
            case FullChannel() | OtherInfo() | Calling():
                found.users.append(part.user_id)
                found.groups.append(part.group_id)
            case Park():
                found.users.append(part.parker_id)
            case Target(type=kind, id=target) | Voicemail(target_type=kind, target_id=target):
                (found.groups if kind == "group" else found.users).append(target)
        found.numbers.append(getattr(part, "address", None))
    return found


def participants_of_call(call: Call) -> Participants:
    """Return everyone who took part in a call, was rung, waited for, or parked it."""
    parties = [
        call.caller,
        call.answered_by or Party(),
        *(leg.party for leg in call.legs),
        *(phase.party for phase in call.phases),
    ]
    return Participants(
        users=[party.user_id for party in parties] + [phase.by for phase in call.phases],
        groups=[party.group_id for party in parties],
        numbers=[call.called_number, *(party.number for party in parties)],
    )


@frozen(kw_only=True)
class Filters:
    """Selection of elements and calls.

    An item matches if it has one of the values of each option that is given. Empty options
    select everything.
    """

    kinds: frozenset[str]
    """Kinds of elements."""

    events: frozenset[str]
    """Names of element events or call events."""

    users: frozenset[str]
    """Users by id, name, label or extension."""

    groups: frozenset[str]
    """Groups by id, name, label or extension."""

    numbers: frozenset[str]
    """Telephone numbers in normalised form."""

    country_code: str = HOME_COUNTRY
    """Calling code of the country in which numbers without a calling code are valid."""

    @classmethod
    def parse(
        cls,
        *,
        kinds: Iterable[str] = (),
        events: Iterable[str] = (),
        users: Iterable[str] = (),
        groups: Iterable[str] = (),
        numbers: Iterable[str] = (),
        country_code: str = HOME_COUNTRY,
    ) -> Filters:
        """Return filters from option values.

        Raises ``UsageError`` for a value that is not a telephone number in ``numbers``, and for an
        unknown ``country_code``.
        """
        try:
            dialling_plan(country_code)
        except UsageError:
            message = _(
                "--country-code: no country has the calling code {code}: for Japan, pass 81"
            )
            raise UsageError(message.format(code=printable(repr(country_code), 40))) from None
        return cls(
            kinds=frozenset(kinds),
            events=frozenset(events),
            users=frozenset(users),
            groups=frozenset(groups),
            numbers=frozenset(
                form for number in numbers for form in _normal_forms(number, country_code)
            ),
            country_code=country_code,
        )

    @property
    def is_active(self) -> bool:
        """True if any filter is set; items other than elements and calls are left out then."""
        return bool(self.kinds or self.events) or self._has_participants

    @property
    def _has_participants(self) -> bool:
        return bool(self.users or self.groups or self.numbers)

    @property
    def has_names(self) -> bool:
        """True if users or groups are selected, whose names only the feed knows."""
        return bool(self.users or self.groups)

    def check_names(self, mirror: Mirror) -> None:
        """Raise ``UsageError`` for a selected user or group that is not in a mirror."""
        advice = _("no id, name, extension or label matches; --allow-unknown accepts it")
        check_known(_("user"), sorted(self.users), mirror["user"], User, advice)
        check_known(_("group"), sorted(self.groups), mirror["group"], Group, advice)

    def match_element(self, kind: str, element: Element, event: str, mirror: Mirror) -> bool:
        """Return True if an event of an element is selected."""
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.events or event in self.events)
            and (
                not self._has_participants
                or self._match_participants(participants_of_element(element), mirror, element)
            )
        )

    def match_call(self, call: Call, name: str, mirror: Mirror) -> bool:
        """Return True if an event of this name is selected that left the call as given."""
        return (not self.events or name in self.events) and (
            not self._has_participants
            or self._match_participants(participants_of_call(call), mirror)
        )

    def _match_participants(
        self, found: Participants, mirror: Mirror, element: Element | None = None
    ) -> bool:
        # Functions, because names are looked up only for options that are given.
        checks = (
            (self.users, lambda: _names(found.users, mirror["user"], element, User)),
            (self.groups, lambda: _names(found.groups, mirror["group"], element, Group)),
            (
                self.numbers,
                lambda: (normalise_number(one, self.country_code) for one in found.numbers),
            ),
        )
        return all(not wanted or not wanted.isdisjoint(names()) for wanted, names in checks)


def check_known(
    noun: str,
    names: Iterable[str],
    elements: Mapping[Any, Element],
    element_class: type[User | Group],
    advice: str,
) -> None:
    """Raise ``UsageError`` for the first name that none of these users or groups has.

    - ``noun``, ``advice``: as in ``unknown_name``.
    - ``elements``: users or groups by id.
    """
    known = set(_names([*elements], elements, None, element_class))
    for name in names:
        if name not in known:
            raise unknown_name(noun, name, known, advice)


def _normal_forms(number: str, country_code: str) -> set[str]:
    """Return the normal forms that a number given by a user may have.

    ``00`` before a calling code is the prefix of international calls in most countries. Where it
    is not, as in Japan, a number such as ``0033 1 …`` may nevertheless be meant as +33 1 ….
    """
    normalised = normalise_number(number, country_code)
    if normalised is None:
        raise UsageError(
            _("--number: expected a telephone number of digits, got {number}").format(
                number=printable(repr(number), 80)
            )
        )
    forms = {normalised}
    if normalised.startswith("00") and calling_code(normalised[2:]) is not None:
        forms.add(normalise_number(f"+{normalised[2:]}", country_code) or normalised)
    return forms


def _names(
    ids: list[Any],
    known: Mapping[Any, Element],
    element: Element | None,
    element_class: type[User | Group],
) -> Iterator[str]:
    """Yield every id, name, label and extension of the users or groups with these ids."""
    valid_ids = [value for value in ids if isinstance(value, int | str)]
    yield from map(str, valid_ids)
    # The mirror no longer contains a removed element, so the element itself is searched, too.
    for candidate in (*(known.get(value) for value in valid_ids), element):
        if isinstance(candidate, element_class):
            names = (candidate.name, candidate.label, candidate.main_extension)
            yield from (str(name) for name in names if name is not None)
