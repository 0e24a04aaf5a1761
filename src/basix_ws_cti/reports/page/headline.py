"""Head and foot of the page: the report's subject, notices, headline figures, explanations."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from basix_ws_cti._internal.translation import _, ngettext
from basix_ws_cti.board.text import cell_text

from .content import MAX_INTERVALS, PageRows
from .dates import period_name, span_name, time_name, weekday_name
from .parts import Notice, Tile, Verdict
from .wording import count_text, duration_text, rate_text, short_rate

MAX_GAPS = 10
"""Largest number of gaps in the feed that the page lists."""

_PROGRESS = Markup(
    '<svg class="progress" aria-hidden="true" height="14">'
    '<rect class="track" width="100%" y="3" height="8"/>'
    '<rect class="{style}" width="{rate:.2%}" y="3" height="8"/>'
    '<line class="mark" x1="{target:.2%}" x2="{target:.2%}" y1="0" y2="14"/></svg>'
)


def facts(rows: PageRows) -> Iterator[tuple[str, str]]:
    """Yield names and values of the report's conditions."""
    selection = rows.selection
    if rows.group_names:
        yield _("Queues"), ", ".join(map(cell_text, rows.group_names))
    if selection.weekdays:
        yield _("Weekdays"), ", ".join(map(weekday_name, sorted(selection.weekdays)))
    if selection.hours:
        start, end = selection.hours
        yield _("Hours"), f"{start:%H:%M}–{end:%H:%M}"
    yield _("Time zone"), selection.period.timezone.key
    yield _("Created"), time_name(rows.created.astimezone(selection.period.timezone))


def notices(rows: PageRows) -> Iterator[Notice]:
    """Yield the limitations of the report."""
    zone = rows.selection.period.timezone
    if rows.gaps:
        items = [
            span_name(gap.start.astimezone(zone), gap.end.astimezone(zone))
            for gap in rows.gaps[:MAX_GAPS]
        ]
        if len(rows.gaps) > MAX_GAPS:
            items.append(_("and {count} more").format(count=len(rows.gaps) - MAX_GAPS))
        text = ngettext(
            "The feed was interrupted {count} time in this period. Calls in that time may be "
            "missing or incomplete.",
            "The feed was interrupted {count} times in this period. Calls in that time may be "
            "missing or incomplete.",
            len(rows.gaps),
        )
        yield Notice(text=text.format(count=len(rows.gaps)), items=items)
    if rows.wanted is not None:
        yield Notice(
            text=_(
                "The period has more than {count} of the intervals that were asked for. This page "
                "shows longer ones; a CSV or XLSX report has all."
            ).format(count=MAX_INTERVALS)
        )


def tiles(rows: PageRows) -> Iterator[Tile]:
    """Yield the headline figures; the first one is the service level."""
    total = rows.total
    rate = total.service_level_of_offered
    yield Tile(
        name=_("Service level"),
        figure=rate_text(rate, rows.target),
        verdict=_verdict(rate, rows.target),
        note=_("calls answered within {seconds:g} s, divided by calls whose wait ended").format(
            seconds=rows.thresholds.service_level
        ),
        graphic=Markup()
        if rate is None
        else _PROGRESS.format(
            rate=rate,
            target=rows.target,
            style="answered" if rate >= rows.target else "abandoned",
        ),
    )
    yield Tile(
        name=_("Offered"),
        figure=count_text(total.offered),
        note=_("calls that entered a queue"),
    )
    yield Tile(
        name=_("Answered"),
        figure=count_text(total.answered),
        note=_("{rate} of the calls offered").format(
            rate=rate_text(total.answered / total.offered if total.offered else None)
        ),
    )
    yield Tile(
        name=_("Abandoned"),
        figure=rate_text(total.abandon_rate),
        note=ngettext(
            "{count} call; within {seconds:g} s: {short}",
            "{count} calls; within {seconds:g} s: {short}",
            total.abandoned,
        ).format(
            count=count_text(total.abandoned),
            short=count_text(total.short_abandons),
            seconds=rows.thresholds.short_abandon,
        ),
    )
    yield Tile(
        name=_("ASA"),
        figure=duration_text(total.average_answer),
        note=_("average wait of the calls answered"),
    )
    yield Tile(
        name=_("Longest wait"),
        figure=duration_text(total.maximum_wait),
        note=_("of all queue calls"),
    )
    yield Tile(
        name=_("AHT"),
        figure=duration_text(total.average_handle),
        note=_("average handle time: talk and hold")
        if not rows.wrap_up
        else _("average handle time, with {seconds:g} s of wrap-up").format(seconds=rows.wrap_up),
    )


def definitions(rows: PageRows) -> Iterator[tuple[str, str]]:
    """Yield terms and their definitions."""
    total, seconds = rows.total, rows.thresholds.service_level
    yield (
        _("Service level"),
        _(
            "Calls answered within {seconds:g} s ÷ calls whose wait ended. A wait ends with an "
            "answer, with an abandon, or otherwise. Target: {target}."
        ).format(seconds=seconds, target=short_rate(rows.target)),
    )
    yield (
        _("Other formulas"),
        _(
            "Calls answered within {seconds:g} s ÷ calls answered: {answered}. Without short "
            "abandons: {without}. With abandons within {seconds:g} s counted as answered in time: "
            "{met}."
        ).format(
            seconds=seconds,
            answered=rate_text(total.service_level_of_answered),
            without=rate_text(total.service_level_less_short_abandons),
            met=rate_text(total.service_level_abandons_met),
        ),
    )
    yield (
        _("Abandoned"),
        _(
            "Calls whose caller hung up in the queue. Abandon rate: abandoned ÷ calls whose wait "
            "ended. Short abandons lasted at most {seconds:g} s; they are included."
        ).format(seconds=rows.thresholds.short_abandon),
    )
    yield (
        _("Other end"),
        _(
            "Overflowed: {overflowed}, voicemail: {voicemail}, ended by the PBX: {ended}, end not "
            "observed: {unknown}, still waiting: {waiting}."
        ).format(
            overflowed=count_text(total.overflowed_out),
            voicemail=count_text(total.voicemail),
            ended=count_text(total.ended),
            unknown=count_text(total.unknown),
            waiting=count_text(total.waiting),
        ),
    )
    yield _("ASA"), _("Average speed of answer: average wait of the calls answered.")
    yield (
        _("AHT"),
        _(
            "Average handle time: talk, hold and wrap-up of the calls handled. Wrap-up is "
            "{seconds:g} s for each call."
        ).format(seconds=rows.wrap_up),
    )


def heading(rows: PageRows) -> str:
    """Return the heading of the page: the period."""
    return period_name(rows.selection.period)


def _verdict(rate: float | None, target: float) -> Verdict | None:
    if rate is None:
        return None
    if rate >= target:
        text = _("✓ Target of {target} reached").format(target=short_rate(target))
        return Verdict(text=text, style="good")
    points = f"{max(0.1, 100 * (target - rate)):.1f}"  # 0.0 points are none
    text = _("▼ {points} points below the target of {target}").format(
        points=points, target=short_rate(target)
    )
    return Verdict(text=text, style="bad")
