"""Places of the tables on the screen: they share the height by their number of rows.

In a narrow terminal the calls are above everything else, in a wide one there are two columns. A
table without rows is only a title. Rows that a table does not need go to the last one below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import Factory, define, frozen

WIDE = 120
"""Width in characters from which on there are two columns."""

# Lines of a table besides its rows: title and headings.
_FRAME = 2

# A table gives lines back only if it has more than this many to spare: calls come and go, and the
# tables are not to move each time.
_SLACK = 3

# Rows of the feed's history that are shown if other tables need the space, on a low board and on
# others.
_FEW_FEED_ROWS, _FEED_ROWS = 1, 4
_LOW = 24


@frozen
class Place:
    """Rectangle on the board, in characters from its top left corner."""

    x: int
    y: int
    width: int
    height: int


@define
class Needs:
    """Lines that each table needs, which follow the number of its rows with some inertia."""

    lines: dict[str, int] = Factory(dict)
    """Lines by the table's name, title and headings included."""

    def update(self, counts: Mapping[str, int]) -> bool:
        """Take the present numbers of rows; return True if a need has changed."""
        before = dict(self.lines)
        for name, count in counts.items():
            need = count + _FRAME if count else 1
            if not need <= self.lines.get(name, 0) <= need + _SLACK:
                self.lines[name] = need
        return self.lines != before


def place_tables(needs: Mapping[str, int], width: int, height: int) -> dict[str, Place]:
    """Return the place of each table, by its name, on a board of this size."""
    feed_rows = _FEW_FEED_ROWS if height < _LOW else _FEED_ROWS
    feed = min(needs["feed"], feed_rows + _FRAME)
    if width >= WIDE:
        left = (width - 1) * 3 // 5
        return {
            **_column(
                {"calls": needs["calls"], "parked": needs["parked"], "feed": feed},
                0,
                0,
                left,
                height,
            ),
            **_column(
                {"queues": needs["queues"], "users": needs["users"]},
                left + 1,
                0,
                width - left - 1,
                height,
            ),
        }
    middle = max(needs["queues"] + needs["parked"], needs["users"])
    upper, middle, lower = share_lines((needs["calls"], middle, feed), height)
    half = width // 2
    return {
        "calls": Place(0, 0, width, upper),
        **_column({"queues": needs["queues"], "parked": needs["parked"]}, 0, upper, half, middle),
        "users": Place(half + 1, upper, width - half - 1, middle),
        "feed": Place(0, upper + middle, width, lower),
    }


def share_lines(needs: Sequence[int], lines: int) -> list[int]:
    """Return how many of the lines each one gets, by its need.

    Nobody gets more than needed, except the last one, which gets what is left. If there is not
    enough, the small needs are met first, and the others get equal parts.
    """
    shares = [0] * len(needs)
    remaining = lines
    for position, index in enumerate(sorted(range(len(needs)), key=needs.__getitem__)):
        shares[index] = min(needs[index], remaining // (len(needs) - position))
        remaining -= shares[index]
    shares[-1] += remaining
    return shares


def _column(needs: Mapping[str, int], x: int, y: int, width: int, height: int) -> dict[str, Place]:
    places = {}
    for name, lines in zip(needs, share_lines([*needs.values()], height), strict=True):
        places[name] = Place(x, y, width, lines)
        y += lines
    return places
