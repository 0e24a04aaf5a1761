"""Rows that the page shows, from the reports of a call log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from attrs import frozen

from basix_ws_cti.calls import QueueFigures, Thresholds
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.reports.intervals import By, split
from basix_ws_cti.reports.reports import Reports
from basix_ws_cti.reports.rows import AgentRow, GapRow, HeatCell, QueueRow, VolumeRow
from basix_ws_cti.reports.selected_intervals import is_selected
from basix_ws_cti.reports.selection import Selection

from .wording import queue_name

MAX_INTERVALS = 366
"""Largest number of intervals of the page: more make no readable chart, and a large file."""

_LONGER: dict[By, By] = {
    "15min": "30min",
    "30min": "hour",
    "hour": "day",
    "day": "week",
    "week": "month",
}

_DAY = 86_400_000_000

# Length of the intervals by default, and the longest period in microseconds that it is used for.
_DEFAULTS: tuple[tuple[By, int], ...] = (
    ("hour", 2 * _DAY),
    ("day", 45 * _DAY),
    ("week", 190 * _DAY),
)


@frozen(kw_only=True)
class PageRows:
    """Rows and options of the page."""

    selection: Selection
    """Rows that the report counts."""
    thresholds: Thresholds
    """Thresholds of the figures of queues."""
    target: float
    """Service level to reach, 0 to 1."""
    wrap_up: float
    """Wrap-up time for each call handled, in seconds."""
    created: datetime
    """Time at which the report was made."""
    by: By
    """Length of the intervals."""
    wanted: By | None
    """Length of the intervals that was asked for, if these are too many for a page."""
    total: QueueFigures
    """Figures of all queues in the period."""
    intervals: Sequence[QueueRow]
    """Figures of all queues in each interval."""
    queues: Sequence[QueueRow]
    """Figures of each queue in the period."""
    heat: Sequence[HeatCell]
    """Waits by weekday and hour."""
    agents: Sequence[AgentRow]
    """Figures of each agent in the period."""
    volumes: Sequence[VolumeRow]
    """Numbers of calls by direction, and of all calls."""
    gaps: Sequence[GapRow]
    """Gaps in the feed within the period."""
    group_names: Sequence[str]
    """Names of the selected groups; empty: all groups."""


def read_rows(
    reports: Reports, selection: Selection, *, by: By | None, created: datetime
) -> PageRows:
    """Return the rows of a page from the reports; the parameters are those of ``render_page``.

    Raises ``UsageError`` for a period of more than 366 months.
    """
    wanted = by or _default_interval(selection)
    used = wanted
    while len(split(selection.period, used)) > MAX_INTERVALS:
        if used not in _LONGER:
            raise UsageError(
                f"the period has more than {MAX_INTERVALS} months, the most that a page shows: "
                "choose a shorter period"
            )
        used = _LONGER[used]
    total, *queues = reports.queues(selection)
    return PageRows(
        selection=selection,
        thresholds=reports.thresholds,
        target=reports.target,
        wrap_up=reports.wrap_up,
        created=created,
        by=used,
        wanted=None if used == wanted else wanted,
        total=total.figures,
        intervals=_shown_intervals(reports.queues(selection, used), used, selection),
        queues=queues,
        heat=list(reports.heat_map(selection)),
        agents=[row for row in reports.agents(selection) if row.user_id is not None],
        volumes=list(reports.volumes(selection)),
        gaps=list(reports.gaps(selection)),
        group_names=[queue_name(row) for row in queues] if selection.groups else [],
    )


def _default_interval(selection: Selection) -> By:
    length = selection.period.end_us - selection.period.start_us
    return next((by for by, longest in _DEFAULTS if length <= longest), "month")


def _shown_intervals(rows: Iterable[QueueRow], by: By, selection: Selection) -> list[QueueRow]:
    """Return the rows of all queues, without hours before the first and after the last call."""
    shown = [row for row in rows if row.group_id is None and is_selected(row, by, selection)]
    busy = [index for index, row in enumerate(shown) if row.figures.offered]
    if busy and by not in {"day", "week", "month"}:
        return shown[busy[0] : busy[-1] + 1]
    return shown
