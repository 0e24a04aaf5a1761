"""Entries of the call log: calls with their rows, gaps and names, ready to be written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import frozen
from sqlalchemy import Table

from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.calls import Call, CallRecord, Participation, QueueWait
from basix_ws_cti.calls.call_record import DEFAULT_GREETING
from basix_ws_cti.mirror.changes import Gap
from basix_ws_cti.mirror.phone_numbers import HOME_COUNTRY

from .schema import CALLS, NAMES, PARTICIPATIONS, WAITS
from .values import storable

Row = dict[str, Any]


@frozen
class CallEntry:
    """The rows of one call, with the values that every database can store."""

    call: Row
    """Row of ``calls``, without ``change``."""

    waits: list[Row]
    """Rows of ``waits``; none while the call lasts."""

    participations: list[Row]
    """Rows of ``participations``; none while the call lasts."""

    has_numbers: bool = True
    """False if the numbers and names of outside parties were removed from the rows."""

    @classmethod
    def of(
        cls, call: Call, country_code: str = HOME_COUNTRY, greeting: float = DEFAULT_GREETING
    ) -> CallEntry:
        """Return the rows of a call; the arguments are those of ``CallRecord.of``."""
        record = CallRecord.of(call, country_code=country_code, greeting=greeting)
        row = storable(record.to_dict(), CALLS)
        if call.ended is None:
            return cls(row, [], [])
        return cls(
            row,
            _numbered(QueueWait.of(call), WAITS),
            _numbered(Participation.of(call), PARTICIPATIONS),
        )

    @property
    def id(self) -> str:
        """Id of the call."""
        return str(self.call["id"])


@frozen
class GapEntry:
    """A gap in the feed."""

    row: Row
    """Row of ``gaps``."""

    @classmethod
    def of(cls, gap: Gap) -> GapEntry:
        """Return the entry of a gap. The reason is the name of its error's class."""
        reason = "unknown" if gap.reason is None else type(gap.reason).__name__
        started, ended = to_microseconds(gap.started), to_microseconds(gap.ended)
        return cls({"started": started, "ended": ended, "reason": reason})


@frozen
class NameEntry:
    """The name that a user or group has from some time on."""

    row: Row
    """Row of ``names``."""

    @classmethod
    def of(cls, kind: str, id: int, since: int, name: object, extension: object) -> NameEntry:  # noqa: A002 - the columns
        """Return the entry of a name; ``since`` is in microseconds since the epoch."""
        row = {"kind": kind, "id": id, "since": since, "name": name, "extension": extension}
        return cls(storable(row, NAMES))

    @property
    def named(self) -> tuple[str | None, str | None]:
        """Name and extension."""
        return self.row["name"], self.row["extension"]


Entry = CallEntry | GapEntry | NameEntry


def _numbered(rows: Iterable[QueueWait | Participation], table: Table) -> list[Row]:
    return [{**storable(row.to_dict(), table), "position": n} for n, row in enumerate(rows)]
