"""Rows of the agent report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import Connection

from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.calls import AgentFigures
from basix_ws_cti.calls.sums import AgentSums
from basix_ws_cti.calls.tallies import counts_for_agent

from .conditions import Buckets
from .intervals import By, Interval, split
from .names import Names
from .part_groups import groups_of_agents
from .rows import AgentRow
from .selection import Selection

# Id of a user, and of the queue that offered the calls.
_Pair = tuple[int | None, int | None]


def agent_rows(
    connection: Connection,
    selection: Selection,
    by: By | None,
    *,
    by_group: bool,
    wrap_up: float,
) -> Iterator[AgentRow]:
    """Yield the rows of each interval: all agents together, and then each agent."""
    sums: defaultdict[tuple[int, _Pair], AgentSums] = defaultdict(AgentSums)
    buckets = Buckets.of(selection, by)
    for number, parts in groups_of_agents(connection, selection, buckets, by_group=by_group):
        if counts_for_agent(parts):
            parts.add_to(sums[number, (parts.user_id, parts.group_id)])
    pairs = {pair for _, pair in sums}
    if not by_group:
        pairs |= {(user_id, None) for user_id in selection.users}
    names = Names.read(connection)

    def row(interval: Interval, pair: _Pair, figures: AgentFigures) -> AgentRow:
        (user_id, group_id), end = pair, to_microseconds(interval.end)
        name, extension = names.user(user_id, end)
        return AgentRow(
            start=interval.start,
            end=interval.end,
            user_id=user_id,
            user_name=name,
            extension=extension,
            group_id=group_id,
            group_name=names.group(group_id, end),
            figures=figures,
        )

    # Most quarter hours of a year have no rows: they share these figures.
    nothing = AgentFigures.of_sums(AgentSums(), wrap_up=wrap_up)
    ordered = sorted(pairs, key=_order)
    for number, interval in enumerate(split(selection.period, by)):
        here = {pair: sums.get((number, pair)) for pair in ordered}
        total = AgentSums.together(filter(None, here.values()))
        yield row(interval, (None, None), AgentFigures.of_sums(total, wrap_up=wrap_up))
        for pair, found in here.items():
            figures = nothing if found is None else AgentFigures.of_sums(found, wrap_up=wrap_up)
            yield row(interval, pair, figures)


def _order(pair: _Pair) -> tuple[int, bool, int]:
    user_id, group_id = pair
    return user_id or 0, group_id is not None, group_id or 0
