"""Lock that lets one process at a time write to an SQLite file.

Some versions of SQLite (3.7.0 to 3.51.2) can lose commits when two connections write and checkpoint
a write-ahead log at the same time. The lock is a file beside the database. The operating system
releases it when the process ends, however it ends.
"""

from __future__ import annotations

import errno
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import URL

from .database import file_path


class ProcessLock:
    """Exclusive right of this process to write to a database; PostgreSQL needs none."""

    def __init__(self, url: URL) -> None:
        self._path: Path | None = None
        self._lock: FileLock | None = None
        self._is_folder = False
        if url.get_backend_name() == "sqlite":
            # All names of a file, such as symbolic links, have one lock.
            path = file_path(url).resolve()
            self._is_folder = path.is_dir()
            self._path = path.with_name(f"{path.name}.lock")
            # One thread takes the lock, and another one releases it.
            self._lock = FileLock(self._path, thread_local=False)

    def try_acquire(self) -> bool:
        """Take the lock; return False if another process has it. Raises ``OSError``."""
        if self._lock is None or self._path is None:
            return True
        if not self._path.parent.is_dir():  # which the library would create
            raise FileNotFoundError(errno.ENOENT, "no such folder")
        if self._is_folder:
            raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        """Release the lock, from any thread."""
        if self._lock is not None:
            self._lock.release()
