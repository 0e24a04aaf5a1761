"""Results of waits, as series, legend and columns of several sections."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from basix_ws_cti._internal.translation import _
from basix_ws_cti.calls import QueueFigures
from basix_ws_cti.reports.charts import Series
from basix_ws_cti.reports.tables import Column, Value

from .parts import Key

_BOX = Markup('<rect class="{style}" x="1" y="1" width="18" height="12"/>')


def box(style: str, text: str) -> Key:
    """Return an entry of a legend for shapes of a CSS class."""
    return Key(text=text, shape=_BOX.format(style=style))


def other_ends(figures: QueueFigures) -> int:
    """Return the number of waits that were neither answered nor abandoned."""
    return figures.offered - figures.answered - figures.abandoned


def result_series(figures: Sequence[QueueFigures]) -> list[Series]:
    """Return the series of answered, abandoned and other waits."""
    answered = [one.answered for one in figures]
    abandoned = [one.abandoned for one in figures]
    return [
        Series(name=_("answered"), style="answered", values=answered),
        Series(name=_("abandoned"), style="abandoned", values=abandoned),
        Series(name=_("other end"), style="other", values=[other_ends(one) for one in figures]),
    ]


def result_legend() -> list[Key]:
    """Return the legend of ``result_series``."""
    return [
        box("answered", _("answered")),
        box("abandoned", _("abandoned")),
        box("other", _("other end")),
    ]


def result_columns() -> list[Column]:
    """Return the columns of ``result_values``."""
    return [
        Column(key="offered", heading=_("Offered"), kind="integer"),
        Column(key="answered", heading=_("Answered"), kind="integer"),
        Column(key="abandoned", heading=_("Abandoned"), kind="integer"),
        Column(key="abandon_rate", heading=_("Abandon rate"), kind="rate"),
        Column(key="other", heading=_("Other end"), kind="integer"),
    ]


def result_values(figures: QueueFigures) -> list[Value]:
    """Return the values of ``result_columns``."""
    return [
        figures.offered,
        figures.answered,
        figures.abandoned,
        figures.abandon_rate,
        other_ends(figures),
    ]
