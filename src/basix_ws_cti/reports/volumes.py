"""Calls by direction and disposition in each interval."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import attrs
from sqlalchemy import Connection, func, select

from basix_ws_cti.calllog.schema import CALLS

from .calls_of import IS_CALL, of_groups_and_users
from .conditions import Buckets, in_segment, label_all, names_of
from .intervals import By, split
from .rows import VolumeRow
from .selection import Selection

_DIRECTIONS = ("inbound", "outbound", "internal")

# Dispositions that have a column.
_KNOWN = frozenset(attribute.name for attribute in attrs.fields(VolumeRow)[4:])


def volume_rows(connection: Connection, selection: Selection, by: By | None) -> Iterator[VolumeRow]:
    """Yield the rows of each interval: all directions together, and then each of them."""
    counts: defaultdict[tuple[int, str | None], Counter[str]] = defaultdict(Counter)
    buckets = Buckets.of(selection, by)
    for segment in buckets.segments:
        keys = label_all(
            buckets.column(CALLS.c.started, segment), CALLS.c.direction, CALLS.c.disposition
        )
        query = (
            select(*keys, func.count())
            .where(
                in_segment(CALLS.c.started, segment, selection),
                IS_CALL,
                of_groups_and_users(selection),
            )
            .group_by(*names_of(keys))
        )
        for row in connection.execute(query):
            bucket, direction, disposition, number = tuple(row)
            place = buckets.interval_of(bucket, segment)
            column = "active" if disposition is None else disposition
            for key in (direction, None):
                counts[place, key][column if column in _KNOWN else "unknown"] += number
    nothing: Counter[str] = Counter()
    for index, interval in enumerate(split(selection.period, by)):
        for direction in (None, *_DIRECTIONS):
            found = counts.get((index, direction), nothing)
            yield VolumeRow(
                start=interval.start,
                end=interval.end,
                direction=direction,
                calls=found.total(),
                **{name: found[name] for name in _KNOWN},
            )
