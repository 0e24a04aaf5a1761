"""Filtering and sorting of a table's rows."""

from __future__ import annotations

from collections.abc import Iterable

from .tables import Row
from .text import search_key

# Characters that people type between the digits of a telephone number.
_NUMBER_SEPARATORS = " -+()."


def arrange(
    rows: Iterable[Row], query: str = "", column: int | None = None, *, reverse: bool = False
) -> list[Row]:
    """Return the rows that match a search text, in sort order.

    - ``query``: part of a name or number; case, width and separators in numbers are ignored.
      An empty text matches every row.
    - ``column``: index of the column to sort by; ``None`` keeps the order of ``rows``.
    """
    needle = search_key(query)
    digits = "".join(char for char in needle if char not in _NUMBER_SEPARATORS)
    found = [row for row in rows if _matches(row, needle, digits)]
    if column is None:
        return found[::-1] if reverse else found
    return sorted(found, key=lambda row: (row.cells[column].sort_key, row.key), reverse=reverse)


def _matches(row: Row, needle: str, digits: str) -> bool:
    if not needle:
        return True
    texts = [search_key(text) for text in row.search_terms]
    if digits.isdecimal() and any(digits in text for text in texts):
        return True
    return any(needle in text for text in texts)
