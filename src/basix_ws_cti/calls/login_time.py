"""Login time and occupancy of agents.

The PBX sends ``User.presence`` and ``GroupMember.login_status``, and documents no value of either.
So a function of the caller decides which values mean that an agent is logged in, and this module
adds up the time. It reads no clock: the caller passes the present time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable

from basix_ws_cti._internal.arguments import check_instance, check_seconds
from basix_ws_cti._internal.callables import check_function
from basix_ws_cti.elements import Element, GroupMember, User
from basix_ws_cti.mirror.changes import Change, Changed, Gap, Removed

from .figures import LONGEST_DAY, SECOND, AgentFigures
from .intervals import duration_outside
from .login_states import ElementKey, LoginStates, expire
from .model import Interval


def occupancy(figures: AgentFigures, login_us: int) -> float | None:
    """Return an agent's handle time divided by login time; ``None`` without login time.

    ``login_us``: login time in the period of ``figures``, in microseconds. The result exceeds 1
    only if handle time lies outside the known login time, or if two calls are handled at once,
    such as one that is parked and one that goes on.
    """
    return figures.handle_time / login_us if login_us > 0 else None


class LoginTime:
    """Time for which agents were logged in, updated by the mirror's changes.

    - ``is_logged_in``: function that receives a ``User`` or ``GroupMember`` and returns ``True``,
      ``False``, or ``None`` if the element does not tell. It is called when the element changes,
      so its answer depends on the element only. An agent is logged in while it returns ``True`` for
      at least one of their elements. They are logged out while it returns ``False`` for at least
      one, and ``True`` for none. Otherwise their state is unknown.
    - ``window``: seconds for which past periods are kept; by default at least a day. A period is
      dropped when its end leaves the window.

    Times are microseconds since the epoch, by the clock of this computer, as those of ``Gap`` are.
    Memory is bounded by the elements, the window, and 10,000 periods per agent and state.
    """

    def __init__(
        self,
        is_logged_in: Callable[[User | GroupMember], bool | None],
        window: float = LONGEST_DAY,
    ) -> None:
        check_function("is_logged_in", is_logged_in, "element")
        check_seconds("window", window)
        self.is_logged_in = is_logged_in
        """Function that decides if an element shows that its user is logged in."""
        self.window = window
        """Seconds for which past periods are kept."""
        self._agents: dict[int, LoginStates] = {}
        # Periods in which changes may have been missed: then the states of all agents are unknown.
        # Only the window bounds their number: without one of them, login time would be invented.
        self._gaps: deque[Interval] = deque()
        self._updated: int | None = None  # time of the last update
        self._swept = 0  # time at which old periods were last dropped

    def __repr__(self) -> str:
        return f"<LoginTime of {len(self.users)} users>"

    @property
    def users(self) -> set[int]:
        """Ids of the users of whom something is known."""
        return {user_id for user_id, agent in self._agents.items() if not agent.is_empty}

    def apply(self, changes: Iterable[Change | Gap], now: int) -> None:
        """Update the states with changes of the mirror, in their order, at ``now``.

        Changes of other kinds have no effect. A ``Gap`` makes all states unknown from its start
        until ``now``. After that they are as before, unless the changes that follow tell otherwise.

        Raises ``UsageError`` if ``is_logged_in`` returns neither a bool nor ``None``.
        """
        for change in changes:
            if isinstance(change, Gap):
                times = change.started, change.ended
                started, ended = (round(time.timestamp() * SECOND) for time in times)
                self._gaps.append(Interval(started=started, ended=max(ended, now)))
                continue
            key = change.element_name, change.key
            if isinstance(change, Changed) and _user_id(change.old) != _user_id(change.element):
                self._update(change.old, key, now, is_gone=True)
            self._update(change.element, key, now, is_gone=isinstance(change, Removed))
        self._note_time(now)

    def restart(self, elements: Iterable[User | GroupMember], now: int) -> None:
        """Take ``elements`` as the present state, after a late start or a ``Lagged`` item.

        Pass the values of ``client.mirror.users`` and ``client.mirror.group_members``. All states
        since the last ``apply`` or ``restart`` become unknown, since a change may have been lost.
        """
        if self._updated is not None:
            self._gaps.append(Interval(started=self._updated, ended=now))
        for agent in self._agents.values():
            agent.forget(now)
        for element in elements:
            self._update(element, (element.element_name, element.key), now, is_gone=False)
        self._note_time(now)

    def login_us(self, user_id: int, since: int, until: int) -> int:
        """Return for how long a user was logged in, in microseconds.

        ``since`` is included, ``until`` is not. A login that lasts counts up to ``until``: pass the
        present time or an earlier one. Time before the window may be missing.
        """
        return self._duration(user_id, (True,), since, until)

    def unknown_us(self, user_id: int, since: int, until: int) -> int:
        """Return for how long a user was neither logged in nor logged out, in microseconds."""
        return max(0, until - since) - self._duration(user_id, (True, False), since, until)

    def _duration(self, user_id: int, states: Collection[bool], since: int, until: int) -> int:
        agent = self._agents.get(user_id)
        return duration_outside(agent.periods(states, since, until), self._gaps) if agent else 0

    def _update(self, element: Element, key: ElementKey, now: int, *, is_gone: bool) -> None:
        user_id = _user_id(element)
        if user_id is None or not isinstance(element, User | GroupMember):
            return
        answer = None if is_gone else self.is_logged_in(element)
        check_instance("the result of is_logged_in", answer, bool, "a bool", optional=True)
        self._agents.setdefault(user_id, LoginStates()).update(key, answer, now)

    def _note_time(self, now: int) -> None:
        """Drop old periods, unless that was done within the last minute."""
        self._updated = now
        if abs(now - self._swept) < 60 * SECOND:
            return
        self._swept, start = now, now - self.window * SECOND
        expire(self._gaps, start)
        for agent in self._agents.values():
            agent.expire(start)
        self._agents = {key: agent for key, agent in self._agents.items() if not agent.is_empty}


def _user_id(element: Element) -> int | None:
    """Return the id of the user whom an element describes; ``None``: it describes no user."""
    if isinstance(element, User):
        return element.id
    return element.user_id if isinstance(element, GroupMember) else None
