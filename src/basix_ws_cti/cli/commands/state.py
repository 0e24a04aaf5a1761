"""Command ``state``: prints the current state of the PBX once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from attrs import field, frozen

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.feed_names import check_kinds
from basix_ws_cti.cli.options import AllowUnknownOption, ConnectionOptions, KindOption

if TYPE_CHECKING:
    from basix_ws_cti.sources.source import Source

# Terminal width, in columns, from which the numbers of parties with a name are shown. Narrower
# tables have more use for the column with the uuid.
_WITH_NUMBERS = 140


@frozen(kw_only=True)
class StateOptions:
    """Options for the output of a state."""

    json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False
    kind: KindOption = field(default=(), converter=list)
    allow_unknown: AllowUnknownOption = False
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            help=_("Maximum time to wait for the snapshot, in seconds."),
            min=0.1,
            max=86400,
        ),
    ] = 60.0
    wait: Annotated[
        bool,
        typer.Option("--wait", help=_("Retry until the timeout if the connection fails.")),
    ] = False
    wide: Annotated[
        bool, typer.Option("--wide", help=_("Print all columns, even if they exceed the terminal."))
    ] = False


def print_state(connection: ConnectionOptions, options: StateOptions) -> None:
    """Print the current PBX state and exit."""
    from basix_ws_cti.cli.open_source import open_selected_source
    from basix_ws_cti.cli.render.notices import NoticePrinter
    from basix_ws_cti.cli.signals import run_interruptible

    if not options.allow_unknown:
        check_kinds(options.kind)

    async def run() -> None:
        async with open_selected_source(
            connection,
            NoticePrinter(),
            classify=lambda _error, is_final: is_final or not options.wait,
            sync_timeout=options.timeout,
        ) as source:
            await print_source_state(source, options)

    run_interruptible(run())


async def print_source_state(source: Source, options: StateOptions) -> None:
    """Wait for a source's complete snapshot and print the state.

    Raises ``SyncTimeout``, the error that ended the source, or ``BrokenPipeError`` if the
    reader of stdout is gone.
    """
    import asyncio

    from basix_ws_cti.cli.stdout_pipe import stop_when_reader_closes
    from basix_ws_cti.exceptions import SyncTimeout

    with stop_when_reader_closes():
        timeout = asyncio.timeout(options.timeout)
        try:
            async with timeout:
                mirror = await source.synced()
        except TimeoutError:
            if not timeout.expired():
                raise
            raise SyncTimeout(options.timeout) from None
    if options.json:
        from basix_ws_cti.cli.output import write_json
        from basix_ws_cti.cli.render.state_tables import state_document

        write_json(state_document(mirror, source.now(), options.kind))
        return
    from datetime import timedelta

    from basix_ws_cti.board.durations import to_microseconds
    from basix_ws_cti.board.pbx_clock import SHOWN_OFFSET, PbxClock, describe_clock_offset
    from basix_ws_cti.cli.output import report, stdout_colouriser, terminal_width
    from basix_ws_cti.cli.render.state_tables import element_tables

    at = source.now()
    offset = PbxClock().offset(mirror, (), to_microseconds(at))
    if abs(offset) >= SHOWN_OFFSET:
        text = _("{clock}: durations end at its newest timestamp")
        report(text.format(clock=describe_clock_offset(offset)))
    width = None if options.wide else terminal_width()()
    colourise = stdout_colouriser()
    pbx_time = at + timedelta(microseconds=offset)
    tables = element_tables(
        mirror, pbx_time, options.kind, with_numbers=width is None or width >= _WITH_NUMBERS
    )
    for number, table in enumerate(tables):
        if number:
            sys.stdout.write("\n")
        for line in table.lines(width, colourise):
            sys.stdout.write(line + "\n")
