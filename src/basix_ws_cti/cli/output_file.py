"""Output files that are complete or absent, and that only their owner can read."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from .files import file_access

# Windows would write CRLF for each line end.
_BINARY: int = getattr(os, "O_BINARY", 0)


@contextlib.contextmanager
def complete_file(file: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Open a file for writing; it has its contents once the block ends without an error.

    - The file has the mode 0600, also if it replaces one with a wider mode.
    - If the block raises, a file that existed is as it was, and a new one is removed.
    - A device or pipe is written directly.

    Raises ``FileAccessError``, also for an existing file without ``overwrite``. An ``OSError`` of
    the block becomes one, too.
    """
    with file_access("write", file):
        target = file.resolve()  # a symbolic link stays one
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        with _reserved(target, overwrite=overwrite), _temporary_file(target) as stream:
            yield stream


@contextlib.contextmanager
def _reserved(target: Path, *, overwrite: bool) -> Iterator[None]:
    """Create a new file, so that no other program does; remove it if the block raises."""
    if overwrite and target.exists():
        yield
        return
    flags = os.O_WRONLY | os.O_CREAT | (0 if overwrite else os.O_EXCL)
    is_new = True
    try:  # Ctrl-C may come as soon as the file exists
        try:
            os.close(os.open(target, flags, 0o600))
        except FileExistsError:
            is_new = False
            raise
        yield
    except BaseException:
        if is_new:
            target.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _temporary_file(target: Path) -> Iterator[BinaryIO]:
    """Open a file in the folder of ``target``, which it replaces at the end of the block."""
    temporary = target.with_name(f".basix-ws-cti-{secrets.token_hex(8)}.part")
    try:  # Ctrl-C may come as soon as the file exists
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor has no path
            yield cast("BinaryIO", stream)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
