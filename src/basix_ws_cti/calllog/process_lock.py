"""Lock that lets one process at a time write to an SQLite file.

Some versions of SQLite (3.7.0 to 3.51.2) can lose commits when two connections write and checkpoint
a write-ahead log at the same time.
"""

from __future__ import annotations

import errno

from sqlalchemy import URL

from basix_ws_cti._internal.file_lock import FileLock

from .database import file_path


class ProcessLock:
    """Exclusive right of this process to write to a database; PostgreSQL needs none."""

    def __init__(self, url: URL) -> None:
        self._lock: FileLock | None = None
        self._is_folder = False
        if url.get_backend_name() == "sqlite":
            path = file_path(url)
            self._is_folder = path.is_dir()
            self._lock = FileLock(path)

    def try_acquire(self) -> bool:
        """Take the lock; return False if another process has it. Raises ``OSError``."""
        if self._lock is None:
            return True
        if self._is_folder:
            raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file")
        return self._lock.try_acquire()

    def release(self) -> None:
        """Release the lock, from any thread."""
        if self._lock is not None:
            self._lock.release()
