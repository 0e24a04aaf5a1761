"""``record``: the feed's frames into a file, across reconnects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from basix_ws_cti.cli.options import ConnectionOptions


def record(
    file: Annotated[Path, typer.Argument(help="to write; .gz is compressed, - is stdout")],
    connection: ConnectionOptions,
    *,
    anonymise: Annotated[
        bool, typer.Option("--anonymise", help="replace names, numbers, addresses")
    ] = False,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="then end, else at Ctrl-C", min=0.1)
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace a file that is there")
    ] = False,
) -> None:
    """The feed's frames into a file, with their times, until Ctrl-C."""
    import asyncio
    import contextlib

    from basix_ws_cti.cli.open_source import open_selected_source
    from basix_ws_cti.cli.recording_session import RecordingSession, check_target, create
    from basix_ws_cti.cli.signals import run
    from basix_ws_cti.recording import Anonymiser

    check_target(file, overwrite=overwrite)
    options: dict[str, Any] = {
        "overwrite": overwrite,
        "anonymiser": Anonymiser() if anonymise else None,
    }

    async def follow() -> None:
        tape = RecordingSession(lambda: create(file, **options))
        try:
            async with open_selected_source(connection, tape.notice, on_frame=tape.frame) as source:
                if connection.simulate:  # its own time is what its frames speak of
                    options["started"] = source.now()
                    options["clock"] = lambda: source.now().timestamp()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(tape.ended, seconds)
        finally:
            tape.close()

    run(follow())
