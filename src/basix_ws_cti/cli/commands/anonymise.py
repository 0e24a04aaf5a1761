"""``anonymise``: a recording without the people in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def anonymise(
    source: Annotated[Path, typer.Argument(help="a recording; - is stdin")],
    target: Annotated[Path, typer.Argument(help="to write; .gz is compressed, - is stdout")],
    *,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace a file that is there")
    ] = False,
) -> None:
    """A recording once more, with names, numbers and addresses replaced."""
    from basix_ws_cti.cli.output import say
    from basix_ws_cti.cli.recording_session import STDIO, check_target, create, opened
    from basix_ws_cti.exceptions import UsageError
    from basix_ws_cti.recording import Anonymiser

    check_target(target, overwrite=overwrite)
    if target != STDIO and target.exists() and source.exists() and target.samefile(source):
        raise UsageError("the two are one file: name another to write")
    with opened(source) as recording:
        started = recording.header.started
        with create(
            target, anonymiser=Anonymiser(), started=started, overwrite=overwrite
        ) as recorder:
            for entry in recording:
                recorder.write(entry)
    say(f"wrote {recorder.frames} frames, {recorder.size} bytes")
