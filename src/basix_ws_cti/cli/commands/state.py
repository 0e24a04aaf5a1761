"""``state``: what there is now, once, as tables or as one JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from attrs import field, frozen

from basix_ws_cti.cli.options import ConnectionOptions

if TYPE_CHECKING:
    from basix_ws_cti.sources.source import Source


@frozen(kw_only=True)
class Looking:
    """What is shown of a picture, and how long it may take to come."""

    json: Annotated[bool, typer.Option("--json", help="one JSON document")] = False
    kind: Annotated[
        list[str], typer.Option("--kind", help="of elements: channel, user, …; several times")
    ] = field(default=(), converter=list)
    timeout: Annotated[
        float, typer.Option("--timeout", help="seconds to come to know it", min=0.1, max=86400)
    ] = 60.0
    wait: Annotated[
        bool, typer.Option("--wait", help="try on when connecting fails, until the time-out")
    ] = False


def state(connection: ConnectionOptions, looking: Looking) -> None:
    """What there is now, once."""
    from basix_ws_cti.cli.open_source import open_selected_source
    from basix_ws_cti.cli.render.notices import Notices
    from basix_ws_cti.cli.signals import run

    async def look() -> None:
        async with open_selected_source(
            connection,
            Notices(),
            classify=lambda _error, final: final or not looking.wait,
            sync_timeout=looking.timeout,
        ) as source:
            await show_state(source, looking)

    run(look())


async def show_state(source: Source, looking: Looking) -> None:
    """Print a source's picture once it is whole.

    Raises ``SyncTimeout``, what ends the source, and ``BrokenPipeError``.
    """
    import asyncio

    from basix_ws_cti.cli.stdout_pipe import while_read
    from basix_ws_cti.exceptions import SyncTimeout

    with while_read():
        timed = asyncio.timeout(looking.timeout)
        try:
            async with timed:
                mirror = await source.synced()
        except TimeoutError:
            if not timed.expired():
                raise
            raise SyncTimeout(looking.timeout) from None
    if looking.json:
        from basix_ws_cti.cli.output import write_json
        from basix_ws_cti.cli.render.state_tables import document

        write_json(document(mirror, source.now(), looking.kind))
        return
    from basix_ws_cti.cli.output import console
    from basix_ws_cti.cli.render.state_tables import tables

    out = console()
    if not out.is_terminal:
        out.width = 10_000  # nothing is cut or folded for a file or a pipe
    for table in tables(mirror, source.now(), looking.kind):
        out.print(table, soft_wrap=False)
