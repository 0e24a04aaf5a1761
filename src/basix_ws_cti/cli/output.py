"""Terminals, pipes and files: how commands write."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


# Labels as long as a frame; a line is for reading.
MAX_TEXT = 1000


def prepare() -> None:
    """Write what the encoding lacks as ``?``, rather than fail at it; a closed stream is a void."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def console(*, stderr: bool = False) -> Console:
    """A rich console without markup, for text that others wrote.

    Colours are left out where ``NO_COLOR`` says so and where no terminal reads (rich's rules).
    """
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704 - rich would end the program with 1

    return Plain(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)


def say(text: str) -> None:
    """A line on stderr, or several: what is no result. Nobody need read it."""
    shown = "\n".join(map(harmless, text.split("\n")))
    with contextlib.suppress(OSError):
        sys.stderr.write(f"basix-ws-cti: {shown}\n")
        sys.stderr.flush()


def harmless(text: str) -> str:
    """A text that others wrote, for a terminal: what could steer it is seen instead.

    That is control characters, escape sequences, and what turns the direction of writing.
    """
    if text.isprintable():
        return text
    # Python counts the full-width space, which is in Japanese names, among the unprintable.
    return "".join(
        char if char.isprintable() or char == "\u3000" else ascii(char)[1:-1] for char in text
    )


def fitted(text: str, width: int | None = None) -> str:
    """A harmless text of so many columns, of which a Japanese character takes two.

    Without ``width``, as long as it is, up to a limit.
    """
    from rich.cells import cell_len, set_cell_size

    text = harmless(text[:MAX_TEXT])
    if width is None:
        return text
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1) + "~"
    return text + " " * (width - cell_len(text))


def painter() -> Callable[[str, int], str]:
    """How stdout shows colours: ``paint(text, code)``, codes being those of SGR (ECMA-48)."""
    out = console()
    if out.color_system is None or out.no_color or out.legacy_windows:
        return lambda text, _: text
    return lambda text, code: f"\x1b[{code}m{text}\x1b[0m" if code else text


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON; escaped what the encoding can't hold, and what could steer a terminal."""
    narrow = not (sys.stdout.encoding or "").lower().startswith("utf")
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=narrow, separators=separators, indent=indent)
    if text.isprintable():
        return text
    # A line end is ours: those in texts are escaped already.
    return "".join(
        char if char.isprintable() or char in "\n\u3000" else json.dumps(char)[1:-1]
        for char in text
    )


def write_json(value: Any, *, indent: int | None = None) -> None:
    """One JSON line, flushed; with ``indent``, several for people to read."""
    sys.stdout.write(json_text(value, indent=indent) + "\n")
    sys.stdout.flush()


def reader_is_gone(error: BaseException) -> bool:
    """Whether an error says that nobody reads what is written; Windows has two for that."""
    if isinstance(error, BrokenPipeError):
        return True
    # Of a file that is named it says that there can be none of that name.
    return (
        sys.platform == "win32"
        and isinstance(error, OSError)
        and error.errno == errno.EINVAL
        and error.filename is None
    )


def leave_nothing() -> None:
    """Before an error ends all: write what is left; what can't be written is not told twice."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        nobody_reads()


def nobody_reads() -> None:
    """After the reader has gone: what is still to be flushed goes nowhere."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
