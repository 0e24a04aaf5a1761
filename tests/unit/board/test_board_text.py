"""Sanitising of text: escapes, length, and keys for search."""

from __future__ import annotations

import pytest
from support.hostile_texts import HOSTILE

from basix_ws_cti.board.text import (
    MAX_CELL_TEXT,
    MAX_MARKS,
    cell_text,
    escape_unprintable,
    search_key,
)


@pytest.mark.parametrize(("text", "escaped"), HOSTILE.values(), ids=HOSTILE)
def test_characters_that_steer_a_terminal_are_escaped(text, escaped):
    assert escape_unprintable(text) == escaped
    assert cell_text(text) == escaped


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("e\u0301" * 100, "e\u0301" * 100),
        ("e" + "\u0301" * MAX_MARKS, "e" + "\u0301" * MAX_MARKS),
        ("e" + "\u0301" * (MAX_MARKS + 2), "e" + "\u0301" * MAX_MARKS + r"\u0301\u0301"),
        ("x" + "\u20dd" * 5 + "y", "x" + "\u20dd" * 4 + r"\u20ddy"),
        ("ไม่มี", "ไม่มี"),
        ("か\u3099き", "か\u3099き"),
    ],
)
def test_stacked_marks_are_limited(text, escaped):
    """Accents and vowel signs of real scripts are kept."""
    assert escape_unprintable(text) == escaped


def test_cell_text_is_cut_before_it_is_escaped():
    assert cell_text("x" * 100_000) == "x" * MAX_CELL_TEXT
    assert cell_text("\x1b" * 100_000) == r"\x1b" * MAX_CELL_TEXT


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("  Sato ", "sato"),
        ("\uff33\uff21\uff34\uff2f", "sato"),
        ("ｶﾅ", "カナ"),
        ("\uff10\uff13", "03"),
        ("Straße", "strasse"),
    ],
)
def test_search_ignores_case_and_width(text, key):
    assert search_key(text) == key
