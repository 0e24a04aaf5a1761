"""The file of a spool: its lock, and what happens to a damaged one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from basix_ws_cti._internal.os_errors import describe_os_error
from basix_ws_cti.exceptions import SpoolError, UsageError

from .spool import Spool

if TYPE_CHECKING:
    from filelock import BaseFileLock

# Results of SQLite that mean that a file is no intact database. The primary code is the low byte.
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def is_damage(error: sqlite3.Error) -> bool:
    """Return True for an error which means that the file is damaged, whatever the attempt."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # raised by this package after a check
        return type(error) is sqlite3.DatabaseError
    return (code & 0xFF) in _DAMAGED


class SpoolFile:
    """File of a spool, which one webhook at a time uses.

    ``open`` and ``close`` may block, and are called in the thread of the spool.
    """

    def __init__(self, path: Path, make: Callable[[Path], Spool]) -> None:
        self.path = path
        self.put_aside: Path | None = None
        """The damaged file that was renamed at the opening; ``None``: there was none."""
        self._make = make
        self._lock = _file_lock(path.with_name(f"{path.name}.lock"))

    def open(self) -> Spool:
        """Lock the file and open it; a damaged one is put aside, and a new one created.

        Raises ``SpoolError``.
        """
        self._acquire()
        try:
            return self._open()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()

    def _acquire(self) -> None:
        from filelock import Timeout  # noqa: PLC0415 - an optional dependency

        if not self.path.parent.is_dir():  # which the library would create
            raise SpoolError(str(self.path), "no such folder")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise SpoolError(
                str(self.path), "another webhook uses it: end it, or name another file"
            ) from None
        except OSError as error:
            raise SpoolError(str(self.path), describe_os_error(error)) from None

    def _open(self) -> Spool:
        try:
            return self._make(self.path)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise SpoolError(str(self.path), str(error)) from None
        except OSError as error:
            raise SpoolError(str(self.path), describe_os_error(error)) from None
        self.put_aside = self._put_aside()
        try:
            return self._make(self.path)
        except (OSError, sqlite3.Error) as error:
            raise SpoolError(str(self.path), str(error)) from None

    def _put_aside(self) -> Path:
        """Rename the damaged file, and its journal, which belongs to it."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        aside = self.path.with_name(f"{self.path.name}.damaged-{stamp}")
        try:
            self.path.rename(aside)
            journal = self.path.with_name(f"{self.path.name}-journal")
            if journal.exists():
                journal.rename(aside.with_name(f"{aside.name}-journal"))
        except OSError as error:
            reason = describe_os_error(error)
            raise SpoolError(
                str(self.path), f"it is damaged, and cannot be renamed: {reason}"
            ) from None
        return aside


def _file_lock(path: Path) -> BaseFileLock:
    try:
        from filelock import FileLock  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise UsageError(
            "a webhook needs the package filelock: pip install 'basix_ws_cti[webhook]'"
        ) from None
    # One thread takes the lock, and another one may release it.
    return FileLock(path, thread_local=False)
