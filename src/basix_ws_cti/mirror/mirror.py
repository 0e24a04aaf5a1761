"""Mirror of the PBX's current state: messages in, changes out. No I/O, no clock.

Invariants:

- Elements are immutable. A holder of an element keeps the values it had.
- ``apply`` and the comparisons return exactly the changes that lead from the state before to the
  state after; a subscriber that applies every change ends up with the current state.
- A channel ends once. ``_ended`` remembers the uuids of ended channels, because a PBX may send
  an update after a hang-up: after a hang-up no event brings a channel back, after ``removed`` only
  ``added`` does.
- Long work is a generator: each ``next()`` is one short step, so that the caller can yield to its
  event loop. The new state becomes visible in a single step.
- One thread writes, any thread may read. Elements of one kind are read by a single operation on a
  dict. Elements of several kinds that must belong together are read within ``_one_moment``, which
  holds ``_lock``. The writer takes the lock for a new snapshot, for a new kind, and for an event
  that changes ``_ended`` as well. Any other event changes one kind by a single operation on a dict,
  and only waits for readers that have announced themselves by ``_is_being_read``: taking the lock
  each time would cost a tenth of the time. A reader may meet the one event that was about to be
  applied; the elements belong together, with this event or without it.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping
from typing import Any, cast
from weakref import WeakValueDictionary

from basix_ws_cti._internal.codegen import constructor
from basix_ws_cti._internal.display import html_table
from basix_ws_cti._internal.live_mapping import LiveMapping
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
from .dialling_plans import dialling_plan
from .interning import Interner
from .phone_numbers import HOME_COUNTRY, normalise_number

# Uuids of ended channels that are remembered. A PBX that ends a hundred calls per second would have
# to send an update minutes late before it revived a channel.
MAX_ENDED_CHANNELS = 20_000

# Values of the generated constructors' last arguments.
_SENT = False  # synthetic: the PBX sent the change
_COMPUTED = True  # synthetic: a comparison found it

# Positional arguments in field order: element_name, element, position, …, synthetic.
_added, _changed, _removed = constructor(Added), constructor(Changed), constructor(Removed)


class _Store(LiveMapping[Any, Element]):
    """Read-only, live mapping of the elements of one kind by key, in order of arrival."""

    __slots__ = ("__weakref__", "elements")

    def __init__(self) -> None:
        self.elements: dict[int | str, Element] = {}

    def __getitem__(self, key: Any) -> Element:
        return self.elements[key]

    def __contains__(self, key: object) -> bool:
        return key in self.elements

    def __len__(self) -> int:
        return len(self.elements)

    def __repr__(self) -> str:
        return repr(self.copy())

    def copy(self) -> dict[Any, Element]:
        return self.elements.copy()


class Mirror:
    """Current state of the PBX, built from its messages.

    All mappings are read-only and live: they always show the current elements. Any thread may read
    them: each iteration runs over the elements of the moment at which it starts, and each look-up
    uses the elements of one moment. ``copy`` returns all elements of one moment.

    A mirror can be pickled and copied; the result is independent of the original.

    ``country_code`` (digits without ``+``) is the country of numbers written without one, for
    ``channels_by_number``. Raises ``UsageError`` if no country has this calling code.
    """

    def __init__(self, *, country_code: str = HOME_COUNTRY) -> None:
        dialling_plan(country_code)  # an unknown code is an error here, not at the first look-up
        self._country_code = country_code
        self._stores: dict[str, _Store] = {}
        # Empty mappings that a user still holds, of kinds without elements. If elements of the kind
        # arrive, the same mapping shows them.
        self._empty: WeakValueDictionary[str, _Store] = WeakValueDictionary()
        # Ended channels by key, oldest first; True: by a hang-up, False: by ``removed``.
        self._ended: OrderedDict[int | str, bool] = OrderedDict()
        # Reentrant: a finaliser that reads the mirror can run while the lock is held.
        self._lock = threading.RLock()
        self._is_being_read = False

    def __repr__(self) -> str:
        stores = self._stores.copy()
        counts = ", ".join(f"{len(store)} {kind}" for kind, store in stores.items() if store)
        return f"<Mirror {counts or 'empty'}>"

    def _repr_html_(self) -> str:
        """Return the number of elements of each kind as an HTML table, for notebooks."""
        stores = self._stores.copy()
        return html_table(("Kind", "Elements"), ((kind, len(s)) for kind, s in stores.items()))

    def __getstate__(self) -> dict[str, Any]:
        with self._one_moment():
            return {
                "country_code": self._country_code,
                "elements": {kind: store.copy() for kind, store in self._stores.items()},
                "ended": self._ended.copy(),
            }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(country_code=state["country_code"])  # type: ignore[misc]
        for kind, elements in state["elements"].items():
            self._store(kind).elements = elements
        self._ended = state["ended"]

    def copy(self) -> Mirror:
        """Return an independent mirror with the state of this moment; safe in any thread."""
        copied = Mirror.__new__(Mirror)
        copied.__setstate__(self.__getstate__())
        return copied

    # -- elements by kind -------------------------------------------------------------

    def __getitem__(self, element_name: str) -> Mapping[int | str, Element]:
        """Return the elements of a kind by key; an empty mapping for an unknown kind."""
        store = self._stores.get(element_name)
        if store is not None:
            return store
        with self._lock:  # the kind may get its elements at this moment
            store = self._stores.get(element_name)
            return self._empty.setdefault(element_name, _Store()) if store is None else store

    def __iter__(self) -> Iterator[str]:
        """Iterate over the kinds that have elements."""
        return iter([kind for kind, store in self._stores.copy().items() if store])

    @property
    def channels(self) -> Mapping[str, Channel]:
        """Call legs, by uuid."""
        return cast("Mapping[str, Channel]", self["channel"])

    @property
    def waiting_channels(self) -> Mapping[str, WaitingChannel]:
        """Queued and parked call legs, by uuid (newer servers)."""
        return cast("Mapping[str, WaitingChannel]", self["channel_waiting"])

    @property
    def queued_channels(self) -> Mapping[str, QueuedChannel]:
        """Queued call legs, by uuid (older servers)."""
        return cast("Mapping[str, QueuedChannel]", self["queued_channel"])

    @property
    def parked_channels(self) -> Mapping[str, ParkedChannel]:
        """Parked call legs, by uuid (older servers)."""
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
        """Group memberships, by id, or by ``"USER_ID:GROUP_ID"`` if the PBX sends no id."""
        return cast("Mapping[int | str, GroupMember]", self["group_member"])

    @property
    def terminals(self) -> Mapping[int, Terminal]:
        """SIP terminals, by id."""
        return cast("Mapping[int, Terminal]", self["terminal"])

    @property
    def domain(self) -> Domain | None:
        """The PBX's domain; ``None`` if the server sends none (older servers)."""
        return cast("Domain | None", next(iter(self["domain"].values()), None))

    # -- look-ups ---------------------------------------------------------------------

    def channels_of_user(self, user_id: int) -> list[Channel]:
        """Return the call legs of a user."""
        return [leg for leg in self.channels.values() if leg.user_id == user_id]

    def channels_of_group(self, group_id: int) -> list[Channel]:
        """Return the call legs of a group: callers in its queue and its members' ringing phones."""
        return [leg for leg in self.channels.values() if leg.group_id == group_id]

    def channels_by_number(self, number: str) -> list[Channel]:
        """Return the call legs whose calling or called number is ``number``.

        Numbers are compared in normal form (see ``phone_numbers``). Withheld numbers and markers
        such as ``RINGING_PARK`` match nothing.
        """
        wanted = normalise_number(number, self._country_code)
        if wanted is None:
            return []
        return [
            leg
            for leg in self.channels.values()
            if wanted
            in {
                normalise_number(leg.calling_number, self._country_code),
                normalise_number(leg.called_number, self._country_code),
            }
        ]

    def other_leg(self, channel: Channel) -> Channel | None:
        """Return the channel at the other end; ``None`` if there is none or it has ended."""
        other: object = channel.other_uuid  # any type: the PBX's value is kept as sent
        return self.channels.get(other) if isinstance(other, str) else None

    def members_of_group(self, group_id: int) -> list[User]:
        """Return the known users of a group, in the order in which they joined.

        A user with several memberships in the group is listed once.
        """
        members, users = self._of_one_moment("group_member", "user")
        ids = dict.fromkeys(m.user_id for m in members.values() if m.group_id == group_id)
        return [users[one] for one in ids if one is not None and one in users]

    def groups_of_user(self, user_id: int) -> list[Group]:
        """Return the known groups of a user, each once, in the order in which the user joined."""
        members, groups = self._of_one_moment("group_member", "group")
        ids = dict.fromkeys(m.group_id for m in members.values() if m.user_id == user_id)
        return [groups[one] for one in ids if one is not None and one in groups]

    def terminals_of_user(self, user_id: int) -> list[Terminal]:
        """Return the terminals of a user."""
        return [one for one in self.terminals.values() if one.assoc_user_id == user_id]

    def user_by_extension(self, extension: str) -> User | None:
        """Return the user with this main extension; ``None`` if there is none."""
        return next((u for u in self.users.values() if u.main_extension == extension), None)

    def _of_one_moment(self, *kinds: str) -> list[dict[Any, Any]]:
        """Return copies of the elements of these kinds."""
        with self._one_moment():
            return [self._stores[kind].copy() if kind in self._stores else {} for kind in kinds]

    @contextlib.contextmanager
    def _one_moment(self) -> Iterator[None]:
        """Keep the writer waiting, so that all kinds are read as of one moment."""
        with self._lock:
            before, self._is_being_read = self._is_being_read, True
            try:
                yield
            finally:
                self._is_being_read = before

    # -- updates ----------------------------------------------------------------------

    def apply(self, message: Message) -> list[Change]:
        """Apply a message and return the changes it made.

        - An ``InitialInfo`` replaces all elements of its kind; the differences are synthetic
          changes.
        - A channel is removed when it hangs up or is ``removed``, whichever comes first: one
          ``Removed``.
        - The domain is kept, even when ``removed``.
        - An event for an element without a key changes nothing, since it cannot be stored.
        """
        if isinstance(message, InfoEvent):
            if self._is_being_read:
                self._wait_for_reader()
            return self._apply_event(message.element_name, message.element, message.event_name)
        if isinstance(message, InitialInfo):
            return [change for change in self._replace_kind(message) if change is not None]
        return []

    def replace_with(self, other: Mirror) -> list[Change]:
        """Take over the state of ``other`` and return the differences as synthetic changes."""
        return [change for change in self.replace_stepwise(other) if change is not None]

    def replace_stepwise(self, other: Mirror) -> Generator[Change | None, None, None]:
        """Take over the state of ``other`` at once; yield the differences step by step.

        The new state is visible when this method returns, before the first step. A step without a
        difference yields ``None``.
        """
        replaced = []
        with self._lock:
            for kind in {**self._stores, **other._stores}:
                store = self._store(kind)
                new = other._stores[kind].elements if kind in other._stores else {}
                replaced.append((kind, store.elements, new))
                store.elements = new.copy()
                if kind not in other._stores:
                    self._empty[kind] = self._stores.pop(kind)
            self._ended = other._ended.copy()
        return _differences(replaced)

    def load_stepwise(
        self, kind: str, elements: Mapping[int | str, Element]
    ) -> Generator[None, None, Iterator[Change | None]]:
        """Replace all elements of a kind, as an ``initial_info`` does.

        The steps only prepare the new state; the last one makes it visible. Returns an iterator
        over the differences, as ``replace_stepwise`` does.
        """
        new: dict[int | str, Element] = {}
        interner = Interner()
        for key, element in elements.items():
            if not _is_hung_up(element):
                interner.intern(element)
                new[key] = element
            yield
        with self._lock:
            if kind == "channel":
                for key in new:
                    self._ended.pop(key, None)
            store = self._store(kind)
            replaced = [(kind, store.elements, new)]
            store.elements = new
        return _differences(replaced)

    def _replace_kind(self, message: InitialInfo) -> Iterator[Change | None]:
        yield from (yield from self.load_stepwise(message.element_name, message.elements))

    def _wait_for_reader(self) -> None:
        """Return once no other thread reads within ``_one_moment``."""
        with self._lock:
            pass

    def _store(self, kind: str) -> _Store:
        """Return the mapping of a kind; create it if necessary."""
        store = self._stores.get(kind)
        if store is None:
            with self._lock:
                store = self._stores[kind] = self._empty.pop(kind, _Store())
        return store

    def _apply_event(self, kind: str, element: Element, event_name: str) -> list[Change]:
        key = element.key
        if key is None:
            return []
        store = self._stores.get(kind)
        if store is None:
            store = self._store(kind)
        elements = store.elements
        removed = event_name == "removed" and kind != "domain"
        if isinstance(element, AnyChannel) and (
            removed or key in self._ended or _is_hung_up(element)
        ):
            with self._lock:
                ended = self._has_ended(kind, key, element, event_name)
                if ended:
                    return _remove(elements, kind, key, element)
            if ended is None:
                return []
        elif removed:
            return _remove(elements, kind, key, element)
        old = elements.get(key)
        if old == element:
            return []
        elements[key] = element
        if old is None:
            return [_added(kind, element, None, _SENT)]
        return [_changed(kind, element, None, old, _SENT)]

    def _has_ended(
        self, kind: str, key: int | str, element: AnyChannel, event_name: str
    ) -> bool | None:
        """Return True if this event ends the channel; ``None`` if it had ended before."""
        hung_up = _is_hung_up(element)
        removed = event_name == "removed"
        ended = self._ended.get(key)
        if kind == "channel":
            if ended or (ended is False and event_name != "added"):
                return None
            if hung_up or removed:
                if len(self._ended) >= MAX_ENDED_CHANNELS:
                    self._ended.popitem(last=False)
                self._ended[key] = hung_up
            else:
                self._ended.pop(key, None)
        elif ended and not (hung_up or removed):
            return None  # a leg that has ended is no longer queued or parked
        return hung_up or removed


