"""Reports: figures of a call log for managers."""

from __future__ import annotations

from pathlib import Path

from basix_ws_cti._internal.arguments import check_instance, check_number, check_seconds
from basix_ws_cti.calllog.read_access import ReadAccess
from basix_ws_cti.calls import Thresholds
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.mirror.phone_numbers import HOME_COUNTRY

from .intervals import By
from .queue_report import queue_rows
from .rows import QueueRow
from .selection import Selection

_DEFAULT_THRESHOLDS = Thresholds()


class Reports:
    """Reports from a call log.

    - ``database``: path of an SQLite file, or a URL.
    - ``thresholds``: thresholds of the figures of queues.
    - ``wrap_up``: wrap-up time for each call handled, in seconds.
    - ``target``: service level to reach, 0 to 1.
    - ``country_code``: calling code of the home country, for telephone numbers.

    Any thread may use it. Each report is one transaction that reads: it sees the call log as it is
    at one time. Every method raises ``CallLogError`` if the database cannot be read, and
    ``UsageError`` for arguments that cannot work.
    """

    def __init__(
        self,
        database: str | Path,
        *,
        thresholds: Thresholds = _DEFAULT_THRESHOLDS,
        wrap_up: float = 0,
        target: float = 0.8,
        country_code: str = HOME_COUNTRY,
    ) -> None:
        check_instance("thresholds", thresholds, Thresholds, "a Thresholds")
        check_seconds("wrap_up", wrap_up, at_least=0)
        check_number("target", target, at_least=0)
        if target > 1:
            raise UsageError(f"target must be a number from 0 to 1, got {target:g}")
        self._access = ReadAccess(database)
        self.thresholds: Thresholds = thresholds
        """Thresholds of the figures of queues."""
        self.wrap_up: float = wrap_up
        """Wrap-up time for each call handled, in seconds."""
        self.target: float = target
        """Service level to reach, 0 to 1."""
        self.country_code: str = country_code
        """Calling code of the home country."""

    @property
    def name(self) -> str:
        """Name of the database, without a password."""
        return self._access.name

    def queues(self, selection: Selection, by: By | None = None) -> tuple[QueueRow, ...]:
        """Return the figures of queues.

        - ``by``: length of the intervals; ``None``: one interval, the period.
        - Each interval has a row for all queues together, and then one for each queue by its id:
          the selected groups, or all that have rows in the period. A wait belongs to the interval
          in which the call entered the queue, a participation to that of its first offer.
        - Counts and sums of the queues add up to those of the first row.

        Raise ``UsageError`` if the selection has users: waits have none.
        """
        check_instance("selection", selection, Selection, "a Selection")
        _check_no_users(selection, "queues")
        with self._access.transaction() as connection:
            return tuple(
                queue_rows(
                    connection, selection, by, thresholds=self.thresholds, wrap_up=self.wrap_up
                )
            )


def _check_no_users(selection: Selection, report: str) -> None:
    if selection.users:
        raise UsageError(f"the report {report} counts waits, which have no users: select none")
