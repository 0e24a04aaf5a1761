"""Headline figures of the wallboard: the most important numbers of all queues and users.

The definitions of docs/explanation/figures.md apply. A display shows the figures in this order,
each with its title, text, and a bar or sparkline.
"""

from __future__ import annotations

from collections.abc import Collection

from attrs import frozen

from basix_ws_cti._internal.translation import N_, _

from .durations import format_duration
from .limits import BoardLimits, Level
from .queues import QueueTotals
from .trend import Trend
from .users import UserState

# Number of waiting calls from which on their sparkline has its full height, even if it never was
# higher: one waiting call is not to look like an emergency.
_FULL_HEIGHT_CALLS = 5

_MICROSECONDS = 1_000_000  # per second

_UNKNOWN = "-"


@frozen
class FigureDefinition:
    """Titles and meaning of a headline figure, in English; ``_`` translates them."""

    short_title: str
    """Title of at most 9 columns, for a narrow display."""

    title: str
    """Full title."""

    meaning: str
    """Definition, in one sentence without a full stop."""


FIGURES: dict[str, FigureDefinition] = {
    "waiting": FigureDefinition(
        N_("Waiting"), N_("Waiting calls"), N_("calls that wait in a queue now")
    ),
    "longest_wait": FigureDefinition(
        N_("Longest"), N_("Longest wait"), N_("longest wait of the calls that wait now")
    ),
    "talking": FigureDefinition(
        N_("Talking"), N_("Talking users"), N_("users who talk, or are in a conference")
    ),
    "free": FigureDefinition(
        N_("Free"), N_("Free users"), N_("users with a registered phone and no call")
    ),
    "service_level": FigureDefinition(
        N_("In time"),
        N_("Service level"),
        N_("calls answered within {seconds:g} s, divided by calls whose wait ended"),
    ),
    "answered": FigureDefinition(
        N_("Answered"),
        N_("Answered of offered"),
        N_("queue calls answered, of those offered; calls that still wait are included"),
    ),
    "abandoned": FigureDefinition(
        N_("Abandoned"),
        N_("Abandoned"),
        N_("callers who hung up in a queue, and their share of the calls whose wait ended"),
    ),
    "average_answer": FigureDefinition(
        N_("ASA"),
        N_("Speed of answer (ASA)"),
        N_("average wait of the calls answered"),
    ),
}
"""Definition of each headline figure, by its name, in display order."""


@frozen
class Figure:
    """Headline figure at one moment."""

    name: str
    """Key in ``FIGURES``."""

    text: str
    """Value as text, such as ``0:17`` or ``10/14``."""

    number: float | None
    """Value: a count, a duration in microseconds, or a share from 0 to 1; ``None`` if there is
    nothing to compute it from."""

    level: Level | None = None
    """Level of a wait; ``None`` for a figure without limits."""

    share: float | None = None
    """Length of the figure's bar, from 0 to 1; ``None`` if it has no bar."""

    history: tuple[float | None, ...] = ()
    """Past values and the present one, oldest first, for a sparkline: of ``share`` if the figure
    has a bar, else of ``number``. ``None`` where the value was unknown."""

    full_height: float = 1
    """Value at which the sparkline has its full height."""


def headline_figures(
    totals: QueueTotals,
    users: Collection[UserState],
    trend: Trend,
    limits: BoardLimits,
    now: int,
) -> tuple[Figure, ...]:
    """Return the headline figures at ``now`` (microseconds), in the order of ``FIGURES``."""
    talking = sum(user.is_talking for user in users)
    free = sum(user.is_free for user in users)
    offered, answered, average = totals.offered, totals.answered, totals.average_answer
    abandoned = str(totals.abandoned)
    if totals.abandon_rate is not None:
        abandoned = f"{totals.abandoned} ({totals.abandon_rate:.0%})"

    longest = totals.longest_wait
    wait_level = limits.wait.level(longest) if totals.waiting else "ok"

    def counted(
        name: str, text: str, number: float | None, full_height: float, level: Level | None = None
    ) -> Figure:
        history = (*trend.values(name, now), number)
        full_height = max(full_height, *(value or 0 for value in history))
        return Figure(name, text, number, level, history=history, full_height=full_height)

    def shared(name: str, text: str, number: float | None, share: float | None) -> Figure:
        history = (*trend.values(name, now), share)
        return Figure(name, text, number, share=share or 0, history=history)

    return (
        counted("waiting", str(totals.waiting), totals.waiting, _FULL_HEIGHT_CALLS, wait_level),
        counted(
            "longest_wait",
            format_duration(longest) if totals.waiting else _UNKNOWN,
            longest,
            limits.wait.alarm * _MICROSECONDS,
            wait_level,
        ),
        counted("talking", str(talking), talking, max(1, len(users))),
        counted("free", str(free), free, max(1, len(users))),
        shared(
            "service_level",
            _percent(totals.service_level),
            totals.service_level,
            totals.service_level,
        ),
        shared(
            "answered", f"{answered}/{offered}", answered, answered / offered if offered else None
        ),
        shared("abandoned", abandoned, totals.abandoned, totals.abandon_rate),
        counted(
            "average_answer",
            _UNKNOWN if average is None else format_duration(average),
            average,
            limits.answer.alarm * _MICROSECONDS,
            None if average is None else limits.answer.level(average),
        ),
    )


def sample(figures: Collection[Figure]) -> dict[str, float | None]:
    """Return the present value of each figure's sparkline, by name."""
    return {figure.name: figure.history[-1] for figure in figures}


def figure_meaning(name: str, service_level: float) -> str:
    """Return the definition of a figure; ``service_level`` is the threshold in seconds."""
    return _(FIGURES[name].meaning).format(seconds=service_level)


def _percent(share: float | None) -> str:
    return _UNKNOWN if share is None else f"{share:.0%}"