def _remove(
    elements: dict[int | str, Element], kind: str, key: int | str, last: Element
) -> list[Change]:
    """Remove an element; ``last`` is its state at the end."""
    old = elements.pop(key, None)
    return [] if old is None else [_removed(kind, last, None, _SENT)]


def _differences(
    replaced: list[tuple[str, dict[int | str, Element], dict[int | str, Element]]],
) -> Generator[Change | None, None, None]:
    """Yield the changes that turn old into new, kind by kind; empties the list.

    ``replaced`` holds kind, old and new elements. One step looks at one element: it yields its
    change or ``None``.
    """
    while replaced:
        kind, old, new = replaced.pop(0)
        for key, element in old.items():
            gone = key not in new
            yield _removed(kind, element, _position(key, element), _COMPUTED) if gone else None
        for key, element in new.items():
            before = old.get(key)
            if before is None:
                yield _added(kind, element, _position(key, element), _COMPUTED)
            elif before != element:
                yield _changed(kind, element, _position(key, element), before, _COMPUTED)
            else:
                yield None
        # Free the old elements one by one: freeing 50,000 at once would block the event loop.
        left = [*old.values()]
        del old
        before = None
        while left:
            element = left.pop()
            yield None


def _position(key: int | str, element: Element) -> int | str | None:
    """Return the key under which an element without its own key is stored, else ``None``."""
    return key if element.key is None else None


def _is_hung_up(element: Element) -> bool:
    return getattr(element, "last_event", None) == "CHANNEL_HANGUP"
