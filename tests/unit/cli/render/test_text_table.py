"""Tables without borders: widths, left out columns and hostile texts."""

from __future__ import annotations

import re

from rich.cells import cell_len
from support.cases import for_each
from support.hostile_texts import HOSTILE

from basix_ws_cti.cli.render.text_table import TableColumn, TextTable

COLUMNS = (
    TableColumn("Name", is_flexible=True),
    TableColumn("For", align_right=True),
    TableColumn("Activity", is_flexible=True),
    TableColumn("UUID", is_optional=True),
    TableColumn("ID", is_optional=True),
)
UUID = "e3e70682-c209-4cac-629f-6fbed82c07cd"


def table(*rows):
    return TextTable("Things: 2", COLUMNS, rows)


def test_columns_are_aligned():
    """A full-width character takes two columns, a half-width one takes one."""
    rows = [("山田 太郎", "0:07", "待ち", "u", "1"), ("ﾔﾏﾀﾞ", "10:00:00", "x", "v", "22")]
    assert [*table(*rows).lines(None)] == [
        "Things: 2",
        "Name            For  Activity  UUID  ID",
        "山田 太郎      0:07  待ち      u     1",
        "ﾔﾏﾀﾞ       10:00:00  x         v     22",
    ]


def test_table_without_rows_is_its_title():
    assert [*table().lines(80)] == ["Things: 2"]


@for_each(
    "width, headings",
    [
        (62, "Name For Activity UUID ID"),
        (61, "Name For Activity UUID"),
        (58, "Name For Activity UUID"),
        (57, "Name For Activity"),
        (12, "N~ For A~"),
    ],
)
def test_optional_columns_are_left_out_from_the_last(width, headings):
    """Columns that may be cut keep their width as long as one can be left out."""
    lines = [*table(("name", "0:07", "active", UUID, "1")).lines(width)]
    assert lines[1].split() == headings.split()
    assert max(map(cell_len, lines)) <= width


def test_widest_flexible_columns_are_cut_first():
    (_title, _heading, row) = table(("n" * 30, "0:07", "a" * 10, "", "")).lines(30)
    assert row == "n" * 11 + "~  0:07  " + "a" * 10


def test_long_text_shifts_only_its_own_row_in_a_pipe():
    """It is printed completely, and other rows are not padded to its width."""
    _title, _heading, long, short = table(
        ("n" * 300, "0:07", "long", "", ""), ("n", "0:07", "short", "", "")
    ).lines(None)
    assert "n" * 300 in long
    assert len(short) < 100


@for_each("name, escaped", HOSTILE.values())
@for_each("width", [None, 200, 20])
def test_control_characters_are_escaped(name, escaped, width):
    texts = TextTable(name, COLUMNS, [(name, name, name, name, name)]).lines(width)
    lines = [*texts]
    assert len(lines) == 3
    assert all(line.replace("\u3000", "").isprintable() for line in lines)
    if width != 20:
        assert lines[0] == escaped


@for_each("text", ["n" * 10_000, "\x1b" * 10_000, "e" + "\u0301" * 10_000])
def test_extreme_texts_fit_the_terminal(text):
    lines = [*table((text, "0:07", text, text, text)).lines(80)]
    assert max(map(cell_len, lines)) <= 80
    assert all(not re.search("\u0301{5}", line) for line in lines)
