"""Command ``report``: figures and lists from a call log, as tables, files or a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.database_argument import reject_password
from basix_ws_cti.cli.options import TimezoneOption, parse_named_timezone
from basix_ws_cti.cli.package_errors import missing_package
from basix_ws_cti.cli.report_options import (
    DEFAULT_PERIOD,
    INTERVALS,
    KINDS,
    WITH_INTERVALS,
    FigureOptions,
    OutputOptions,
    SelectionOptions,
    check_choice,
    parse_bands,
    parse_hours,
    parse_weekdays,
)
from basix_ws_cti.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from basix_ws_cti.reports import NameRow, Reports, Selection
    from basix_ws_cti.reports.about import About
    from basix_ws_cti.reports.intervals import By
    from basix_ws_cti.reports.report_kinds import ReportKind
    from basix_ws_cti.reports.tables import Table


def print_report(
    database: Annotated[
        str,
        typer.Argument(
            metavar="DATABASE",
            help=_("SQLite file of the call log, or URL: postgresql://USER@HOST/NAME."),
        ),
    ],
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help=_(
                "Report: queues, agents, calls, callbacks, repeat-callers, first-contact, "
                "outbound, numbers or volumes."
            ),
            autocompletion=lambda: [*KINDS],
        ),
    ] = "queues",
    *,
    selected: SelectionOptions,
    figures: FigureOptions,
    output: OutputOptions,
    timezone: TimezoneOption = None,
) -> None:
    """Print a report from a call log, or write it into a file."""
    from basix_ws_cti.cli.output import report
    from basix_ws_cti.cli.report_output import check_target, write_table

    _check_combination(kind, selected, output)
    check_target(output)
    zone = parse_named_timezone(timezone)
    try:
        from basix_ws_cti.reports.about import About
    except ModuleNotFoundError as error:
        raise missing_package(error, "reports") from None
    reject_password(database)
    reports = _open_reports(database, figures)
    names = reports.names()
    selection = _selection(names, selected, zone)
    about = About(
        reports=reports,
        selection=selection,
        by=cast("By | None", selected.by),
        names={(row.kind, row.id): row.name for row in names},
        gaps=reports.gaps(selection),
    )
    if output.format_name == "html":
        _write_page(about, output)
    else:
        write_table(_table(kind, about, selected, output), about, output)
    for message in (about.gap_warning(), about.other_period_hint()):
        if message is not None:
            report(message)


def _check_combination(kind: str, selected: SelectionOptions, output: OutputOptions) -> None:
    """Raise ``UsageError`` for unknown names, and for options that exclude each other."""
    check_choice(_("report"), kind, KINDS)
    if selected.by is not None:
        check_choice(_("interval"), selected.by, INTERVALS)
        if kind not in WITH_INTERVALS:
            message = _("the report {kind} has no intervals: leave out --by")
            raise UsageError(message.format(kind=kind))
    if selected.by_queue and kind != "agents":
        raise UsageError(_("--by-queue is for the report agents only"))
    if selected.to is not None and selected.from_ is None:
        raise UsageError(_("--to needs --from"))
    is_page = output.format_name == "html"
    if is_page and (kind != "queues" or selected.where or output.columns is not None):
        raise UsageError(
            _(
                "html is one page about queues and agents: leave out {kind}, --where and --columns"
            ).format(kind=kind)
        )


def _open_reports(database: str, figures: FigureOptions) -> Reports:
    from basix_ws_cti.calls import Thresholds
    from basix_ws_cti.reports import Reports

    thresholds = Thresholds(
        service_level=figures.service_level,
        short_abandon=figures.short,
        bands=parse_bands(figures.bands),
    )
    return Reports(
        database,
        thresholds=thresholds,
        wrap_up=figures.wrap_up,
        target=figures.target / 100,
    )


def _selection(names: Sequence[NameRow], selected: SelectionOptions, zone: ZoneInfo) -> Selection:
    from datetime import UTC, datetime

    from basix_ws_cti.cli.report_selection import find_ids
    from basix_ws_cti.reports import Period, Selection

    start = DEFAULT_PERIOD if selected.from_ is None else selected.from_
    return Selection(
        period=Period.parse(start, selected.to, zone, datetime.now(UTC)),
        weekdays=parse_weekdays(selected.weekdays),
        hours=parse_hours(selected.hours),
        groups=find_ids(names, "group", selected.group),
        users=find_ids(names, "user", selected.user),
    )


def _table(kind: str, about: About, selected: SelectionOptions, output: OutputOptions) -> Table:
    """Return the rows and columns that are selected."""
    from basix_ws_cti.cli.report_columns import choose
    from basix_ws_cti.reports.report_kinds import report_table

    name = "agents-by-queue" if selected.by_queue else kind
    table = report_table(about.reports, cast("ReportKind", name), about.selection, about.by)
    return choose(table, selected.where, output.column_names)


def _write_page(about: About, output: OutputOptions) -> None:
    from datetime import UTC, datetime

    from basix_ws_cti.cli.report_output import open_output

    try:
        from basix_ws_cti.reports.page import render_page
    except ModuleNotFoundError as error:
        raise missing_package(error, "reports") from None
    zone = about.selection.period.timezone
    page = render_page(
        about.reports, about.selection, created=datetime.now(UTC).astimezone(zone), by=about.by
    )
    with open_output(output) as file:
        file.write(page.encode())
