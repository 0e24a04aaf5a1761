"""The file of a spool: its lock, and what happens to a damaged one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from basix_ws_cti._internal.os_errors import describe_os_error
from basix_ws_cti.exceptions import SpoolError, UsageError

from .spool import Spool

if TYPE_CHECKING:
    from basix_ws_cti._internal.file_lock import FileLock

# Results of SQLite that mean that a file is no intact database. The primary code is the low byte.
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def is_damage(error: sqlite3.Error) -> bool:
    """Return True for an error which means that the file is damaged, whatever the attempt."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # raised by this package after a check
        return type(error) is sqlite3.DatabaseError
    return (code & 0xFF) in _DAMAGED


def describe_storage_error(error: sqlite3.Error | OSError) -> str:
    """Return the reason for which the file cannot be used as text, without its path."""
    return describe_os_error(error) if isinstance(error, OSError) else str(error)


class SpoolFile:
    """File of a spool, which one webhook at a time uses.

    ``open`` and ``close`` may block, and are called in the thread of the spool.
    """

    def __init__(self, path: Path, make: Callable[[Path], Spool]) -> None:
        self.path = path
        self.put_aside: Path | None = None
        """The damaged file that was renamed at the opening; ``None``: there was none."""
        self._make = make
        self._lock = _file_lock(path)

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
        try:
            is_free = self._lock.try_acquire()
        except FileNotFoundError:
            raise SpoolError(str(self.path), "no such folder") from None
        except OSError as error:
            raise SpoolError(str(self.path), describe_os_error(error)) from None
        if not is_free:
            raise SpoolError(
                str(self.path), "another webhook uses it: end it, or name another file"
            )

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
            raise SpoolError(str(self.path), describe_storage_error(error)) from None

    def _put_aside(self) -> Path:
        """Rename the damaged file, and its journal, which belongs to it.

        A symbolic link to the file stays: the new file gets the same place, and the same lock.
        """
        path = Path(os.path.realpath(self.path))
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        aside = path.with_name(f"{path.name}.damaged-{stamp}")
        try:
            path.rename(aside)
            journal = path.with_name(f"{path.name}-journal")
            if journal.exists():
                journal.rename(aside.with_name(f"{aside.name}-journal"))
        except OSError as error:
            reason = describe_os_error(error)
            raise SpoolError(
                str(self.path), f"it is damaged, and cannot be renamed: {reason}"
            ) from None
        return aside


def _file_lock(path: Path) -> FileLock:
    try:
        from basix_ws_cti._internal.file_lock import FileLock  # noqa: PLC0415 - an extra's package
    except ImportError:
        raise UsageError(
            "a webhook needs the package filelock: pip install 'basix_ws_cti[webhook]'"
        ) from None
    return FileLock(path)
