"""Figures as text, and names of queues and agents."""

from __future__ import annotations

from basix_ws_cti._internal.translation import _
from basix_ws_cti.board.durations import format_duration
from basix_ws_cti.reports.rows import AgentRow, QueueRow

NO_VALUE = "–"
"""Text of a figure that does not exist, such as the average of no calls."""


def count_text(count: float) -> str:
    """Return a number of calls as text."""
    return f"{count:,.0f}"


def rate_text(rate: float | None, target: float | None = None) -> str:
    """Return a rate as text, with one decimal.

    A rate below ``target`` is not shown as equal to it: with a target of 80 %, the text for
    79.96 % is ``79.9%``.
    """
    if rate is None:
        return NO_VALUE
    text = f"{rate:.1%}"
    if target is not None and rate < target and text == f"{target:.1%}":
        return f"{max(0, target - 0.001):.1%}"
    return text


def short_rate(rate: float) -> str:
    """Return a rate as text, without a decimal that is 0."""
    return f"{round(100 * rate, 1):g}%"


def duration_text(microseconds: int | None) -> str:
    """Return a duration as text."""
    return NO_VALUE if microseconds is None else format_duration(microseconds)


def queue_name(row: QueueRow) -> str:
    """Return the name of a queue, or its id if no name is known."""
    return row.group_name or _("queue {id}").format(id=row.group_id)


def agent_name(row: AgentRow) -> str:
    """Return the name of an agent, or the id if no name is known."""
    return row.user_name or _("agent {id}").format(id=row.user_id)
