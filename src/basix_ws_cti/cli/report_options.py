"""Options of the command ``report``: what it counts, and how it is written."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import field, frozen

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError

from .files import STDIO
from .help import panels
from .suggestions import quoted, unknown_name

KINDS = (
    "queues",
    "agents",
    "calls",
    "callbacks",
    "repeat-callers",
    "first-contact",
    "outbound",
    "numbers",
    "volumes",
)
"""Kinds of reports on the command line."""

WITH_INTERVALS = frozenset({"queues", "agents", "volumes"})
"""Reports with figures by interval; the HTML page is one of queues."""

INTERVALS = ("15min", "30min", "hour", "day", "week", "month")
"""Lengths of intervals."""

FORMATS = ("table", "csv", "json", "html", "xlsx", "parquet")
"""Formats of reports. The name of an output file may end in all but the first."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Names of the days of the week, from Monday on."""

DEFAULT_PERIOD = "yesterday"
"""Period of a report without ``--from``."""


def _option(name: str, text: str, panel: str, **more: Any) -> Any:
    return typer.Option(name, help=text, rich_help_panel=panel, **more)


@frozen(kw_only=True)
class SelectionOptions:
    """Options for the rows that a report counts."""

    from_: Annotated[
        str | None,
        _option(
            "--from",
            _(
                "First day, such as 2026-11-30, yesterday or last-week; a month, such as 2026-11; "
                "or a time, such as 2026-11-30T09:00. Default: yesterday."
            ),
            panels.SELECTION,
            metavar="TIME",
        ),
    ] = None
    to: Annotated[
        str | None,
        _option(
            "--to",
            _("Last day, week or month; default: that of --from."),
            panels.SELECTION,
            metavar="TIME",
        ),
    ] = None
    weekdays: Annotated[
        str | None,
        _option(
            "--weekdays",
            _("Days of the week, such as mon-fri or mon,wed; default: all."),
            panels.SELECTION,
            metavar="DAYS",
        ),
    ] = None
    hours: Annotated[
        str | None,
        _option(
            "--hours",
            _("Hours of each day, such as 09:00-18:00; default: all."),
            panels.SELECTION,
            metavar="HOURS",
        ),
    ] = None
    group: Annotated[
        list[str],
        _option(
            "--group",
            _("Queue by name, extension or id; may be repeated."),
            panels.SELECTION,
            metavar="GROUP",
        ),
    ] = field(default=(), converter=list)
    user: Annotated[
        list[str],
        _option(
            "--user",
            _("Agent by name, extension or id; may be repeated."),
            panels.SELECTION,
            metavar="USER",
        ),
    ] = field(default=(), converter=list)
    by: Annotated[
        str | None,
        _option(
            "--by",
            _("Length of the intervals: 15min, 30min, hour, day, week or month."),
            panels.SELECTION,
            metavar="INTERVAL",
            autocompletion=lambda: [*INTERVALS],
        ),
    ] = None
    by_queue: Annotated[
        bool,
        _option("--by-queue", _("Split the figures of agents by queue."), panels.SELECTION),
    ] = False
    where: Annotated[
        list[str],
        _option(
            "--where",
            _(
                "Rows with a value, such as disposition=abandoned, or without it: transfers!=0. "
                "The columns are those of --format csv; may be repeated."
            ),
            panels.SELECTION,
            metavar="CONDITION",
        ),
    ] = field(default=(), converter=list)


@frozen(kw_only=True)
class FigureOptions:
    """Options for the definitions of figures."""

    service_level: Annotated[
        float,
        _option(
            "--service-level",
            _("Longest wait within the service level, in seconds."),
            panels.FIGURES,
            metavar="SECONDS",
            min=0,
        ),
    ] = 20
    target: Annotated[
        float,
        _option(
            "--target",
            _("Service level to reach, in percent."),
            panels.FIGURES,
            metavar="PERCENT",
            min=0,
            max=100,
        ),
    ] = 80
    short: Annotated[
        float,
        _option(
            "--short",
            _("Longest wait of a short abandon, in seconds."),
            panels.FIGURES,
            metavar="SECONDS",
            min=0,
        ),
    ] = 5
    bands: Annotated[
        str,
        _option(
            "--bands",
            _("Bounds of the bands of waits, in seconds, ascending."),
            panels.FIGURES,
            metavar="SECONDS",
        ),
    ] = "10,20,30,60,120"
    wrap_up: Annotated[
        float,
        _option(
            "--wrap-up",
            _("Wrap-up time to add to each call handled, in seconds."),
            panels.FIGURES,
            metavar="SECONDS",
            min=0,
        ),
    ] = 0


