"""Command ``anonymise``: copies a recording with personal data replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from basix_ws_cti._internal.translation import _, ngettext


def anonymise_recording(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help=_("Recording to read; - is stdin."))
    ],
    target: Annotated[
        Path,
        typer.Argument(metavar="TARGET", help=_("File to write; .gz compresses it, - is stdout.")),
    ],
    *,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help=_("Replace the file if it exists."))
    ] = False,
) -> None:
    """Copy a recording with names, numbers and addresses replaced."""
    from basix_ws_cti.cli.files import STDIO, file_access, size_of
    from basix_ws_cti.cli.output import report
    from basix_ws_cti.cli.progress import (
        Amount,
        describe_frames,
        report_start,
        shorten_name,
        show_progress,
    )
    from basix_ws_cti.cli.recording_session import (
        check_target,
        create_recorder,
        entries_of,
        open_recording,
    )
    from basix_ws_cti.exceptions import UsageError
    from basix_ws_cti.recording import Anonymiser

    check_target(target, overwrite=overwrite)
    if target != STDIO and target.exists() and source.exists() and target.samefile(source):
        raise UsageError(_("source and target are the same file: choose another target"))
    with open_recording(source) as recording:
        report_start(_("anonymising {file}").format(file=recording.name))
        started, size = recording.header.started, size_of(source)
        with (
            create_recorder(
                target, anonymiser=Anonymiser(), started=started, overwrite=overwrite
            ) as recorder,
            show_progress(
                _("anonymising {file}").format(file=shorten_name(recording.name)),
                lambda: Amount(
                    recording.bytes_read, size, describe_frames(recorder.frames, recorder.size)
                ),
                prints=target == STDIO,
            ),
        ):
            for entry in entries_of(recording, source):
                with file_access("write", target):
                    recorder.write(entry)
    frames = recorder.frames
    message = ngettext(
        "wrote {frames} frame, {size} bytes", "wrote {frames} frames, {size} bytes", frames
    )
    report(message.format(frames=frames, size=recorder.size))
