"""Sanitising of text that other people wrote, such as names: for display and for search."""

from __future__ import annotations

import unicodedata

# Characters of a text that are shown in a table cell. A name can be as long as a whole frame
# (megabytes); no cell is this wide.
MAX_CELL_TEXT = 200

# The same for a line of output or a table that is not cut to the terminal's width.
MAX_LINE_TEXT = 1000

# Python counts the full-width space, which Japanese names contain, as unprintable.
FULL_WIDTH_SPACE = "\u3000"


def escape_unprintable(text: str) -> str:
    r"""Replace every character that could steer a terminal by its escape, such as ``\x1b``.

    This covers control characters, and characters that change the direction of writing.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == FULL_WIDTH_SPACE else ascii(char)[1:-1]
        for char in text
    )


def cell_text(text: str) -> str:
    """Return a text as it is shown in a cell: cut to ``MAX_CELL_TEXT``, then escaped."""
    return escape_unprintable(text[:MAX_CELL_TEXT])


def search_key(text: str) -> str:
    """Return a text without differences in case, in width (full or half) and outer spaces."""
    return unicodedata.normalize("NFKC", text).casefold().strip()
