"""Terminals, pipes and files: how commands write."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def prepare() -> None:
    """Write what the encoding lacks as ``?``, rather than fail at it."""
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
    """A line on stderr: what is no result."""
    sys.stderr.write(f"basix-ws-cti: {text}\n")
    sys.stderr.flush()


def write_json(value: Any, *, indent: int | None = None) -> None:
    """One JSON line, flushed; escaped where the encoding could not hold each character.

    With ``indent``, several lines for people to read.
    """
    narrow = not (sys.stdout.encoding or "").lower().startswith("utf")
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=narrow, indent=indent, separators=separators)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def nobody_reads() -> None:
    """After a ``BrokenPipeError``: what is still to be flushed goes nowhere."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
