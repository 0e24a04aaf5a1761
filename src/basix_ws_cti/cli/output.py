"""Output to terminals, pipes and files: streams, colours, text fitting, JSON."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from basix_ws_cti.board.text import FULL_WIDTH_SPACE, MAX_LINE_TEXT, escape_unprintable

if TYPE_CHECKING:
    from rich.console import Console


def prepare_streams() -> None:
    """Make the standard streams accept any text.

    A character that the encoding lacks is written as ``?``. A stream that is closed from the
    start is replaced by the null device.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def plain_console(*, stderr: bool = False) -> Console:
    """Return a Rich console that interprets no markup, for text that other people wrote.

    It uses no colours if ``NO_COLOR`` is set or the stream is not a terminal (Rich's rules).
    """
    from rich.console import Console

    class PlainConsole(Console):
        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704 - Rich would end the program with exit code 1

    return PlainConsole(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)


def report(text: str) -> None:
    """Write one or more lines of status or error text to stderr, if stderr can be written."""
    safe = "\n".join(map(escape_unprintable, text.split("\n")))
    with contextlib.suppress(OSError):
        sys.stderr.write(f"basix-ws-cti: {safe}\n")
        sys.stderr.flush()


def fit_text(text: str, width: int | None = None, *, cut: bool = True) -> str:
    """Return a text padded to ``width`` terminal columns, safe to print.

    A Japanese character takes two columns. A longer text is cut, unless ``cut`` is false. ``None``
    only limits the text to ``MAX_LINE_TEXT``.
    """
    from rich.cells import cell_len, set_cell_size

    text = escape_unprintable(text[:MAX_LINE_TEXT])
    if width is None:
        return text
    if cut and cell_len(text) > width:
        text = set_cell_size(text, width - 1) + "~"
    return text + " " * (width - cell_len(text))


# Narrower terminals are treated as if they had this many columns.
_MIN_WIDTH = 40


def terminal_width() -> Callable[[], int | None]:
    """Return a function that returns the present width of the terminal on stdout, in columns.

    It returns ``None`` if stdout is no terminal: lines may have any length.
    """
    console = plain_console()
    if not console.is_terminal:
        return lambda: None
    return lambda: max(console.width, _MIN_WIDTH)


def stdout_colouriser() -> Callable[[str, int], str]:
    """Return ``colourise(text, code)`` for stdout; ``code`` is an SGR code of ECMA-48.

    It returns the text unchanged if stdout shows no colours.
    """
    console = plain_console()
    if console.color_system is None or console.no_color or console.legacy_windows:
        return lambda text, _: text
    return lambda text, code: f"\x1b[{code}m{text}\x1b[0m" if code else text


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return a value as JSON.

    Characters that stdout's encoding lacks, or that could steer a terminal, are escaped.
    """
    is_narrow = not (sys.stdout.encoding or "").lower().startswith("utf")
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=is_narrow, separators=separators, indent=indent)
    if text.isprintable():
        return text
    # Line ends come from the indentation: json.dumps has escaped those in texts.
    return "".join(
        char if char.isprintable() or char in f"\n{FULL_WIDTH_SPACE}" else json.dumps(char)[1:-1]
        for char in text
    )


def write_json(value: Any, *, indent: int | None = None) -> None:
    """Write a value to stdout as one JSON line and flush; ``indent`` spreads it over several."""
    sys.stdout.write(json_text(value, indent=indent) + "\n")
    sys.stdout.flush()


def is_broken_pipe(error: BaseException) -> bool:
    """Return True if an error means that the reader of the output is gone.

    Windows reports this as ``BrokenPipeError`` or as ``EINVAL``. With a file name, ``EINVAL``
    means an invalid name instead.
    """
    if isinstance(error, BrokenPipeError):
        return True
    return (
        sys.platform == "win32"
        and isinstance(error, OSError)
        and error.errno == errno.EINVAL
        and error.filename is None
    )


def flush_or_discard_output() -> None:
    """Flush stdout before the program ends with an error, without reporting a second error."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        discard_output()


def discard_output() -> None:
    """Redirect stdout and stderr to the null device, so that flushing at exit cannot fail."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
