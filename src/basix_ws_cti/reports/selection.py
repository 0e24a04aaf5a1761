"""Selection: the rows that a report counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time
from typing import Any

from attrs import field, frozen

from basix_ws_cti._internal.arguments import check_instance, check_integer
from basix_ws_cti.calllog.values import LARGEST_INTEGER
from basix_ws_cti.exceptions import UsageError

from .period import Period

Hours = tuple[time, time]
"""Hours of the day in local time: the first moment, and the first one that is not included."""


def _to_set(numbers: Iterable[int]) -> frozenset[int]:
    check_instance("weekdays, groups and users", numbers, Iterable, "sets of numbers")
    return frozenset(numbers)


@frozen(kw_only=True)
class Selection:
    """Rows that a report counts: those that meet all conditions.

    An empty set is no condition. Days and hours are those of the period's time zone.
    """

    period: Period
    """Time that the report covers."""
    weekdays: frozenset[int] = field(default=frozenset(), converter=_to_set)
    """Days of the week: 0 is Monday, 6 is Sunday."""
    hours: Hours | None = None
    """Hours of each day, such as ``(time(9), time(18))``; ``None``: all day. The end ``time(0)`` is
    midnight. Hours whose end is before their start go over midnight: those after midnight
    belong to the weekday on which they lie."""
    groups: frozenset[int] = field(default=frozenset(), converter=_to_set)
    """Ids of groups."""
    users: frozenset[int] = field(default=frozenset(), converter=_to_set)
    """Ids of users."""

    def __attrs_post_init__(self) -> None:
        check_instance("period", self.period, Period, "a Period")
        for weekday in self.weekdays:
            check_integer("weekdays", weekday, at_least=0, at_most=6)
        for name, ids in (("groups", self.groups), ("users", self.users)):
            for one in ids:
                check_integer(name, one, at_least=0, at_most=LARGEST_INTEGER)
        if self.hours is not None:
            _check_hours(self.hours)


def _check_hours(hours: Any) -> None:
    is_pair = isinstance(hours, tuple) and len(hours) == 2
    if not is_pair or not all(isinstance(one, time) and one.tzinfo is None for one in hours):
        raise UsageError("hours must be two times without a time zone (or None)")
    start, end = hours
    if start == end:
        raise UsageError("hours must not be empty: pass None for the whole day")
