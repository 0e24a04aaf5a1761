"""Output files that are complete or absent, and that only their owner can read."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from .files import file_access


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
    os.close(os.open(target, flags, 0o600))
    try:
        yield
    except BaseException:
        target.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _temporary_file(target: Path) -> Iterator[BinaryIO]:
    """Open a file in the folder of ``target``, which it replaces at the end of the block."""
    descriptor, name = tempfile.mkstemp(prefix=".basix-ws-cti-", suffix=".part", dir=target.parent)
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor has no path
            yield cast("BinaryIO", stream)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
