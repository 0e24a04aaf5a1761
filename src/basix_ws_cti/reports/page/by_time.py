"""Sections of the page with figures by time: results, service level, weekdays and hours."""

from __future__ import annotations

from datetime import timedelta

from markupsafe import Markup

from basix_ws_cti._internal.translation import N_, _
from basix_ws_cti.calls import QueueFigures
from basix_ws_cti.reports import charts
from basix_ws_cti.reports.charts import Axis, Chart
from basix_ws_cti.reports.intervals import By
from basix_ws_cti.reports.period import Period
from basix_ws_cti.reports.tables import Column, Value

from .content import PageRows
from .dates import axis_labels, hour_name, interval_names, weekday_name
from .parts import Key, Section, text_table
from .results import box, result_columns, result_legend, result_series, result_values
from .wording import count_text, short_rate

# Numbers of intervals between two labels of an axis. Each is a multiple of the one before, so that
# labels stand at full hours, and at the same weekday or month.
_STEPS: dict[By, tuple[int, ...]] = {
    "15min": (1, 2, 4, 8, 16, 48, 96, 192),
    "30min": (1, 2, 4, 8, 24, 48, 96, 192),
    "hour": (1, 2, 4, 12, 24, 48, 96, 192),
    "day": (1, 7, 14, 28, 56, 112, 224),
    "week": (1, 2, 4, 8, 16, 32),
    "month": (1, 3, 6, 12, 24, 48, 96),
}

_UNITS: dict[By, str] = {
    "15min": N_("Start of the quarter hour"),
    "30min": N_("Start of the half hour"),
    "hour": N_("Start of the hour"),
    "day": N_("Day"),
    "week": N_("First day of the week"),
    "month": N_("Month"),
}

_REACHED: dict[By, str] = {
    "15min": N_("Quarter hours with calls that reached the target of {target}: {met} of {count}."),
    "30min": N_("Half hours with calls that reached the target of {target}: {met} of {count}."),
    "hour": N_("Hours with calls that reached the target of {target}: {met} of {count}."),
    "day": N_("Days with calls that reached the target of {target}: {met} of {count}."),
    "week": N_("Weeks with calls that reached the target of {target}: {met} of {count}."),
    "month": N_("Months with calls that reached the target of {target}: {met} of {count}."),
}

_DOT = Markup('<circle class="{style}" cx="10" cy="7" r="4"/>')
_DASH = Markup('<line class="target" x1="0" x2="20" y1="7" y2="7"/>')


def results_section(rows: PageRows) -> Section:
    """Return the queue calls by result and interval."""
    names = _interval_names(rows)
    figures = [row.figures for row in rows.intervals]
    lead = _("No call entered a queue.")
    if rows.total.offered:
        offered, name = max(zip([one.offered for one in figures], names, strict=True))
        lead = _("Busiest: {interval}, with {count} calls.").format(
            interval=name, count=count_text(offered)
        )
    chart = Chart(
        id="results-chart",
        title=_("Queue calls by result"),
        description=lead,
        unit=_("calls"),
        text_of=count_text,
    )
    return Section(
        id="results",
        title=chart.title,
        lead=lead,
        chart=Markup(charts.stacked_columns(chart, _axis(rows, names), result_series(figures))),  # noqa: S704 - of escaped texts
        legend=result_legend(),
        table=text_table(
            chart.title,
            [_interval_column(rows), *result_columns()],
            ([name, *result_values(one)] for name, one in zip(names, figures, strict=True)),
            [_("Total"), *result_values(rows.total)],
        ),
    )


