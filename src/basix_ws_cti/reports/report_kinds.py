"""Table of a report, by its kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar, get_args
from zoneinfo import ZoneInfo

from basix_ws_cti._internal.arguments import check_choice

from .call_columns import call_table
from .intervals import By
from .reports import Reports
from .row_tables import (
    agent_table,
    callback_table,
    first_contact_table,
    number_table,
    outbound_table,
    queue_table,
    repeat_caller_table,
    volume_table,
)
from .selected_intervals import selected_rows
from .selection import Selection
from .tables import Table

ReportKind = Literal[
    "queues",
    "agents",
    "agents-by-queue",
    "calls",
    "callbacks",
    "repeat-callers",
    "first-contact",
    "outbound",
    "numbers",
    "volumes",
]
"""Kind of a report."""

R = TypeVar("R")

REPORT_KINDS: tuple[str, ...] = get_args(ReportKind)
"""All kinds of reports."""


def report_table(
    reports: Reports, kind: ReportKind, selection: Selection, by: By | None = None
) -> Table:
    """Return the table of a report.

    - ``by``: length of the intervals; ``None``: one interval, the period. Reports other than
      ``queues``, ``agents``, ``agents-by-queue`` and ``volumes`` have no intervals. Intervals
      without a selected weekday or hour are left out.

    The rows of ``calls`` are read from the database while the table is iterated over. Raise
    ``UsageError`` for arguments that cannot work, and ``CallLogError`` if the database cannot be
    read.
    """
    check_choice("kind", kind, REPORT_KINDS)
    return _TABLES[kind](reports, selection, by)


def _queues(reports: Reports, selection: Selection, by: By | None) -> Table:
    rows = selected_rows(reports.queues(selection, by), by, selection)
    return queue_table(rows, selection.period.timezone, by, target=reports.target)


def _agents(reports: Reports, selection: Selection, by: By | None) -> Table:
    rows = selected_rows(reports.agents(selection, by), by, selection)
    return agent_table(rows, selection.period.timezone, by)


def _agents_by_queue(reports: Reports, selection: Selection, by: By | None) -> Table:
    rows = selected_rows(reports.agents(selection, by, by_group=True), by, selection)
    return agent_table(rows, selection.period.timezone, by, by_group=True)


def _volumes(reports: Reports, selection: Selection, by: By | None) -> Table:
    rows = selected_rows(reports.volumes(selection, by), by, selection)
    return volume_table(rows, selection.period.timezone, by)


def _without_intervals(
    rows: Callable[[Reports, Selection], R], make: Callable[[R, ZoneInfo], Table]
) -> Callable[[Reports, Selection, By | None], Table]:
    """Return a function that makes the table of a report without intervals."""
    return lambda reports, selection, _by: make(rows(reports, selection), selection.period.timezone)


_TABLES: dict[ReportKind, Callable[[Reports, Selection, By | None], Table]] = {
    "queues": _queues,
    "agents": _agents,
    "agents-by-queue": _agents_by_queue,
    "volumes": _volumes,
    "calls": _without_intervals(Reports.calls, call_table),
    "callbacks": _without_intervals(Reports.callbacks, callback_table),
    "repeat-callers": _without_intervals(Reports.repeat_callers, repeat_caller_table),
    "first-contact": _without_intervals(Reports.first_contact, first_contact_table),
    "outbound": _without_intervals(Reports.outbound, outbound_table),
    "numbers": _without_intervals(Reports.numbers, number_table),
}
