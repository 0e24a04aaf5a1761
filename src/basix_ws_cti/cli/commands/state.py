"""Command ``state``: prints the current state of the PBX once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from attrs import field, frozen

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.feed_names import check_kinds
from basix_ws_cti.cli.options import AllowUnknownOption, KindOption, SourceOptions
from basix_ws_cti.exceptions import ResyncRequired, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from basix_ws_cti.cli.render.text_table import TextTable
    from basix_ws_cti.mirror.mirror import Mirror
    from basix_ws_cti.sources.recorded import RecordedSource
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
    calls: Annotated[
        bool, typer.Option("--calls", help=_("Print the calls in progress instead of elements."))
    ] = False
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

    def check(self) -> None:
        """Raise ``UsageError`` for an unknown kind and for options that exclude each other."""
        if self.calls and self.kind:
            raise UsageError(_("--kind selects elements and cannot be combined with --calls"))
        if not self.allow_unknown:
            check_kinds(self.kind)


def print_state(connection: SourceOptions, options: StateOptions) -> None:
    """Print the current PBX state and exit."""
    from basix_ws_cti.cli.open_source import open_live_or_followed_source, open_recorded_source
    from basix_ws_cti.cli.render.notices import NoticePrinter
    from basix_ws_cti.cli.signals import run_interruptible

    options.check()

    def classify(error: Exception, is_final: bool) -> bool:  # noqa: FBT001 - the client's callback
        # A resync is no failure of the connection. The timeout limits how many there can be.
        return is_final or not (options.wait or isinstance(error, ResyncRequired))

    async def run() -> None:
        if connection.recording is not None:
            async with open_recorded_source(
                connection.recording, speed=None, on_notice=NoticePrinter()
            ) as recorded:
                await print_final_state(recorded, options)
            return
        async with open_live_or_followed_source(
            connection,
            NoticePrinter(),
            classify=classify,
            sync_timeout=options.timeout,
        ) as source:
            await print_source_state(source, options, source.synced_completely)

    run_interruptible(run())


async def print_final_state(source: RecordedSource, options: StateOptions) -> None:
    """Read a recording to its end and print the state there.

    Raises like ``print_source_state``, and ``RecordingError`` for damage, after the output.
    """
    if options.calls:
        source.calls  # noqa: B018 - the first access starts following calls
    await source.read_to_end()
    await print_source_state(source, options)
    source.check()


async def print_source_state(
    source: Source,
    options: StateOptions,
    synced: Callable[[], Awaitable[Mirror]] | None = None,
) -> None:
    """Wait for a source's complete snapshot and print the state.

    ``synced`` waits for the snapshot and returns the mirror; ``None``: ``source.synced``.

    Raises ``SyncTimeout``, the error that ended the source, or ``BrokenPipeError`` if the
    reader of stdout is gone.
    """
    import asyncio

    from basix_ws_cti.cli.stdout_pipe import stop_when_reader_closes
    from basix_ws_cti.exceptions import SyncTimeout

    if options.calls:
        source.calls  # noqa: B018 - the first access starts following calls
    with stop_when_reader_closes():
        timeout = asyncio.timeout(options.timeout)
        try:
            async with timeout:
                mirror = await (synced or source.synced)()
        except TimeoutError:
            if not timeout.expired():
                raise
            raise SyncTimeout(options.timeout) from None
    if options.json:
        from basix_ws_cti.cli.output import write_json
        from basix_ws_cti.cli.render.call_tables import calls_document
        from basix_ws_cti.cli.render.state_tables import state_document

        write_json(
            calls_document(source.calls.values(), source.now())
            if options.calls
            else state_document(mirror, source.now(), options.kind)
        )
        return
    from datetime import timedelta

    from basix_ws_cti.board.clock_offset import SHOWN_OFFSET, describe_clock_offset
    from basix_ws_cti.board.durations import to_microseconds
    from basix_ws_cti.board.labels import Labels
    from basix_ws_cti.calls.pbx_clock import PbxClock
    from basix_ws_cti.cli.output import report, stdout_colouriser, terminal_width
    from basix_ws_cti.cli.render.call_tables import call_table
    from basix_ws_cti.cli.render.state_tables import element_tables

    at = source.now()
    offset = PbxClock().offset(mirror, (), to_microseconds(at))
    if abs(offset) >= SHOWN_OFFSET:
        text = _("{clock}: durations end at its newest timestamp")
        report(text.format(clock=describe_clock_offset(offset)))
    width = None if options.wide else terminal_width()()
    colourise = stdout_colouriser()
    pbx_time = at + timedelta(microseconds=offset)
    with_numbers = width is None or width >= _WITH_NUMBERS
    tables: Iterable[TextTable] = (
        [call_table(source.calls.values(), Labels(mirror, with_numbers), pbx_time)]
        if options.calls
        else element_tables(mirror, pbx_time, options.kind, with_numbers=with_numbers)
    )
    for number, table in enumerate(tables):
        if number:
            sys.stdout.write("\n")
        for line in table.lines(width, colourise):
            sys.stdout.write(line + "\n")
