"""Layout of help texts in terminal columns. Japanese characters take two columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

# Japanese line breaking rules ("kinsoku"), by categories of Unicode: closing and other punctuation
# must not start a line, and neither must some letters; opening punctuation must not end one.
_NO_LINE_START = frozenset(("Pe", "Pf", "Po"))
_NO_LINE_END = frozenset(("Ps", "Pi"))
_SMALL_LETTERS = frozenset("ぁぃぅぇぉっゃゅょァィゥェォッャュョー々")

NO_BREAK = "\N{NO-BREAK SPACE}"
"""Space at which a line does not break. It is printed as a normal space."""

# Mark between two characters at which a line does not break. It is not printed.
_WORD_JOINER = "\N{WORD JOINER}"

_INDENT = 2
_GAP = 2

MAX_LEFT_WIDTH = 26
"""Columns for the left side of a list; a longer entry has its text on the next line."""


def text_width(text: str) -> int:
    """Return the number of terminal columns that a text takes."""
    return sum(map(_char_width, text))


def in_one_piece(text: str) -> str:
    """Return a text in which no line breaks, not even between Japanese characters."""
    return _WORD_JOINER.join(text.replace(" ", NO_BREAK))


def wrap(text: str, width: int) -> list[str]:
    """Return a paragraph as lines of at most ``width`` columns.

    Lines break at spaces, and between Japanese characters where Japanese typesetting allows it. A
    word that is longer than a line stays in one piece.
    """
    lines = [""]
    for unit in _units(" ".join(re.split("[ \n]+", text.strip()))):
        if lines[-1] and text_width(lines[-1] + unit.rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += unit
    lines[-1] = lines[-1].rstrip()
    return [line.replace(NO_BREAK, " ").replace(_WORD_JOINER, "") for line in lines]


def paragraphs(text: str, width: int) -> Iterator[str]:
    """Yield the lines of paragraphs that empty lines separate, each indented."""
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        for line in wrap(paragraph, width - 2 * _INDENT):
            yield " " * _INDENT + line


def left_width(entries: Iterable[str]) -> int:
    """Return the columns that the left side of a list needs."""
    widths = [width for entry in entries if (width := text_width(entry)) <= MAX_LEFT_WIDTH]
    return max(widths, default=0)


def list_entry(left: str, text: str, left_columns: int, width: int) -> list[str]:
    """Return the lines of one entry of a list: ``left``, and its text in a second column."""
    start = _INDENT + left_columns + _GAP
    lines = [" " * start + line for line in wrap(text, width - start - _INDENT)]
    head = " " * _INDENT + left
    if text_width(left) > left_columns:
        return [head, *lines]
    return [(head + " " * (start - text_width(head)) + lines[0].lstrip()).rstrip(), *lines[1:]]


def _units(text: str) -> Iterator[str]:
    """Yield the parts of a text between which a line may break; spaces end a part."""
    unit = ""
    for char in text:
        if unit and _may_break(unit[-1], char):
            yield unit
            unit = ""
        unit += char
    yield unit


def _may_break(before: str, after: str) -> bool:
    if _WORD_JOINER in {before, after}:
        return False
    if " " in {before, after}:
        return before == " "
    if unicodedata.category(before) in _NO_LINE_END:
        return False
    if after in _SMALL_LETTERS or unicodedata.category(after) in _NO_LINE_START:
        return False
    return _is_wide(before) or _is_wide(after)


def _char_width(char: str) -> int:
    if unicodedata.combining(char) or char == _WORD_JOINER:
        return 0
    return 2 if _is_wide(char) else 1


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in {"W", "F"}
