"""Command ``record``: records the frames of a feed, across reconnects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.options import ConnectionOptions


def record_feed(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help=_("File to write; .gz compresses it, - is stdout.")),
    ],
    connection: ConnectionOptions,
    *,
    anonymise: Annotated[
        bool,
        typer.Option(
            "--anonymise", help=_("Replace names, numbers and addresses while recording.")
        ),
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            metavar="SECONDS",
            help=_(
                "Duration of the recording in seconds, counted from the first connection; "
                "default: until Ctrl-C."
            ),
            min=0.1,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help=_("Replace the file if it exists."))
    ] = False,
) -> None:
    """Record the frames of the feed with their times until Ctrl-C."""
    from basix_ws_cti.board.labels import join_phrases
    from basix_ws_cti.cli.files import STDIO
    from basix_ws_cti.cli.open_source import open_selected_source
    from basix_ws_cti.cli.progress import report_start, shorten_name, show_progress
    from basix_ws_cti.cli.recording_session import RecordingSession, check_target, create_recorder
    from basix_ws_cti.cli.signals import run_interruptible
    from basix_ws_cti.recording import Anonymiser

    check_target(file, overwrite=overwrite)
    options: dict[str, Any] = {
        "overwrite": overwrite,
        "anonymiser": Anonymiser() if anonymise else None,
    }
    name = "stdout" if file == STDIO else str(file)
    start = (
        _("recording to {file} until Ctrl-C").format(file=name)
        if seconds is None
        else _("recording to {file} for {seconds} s").format(file=name, seconds=f"{seconds:g}")
    )
    report_start(join_phrases([start, _("anonymised")] if anonymise else [start]))

    async def follow() -> None:
        session = RecordingSession(file, lambda: create_recorder(file, **options))
        try:
            with show_progress(
                _("recording {file}").format(file=shorten_name(name)),
                lambda: session.progress(seconds),
                prints=file == STDIO,
            ):
                async with open_selected_source(
                    connection, session.on_notice, on_frame=session.on_frame
                ) as source:
                    if connection.simulate:  # the times in simulated frames are simulated, too
                        options["started"] = source.now()
                        options["clock"] = lambda: source.now().timestamp()
                    await session.wait(seconds)
        finally:
            session.close()

    run_interruptible(follow())
