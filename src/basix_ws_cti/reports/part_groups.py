"""Groups of participations with equal columns, counted and summed by the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import ColumnElement, Connection, func, null, or_, select

from basix_ws_cti.calllog.schema import PARTICIPATIONS
from basix_ws_cti.calls.model import Role
from basix_ws_cti.calls.participation import ParticipationResult
from basix_ws_cti.calls.sums import AgentSums

from .conditions import Buckets, in_segment, label_all, names_of
from .selection import Selection

_C = PARTICIPATIONS.c

# The time of a row: see ``time_of``. Nearly all rows have the first of these times. Two queries
# instead of an expression let each of them use an index.
_TIMES: tuple[tuple[ColumnElement[Any], tuple[ColumnElement[bool], ...]], ...] = (
    (_C.first_offered, ()),
    (func.coalesce(_C.answered, _C.left), (_C.first_offered.is_(None),)),
)


@frozen
class PartGroup:
    """Participations with the same user, group, role, result, purpose and kind of call."""

    user_id: int | None
    """Id of the user; ``None`` if the query does not tell users apart."""
    group_id: int | None
    """Id of the group whose queue offered the calls; ``None``: no queue did, or the query does not
    tell queues apart."""
    role: Role
    """Role of the parties."""
    result: ParticipationResult | None
    """Result of the rows."""
    purpose: str
    """Purpose of the calls."""
    is_internal: bool
    """True if the calls are internal."""
    rows: int
    """Number of rows."""
    rang: int
    """Sum of the ring times, in microseconds."""
    talked: int
    """Sum of the talk times, in microseconds."""
    longest_talk: int
    """Longest talk time, in microseconds."""
    held: int
    """Sum of the hold times, in microseconds."""
    transfers_out: int
    """Number of transfers by the parties."""
    transfers_in: int
    """Number of transfers to the parties."""

    def add_to(self, sums: AgentSums) -> None:
        """Count these rows."""
        is_talk = sums.count(
            self.role,
            self.result,
            self.rows,
            is_internal=self.is_internal,
            rang=self.rang,
            held=self.held,
            transfers_out=self.transfers_out,
            transfers_in=self.transfers_in,
        )
        if is_talk:
            sums.add_talks(self.rows, self.talked, self.longest_talk)


def groups_of_queues(
    connection: Connection, selection: Selection, buckets: Buckets
) -> Iterator[tuple[int, PartGroup]]:
    """Yield the participations that queues offered, with the index of their interval.

    The groups do not tell users apart.
    """
    keys = null(), _C.group_id
    # All others add nothing to the figures of queues.
    has_something = or_(_C.result == "answered", _C.transfers_out != 0)
    return _groups(connection, selection, buckets, keys, _C.group_id.is_not(None), has_something)


def groups_of_agents(
    connection: Connection, selection: Selection, buckets: Buckets, *, by_group: bool
) -> Iterator[tuple[int, PartGroup]]:
    """Yield the participations of users, with the index of their interval.

    ``by_group``: the groups tell queues apart.
    """
    conditions = [_C.user_id.is_not(None)]
    if selection.users:
        conditions.append(_C.user_id.in_(sorted(selection.users)))
    keys = _C.user_id, _C.group_id if by_group else null()
    return _groups(connection, selection, buckets, keys, *conditions)


def _groups(
    connection: Connection,
    selection: Selection,
    buckets: Buckets,
    user_and_group: tuple[ColumnElement[Any], ColumnElement[Any]],
    *conditions: ColumnElement[bool],
) -> Iterator[tuple[int, PartGroup]]:
    if selection.groups:
        conditions = (*conditions, _C.group_id.in_(sorted(selection.groups)))
    for segment in buckets.segments:
        for time, of_time in _TIMES:
            keys = (
                buckets.column(time, segment),
                *user_and_group,
                _C.role,
                _C.result,
                _C.purpose,
                _C.direction == "internal",
            )
            labelled = label_all(*keys)
            query = (
                select(
                    *labelled,
                    func.count(),
                    func.sum(_C.rang_us),
                    func.sum(_C.talked_us),
                    func.max(_C.talked_us),
                    func.sum(_C.held_us),
                    func.sum(_C.transfers_out),
                    func.sum(_C.transfers_in),
                )
                .where(in_segment(time, segment, selection), *of_time, *conditions)
                .group_by(*names_of(labelled))
            )
            for row in connection.execute(query):
                yield buckets.interval_of(row[0], segment), _part_group(tuple(row))


def _part_group(row: Sequence[Any]) -> PartGroup:
    _, user_id, group_id, role, result, purpose, is_internal, *sums = row
    # PostgreSQL's sums of integers are of type Decimal.
    return PartGroup(user_id, group_id, role, result, purpose, bool(is_internal), *map(int, sums))