def service_level_section(rows: PageRows) -> Section:
    """Return the service level by interval, against its target."""
    names = _interval_names(rows)
    rates = [row.figures.service_level_of_offered for row in rows.intervals]
    known = [rate for rate in rates if rate is not None]
    target = short_rate(rows.target)
    lead = _(_REACHED[rows.by]).format(
        target=target,
        met=count_text(sum(rate >= rows.target for rate in known)),
        count=count_text(len(known)),
    )
    unit = _("answered within {seconds:g} s").format(seconds=rows.thresholds.service_level)
    chart = Chart(
        id="service-level-chart",
        title=_("Service level"),
        description=lead,
        unit=unit,
        text_of=short_rate,
    )
    svg = charts.rate_line(chart, _axis(rows, names), rates, target=rows.target)
    columns = [
        _interval_column(rows),
        Column(key="service_level", heading=_("Service level"), kind="rate"),
        Column(key="target_reached", heading=_("Target reached"), kind="boolean"),
        Column(key="average_answer", heading=_("ASA"), kind="duration"),
        Column(key="maximum_wait", heading=_("Longest wait"), kind="duration"),
    ]

    def values(name: str, figures: QueueFigures) -> list[Value]:
        rate = figures.service_level_of_offered
        is_reached = None if rate is None else rate >= rows.target
        return [name, rate, is_reached, figures.average_answer, figures.maximum_wait]

    return Section(
        id="service-level",
        title=chart.title,
        lead=lead,
        chart=Markup(svg),  # noqa: S704 - of escaped texts
        legend=[
            Key(text=_("target reached"), shape=_DOT.format(style="met")),
            Key(text=_("below the target"), shape=_DOT.format(style="missed")),
            Key(text=_("target: {target}").format(target=target), shape=_DASH),
        ],
        table=text_table(
            chart.title,
            columns,
            (values(name, row.figures) for name, row in zip(names, rows.intervals, strict=True)),
            values(_("Total"), rows.total),
        ),
    )


def hours_section(rows: PageRows) -> Section:
    """Return the queue calls by weekday and hour."""
    offered = {(cell.weekday, cell.hour): cell.offered for cell in rows.heat}
    weekdays = sorted({weekday for weekday, _hour in offered} & _weekdays(rows.selection.period))
    busy = [hour for (_weekday, hour), number in offered.items() if number]
    hours = range(min(busy), max(busy) + 1) if busy else range(0)
    values = [[offered.get((weekday, hour)) for weekday in weekdays] for hour in hours]
    lead = _("No call entered a queue.")
    if busy:
        cell = max(rows.heat, key=lambda cell: cell.offered)
        lead = _("Busiest: {weekday} from {start} to {end}, with {count} calls.").format(
            weekday=weekday_name(cell.weekday),
            start=hour_name(cell.hour),
            end=hour_name(cell.hour + 1),
            count=count_text(cell.offered),
        )
    chart = Chart(
        id="hours-chart",
        title=_("Queue calls by weekday and hour"),
        description=lead,
        text_of=count_text,
    )
    names = [weekday_name(weekday) for weekday in weekdays]
    labels = [hour_name(hour) for hour in hours]
    sums = [[number or 0 for number in row] for row in values]
    svg = charts.heat_map(chart, labels, names, values) if busy else ""
    return Section(
        id="hours",
        title=chart.title,
        lead=lead,
        chart=Markup(svg),  # noqa: S704 - of escaped texts
        legend=_shade_legend(max(map(max, sums), default=0)),
        table=text_table(
            chart.title,
            [
                Column(key="hour", heading=_("Hour")),
                *(Column(key=name, heading=name, kind="integer") for name in names),
                Column(key="total", heading=_("Total"), kind="integer"),
            ],
            (
                [label, *row, sum(numbers)]
                for label, row, numbers in zip(labels, values, sums, strict=True)
            ),
            [_("Total"), *(sum(column) for column in zip(*sums, strict=True)), sum(map(sum, sums))]
            if busy
            else None,
        ),
    )


def _weekdays(period: Period) -> set[int]:
    """Return the days of the week that a period has a part of."""
    last = period.end - timedelta.resolution
    days = min(7, (last.date() - period.start.date()).days + 1)
    return {(period.start.weekday() + day) % 7 for day in range(days)}


def _interval_names(rows: PageRows) -> list[str]:
    return interval_names([row.start for row in rows.intervals], rows.by)


def _axis(rows: PageRows, names: list[str]) -> Axis:
    return Axis(
        title=_(_UNITS[rows.by]),
        labels=axis_labels([row.start for row in rows.intervals], rows.by),
        names=names,
        steps=_STEPS[rows.by],
    )


def _interval_column(rows: PageRows) -> Column:
    return Column(key="interval", heading=_(_UNITS[rows.by]))


def _shade_legend(highest: int) -> list[Key]:
    keys = [box("shade-0", "0")]
    lower = 1
    for shade, upper in enumerate(charts.shade_bounds(highest), 1):
        text = f"{lower:,}–{upper:,}" if upper > lower else f"{upper:,}"
        keys.append(box(f"shade-{shade}", text))
        lower = upper + 1
    return keys
