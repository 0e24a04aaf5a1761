"""State document: everything that a page shows at one moment, JSON-ready.

Its fields are listed in docs/reference/web.md. A document has no durations, so that equal states
give equal documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Factory, define, frozen

from basix_ws_cti.board.labels import Labels
from basix_ws_cti.board.level_tracker import LevelTracker
from basix_ws_cti.board.limits import BoardLimits, Level, Limits, ShareLimits
from basix_ws_cti.board.model import BoardState
from basix_ws_cti.board.queues import QueueState, QueueTotals
from basix_ws_cti.calls import QueueStats

from .limit_set import LimitSet
from .masking import MaskedLabels
from .quarter_hours import day_bars
from .rows import Row, RowBuilder, to_milliseconds, to_seconds
from .selected import Selected, select
from .view_key import ViewKey

Document = dict[str, Any]
"""State document, without ``seq`` and ``time``."""

TABLES = ("queues", "agents", "calls", "parked")
"""Names of the tables, whose rows are sent one by one."""

DAY_INTERVAL = 10.0
"""Least time between two updates of the bars of the day, in seconds."""


@frozen(eq=False)
class Moment:
    """State of the board, and what all documents of this moment have in common."""

    state: BoardState
    """State of queues, users and calls."""

    stats: QueueStats
    """Figures of queues and users."""

    mirror: Any
    """Mirror of the PBX."""

    members: Mapping[Any, list[Any]]
    """Ids of the groups of each user."""

    queue_levels: Mapping[int | str, Mapping[str, Level | None]]
    """Levels of the figures of each queue."""

    limits: LimitSet
    """Limits of all queues together and of single queues."""

    drawn_at: float
    """Time of the event loop, in seconds."""


@define(eq=False)
class DocumentBuilder:
    """Builder of the documents of one view. It keeps its levels, and the bars of its day."""

    key: ViewKey
    """Parameters of the view."""

    _levels: LevelTracker = Factory(LevelTracker)
    _bars: list[dict[str, int]] = Factory(list)
    _bars_made_at: float = 0.0

    def build(self, moment: Moment) -> Document:
        """Return figures, tables and bars of a moment, in the language of the current context."""
        labels_type = MaskedLabels if self.key.is_masked else Labels
        builder = RowBuilder(
            state=moment.state,
            stats=moment.stats,
            labels=labels_type(moment.mirror),
            limits=moment.limits.general,
            members=moment.members,
            with_commands=self.key.with_commands,
        )
        selected = select(moment.state, self.key, moment.members)
        return {
            "figures": self._figures(selected, moment),
            "queues": _queue_rows(builder, selected, moment),
            "agents": {str(user.key): builder.agent(user) for user in selected.users},
            "calls": {call.id: builder.call(call) for call in selected.calls},
            "parked": {
                key: row
                for key, row, parker in builder.parked()
                if selected.has_parked(row["call"], parker)
            },
            "day": self._day(selected, moment),
        }

    def _day(self, selected: Selected, moment: Moment) -> list[dict[str, int]]:
        if not self._bars or moment.drawn_at - self._bars_made_at >= DAY_INTERVAL:
            self._bars = day_bars(moment.stats, selected.queues, moment.state.now)
            self._bars_made_at = moment.drawn_at
        return self._bars

    def _figures(self, selected: Selected, moment: Moment) -> dict[str, Row]:
        totals = QueueTotals.of(selected.queues)
        limits = moment.limits.general
        longest = totals.longest_wait if totals.waiting else None
        since = None if longest is None else to_milliseconds(moment.state.now - longest)
        wait_level = self._level("longest_wait", longest, limits.wait) or "ok"
        average = totals.average_answer
        wait_limits = _in_seconds(limits.wait)
        return {
            "waiting": _figure(totals.waiting, level=wait_level),
            "longest_wait": _figure(None, since=since, level=wait_level, limits=wait_limits),
            "talking": _figure(sum(user.is_talking for user in selected.users)),
            "free": _figure(sum(user.is_free for user in selected.users)),
            "service_level": self._share("service_level", totals.service_level, limits),
            "offered": _figure(totals.offered),
            "answered": _figure(totals.answered),
            "abandoned": _figure(totals.abandoned),
            "abandon_rate": self._share("abandon_rate", totals.abandon_rate, limits),
            "average_answer": _figure(
                to_seconds(average),
                level=self._level("average_answer", average, limits.answer),
                limits=_in_seconds(limits.answer),
            ),
        }

    def _share(self, name: str, value: float | None, limits: BoardLimits) -> Row:
        pair: ShareLimits = getattr(limits, name)
        level = self._level(name, value, pair)
        return _figure(value, level=level, limits=[pair.warning, pair.alarm])

    def _level(self, name: str, value: float | None, limits: Limits | ShareLimits) -> Level | None:
        return self._levels.update(name, value, limits)


@define(eq=False)
class QueueLevels:
    """Levels of the figures of each queue, with hysteresis."""

    _tracker: LevelTracker = Factory(LevelTracker)

    def update(
        self, queues: Mapping[int | str, QueueState], limits: LimitSet
    ) -> dict[int | str, dict[str, Level | None]]:
        """Return the levels of each queue by the names of its figures."""
        found = {key: self._of(key, queue, limits.of(key)) for key, queue in queues.items()}
        self._tracker.keep_only((key, name) for key in found for name in found[key])
        return found

    def _of(
        self, key: int | str, queue: QueueState, limits: BoardLimits
    ) -> dict[str, Level | None]:
        figures, update = queue.figures, self._tracker.update
        longest = queue.longest_wait if queue.waiting else None
        wait = update((key, "longest_wait"), longest, limits.wait)
        level = figures.service_level_of_offered
        return {
            "waiting": wait,
            "longest_wait": wait,
            "service_level": update((key, "service_level"), level, limits.service_level),
            "abandon_rate": update(
                (key, "abandon_rate"), figures.abandon_rate, limits.abandon_rate
            ),
            "average_answer": update(
                (key, "average_answer"), figures.average_answer, limits.answer
            ),
        }


def members_by_user(mirror: Any) -> dict[Any, list[Any]]:
    """Return the ids of the groups of each user, each once, in the order in which the user joined.

    A user may have several memberships in one group.
    """
    groups: dict[Any, dict[Any, None]] = {}
    for member in mirror.group_members.values():
        if isinstance(member.user_id, int | str) and isinstance(member.group_id, int | str):
            groups.setdefault(member.user_id, {})[member.group_id] = None
    return {user: [*ids] for user, ids in groups.items()}


def _queue_rows(builder: RowBuilder, selected: Selected, moment: Moment) -> dict[str, Row]:
    agents: dict[Any, list[str]] = {}
    for user in selected.users:
        for group in moment.members.get(user.key, ()):
            agents.setdefault(group, []).append(str(user.key))
    rows = {}
    for key, queue in selected.queues.items():
        row = builder.queue(key, queue, moment.queue_levels[key])
        rows[str(key)] = {**row, "agents": agents.get(key, [])}
    return rows


def _figure(
    value: float | None,
    *,
    since: int | None = None,
    level: Level | None = None,
    limits: list[float] | None = None,
) -> Row:
    return {"value": value, "since": since, "level": level, "limits": limits}


def _in_seconds(limits: Limits) -> list[float]:
    return [limits.warning, limits.alarm]
