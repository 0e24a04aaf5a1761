"""Layout of help texts in columns, with wide characters."""

from __future__ import annotations

from support.cases import for_each

from basix_ws_cti.cli.help.layout import (
    MAX_LEFT_WIDTH,
    NO_BREAK,
    in_one_piece,
    left_width,
    list_entry,
    paragraphs,
    text_width,
    wrap,
)


@for_each(
    "text, width",
    [("", 0), ("abc", 3), ("着信", 4), ("ｶﾅ", 2), ("a着", 3), ("が", 2), ("か\u3099", 2)],
)
def test_width_counts_terminal_columns(text, width):
    assert text_width(text) == width


@for_each(
    "text, lines",
    [
        ("", [""]),
        ("one two three", ["one two", "three"]),
        ("one  two\nthree", ["one two", "three"]),
        ("unbreakable words", ["unbreakable", "words"]),
        (f"[default:{NO_BREAK}5] and", ["[default: 5]", "and"]),
        (f"one two [a:{NO_BREAK}b]", ["one two", "[a: b]"]),
    ],
)
def test_lines_break_at_spaces(text, lines):
    """A long word, and what no-break spaces join, stay in one piece."""
    assert wrap(text, 9) == lines


@for_each(
    "text, width, lines",
    [
        ("着信と発信を表示します", 12, ["着信と発信を", "表示します"]),
        ("着信を表示、保留を表示", 10, ["着信を表", "示、保留を", "表示"]),
        ("着信（待ち呼）を表示", 6, ["着信", "（待ち", "呼）を", "表示"]),  # noqa: RUF001
        ("キューをチェックする", 10, ["キューを", "チェックす", "る"]),
        ("既定値は --full-events です", 14, ["既定値は", "--full-events", "です"]),
        ("サーバーはhost:portです", 10, ["サーバーは", "host:port", "です"]),
    ],
)
def test_japanese_lines_break_by_its_rules(text, width, lines):
    """Punctuation and small letters start no line, an opening bracket ends none."""
    assert wrap(text, width) == lines
    assert max(map(text_width, lines)) <= width


def test_text_in_one_piece_is_not_broken():
    text = f"番号です。 {in_one_piece('[既定値: 81]')}"
    assert wrap(text, 18) == ["番号です。", "[既定値: 81]"]
    assert text_width(in_one_piece("[既定値: 81]")) == 12


def test_paragraphs_are_indented_and_separated():
    assert [*paragraphs("one two\n\nthree", 11)] == ["  one two", "", "  three"]
    assert [*paragraphs("one two", 10)] == ["  one", "  two"]


def test_left_column_ignores_long_entries():
    """They have their text on the next line."""
    long = "x" * (MAX_LEFT_WIDTH + 1)
    assert left_width(["--json", "--limit N", long]) == 9
    assert left_width([long]) == 0


def test_text_of_an_entry_is_a_column():
    assert list_entry("--limit N", "Stop after so many lines.", 9, 30) == [
        "  --limit N  Stop after so",
        "             many lines.",
    ]
    assert list_entry("--json", "JSON.", 9, 40) == ["  --json     JSON."]
    assert list_entry("--very-long X", "Text.", 9, 40) == ["  --very-long X", "             Text."]
    assert list_entry("内線", "内線番号。", 6, 40) == ["  内線    内線番号。"]
    assert list_entry("name", "", 6, 40) == ["  name"]
