"""Sanitising of text that other people wrote, such as names: for display and for search."""

from __future__ import annotations

import re
import unicodedata

# Characters of a text that are shown in a table cell. A name can be as long as a whole frame
# (megabytes); no cell is this wide.
MAX_CELL_TEXT = 200

# The same for a line of output or a table that is not cut to the terminal's width.
MAX_LINE_TEXT = 1000

# Python counts the full-width space, which Japanese names contain, as unprintable.
FULL_WIDTH_SPACE = "\u3000"


# Marks, such as accents, that one character may carry. Real scripts need up to four; hundreds would
# be drawn over the lines above and below.
MAX_MARKS = 4

# More characters in a row than that which are neither letters, digits, spaces nor ASCII signs. Only
# such a text needs a look at each character.
_POSSIBLE_MARKS = re.compile(rf"[^\w\s!-~]{{{MAX_MARKS + 1}}}")


def escape_unprintable(text: str) -> str:
    r"""Replace every character that could steer a terminal by its escape, such as ``\x1b``.

    This covers control characters, characters that change the direction of writing, and marks that
    are stacked on one character beyond ``MAX_MARKS``.
    """
    if text.isprintable() and not _POSSIBLE_MARKS.search(text):
        return text
    marks = 0
    shown = []
    for char in text:
        marks = marks + 1 if unicodedata.category(char) in {"Mn", "Me"} else 0
        shown.append(ascii(char)[1:-1] if marks > MAX_MARKS else _escape(char))
    return "".join(shown)


def _escape(char: str) -> str:
    return char if char.isprintable() or char == FULL_WIDTH_SPACE else ascii(char)[1:-1]


def cell_text(text: str) -> str:
    """Return a text as it is shown in a cell: cut to ``MAX_CELL_TEXT``, then escaped."""
    return escape_unprintable(text[:MAX_CELL_TEXT])


def search_key(text: str) -> str:
    """Return a text without differences in case, in width (full or half) and outer spaces."""
    return unicodedata.normalize("NFKC", text).casefold().strip()
