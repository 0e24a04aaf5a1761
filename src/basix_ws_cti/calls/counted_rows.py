"""Rows that count in live figures: by queue, by agents of a queue, and by agent.

Rows are replaced call by call. So a wait counts once, although its call is reported many times
while it changes, and may be joined to another call.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import partial
from itertools import zip_longest
from typing import Any, TypeVar

from attrs import Factory, define, evolve, field, frozen

from .figures import RowTime, time_of
from .model import Call
from .participation import Participation, rows_of_agents
from .queue_wait import QueueWait
from .row_window import Key, RowWindow
from .tallies import AgentTally, QueueTally, counts_for_agent, counts_in_queue, is_offer_of_queue

# Calls kept whose end was lost: their last event may still come.
MAX_LOST_CALLS = 1000

LASTS = 2**63
"""Time of a row that lasts, in microseconds: it is in every window that slides."""

QueueWindow = RowWindow[QueueWait, QueueTally]
AgentWindow = RowWindow[Participation, AgentTally]

_Row = TypeVar("_Row", QueueWait, Participation)


@frozen
class CallRows:
    """Rows of one call that count in figures, each after its key."""

    waits: tuple[tuple[Key, QueueWait], ...] = ()
    participations: tuple[tuple[Key, Participation], ...] = ()
    lasts: bool = False
    """True if the call goes on."""

    @classmethod
    def of(
        cls,
        waits: Iterable[QueueWait],
        participations: Iterable[Participation],
        *,
        lasts: bool = False,
    ) -> CallRows:
        """Return those of the rows of a call that count."""
        return cls(
            tuple(_with_keys(filter(counts_in_queue, waits))),
            tuple(
                (_participation_key(row), row) for row in participations if counts_for_agent(row)
            ),
            lasts,
        )

    def with_unknown_end(self) -> CallRows:
        """Return the rows as they are if nobody will ever report how the call ended."""
        return CallRows(
            tuple((key, _with_unknown_end(wait)) for key, wait in self.waits),
            tuple((key, _with_unknown_end(row)) for key, row in self.participations),
        )


_NO_ROWS = CallRows()


@define(eq=False)
class CountedRows:
    """Rows within the window, and the calls that wait now."""

    by: RowTime
    """Time of a row that decides if it lies in the window."""
    max_rows: int
    """Rows kept per group and per user; the oldest are dropped first."""
    slides: bool = True
    """True if the window slides. By ``"start"``, it then also has the rows that started before the
    window and last, or ended in it: else a talk longer than the window would be in no figures."""
    waiting: dict[int, dict[Key, int]] = Factory(dict)
    """Times of entry of the calls that wait now, by id of the group and key of the wait."""
    _queues: dict[int, QueueWindow] = Factory(dict)
    # Answered participations by the group whose queue offered them.
    _served: defaultdict[int, AgentWindow] = field(init=False)
    _agents: defaultdict[int, AgentWindow] = field(init=False)
    # Rows of the active calls, and of the calls whose end was lost.
    _open: dict[str, CallRows] = Factory(dict)
    # Stands for the participations of all users and groups that have none.
    _none: AgentWindow = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._served, self._agents = defaultdict(self._new_agent), defaultdict(self._new_agent)
        self._none = self._new_agent()

    @property
    def groups(self) -> set[int]:
        """Ids of the groups that have rows or waiting calls."""
        return {*self._queues, *self._served, *self.waiting}

    @property
    def users(self) -> set[int]:
        """Ids of the users that have rows."""
        return {*self._agents}

    def queue(self, group_id: int) -> QueueWindow:
        """Return the waits of a queue, and those that overflowed to it."""
        return self._queues.get(group_id) or self._new_queue(group_id)

    def queues(self, group_id: int | None) -> list[QueueWindow]:
        """Return the waits of one queue, or for ``None`` those of each queue that has rows."""
        if group_id is None:
            return [*self._queues.values()]
        return [self._queues[group_id]] if group_id in self._queues else []

    def served(self, group_id: int) -> AgentWindow:
        """Return the answered participations that a queue offered."""
        return self._served.get(group_id, self._none)

    def agent(self, user_id: int) -> AgentWindow:
        """Return the participations of a user."""
        return self._agents.get(user_id, self._none)

    def replace(self, call: Call) -> None:
        """Take the rows of a call in place of those that it had before."""
        rows = CallRows.of(QueueWait.of(call), rows_of_agents(call), lasts=call.ended is None)
        self._replace(call.id, rows)
        if rows.lasts:
            self._open[call.id] = rows

    def restore(
        self,
        call_id: str,
        waits: Iterable[QueueWait],
        participations: Iterable[Participation],
    ) -> None:
        """Take the rows of a call that has ended, unless it is known as one that goes on."""
        if call_id not in self._open:
            self._replace(call_id, CallRows.of(waits, participations))

    def lose(self, active: Collection[str]) -> None:
        """Note that of all calls only ``active`` ones go on; the ends of the others were lost."""
        lost = [call_id for call_id in self._open if call_id not in active]
        for call_id in lost:
            rows = self._open[call_id].with_unknown_end()
            self._replace(call_id, rows)
            self._open[call_id] = rows
        for call_id in lost[:-MAX_LOST_CALLS]:
            del self._open[call_id]

    def expire(self, before: float) -> None:
        """Drop all rows before ``before``, in microseconds."""
        _expire(self._queues, before)
        _expire(self._served, before)
        _expire(self._agents, before)

    def _replace(self, call_id: str, rows: CallRows) -> None:
        before = self._open.pop(call_id, _NO_ROWS)
        has_ended = before.lasts != rows.lasts
        waits = _differences(before.waits, rows.waits, has_ended=has_ended)
        participations = _differences(
            before.participations, rows.participations, has_ended=has_ended
        )
        for old_wait, _ in waits:
            if old_wait is not None:
                self._discard_wait(*old_wait)
        for old_row, _ in participations:
            if old_row is not None:
                self._discard_participation(*old_row)
        for _, wait in waits:
            if wait is not None:
                self._put_wait(*wait, lasts=rows.lasts)
        for _, row in participations:
            if row is not None:
                self._put_participation(*row, lasts=rows.lasts)

    def _time_of(self, row: QueueWait | Participation, *, lasts: bool) -> int | None:
        """Return the time until which a row is in the window; ``None``: it does not count.

        ``lasts``: the call goes on.
        """
        start_or_end = time_of(row, self.by)
        if not self.slides or self.by == "end":
            return start_or_end
        if row.left is not None:
            return row.left if start_or_end is None else max(start_or_end, row.left)
        return LASTS if lasts else start_or_end

    def _put_wait(self, key: Key, wait: QueueWait, *, lasts: bool) -> None:
        time = self._time_of(wait, lasts=lasts)
        if wait.result is None:
            self.waiting.setdefault(wait.group_id, {})[key] = wait.entered
        if time is not None:
            for group_id in _groups_of(wait):
                window = self._queues.get(group_id)
                if window is None:
                    window = self._queues[group_id] = self._new_queue(group_id)
                window.put(key, time, wait)

    def _discard_wait(self, key: Key, wait: QueueWait) -> None:
        waiting = self.waiting.get(wait.group_id)
        if waiting is not None:
            waiting.pop(key, None)
            if not waiting:
                del self.waiting[wait.group_id]
        for group_id in _groups_of(wait):
            if group_id in self._queues:
                self._queues[group_id].discard(key)

    def _put_participation(self, key: Key, row: Participation, *, lasts: bool) -> None:
        time = self._time_of(row, lasts=lasts)
        if time is None:
            return
        if row.user_id is not None:
            self._agents[row.user_id].put(key, time, row)
        if row.group_id is not None and _is_served(row):
            self._served[row.group_id].put(key, time, row)

    def _discard_participation(self, key: Key, row: Participation) -> None:
        if row.user_id is not None and row.user_id in self._agents:
            self._agents[row.user_id].discard(key)
        if row.group_id is not None and row.group_id in self._served and _is_served(row):
            self._served[row.group_id].discard(key)

    def _new_queue(self, group_id: int) -> QueueWindow:
        return RowWindow(partial(QueueTally, group_id), self.max_rows)

    def _new_agent(self) -> AgentWindow:
        return RowWindow(AgentTally, self.max_rows)


def _differences(
    before: tuple[tuple[Key, _Row], ...], rows: tuple[tuple[Key, _Row], ...], *, has_ended: bool
) -> list[tuple[tuple[Key, _Row] | None, tuple[Key, _Row] | None]]:
    """Return the old and the new row of each place at which two tuples of rows differ.

    ``has_ended``: the call has ended, or goes on after all. Then the time of a row without an end
    has changed, too.
    """
    if not before:  # the usual case
        return [(None, row) for row in rows]
    return [
        (old, row)
        for old, row in zip_longest(before, rows)
        if old != row or (has_ended and row is not None and row[1].left is None)
    ]


def _expire(windows: dict[int, RowWindow[Any, Any]], before: float) -> None:
    for key, window in [*windows.items()]:
        window.expire(before)
        if not window:
            del windows[key]


def _groups_of(wait: QueueWait) -> Iterable[int]:
    """Return the groups in whose figures a wait appears."""
    if wait.next_group_id is None or wait.next_group_id == wait.group_id:
        return (wait.group_id,)
    return (wait.group_id, wait.next_group_id)


def _is_served(row: Participation) -> bool:
    """Return True if a row has something to add to the figures of the queue that offered it.

    A party may transfer a call that it has not answered.
    """
    return (row.result == "answered" or row.transfers_out > 0) and is_offer_of_queue(row)


def _with_keys(waits: Iterable[QueueWait]) -> list[tuple[Key, QueueWait]]:
    """Return all waits of a call with their keys.

    A call may enter a queue twice at the same microsecond, after a clock of the PBX was set back.
    Such waits are numbered.
    """
    pairs: list[tuple[Key, QueueWait]] = []
    seen: dict[Key, int] = {}
    for wait in waits:
        entry = wait.call_id, wait.group_id, wait.entered
        number = seen[entry] = seen.get(entry, -1) + 1
        pairs.append(((*entry, number), wait))
    return pairs


def _participation_key(row: Participation) -> Key:
    return row.call_id, -1 if row.user_id is None else row.user_id, row.number or ""


def _with_unknown_end(row: _Row) -> _Row:
    return evolve(row, result="unknown") if row.result is None else row
