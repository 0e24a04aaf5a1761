"""Dead letters of a webhook: events that the receiver refused permanently."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from basix_ws_cti.exceptions import SpoolError

from .spool import DeadLetter, Spool
from .spool_file import describe_storage_error

R = TypeVar("R")


class DeadLetters:
    """Dead letters in the spool of a webhook, which may run meanwhile.

    - ``spool``: the file of the spool.

    The methods raise ``SpoolError`` if the file does not exist or cannot be used.
    """

    def __init__(self, spool: str | Path) -> None:
        self._path = Path(spool).absolute()

    def list(self) -> list[DeadLetter]:
        """Return the dead letters, oldest first."""
        return self._run(Spool.dead_letters)

    def retry(self, ids: Sequence[str] | None = None) -> int:
        """Let the webhook send dead letters again, all for ``None``; return their number.

        They follow the events of their calls that wait. A webhook that runs notices them within
        seconds.
        """
        return self._run(lambda spool: spool.retry_letters(ids))

    def drop(self, ids: Sequence[str] | None = None) -> int:
        """Delete dead letters, all for ``None``; return their number."""
        return self._run(lambda spool: spool.delete_letters(ids))

    def _run(self, operation: Callable[[Spool], R]) -> R:
        try:
            if not self._path.is_file():
                raise SpoolError(str(self._path), "no such file")
            # The limits are those of the webhook: what is moved back does not exceed them by much.
            spool = Spool(self._path, max_events=_UNLIMITED, max_age=_UNLIMITED)
            try:
                spool.begin()
                result = operation(spool)
                spool.commit()
            finally:
                spool.close()
        except (OSError, sqlite3.Error) as error:
            raise SpoolError(str(self._path), describe_storage_error(error)) from None
        return result


_UNLIMITED = 2**53
