"""Users, groups, memberships and phones of the simulated PBX."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from attrs import Factory, define, field, fields

from basix_ws_cti._internal.arguments import check_bool
from basix_ws_cti.exceptions import UsageError

from .change_publisher import ChangePublisher
from .errors import NotPossibleError
from .model import Domain, Group, GroupMember, Terminal, User, feed_kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .change_publisher import Listener
    from .model import Fields, Key

DID = "0501234567"  # the public phone number of the simulated company

# First id of each kind. The ranges do not overlap, as on the production server.
_DOMAIN_ID = 10001
_FIRST_USER_ID = 10001001
_FIRST_GROUP_ID = 90001001
_FIRST_MEMBER_ID = 110001001
_FIRST_TERMINAL_ID = 5001

_KINDS = {User: "user", Group: "group", GroupMember: "group_member", Terminal: "terminal"}


@define(eq=False)
class Company:
    """Users, groups, memberships and phones; publishes each change of them.

    Base class of ``Pbx``, which documents the attributes.
    """

    older: bool = field(default=False, kw_only=True)
    users: dict[int, User] = field(factory=dict, init=False, repr=False)
    groups: dict[int, Group] = field(factory=dict, init=False, repr=False)
    members: dict[int, GroupMember] = field(factory=dict, init=False, repr=False)
    terminals: dict[int, Terminal] = field(factory=dict, init=False, repr=False)
    _changes: ChangePublisher = field(
        default=Factory(
            lambda self: ChangePublisher(feed_kinds(older=self.older)), takes_self=True
        ),
        init=False,
        repr=False,
    )
    _user_numbers: Iterator[int] = field(factory=count, init=False, repr=False)
    _group_numbers: Iterator[int] = field(factory=count, init=False, repr=False)
    _member_numbers: Iterator[int] = field(factory=count, init=False, repr=False)
    _terminal_numbers: Iterator[int] = field(factory=count, init=False, repr=False)
    # Phones by the id of their user, in the order in which they were added.
    _phones: dict[int, list[Terminal]] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        check_bool("older", self.older)
        if not self.older:
            domain = Domain(_DOMAIN_ID, "demo", "株式会社デモ")
            self._changes.publish("domain", domain.id, domain, "added")

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds in the feed, in the order in which they are sent."""
        return self._changes.kinds

    @property
    def listeners(self) -> list[Listener]:
        """Return the list of functions that are called with each change.

        A listener takes the kind, the key, the fields and the event name (``added``,
        ``updated``, ``removed``). To add or remove one, change this list.
        """
        return self._changes.listeners

    def snapshot(self, user_id: int | None = None) -> dict[str, dict[Key, Fields]]:
        """Return what a consistent client holds now: plain dicts by kind and key.

        The dicts have the shape of ``to_dict``. With ``user_id``, return what a client holds
        that asked for the channels of this user only. Values inside the dicts are shared
        with the PBX: do not change them.
        """
        return self._changes.snapshot(user_id)

    # -- users ------------------------------------------------------------------------

    def add_user(self, label: str, *, terminal: bool = True) -> User:
        """Add a user with an extension and, unless ``terminal`` is false, a registered phone."""
        number = next(self._user_numbers)
        user = User(
            id=_FIRST_USER_ID + number,
            name=f"user{number + 1}",
            label=label,
            main_extension=str(1001 + number if number < 800 else 20000 + number),
            park_group=number,
            email=f"user{number + 1}@example.com",
        )
        self.users[user.id] = user
        self._changes.publish("user", user.id, user, "added")
        if terminal:
            self.add_terminal(user)
        return user

    def add_terminal(self, user: User) -> Terminal:
        """Give a user a registered phone, which may be their second or third one."""
        self._check_exists(user)
        number = next(self._terminal_numbers)
        phone = Terminal(_FIRST_TERMINAL_ID + number, f"term{number + 1}", user.id)
        self.terminals[phone.id] = phone
        self._phones.setdefault(user.id, []).append(phone)
        self._changes.publish("terminal", phone.id, phone, "added")
        return phone

    def terminals_of(self, user: User) -> list[Terminal]:
        """Return the user's phones, the oldest first."""
        return list(self._phones.get(user.id, ()))

    def remove_user(self, user: User) -> None:
        """Remove a user with their memberships and phones."""
        self._check_exists(user)
        for member in [one for one in self.members.values() if one.user_id == user.id]:
            self.remove_member(member)
        for phone in self._phones.pop(user.id, ()):
            del self.terminals[phone.id]
            self._changes.publish("terminal", phone.id, phone, "removed")
        del self.users[user.id]
        self._changes.publish("user", user.id, user, "removed")

    # -- groups -----------------------------------------------------------------------

    def create_group(self, label: str, *, hunt: bool = False) -> Group:
        """Create a ring group, or a hunt group if ``hunt`` is true."""
        number = next(self._group_numbers)
        group = Group(
            id=_FIRST_GROUP_ID + number,
            name=f"group{number + 1}",
            label=label,
            main_extension=str(1900 + number if number < 100 else 19000 + number),
            type=int(hunt),
        )
        self.groups[group.id] = group
        self._changes.publish("group", group.id, group, "added")
        return group

    def remove_group(self, group: Group) -> None:
        """Remove a group with its memberships."""
        self._check_exists(group)
        for member in [one for one in self.members.values() if one.group_id == group.id]:
            self.remove_member(member)
        del self.groups[group.id]
        self._changes.publish("group", group.id, group, "removed")

    def add_member(self, user: User, group: Group) -> GroupMember:
        """Make a user a member of a group."""
        member = GroupMember(_FIRST_MEMBER_ID + next(self._member_numbers), group.id, user.id)
        self.members[member.id] = member
        self._changes.publish("group_member", member.id, member, "added")
        return member

    def remove_member(self, member: GroupMember) -> None:
        """Remove a membership."""
        self._check_exists(member)
        del self.members[member.id]
        self._changes.publish("group_member", member.id, member, "removed")

    def members_of(self, group: Group) -> list[User]:
        """Return the users in a group, in the order in which they joined."""
        ids = dict.fromkeys(m.user_id for m in self.members.values() if m.group_id == group.id)
        return [self.users[user_id] for user_id in ids]

    # -- all elements -----------------------------------------------------------------

    def edit(self, element: User | Group | GroupMember | Terminal, **changes: Any) -> None:
        """Change fields of an element, named as in the feed.

        Raises ``ValueError`` for an unknown field, ``NotPossibleError`` if the element has
        been removed.
        """
        kind = _KINDS[type(element)]
        known = {attribute.name for attribute in fields(type(element))} - {"id"}
        unknown = [name for name in changes if name not in known]
        if unknown:
            raise UsageError(f"a {kind} has no field {unknown[0]!r} that can be changed")
        self._check_exists(element)
        for name, value in changes.items():
            setattr(element, name, value)
        self._changes.publish(kind, element.id, element, "updated")

    def set_message_counts(self, box: User | Group, new: int, saved: int) -> None:
        """Set the numbers of new and saved messages in the voicemail box of a user or group."""
        self.edit(box, mwi=f"{new}/{saved}" if new or saved else "")

    def find_extension(self, extension: str) -> User | Group | None:
        """Return the user or group with this extension; ``None``: no match."""
        everybody: Iterable[User | Group] = (*self.users.values(), *self.groups.values())
        return next((one for one in everybody if one.main_extension == extension), None)

    def _check_exists(self, element: User | Group | GroupMember | Terminal) -> None:
        kind = _KINDS[type(element)]
        if not self._changes.holds(kind, element.id):
            raise NotPossibleError(f"{kind} {element.id} has been removed")