@frozen(kw_only=True)
class OutputOptions:
    """Options for the output of a report."""

    format: Annotated[
        str | None,
        _option(
            "--format",
            _(
                "Format: table, csv, json, html, xlsx or parquet; default: that of the output "
                "file's name, or table."
            ),
            panels.OUTPUT,
            metavar="FORMAT",
            autocompletion=lambda: [*FORMATS],
        ),
    ] = None
    output: Annotated[
        Path,
        _option("--output", _("File to write; - is stdout."), panels.OUTPUT, metavar="FILE"),
    ] = STDIO
    overwrite: Annotated[
        bool, _option("--overwrite", _("Replace the file if it exists."), panels.OUTPUT)
    ] = False
    columns: Annotated[
        str | None,
        _option(
            "--columns",
            _("Columns to write, such as start,offered; default: those of the report."),
            panels.OUTPUT,
            metavar="NAMES",
        ),
    ] = None
    bom: Annotated[
        bool,
        _option("--bom", _("Begin a CSV file with a byte order mark, for Excel."), panels.OUTPUT),
    ] = False

    @property
    def format_name(self) -> str:
        """Format that is given, or that the name of the output file ends in.

        Raises ``UsageError`` for an unknown one, and for ``--bom`` with another format than CSV.
        """
        name = self.format
        if name is None:
            suffix = self.output.suffix.removeprefix(".").lower()
            name = suffix if suffix in FORMATS[1:] else "table"
        check_choice(_("format"), name, FORMATS)
        if self.bom and name != "csv":
            raise UsageError(_("--bom is for --format csv only"))
        return name

    @property
    def column_names(self) -> list[str]:
        """Names of the columns to write; empty: all of them."""
        return [] if self.columns is None else [one.strip() for one in self.columns.split(",")]


def check_choice(noun: str, name: str, known: tuple[str, ...]) -> None:
    """Raise ``UsageError`` for a name that is not known.

    ``noun``: translated kind of name, such as ``format``.
    """
    if name not in known:
        advice = _("choose one of {known}").format(known=", ".join(known))
        raise unknown_name(noun, name, known, advice)


def parse_weekdays(text: str | None) -> frozenset[int]:
    """Return the days of the week in a text such as ``mon-fri,sun``; 0 is Monday.

    ``None``: no days, which selects all. Raises ``UsageError`` for other texts.
    """
    days: set[int] = set()
    for part in (text or "").lower().split(",") if text is not None else ():
        first, dash, last = (one.strip() for one in part.partition("-"))
        if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
            message = _("--weekdays: expected days such as mon-fri or mon,wed, got {text}")
            raise UsageError(message.format(text=quoted(text or "")))
        start = WEEKDAYS.index(first)
        length = (WEEKDAYS.index(last) - start) % 7 if dash else 0
        days.update((start + number) % 7 for number in range(length + 1))
    return frozenset(days)


def parse_hours(text: str | None) -> tuple[time, time] | None:
    """Return the hours in a text such as ``09:00-18:00``; ``None`` for ``None`` and a whole day.

    ``24:00`` is the end of the day. Raises ``UsageError`` for other texts.
    """
    if text is None:
        return None
    clock = r"([01]?\d|2[0-4]):([0-5]\d)"
    found = re.fullmatch(rf"\s*{clock}\s*-\s*{clock}\s*", text, re.ASCII)
    try:
        if found is None:
            raise ValueError  # noqa: TRY301 - one message for both
        start = time(int(found[1]), int(found[2]))
        is_midnight = (found[3], found[4]) == ("24", "00")
        end = time() if is_midnight else time(int(found[3]), int(found[4]))
    except ValueError:
        message = _("--hours: expected hours such as 09:00-18:00, got {text}")
        raise UsageError(message.format(text=quoted(text))) from None
    return None if is_midnight and start == end else (start, end)


def parse_bands(text: str) -> tuple[float, ...]:
    """Return numbers that are separated by commas. Raises ``UsageError`` for other texts."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        message = _("--bands: expected seconds such as 10,20,30,60, got {text}")
        raise UsageError(message.format(text=quoted(text))) from None
