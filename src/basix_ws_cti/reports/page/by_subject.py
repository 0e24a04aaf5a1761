"""Sections of the page with figures of the period: waits, queues, agents, and all calls."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from basix_ws_cti._internal.translation import _
from basix_ws_cti.board.call_lines import DIRECTIONS
from basix_ws_cti.board.text import cell_text
from basix_ws_cti.calls import Band, QueueFigures
from basix_ws_cti.reports import charts
from basix_ws_cti.reports.charts import Axis, Chart, Series
from basix_ws_cti.reports.rows import AgentRow, VolumeRow
from basix_ws_cti.reports.tables import Column, Value

from .content import PageRows
from .parts import Section, text_table
from .results import box, result_columns, result_legend, result_series, result_values
from .wording import agent_name, count_text, duration_text, queue_name, rate_text

MAX_BARS = 15
"""Largest number of bars in a chart of queues or agents; the table has more."""

MAX_ROWS = 200
"""Largest number of queues and of agents on the page."""


def waits_section(rows: PageRows) -> Section:
    """Return the waits by their duration."""
    total = rows.total
    lead = _("No call was answered.")
    if total.service_level_of_answered is not None:
        lead = _(
            "{share} of the calls answered waited at most {seconds:g} s. The longest wait of all "
            "calls was {longest}."
        ).format(
            share=rate_text(total.service_level_of_answered),
            seconds=rows.thresholds.service_level,
            longest=duration_text(total.maximum_wait),
        )
    chart = Chart(
        id="waits-chart",
        title=_("Waits in the queue"),
        description=lead,
        unit=_("calls"),
        text_of=count_text,
    )
    labels = [_band_name(band) for band in total.bands]
    heading = _("Wait in seconds")
    axis = Axis(title=heading, labels=labels, names=labels, steps=(1, 2, 4, 8))
    answered = [band.answered for band in total.bands]
    abandoned = [band.abandoned for band in total.bands]
    series = [
        Series(name=_("answered"), style="answered", values=answered),
        Series(name=_("abandoned"), style="abandoned", values=abandoned),
    ]
    so_far = [sum(answered[: index + 1]) for index in range(len(answered))]
    shares = [number / total.answered if total.answered else None for number in so_far]
    return Section(
        id="waits",
        title=chart.title,
        lead=lead,
        chart=Markup(charts.stacked_columns(chart, axis, series)),  # noqa: S704 - of escaped texts
        legend=result_legend()[:2],
        table=text_table(
            chart.title,
            [
                Column(key="wait", heading=heading),
                Column(key="answered", heading=_("Answered"), kind="integer"),
                Column(key="share", heading=_("Share answered by then"), kind="rate"),
                Column(key="abandoned", heading=_("Abandoned"), kind="integer"),
            ],
            zip(labels, answered, shares, abandoned, strict=True),
            [_("Total"), sum(answered), None, sum(abandoned)],
        ),
    )


def queues_section(rows: PageRows) -> Section:
    """Return the figures of each queue, the busiest first."""
    queues = sorted(rows.queues, key=lambda row: -row.figures.offered)
    lead = _("Queues with calls: {count}. The busiest is first.").format(
        count=count_text(sum(row.figures.offered > 0 for row in queues))
    )
    chart = Chart(
        id="queues-chart",
        title=_("Queues"),
        description=lead,
        unit=_("calls"),
        text_of=count_text,
    )
    shown = queues[:MAX_BARS]
    svg = charts.bars(
        chart,
        [cell_text(queue_name(row)) for row in shown],
        [count_text(row.figures.offered) for row in shown],
        result_series([row.figures for row in shown]),
    )

    def values(name: str, figures: QueueFigures) -> list[Value]:
        return [
            name,
            *result_values(figures)[:-1],
            figures.service_level_of_offered,
            figures.average_answer,
            figures.maximum_wait,
            figures.average_handle,
        ]

    return Section(
        id="queues",
        title=chart.title,
        lead=lead,
        chart=Markup(svg),  # noqa: S704 - of escaped texts
        legend=result_legend(),
        table=text_table(
            chart.title,
            [
                Column(key="queue", heading=_("Queue")),
                *result_columns()[:-1],
                Column(key="service_level", heading=_("Service level"), kind="rate"),
                Column(key="average_answer", heading=_("ASA"), kind="duration"),
                Column(key="maximum_wait", heading=_("Longest wait"), kind="duration"),
                Column(key="average_handle", heading=_("AHT"), kind="duration"),
            ],
            (values(queue_name(row), row.figures) for row in queues[:MAX_ROWS]),
            values(_("All queues"), rows.total),
        ),
        is_table_wide=True,
        note=_shown_of(len(queues)),
    )


def agents_section(rows: PageRows) -> Section:
    """Return the figures of each agent, the one with the most calls handled first."""
    agents = sorted(rows.agents, key=lambda row: (-row.figures.handled, -row.figures.offered))
    lead = _("No agent had a call.")
    if agents:
        lead = _("Agents with calls: {count}. The one who handled the most is first.").format(
            count=count_text(len(agents))
        )
    chart = Chart(
        id="agents-chart",
        title=_("Agents"),
        description=lead,
        unit=_("calls"),
        text_of=count_text,
    )
    shown = agents[:MAX_BARS]
    svg = charts.bars(
        chart,
        [cell_text(agent_name(row)) for row in shown],
        [_("handled: {count}").format(count=count_text(row.figures.handled)) for row in shown],
        _agent_series(shown),
    )
    return Section(
        id="agents",
        title=chart.title,
        lead=lead,
        chart=Markup(svg if agents else ""),  # noqa: S704 - of escaped texts
        legend=[
            box("answered", _("answered")),
            box("other", _("placed and answered")),
            box("abandoned", _("missed")),
        ],
        table=text_table(
            chart.title,
            [
                Column(key="agent", heading=_("Agent")),
                Column(key="offered", heading=_("Offered"), kind="integer"),
                Column(key="answered", heading=_("Answered"), kind="integer"),
                Column(key="missed", heading=_("Missed"), kind="integer"),
                Column(key="placed", heading=_("Placed"), kind="integer"),
                Column(key="placed_answered", heading=_("Placed and answered"), kind="integer"),
                Column(key="handled", heading=_("Handled"), kind="integer"),
                Column(key="talked", heading=_("Talk time"), kind="duration"),
                Column(key="average_handle", heading=_("AHT"), kind="duration"),
            ],
            map(_agent_values, agents[:MAX_ROWS]),
        ),
        is_table_wide=True,
        note=_shown_of(len(agents)),
    )


def calls_section(rows: PageRows) -> Section:
    """Return all calls, also those without a queue, by direction and result."""
    by_direction = {row.direction: row for row in rows.volumes}
    shown = [by_direction[direction] for direction in DIRECTIONS]
    lead = _("All calls of the period, also those that entered no queue: {count}.").format(
        count=count_text(by_direction[None].calls)
    )
    chart = Chart(
        id="calls-chart",
        title=_("Calls by direction and result"),
        description=lead,
        unit=_("calls"),
        text_of=count_text,
    )
    names = [_(word).capitalize() for word in DIRECTIONS.values()]
    parts = [_parts(row) for row in shown]
    kinds = [
        ("answered", _("answered")),
        ("abandoned", _("not answered")),
        ("other", _("voicemail, menu or other")),
    ]
    series = [
        Series(name=name, style=style, values=[part[index] for part in parts])
        for index, (style, name) in enumerate(kinds)
    ]
    totals = [count_text(row.calls) for row in shown]
    columns = {
        "calls": _("Calls"),
        "answered": _("Answered"),
        "abandoned": _("Abandoned"),
        "no_answer": _("Not answered"),
        "voicemail": _("Voicemail"),
        "menu": _("Ended in the menu"),
        "other": _("Other"),
    }
    return Section(
        id="calls",
        title=chart.title,
        lead=lead,
        chart=Markup(charts.bars(chart, names, totals, series)),  # noqa: S704 - of escaped texts
        legend=[box(style, name) for style, name in kinds],
        table=text_table(
            chart.title,
            [
                Column(key="direction", heading=_("Direction")),
                *(
                    Column(key=key, heading=heading, kind="integer")
                    for key, heading in columns.items()
                ),
            ],
            ([name, *_call_values(row)] for name, row in zip(names, shown, strict=True)),
            [_("Total"), *_call_values(by_direction[None])],
        ),
        is_table_wide=True,
    )


def _parts(row: VolumeRow) -> tuple[int, int, int]:
    """Return the numbers of calls that were answered, not answered, and others."""
    not_answered = row.abandoned + row.missed + row.unanswered + row.busy + row.rejected
    not_answered += row.unreachable + row.failed
    return row.answered, not_answered, row.calls - row.answered - not_answered


def _call_values(row: VolumeRow) -> list[Value]:
    answered, not_answered, other = _parts(row)
    voicemail = row.voicemail + row.no_message
    return [
        row.calls,
        answered,
        row.abandoned,
        not_answered - row.abandoned,
        voicemail,
        row.ended_in_menu,
        other - voicemail - row.ended_in_menu,
    ]


def _band_name(band: Band) -> str:
    lower = f"{band.lower / 1_000_000:g}"
    if band.upper is None:
        return f"≥{lower}"
    return f"{lower}–{band.upper / 1_000_000:g}"


def _agent_series(rows: Sequence[AgentRow]) -> list[Series]:
    figures = [row.figures for row in rows]
    placed = [one.placed_answered for one in figures]
    return [
        Series(name=_("answered"), style="answered", values=[one.answered for one in figures]),
        Series(name=_("placed and answered"), style="other", values=placed),
        Series(name=_("missed"), style="abandoned", values=[one.missed for one in figures]),
    ]


def _agent_values(row: AgentRow) -> list[Value]:
    figures = row.figures
    return [
        agent_name(row),
        figures.offered,
        figures.answered,
        figures.missed,
        figures.placed,
        figures.placed_answered,
        figures.handled,
        figures.talked,
        figures.average_handle,
    ]


def _shown_of(count: int) -> str:
    """Return a note on rows that the page leaves out; empty if there are none."""
    if count <= MAX_ROWS:
        return ""
    return _("The first {shown} of {count}; a CSV or XLSX report has all.").format(
        shown=MAX_ROWS, count=count_text(count)
    )
