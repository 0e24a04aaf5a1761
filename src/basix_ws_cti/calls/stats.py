"""Live figures of queues and agents, computed from call events.

``figures`` defines the figures; this module keeps the rows that they are computed from. It reads
no clock: times are the PBX's, in microseconds since the epoch, and the caller passes the present
time.

- The rows of a call replace those that it had before. So each wait and each participation counts
  once: from its start, with the result that is known by now.
- The rows of an active call are computed when figures are asked for, if the call has changed.
- A row leaves the figures when its own time leaves the window: see ``by`` of ``QueueStats``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import UTC, timedelta, tzinfo

from basix_ws_cti._internal.arguments import (
    check_choice,
    check_instance,
    check_integer,
    check_seconds,
)
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.states import moment

from .counted_rows import LASTS, CountedRows
from .events import CallEnded, CallEvent
from .figures import LONGEST_DAY, SECOND, AgentFigures, QueueFigures, RowTime, Thresholds
from .model import Call
from .participation import Participation
from .queue_wait import QueueWait

# Rows kept per group and per user: a thousand a minute for an hour.
MAX_ROWS = 60_000

_DEFAULT = Thresholds()


class QueueStats:
    """Figures of a sliding window, or since midnight, updated by call events.

    - ``window``: length of the sliding window, in seconds.
    - ``service_level``, ``short_abandon``, ``bands``: as in ``Thresholds``, in seconds.
    - ``calls``: the calls that are active already, such as ``client.calls.values()``.
    - ``since_midnight``: a time zone. The window then starts at the last midnight of that zone,
      and ``window`` has no effect. ``None``: the window slides.
    - ``by``: the time of a row that decides if it lies in the window: the ``"start"`` or the
      ``"end"`` of the wait, or of the agent's part of the call. By ``"start"``, a sliding window
      also has the rows that started before it and have not ended, or ended in it.
    - ``wrap_up``: wrap-up time that is added for each call handled, in seconds.
    - ``max_rows``: rows kept per group and per user; the oldest are dropped first.

    Memory is bounded by the active calls and the rows of the window.
    """

    def __init__(
        self,
        window: float = 3600,
        service_level: float = _DEFAULT.service_level,
        *,
        calls: Iterable[Call] = (),
        short_abandon: float = _DEFAULT.short_abandon,
        bands: Iterable[float] = _DEFAULT.bands,
        since_midnight: tzinfo | None = None,
        by: RowTime = "start",
        wrap_up: float = 0,
        max_rows: int = MAX_ROWS,
    ) -> None:
        check_seconds("window", window)
        check_instance("since_midnight", since_midnight, tzinfo, "a tzinfo", optional=True)
        check_choice("by", by, ("start", "end"))
        check_seconds("wrap_up", wrap_up, at_least=0)
        check_integer("max_rows", max_rows)
        self.window = window
        """Length of the sliding window, in seconds."""
        self.since_midnight = since_midnight
        """Time zone whose last midnight starts the window; ``None``: the window slides."""
        self.thresholds: Thresholds = Thresholds(
            service_level=service_level, short_abandon=short_abandon, bands=bands
        )
        """Thresholds of the figures of queues."""
        self.wrap_up = wrap_up
        """Wrap-up time that is added for each call handled, in seconds."""
        self._rows = CountedRows(by, max_rows, slides=since_midnight is None)
        self._active: dict[str, Call] = {}
        # Active calls that changed since their rows were computed.
        self._changed: dict[str, Call] = {}
        # Ends of the last two calls: a single wrong time must not empty the window.
        self._last_ends: deque[int] = deque(maxlen=2)
        # Start of the window when all rows before it were dropped.
        self._swept: float = 0
        self.restart(calls)

    def __repr__(self) -> str:
        zone = self.since_midnight
        window = f"{self.window} s" if zone is None else f"since midnight in {zone}"
        return f"<QueueStats {window}, {len(self._active)} active calls>"

    @property
    def by(self) -> RowTime:
        """Time of a row that decides if it lies in the window: ``"start"`` or ``"end"``."""
        return self._rows.by

    @property
    def service_level(self) -> float:
        """Longest wait that counts as within the service level, in seconds."""
        return self.thresholds.service_level

    @property
    def groups(self) -> set[int]:
        """Ids of the groups that have figures."""
        self._refresh()
        return self._rows.groups

    @property
    def users(self) -> set[int]:
        """Ids of the users that have figures."""
        self._refresh()
        return self._rows.users

    @property
    def active_calls(self) -> int:
        """Number of active calls that the figures follow."""
        return len(self._active)

    def apply(self, events: Iterable[CallEvent]) -> None:
        """Update the figures with call events, in their order."""
        for event in events:
            call = event.call
            if isinstance(event, CallEnded):
                self._active.pop(call.id, None)
                self._changed.pop(call.id, None)
                self._rows.replace(call)
                self._note_end(call)
            else:
                self._active[call.id] = self._changed[call.id] = call

    def restore(
        self,
        call_id: str,
        waits: Iterable[QueueWait],
        participations: Iterable[Participation],
    ) -> None:
        """Count the rows of a call that has ended, from a call log.

        A call counts once, also if the events reported its end, too.
        """
        self._rows.restore(call_id, waits, participations)

    def restart(self, calls: Iterable[Call]) -> None:
        """Take ``calls`` as the active calls, after a ``Lagged`` item or a late start.

        Pass ``client.calls.values()``. The figures so far stay. The end of a call that is not
        among ``calls`` was lost: if it waited, its wait counts as ``unknown``. If an event reports
        the end after all, that event counts.
        """
        self._refresh()
        self._active = {call.id: call for call in calls if call.ended is None}
        self._rows.lose(self._active)
        self._changed = {**self._active}

    def group(self, group_id: int, now: int) -> QueueFigures:
        """Return a group's figures at ``now``, in microseconds since the epoch."""
        start = self._start_of_window(now)
        return QueueFigures.of_tallies(
            self._rows.queue(group_id).since(start),
            self._rows.served(group_id).since(start),
            self.waiting_since(group_id),
            thresholds=self.thresholds,
            wrap_up=self.wrap_up,
            now=now,
        )

    def waiting(self, group_id: int) -> list[tuple[int, str]]:
        """Return time of entry and call id of each call that waits in a queue, longest wait first.

        Times are in microseconds since the epoch.
        """
        self._refresh()
        waits = self._rows.waiting.get(group_id, {})
        return sorted((entered, str(key[0])) for key, entered in waits.items())

    def waits(self, group_id: int, now: int) -> list[QueueWait]:
        """Return the waits of a queue that lie in the window at ``now``, in microseconds.

        Waits of purpose ``call`` only, in the order of their times.
        """
        start = self._start_of_window(now)
        rows = self._rows.queue(group_id)
        rows.expire(start)
        return [row for row in rows if row.group_id == group_id]

    def window_start(self, now: int) -> int:
        """Return the start of the window at ``now``, both in microseconds since the epoch."""
        return int(self._start_of_window(now))

    def user(self, user_id: int, now: int, *, group_id: int | None = None) -> AgentFigures:
        """Return a user's figures at ``now``, in microseconds since the epoch.

        ``group_id``: only calls that this group's queue offered; ``None``: all calls.
        """
        start = self._start_of_window(now)
        rows = self._rows.agent(user_id)
        tally = rows.since(start)
        if group_id is not None:
            return AgentFigures.of(rows, group_id=group_id, wrap_up=self.wrap_up)
        figures: AgentFigures | None = rows.summary
        if figures is None:
            figures = rows.summary = AgentFigures.of_sums(tally, wrap_up=self.wrap_up)
        return figures

    def waiting_since(self, group_id: int | None = None) -> list[int]:
        """Return the times of entry of the calls that wait now, in microseconds, in no order.

        ``group_id``: only those in this group's queue; ``None``: all queues.
        """
        self._refresh()
        waiting = self._rows.waiting
        if group_id is not None:
            return [*waiting.get(group_id, {}).values()]
        return [entered for queue in waiting.values() for entered in queue.values()]

    def answered_in_time(self, now: int, group_id: int | None = None) -> tuple[int, int]:
        """Return the number of waits answered within the service level, and of those that ended.

        Their quotient is ``service_level_of_offered``. ``group_id``: of this group's queue;
        ``None``: of all queues together.
        """
        start = self._start_of_window(now)
        threshold = round(self.service_level * SECOND)
        counts = [
            one.since(start).in_time_and_ended(threshold) for one in self._rows.queues(group_id)
        ]
        return sum(in_time for in_time, _ in counts), sum(ended for _, ended in counts)

    def next_expiry(self, group_id: int | None = None) -> int | None:
        """Return the time from which on one row less is in a sliding window, in microseconds.

        ``group_id``: of this group's queue; ``None``: of any queue. ``None`` is returned if no row
        is left, or if the window does not slide.
        """
        if self.since_midnight is not None:
            return None
        self._refresh()
        times = [one.first_time for one in self._rows.queues(group_id)]
        first = min((time for time in times if time is not None), default=LASTS)
        return None if first == LASTS else first + round(self.window * SECOND) + 1

    def _start_of_window(self, now: int) -> float:
        """Return the start of the window at ``now``, and bring the rows up to date."""
        start = now - self.window * SECOND
        if self.since_midnight is not None:
            start = _midnight(now, self.since_midnight)
        self._refresh()
        self._sweep(start)
        return start

    def _refresh(self) -> None:
        """Compute the rows of the active calls that have changed."""
        for call in self._changed.values():
            self._rows.replace(call)
        self._changed.clear()

    def _note_end(self, call: Call) -> None:
        """Drop old rows also in a program that asks for no figures."""
        if call.ended is not None:
            self._last_ends.append(call.ended)
            seconds = self.window if self.since_midnight is None else LONGEST_DAY
            self._sweep(min(self._last_ends) - seconds * SECOND)

    def _sweep(self, start: float) -> None:
        """Drop all rows before ``start``, unless that was done within the last minute."""
        if abs(start - self._swept) >= 60 * SECOND:
            self._swept = start
            self._rows.expire(start)


def _midnight(now: int, zone: tzinfo) -> int:
    """Return the last midnight in a time zone, in microseconds since the epoch."""
    time = moment(now)
    if time is None:
        raise UsageError(f"now must be microseconds since the epoch, got {now!r}")
    # Where the clock is set back over midnight, the day starts at the first of the two.
    midnight = time.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return now - (time - midnight.astimezone(UTC)) // timedelta(microseconds=1)
