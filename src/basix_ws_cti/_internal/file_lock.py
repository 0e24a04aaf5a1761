"""Lock of a file between processes, as another file beside it. Needs the package filelock.

The operating system releases the lock when the process ends, however it ends.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import filelock


class FileLock:
    """Exclusive right to use a file, by all of its names: symbolic links to it have one lock.

    - ``path``: the file, which need not exist. The lock is a file beside it, with the name of the
      file and ``.lock``.
    """

    def __init__(self, path: Path) -> None:
        path = Path(os.path.realpath(path))
        self._path = path.with_name(f"{path.name}.lock")
        # One thread takes the lock, and another one may release it.
        self._lock = filelock.FileLock(self._path, thread_local=False)

    def try_acquire(self) -> bool:
        """Take the lock; return False if another object or process has it.

        Raises ``OSError``: ``FileNotFoundError`` with the text "no such folder" if the folder is
        missing. The folder is not created.
        """
        if not self._path.parent.is_dir():  # which the library would create
            raise FileNotFoundError(errno.ENOENT, "no such folder")
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        return True

    def release(self) -> None:
        """Release the lock, from any thread."""
        self._lock.release()
