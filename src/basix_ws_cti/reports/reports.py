"""Reports: figures of a call log for managers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from basix_ws_cti._internal.arguments import (
    check_bool,
    check_instance,
    check_integer,
    check_number,
    check_seconds,
)
from basix_ws_cti.calllog.read_access import ReadAccess
from basix_ws_cti.calllog.schema import CALLS, NAMES
from basix_ws_cti.calls import Band, Thresholds
from basix_ws_cti.exceptions import UsageError

from .agent_report import agent_rows
from .call_list import call_rows
from .callbacks import callback_rows
from .dialled_numbers import number_rows
from .heat_map import heat_cells
from .interruptions import gap_rows
from .intervals import By, moment
from .outbound import outbound_rows
from .queue_report import queue_rows
from .repeat_callers import first_contacts, repeat_caller_rows
from .rows import (
    AgentRow,
    CallbackRow,
    CallListRow,
    FirstContactRow,
    GapRow,
    HeatCell,
    NameRow,
    NumberRow,
    OutboundRow,
    QueueRow,
    RepeatCallerRow,
    VolumeRow,
)
from .selection import Selection
from .volumes import volume_rows

_DEFAULT_THRESHOLDS = Thresholds()

_LONGEST_WITHIN = timedelta(days=3653)


class Reports:
    """Reports from a call log.

    - ``database``: path of an SQLite file, or a URL.
    - ``thresholds``: thresholds of the figures of queues.
    - ``wrap_up``: wrap-up time for each call handled, in seconds.
    - ``target``: service level to reach, 0 to 1.

    Any thread may use it. Each report except ``calls`` is one transaction: it sees the call log as
    it is at one time. Every method raises ``CallLogError`` if the database cannot be read, and
    ``UsageError`` for arguments that cannot work.
    """

    def __init__(
        self,
        database: str | Path,
        *,
        thresholds: Thresholds = _DEFAULT_THRESHOLDS,
        wrap_up: float = 0,
        target: float = 0.8,
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

    @property
    def name(self) -> str:
        """Name of the database, without a password."""
        return self._access.name

    # -- figures -------------------------------------------------------------------------

    def queues(self, selection: Selection, by: By | None = None) -> tuple[QueueRow, ...]:
        """Return the figures of queues.

        - ``by``: length of the intervals; ``None``: one interval, the period.
        - Each interval has a row for all queues together, and then one for each queue by its id:
          the selected groups, or all that have rows in the period. A wait belongs to the interval
          in which the call entered the queue, a participation to that of its first offer.
        - Counts and sums of the queues add up to those of the first row.

        Raise ``UsageError`` if the selection has users: waits have none.
        """
        _check(selection, "queues", users=False)
        with self._access.transaction() as connection:
            return tuple(
                queue_rows(
                    connection, selection, by, thresholds=self.thresholds, wrap_up=self.wrap_up
                )
            )

    def agents(
        self, selection: Selection, by: By | None = None, *, by_group: bool = False
    ) -> tuple[AgentRow, ...]:
        """Return the figures of agents.

        - ``by``: as in ``queues``. A participation belongs to the interval of its first offer.
        - ``by_group``: one row for each agent and queue that offered the calls, instead of one for
          each agent. Groups of the selection limit the report to calls that their queues offered.
        - Each interval has a row for all agents together, and then one for each agent by its id:
          the selected users, or all that have rows in the period.
        """
        _check(selection, "agents")
        check_bool("by_group", by_group)
        with self._access.transaction() as connection:
            return tuple(
                agent_rows(connection, selection, by, by_group=by_group, wrap_up=self.wrap_up)
            )

    def volumes(self, selection: Selection, by: By | None = None) -> tuple[VolumeRow, ...]:
        """Return the number of calls by direction and disposition.

        Each interval has a row for all directions together, and then one for each direction. A call
        belongs to the interval in which it started. Groups of the selection limit the report to
        calls that waited in their queues, users to calls in which they took part.
        """
        _check(selection, "volumes")
        with self._access.transaction() as connection:
            return tuple(volume_rows(connection, selection, by))

    def heat_map(self, selection: Selection) -> tuple[HeatCell, ...]:
        """Return the waits by weekday and hour: a cell for each that is selected.

        Raise ``UsageError`` if the selection has users: waits have none.
        """
        _check(selection, "heat_map", users=False)
        with self._access.transaction() as connection:
            return tuple(heat_cells(connection, selection))

    def wait_bands(self, selection: Selection) -> tuple[Band, ...]:
        """Return the waits of all selected queues together by duration, see ``Thresholds.bands``.

        Raise ``UsageError`` if the selection has users: waits have none.
        """
        _check(selection, "wait_bands", users=False)
        return self.queues(selection)[0].figures.bands

    # -- calls ---------------------------------------------------------------------------

    def calls(self, selection: Selection) -> Iterator[CallListRow]:
        """Yield the calls, oldest first.

        They are read while you iterate, a thousand in each transaction. Groups and users limit the
        list as in ``volumes``.
        """
        _check(selection, "calls")
        return call_rows(self._access, selection)

    def callbacks(self, selection: Selection) -> tuple[CallbackRow, ...]:
        """Return the callers of the period who were not answered, and not called back since.

        - A caller is settled by an answered call, from or to the number, that started after the
          last unanswered one: also after the period, and in whatever queue.
        - Callers who withheld their number are not in the list.
        - Groups and users limit the unanswered calls as in ``volumes``.
        - The one whose first call is oldest comes first.
        """
        _check(selection, "callbacks")
        with self._access.transaction() as connection:
            return tuple(callback_rows(connection, selection))

    def repeat_callers(
        self, selection: Selection, at_least: int = 3
    ) -> tuple[RepeatCallerRow, ...]:
        """Return the numbers that called ``at_least`` so often in the period; most calls first.

        Groups and users limit the calls as in ``volumes``.
        """
        _check(selection, "repeat_callers")
        check_integer("at_least", at_least, at_least=2)
        with self._access.transaction() as connection:
            return tuple(repeat_caller_rows(connection, selection, at_least))

    def first_contact(
        self, selection: Selection, within: timedelta = timedelta(days=7)
    ) -> FirstContactRow:
        """Return how many callers did not call again ``within`` a time after their first answer.

        It estimates first-contact resolution: the feed does not tell what a call was about. The
        first answered call of each number in the period counts. Later calls count from anywhere,
        also after the period: a period that ended less than ``within`` ago looks too good.
        """
        _check(selection, "first_contact")
        check_instance("within", within, timedelta, "a timedelta")
        if not timedelta() < within <= _LONGEST_WITHIN:
            raise UsageError("within must be longer than 0 and at most ten years")
        with self._access.transaction() as connection:
            return first_contacts(connection, selection, within)

    def outbound(self, selection: Selection) -> tuple[OutboundRow, ...]:
        """Return the results of outgoing calls: all users together, and then each user.

        Raise ``UsageError`` if the selection has groups: outgoing calls wait in no queue.
        """
        _check(selection, "outbound", groups=False)
        with self._access.transaction() as connection:
            return tuple(outbound_rows(connection, selection))

    def numbers(self, selection: Selection) -> tuple[NumberRow, ...]:
        """Return the incoming calls by dialled number: all together, and then each number.

        Groups and users limit the calls as in ``volumes``. The number with most calls comes first.
        """
        _check(selection, "numbers")
        with self._access.transaction() as connection:
            return tuple(number_rows(connection, selection))

    # -- what the call log knows ---------------------------------------------------------

    def gaps(self, selection: Selection) -> tuple[GapRow, ...]:
        """Return the gaps in the feed that overlap the period, oldest first.

        Gaps that overlap each other, which several loggers noted, are one row with the reason of
        the first. A report that covers a gap may lack calls.
        """
        _check(selection, "gaps")
        with self._access.transaction() as connection:
            return tuple(gap_rows(connection, selection.period))

    def first_and_last_start(self) -> tuple[datetime, datetime] | None:
        """Return the start of the first and of the last call, in UTC; ``None``: no calls."""
        # Each subquery takes one look at the index. SQLite reads all of it for both in one query.
        ends = (select(find(CALLS.c.started)).scalar_subquery() for find in (func.min, func.max))
        with self._access.transaction() as connection:
            first, last = connection.execute(select(*ends)).one()
        if first is None:
            return None
        return moment(first, ZoneInfo("UTC")), moment(last, ZoneInfo("UTC"))

    def names(self) -> tuple[NameRow, ...]:
        """Return all names of users and groups, by kind and id, oldest first."""
        query = select(NAMES).order_by(NAMES.c.kind, NAMES.c.id, NAMES.c.since)
        with self._access.transaction() as connection:
            return tuple(
                NameRow(
                    kind=row.kind,
                    id=row.id,
                    name=row.name,
                    extension=row.extension,
                    since=moment(row.since, ZoneInfo("UTC")),
                )
                for row in connection.execute(query)
            )


def _check(selection: Selection, report: str, *, groups: bool = True, users: bool = True) -> None:
    """Require a selection whose conditions apply to a report."""
    check_instance("selection", selection, Selection, "a Selection")
    if selection.users and not users:
        raise UsageError(f"{report} cannot be limited to users: waits have none")
    if selection.groups and not groups:
        raise UsageError(f"{report} cannot be limited to groups: outgoing calls wait in no queue")
