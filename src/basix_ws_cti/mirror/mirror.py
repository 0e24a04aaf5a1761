"""The live picture of the PBX: messages in, changes out.

Pure: no I/O, no clock. The picture is of the elements as they were sent; elements can't
change, so what a holder has of one stays as it was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping, ValuesView
from typing import Any, cast
from weakref import WeakValueDictionary

from basix_ws_cti._internal.codegen import constructor
from basix_ws_cti.elements import (
    AnyChannel,
    Channel,
    Domain,
    Element,
    Group,
    GroupMember,
    ParkedChannel,
    QueuedChannel,
    Terminal,
    User,
    WaitingChannel,
)
from basix_ws_cti.messages import InfoEvent, InitialInfo, Message

from .changes import Added, Change, Changed, Removed
from .interning import Interner
from .phone_numbers import plain_number

# Channels that are gone and remembered, lest a late update bring one back. A PBX that ends a
# hundred calls in a second would have to be late by minutes.
MAX_ENDED_CHANNELS = 20_000


# Not synthetic, since an event said so, and of an element with a key, since it is kept.
_SAID = False, None

# Synthetic, since a comparison says so.
_FOUND = True

_added, _changed, _removed = constructor(Added), constructor(Changed), constructor(Removed)


class _Store(Mapping[Any, Element]):
    """Read-only, live mapping of the elements of one kind by key, in order of arrival."""

    __slots__ = ("__weakref__", "held")

    def __init__(self) -> None:
        self.held: dict[int | str, Element] = {}

    def __getitem__(self, key: Any) -> Element:
        return self.held[key]

    def __contains__(self, key: object) -> bool:
        return key in self.held

    def __iter__(self) -> Iterator[int | str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)

    def __repr__(self) -> str:
        return repr(dict(self))

    def values(self) -> ValuesView[Element]:
        return self.held.values()


class Mirror:
    """What the PBX holds, as far as its messages tell.

    The mappings are read-only and live: they show what is there when they are looked at.
    ``country_code`` is that of national telephone numbers, for ``channels_by_number``.
    """

    def __init__(self, *, country_code: str = "81") -> None:
        self._country_code = country_code
        self._stores: dict[str, _Store] = {}
        # Empty ones that somebody holds, of kinds that nothing is known of, or any more.
        self._idle: WeakValueDictionary[str, _Store] = WeakValueDictionary()
        # Channels that ended, and whether it was by hanging up: then no event revives them.
        self._gone: OrderedDict[int | str, bool] = OrderedDict()

    def __repr__(self) -> str:
        held = ", ".join(f"{len(store)} {kind}" for kind, store in self._stores.items() if store)
        return f"<Mirror {held or 'empty'}>"

    # -- what there is ----------------------------------------------------------------

    def __getitem__(self, element_name: str) -> Mapping[int | str, Element]:
        """The elements of any kind by key; none, for a kind that has not been heard of."""
        store = self._stores.get(element_name)
        return self._idle.setdefault(element_name, _Store()) if store is None else store

    def __iter__(self) -> Iterator[str]:
        """The kinds that have been heard of."""
        return iter(tuple(kind for kind, store in self._stores.items() if store))

    @property
    def channels(self) -> Mapping[str, Channel]:
        """Legs of calls, by uuid."""
        return cast("Mapping[str, Channel]", self["channel"])

    @property
    def waiting_channels(self) -> Mapping[str, WaitingChannel]:
        """Legs in ring queues and on park slots, by uuid (newer servers)."""
        return cast("Mapping[str, WaitingChannel]", self["channel_waiting"])

    @property
    def queued_channels(self) -> Mapping[str, QueuedChannel]:
        """Legs in ring queues, by uuid (older servers)."""
        return cast("Mapping[str, QueuedChannel]", self["queued_channel"])

    @property
    def parked_channels(self) -> Mapping[str, ParkedChannel]:
        """Legs on park slots, by uuid (older servers)."""
        return cast("Mapping[str, ParkedChannel]", self["parked_channel"])

    @property
    def users(self) -> Mapping[int, User]:
        """Users, by id."""
        return cast("Mapping[int, User]", self["user"])

    @property
    def groups(self) -> Mapping[int, Group]:
        """Groups, by id."""
        return cast("Mapping[int, Group]", self["group"])

    @property
    def group_members(self) -> Mapping[int | str, GroupMember]:
        """Memberships, by id, or ``"USER_ID:GROUP_ID"`` where the PBX sends none."""
        return cast("Mapping[int | str, GroupMember]", self["group_member"])

    @property
    def terminals(self) -> Mapping[int, Terminal]:
        """SIP terminals, by id."""
        return cast("Mapping[int, Terminal]", self["terminal"])

    @property
    def domain(self) -> Domain | None:
        """The PBX's domain; ``None``: it has not been sent (older servers)."""
        return cast("Domain | None", next(iter(self["domain"].values()), None))

    # -- looking things up ------------------------------------------------------------

    def channels_of_user(self, user_id: int) -> list[Channel]:
        """A user's legs."""
        return [leg for leg in self.channels.values() if leg.user_id == user_id]

    def channels_of_group(self, group_id: int) -> list[Channel]:
        """The legs that a group owns: callers in its queue, and its members' telephones."""
        return [leg for leg in self.channels.values() if leg.group_id == group_id]

    def channels_by_number(self, number: str) -> list[Channel]:
        """The legs that call or are called by a number, however it is written.

        See ``numbering``: withheld numbers and markers match nothing.
        """
        wanted = plain_number(number, self._country_code)
        if wanted is None:
            return []
        return [
            leg
            for leg in self.channels.values()
            if wanted
            in {
                plain_number(leg.calling_number, self._country_code),
                plain_number(leg.called_number, self._country_code),
            }
        ]

    def other_leg(self, channel: Channel) -> Channel | None:
        """The channel at the other end; ``None``: there is none, or it is gone."""
        other: object = channel.other_uuid  # as it was sent
        return self.channels.get(other) if isinstance(other, str) else None

    def members_of_group(self, group_id: int) -> list[User]:
        """The users in a group, as far as they are known, in the order of their joining."""
        ids = [m.user_id for m in self.group_members.values() if m.group_id == group_id]
        return [self.users[one] for one in ids if one is not None and one in self.users]

    def groups_of_user(self, user_id: int) -> list[Group]:
        """The groups that a user is in, as far as they are known."""
        ids = [m.group_id for m in self.group_members.values() if m.user_id == user_id]
        return [self.groups[one] for one in ids if one is not None and one in self.groups]

    def terminals_of_user(self, user_id: int) -> list[Terminal]:
        """A user's terminals."""
        return [one for one in self.terminals.values() if one.assoc_user_id == user_id]

    def user_by_extension(self, extension: str) -> User | None:
        """The user with a main extension."""
        return next((u for u in self.users.values() if u.main_extension == extension), None)

    # -- keeping it true --------------------------------------------------------------

    def apply(self, message: Message) -> list[Change]:
        """Take in a message, and say what it changed.

        An ``initial_info`` replaces all there is of its kind: what differs are synthetic
        changes. A channel is gone when it is hung up or ``removed``, whichever comes first,
        and that is one ``Removed``. After a hang-up nothing brings it back; after a
        ``removed``, only ``added`` does. The domain stays, even when ``removed``. An event
        about an element without a key can't be kept, and changes nothing.
        """
        if isinstance(message, InfoEvent):
            return self._event(message.element_name, message.element, message.event_name)
        if isinstance(message, InitialInfo):
            return [change for change in self._replace(message) if change is not None]
        return []

    def become(self, other: Mirror) -> list[Change]:
        """Show what ``other`` shows, and say what differs; all of it is synthetic."""
        return [change for change in self.swap(other) if change is not None]

    def swap(self, other: Mirror) -> Generator[Change | None, None, None]:
        """Show what ``other`` shows, at once. What differs comes a step at a time.

        ``None`` is a step of which there is nothing to say.
        """
        replaced = []
        for kind in {**self._stores, **other._stores}:
            store = self._store(kind)
            new = other._stores[kind].held if kind in other._stores else {}
            replaced.append((kind, store.held, new))
            store.held = new.copy()
            if kind not in other._stores:
                self._idle[kind] = self._stores.pop(kind)
        self._gone = other._gone.copy()
        return _all_differences(replaced)

    def fill(
        self, kind: str, elements: Mapping[int | str, Element]
    ) -> Generator[None, None, Iterator[Change | None]]:
        """Take in an ``initial_info`` a step at a time; with the last the picture is another.

        Returns what differs, as ``swap`` does.
        """
        new: dict[int | str, Element] = {}
        interner = Interner()
        for key, element in elements.items():
            if not _is_hung_up(element):
                interner.intern(element)
                new[key] = element
            yield
        if kind == "channel":
            for at in new:
                self._gone.pop(at, None)
        store = self._store(kind)
        replaced = [(kind, store.held, new)]
        store.held = new
        return _all_differences(replaced)

    def _replace(self, message: InitialInfo) -> Iterator[Change | None]:
        yield from (yield from self.fill(message.element_name, message.elements))

    def _store(self, kind: str) -> _Store:
        """The elements of a kind that a message is about."""
        store = self._stores.get(kind)
        if store is None:
            store = self._stores[kind] = self._idle.pop(kind, _Store())
        return store

    def _event(self, kind: str, element: Element, event_name: str) -> list[Change]:
        key = element.key
        if key is None:
            return []
        store = self._store(kind)
        removed = event_name == "removed" and kind != "domain"
        if isinstance(element, AnyChannel):
            ended = self._has_ended(kind, key, element, event_name)
            if ended is None:
                return []
            removed = ended
        old = store.held.get(key)
        if removed:
            store.held.pop(key, None)
            return [] if old is None else [_removed(kind, element, *_SAID)]
        if old == element:
            return []
        store.held[key] = element
        if old is None:
            return [_added(kind, element, *_SAID)]
        return [_changed(kind, element, old, *_SAID)]

    def _has_ended(
        self, kind: str, key: int | str, element: AnyChannel, event_name: str
    ) -> bool | None:
        """Whether a channel is gone with this event; ``None``: it was gone before."""
        hung_up = _is_hung_up(element)
        removed = event_name == "removed"
        gone = self._gone.get(key)
        if kind == "channel":
            if gone or (gone is False and event_name != "added"):
                return None
            if hung_up or removed:
                if len(self._gone) >= MAX_ENDED_CHANNELS:
                    self._gone.popitem(last=False)
                self._gone[key] = hung_up
            else:
                self._gone.pop(key, None)
        elif gone and not (hung_up or removed):
            return None  # it does not wait any more
        return hung_up or removed


def _all_differences(
    replaced: list[tuple[str, dict[int | str, Element], dict[int | str, Element]]],
) -> Generator[Change | None, None, None]:
    """What of each kind has to change for what was to be what is. Empties the list."""
    while replaced:
        kind, old, new = replaced.pop(0)
        for at, element in old.items():
            gone = at not in new
            yield _removed(kind, element, _FOUND, _position(at, element)) if gone else None
        for at, element in new.items():
            before = old.get(at)
            if before is None:
                yield _added(kind, element, _FOUND, _position(at, element))
            elif before != element:
                yield _changed(kind, element, before, _FOUND, _position(at, element))
            else:
                yield None
        # One by one: to free 50,000 elements takes its time as well.
        left = [*old.values()]
        del old
        before = None
        while left:
            element = left.pop()
            yield None


def _position(at: int | str, element: Element) -> int | str | None:
    """What is kept by its position, having no key of its own, has that; else ``None``."""
    return at if element.key is None else None


def _is_hung_up(element: Element) -> bool:
    return getattr(element, "last_event", None) == "CHANNEL_HANGUP"
