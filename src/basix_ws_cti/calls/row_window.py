"""Rows of a sliding window, sorted by time, and the tally of those rows."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from attrs import Factory, define, field

Row = TypeVar("Row")
AddedRow_contra = TypeVar("AddedRow_contra", contravariant=True)

Key = tuple[Any, ...]
"""Identity of a row; all keys of a window can be compared with each other."""


class Tally(Protocol[AddedRow_contra]):
    """Sums over rows."""

    def add(self, row: AddedRow_contra) -> None:
        """Add a row."""

    def remove(self, row: AddedRow_contra) -> None:
        """Remove a row that was added before."""

    def extend(self, rows: Iterable[AddedRow_contra]) -> None:
        """Add many rows at once."""


AnyTally = TypeVar("AnyTally", bound=Tally[Any])


@define(eq=False)
class RowWindow(Generic[Row, AnyTally]):
    """Rows of one group or agent, whose times may come in any order.

    The tally contains exactly the rows kept.
    """

    new_tally: Callable[[], AnyTally]
    """Function that returns an empty tally."""
    limit: int
    """Number of rows kept; beyond it the oldest hundredth is dropped."""
    tally: AnyTally = field(init=False)
    """Tally of the rows kept."""
    summary: Any = None
    """For the user of the window: what was last computed from the tally. ``None`` after a change of
    the rows."""
    # Time, key and row of each row, by key, and sorted. No two are equal in time and key, so that
    # rows are never compared.
    _rows: dict[Key, tuple[int, Key, Row]] = Factory(dict)
    _order: list[tuple[int, Key, Row]] = Factory(list)

    def __attrs_post_init__(self) -> None:
        self.tally = self.new_tally()

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return (row for _, _, row in self._order)

    @property
    def first_time(self) -> int | None:
        """Time of the oldest row, in microseconds; ``None``: there is no row."""
        return self._order[0][0] if self._order else None

    def since(self, start: float) -> AnyTally:
        """Drop the rows before ``start``, in microseconds, and return the tally of the others."""
        self.expire(start)
        return self.tally

    def put(self, key: Key, time: int, row: Row) -> None:
        """Add a row, in place of one with the same key. ``time`` is in microseconds."""
        if key in self._rows:
            self.discard(key)
        order = self._order
        entry = self._rows[key] = time, key, row
        if not order or order[-1] < entry:  # the usual case
            order.append(entry)
        else:
            insort(order, entry)
        self.tally.add(row)
        self.summary = None
        if len(order) > self.limit:
            # Many at once, since each time the list moves in memory.
            self._drop(1 + self.limit // 100)

    def discard(self, key: Key) -> None:
        """Remove the row with this key, if there is one."""
        entry = self._rows.pop(key, None)
        if entry is None:
            return
        del self._order[bisect_left(self._order, entry)]
        self.tally.remove(entry[2])
        self.summary = None

    def expire(self, before: float) -> None:
        """Drop the rows whose time lies before ``before``, in microseconds."""
        order = self._order
        if order and order[0][0] < before:
            self._drop(bisect_left(order, before, key=lambda entry: entry[0]))

    def _drop(self, count: int) -> None:
        """Drop the oldest rows."""
        self.summary = None
        dropped = self._order[:count]
        for _, key, _ in dropped:
            del self._rows[key]
        del self._order[:count]
        if count > len(self._order):  # as at midnight: to add the rest is faster
            self.tally = self.new_tally()
            self.tally.extend(self)
        else:
            for _, _, row in dropped:
                self.tally.remove(row)
