"""Command ``state``: prints the current state of the PBX once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from attrs import field, frozen

from basix_ws_cti.cli.options import ConnectionOptions

if TYPE_CHECKING:
    from basix_ws_cti.sources.source import Source

# Width, in columns, of tables that go to a file or pipe: nothing is cut or wrapped.
_UNLIMITED_WIDTH = 10_000


@frozen(kw_only=True)
class StateOptions:
    """Options for the output of a state."""

    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False
    kind: Annotated[
        list[str],
        typer.Option(
            "--kind", help="Print only elements of this kind, such as channel or user (repeatable)."
        ),
    ] = field(default=(), converter=list)
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            help="Maximum time to wait for the snapshot, in seconds.",
            min=0.1,
            max=86400,
        ),
    ] = 60.0
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Retry until the timeout if the connection fails."),
    ] = False


def print_state(connection: ConnectionOptions, options: StateOptions) -> None:
    """Print the current PBX state and exit."""
    from basix_ws_cti.cli.open_source import open_selected_source
    from basix_ws_cti.cli.render.notices import NoticePrinter
    from basix_ws_cti.cli.signals import run_interruptible

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
    from basix_ws_cti.cli.output import plain_console, report
    from basix_ws_cti.cli.render.state_tables import element_tables

    console = plain_console()
    if not console.is_terminal:
        console.width = _UNLIMITED_WIDTH
    at = source.now()
    offset = PbxClock().offset(mirror, (), to_microseconds(at))
    if abs(offset) >= SHOWN_OFFSET:
        report(f"{describe_clock_offset(offset)}: durations end at its newest timestamp")
    for table in element_tables(mirror, at + timedelta(microseconds=offset), options.kind):
        console.print(table, soft_wrap=False)
