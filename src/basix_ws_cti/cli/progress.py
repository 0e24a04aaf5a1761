"""Progress of commands that take long: a start line and a progress bar on stderr.

Both are for people: nothing is written unless stderr is a terminal. The bar is left out if the
command's output goes to the same terminal.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from attrs import frozen

from basix_ws_cti._internal.translation import ngettext
from basix_ws_cti.board.text import escape_unprintable

from .output import plain_console, report

if TYPE_CHECKING:
    from rich.console import RenderableType

# Seconds before the bar appears: a command that ends sooner needs none.
_DELAY = 1.0

# Widest name of a file in a bar, in characters; a longer one is cut at its beginning.
_MAX_NAME = 30


@frozen
class Amount:
    """Work done so far."""

    done: float
    """Finished part, in the unit of ``total``."""

    total: float | None
    """All of the work; ``None``: unknown."""

    details: str
    """Counts for people, such as ``1,204 frames, 3.4 MB``."""


def report_start(text: str) -> None:
    """Write a line about what starts now, if stderr is a terminal."""
    if sys.stderr.isatty():
        report(text)


def describe_frames(count: int, size: int) -> str:
    """Return a number of frames and their size in bytes as text."""
    from rich.filesize import decimal

    text = ngettext("{count} frame, {size}", "{count} frames, {size}", count)
    return text.format(count=f"{count:,}", size=decimal(size))


@contextlib.contextmanager
def show_progress(
    label: str, measure: Callable[[], Amount], *, prints: bool = True
) -> Iterator[None]:
    """Show a progress bar while the block runs, from its second second on.

    - ``label``: beginning of the line, such as ``anonymising day.rec``.
    - ``measure``: returns the work done so far; called about ten times a second, in a thread.
    - ``prints``: the block writes to stdout. There is no bar then if stdout is a terminal.

    Lines that ``report`` writes in the block appear above the bar.
    """
    if not sys.stderr.isatty() or (prints and sys.stdout.isatty()):
        yield
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    shown_from = time.monotonic() + _DELAY

    class MeasuredProgress(Progress):
        def get_renderable(self) -> RenderableType:
            if not self.tasks or time.monotonic() < shown_from:
                return ""
            amount = measure()
            self.update(
                self.task_ids[0],
                completed=amount.done,
                total=amount.total,
                details=amount.details,
            )
            return super().get_renderable()

    progress = MeasuredProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[details]}", markup=False),
        TimeElapsedColumn(),
        console=plain_console(stderr=True),
        transient=True,
        redirect_stdout=False,
    )
    progress.add_task(escape_unprintable(label), total=None, details="")
    with progress:
        yield


def shorten_name(name: object) -> str:
    """Return a file's name, cut to the width that a progress bar has for it."""
    text = str(name)
    return text if len(text) <= _MAX_NAME else f"…{text[1 - _MAX_NAME :]}"
