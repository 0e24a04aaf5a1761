"""Output of reports in each format, to stdout or into a file."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from basix_ws_cti._internal.translation import _
from basix_ws_cti.board.text import escape_unprintable
from basix_ws_cti.exceptions import UsageError

from .files import STDIO
from .output_file import complete_file

if TYPE_CHECKING:
    from basix_ws_cti.reports.about import About
    from basix_ws_cti.reports.tables import Table

    from .report_options import OutputOptions

# Formats that a terminal cannot show.
_NOT_FOR_TERMINALS = frozenset({"html", "xlsx", "parquet"})


def check_target(options: OutputOptions) -> None:
    """Raise ``UsageError`` for a target that cannot be written, before the report is computed."""
    if options.output != STDIO:
        if options.output.exists() and options.output.is_file() and not options.overwrite:
            message = _("{file} already exists: choose another file or pass --overwrite")
            raise UsageError(message.format(file=options.output))
    elif options.format_name in _NOT_FOR_TERMINALS and sys.stdout.isatty():
        message = _("a terminal cannot show {format}: name a file with --output")
        raise UsageError(message.format(format=options.format_name))


def write_table(table: Table, about: About, options: OutputOptions) -> None:
    """Write a table in the format that is selected, except ``html``."""
    name = options.format_name
    if name == "table":
        _write_text(table, about, options)
    elif options.output == STDIO and sys.stdout.isatty():
        _print_lines(table, about, name)
    else:
        with open_output(options) as file:
            _write_file(table, about, options, file)


@contextlib.contextmanager
def open_output(options: OutputOptions) -> Iterator[BinaryIO]:
    """Open the output for binary data. A file is complete or absent at the end."""
    if options.output == STDIO:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with complete_file(options.output, overwrite=options.overwrite) as file:
            yield file


def _write_file(table: Table, about: About, options: OutputOptions, file: BinaryIO) -> None:
    match options.format_name:
        case "csv":
            from basix_ws_cti.reports.formats.csv_file import write_csv

            write_csv(table, file, bom=options.bom)
        case "json":
            from basix_ws_cti.reports.formats.json_file import write_json

            write_json(table, file, about.members())
        case "xlsx":
            from basix_ws_cti.reports.formats.xlsx_file import write_xlsx

            write_xlsx(table, file, about.lines())
        case "parquet":
            from basix_ws_cti.reports.formats.parquet_file import write_parquet

            write_parquet(table, file)


def _print_lines(table: Table, about: About, format_name: str) -> None:
    """Print a table on a terminal as CSV or JSON, without characters that could steer it."""
    from basix_ws_cti.reports.formats.csv_file import csv_lines
    from basix_ws_cti.reports.formats.json_file import json_lines

    lines = csv_lines(table) if format_name == "csv" else json_lines(table, about.members())
    for line in lines:
        sys.stdout.write(f"{escape_unprintable(line)}\n")


def _write_text(table: Table, about: About, options: OutputOptions) -> None:
    """Write a table for reading: in colours and as wide as the terminal, or into a file."""
    from .output import stdout_colouriser, terminal_width
    from .render.report_lines import report_text

    text = report_text(table, f"{about.period_text()} ({table.timezone.key})")
    if options.output == STDIO:
        for line in text.lines(terminal_width()(), stdout_colouriser()):
            sys.stdout.write(f"{line}\n")
    else:
        with complete_file(options.output, overwrite=options.overwrite) as file:
            file.writelines(f"{line}\n".encode() for line in text.lines(None))
