"""Filtering and sorting of a table's rows."""

from __future__ import annotations

from collections.abc import Iterable

from basix_ws_cti.mirror.phone_numbers import normalise_number

from .tables import Row
from .text import search_key

# Characters that people type between the digits of a telephone number.
_NUMBER_SEPARATORS = " -+()."


def arrange(
    rows: Iterable[Row], query: str = "", column: int | None = None, *, reverse: bool = False
) -> list[Row]:
    """Return the rows that match a search text, in sort order.

    - ``query``: part of a name or number; case and width are ignored, and a number may be in any
      notation that ``phone_numbers`` knows. An empty text matches every row.
    - ``column``: index of the column to sort by; ``None`` keeps the order of ``rows``, and so do
      rows with equal values.
    """
    needle = search_key(query)
    digits = "".join(char for char in needle if char not in _NUMBER_SEPARATORS)
    numbers = {digits} if digits.isdecimal() else set()
    if (normalised := normalise_number(query)) is not None:
        numbers.add(normalised)
    found = [row for row in rows if _matches(row, needle, numbers)]
    if column is None:
        return found[::-1] if reverse else found
    return sorted(found, key=lambda row: row.cells[column].sort_key, reverse=reverse)


def _matches(row: Row, needle: str, numbers: set[str]) -> bool:
    if not needle:
        return True
    for term in row.search_terms:
        text = search_key(term)
        if needle in text:
            return True
        if numbers:
            texts = (text, normalise_number(term) or "")
            if any(number in text for number in numbers for text in texts):
                return True
    return False
