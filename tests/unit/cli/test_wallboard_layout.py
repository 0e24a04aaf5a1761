"""Places of the wallboard's tables, sparklines, bars and colours."""

from __future__ import annotations

import itertools

from rich.style import Style
from support.cases import for_each

from basix_ws_cti.cli.wallboard.graphs import bar, sparkline
from basix_ws_cti.cli.wallboard.layout import Needs, place_tables, share_lines
from basix_ws_cti.cli.wallboard.styles import ANSI, FULL, PLAIN, has_only_ascii, terminal_palette


@for_each(
    "needs, lines, shares",
    [
        ((10, 3, 5), 18, [10, 3, 5]),
        ((10, 3, 5), 30, [10, 3, 17]),  # the last one gets what is left
        ((20, 3, 20), 23, [10, 3, 10]),
        ((50, 50, 3), 19, [8, 8, 3]),
        ((5, 5), 0, [0, 0]),
    ],
)
def test_small_needs_are_met_first_and_the_others_share(needs, lines, shares):
    assert share_lines(needs, lines) == shares


@for_each("size", [*itertools.product((40, 80, 119, 120, 200), (3, 19, 35, 55))])
@for_each("rows", [*itertools.product((0, 3, 40), (1, 60), (0, 9))])
def test_tables_fill_the_board_without_overlap(size, rows):
    width, height = size
    calls, users, parked = rows
    needs = Needs()
    needs.update({"calls": calls, "queues": 3, "users": users, "parked": parked, "feed": 2})
    cells = set()
    for place in place_tables(needs.lines, width, height).values():
        columns, lines = (
            range(place.x, place.x + place.width),
            range(place.y, place.y + place.height),
        )
        area = {*itertools.product(columns, lines)}
        assert cells.isdisjoint(area)
        cells |= area
    # One column separates tables that are side by side.
    assert width * height - height <= len(cells) <= width * height
    assert all(0 <= x < width and 0 <= y < height for x, y in cells)


def test_needs_shrink_only_with_lines_to_spare():
    needs = Needs()
    assert needs.update({"calls": 5})
    assert needs.lines == {"calls": 7}
    assert not needs.update({"calls": 3})
    assert not needs.update({"calls": 2})
    assert needs.update({"calls": 1})
    assert needs.lines == {"calls": 3}
    assert not needs.update({"calls": 0})  # a title alone would do
    assert needs.update({"calls": 9})


@for_each(
    "values, lines, text",
    [
        ([0, 1, 4, 8], 1, ["   ▁▄█"]),
        ([0.01, None, 8], 1, ["   ▁ █"]),
        ([8, 4, 12], 2, ["     ▄", "   █▄█"]),
        ([9] * 20, 1, ["██████"]),
        ([], 1, ["      "]),
    ],
)
def test_sparkline_has_a_column_per_value(values, lines, text):
    full_height = 8 if lines == 1 else 16
    shown = sparkline(values, full_height, 6, lines)
    assert [line.rjust(6) for line in shown] == [line.rjust(6) for line in text]


def test_ascii_graphs_need_no_blocks():
    assert sparkline([0, 1, 5, 9], 9, 4, is_ascii=True) == [" .+@"]
    assert bar(0.5, 4, is_ascii=True) == ("==", "--")


@for_each("share, filled", [(0, 0), (0.01, 1), (0.5, 5), (0.99, 10), (1, 10), (1.5, 10)])
def test_bar_shows_a_share(share, filled):
    assert bar(share, 10) == ("━" * filled, "─" * (10 - filled))


# -- colours ----------------------------------------------------------------------------


def contrast(one, other):
    """Return the contrast ratio of two colours by WCAG 2, from RGB triplets."""

    def luminance(colour):
        parts = [value / 255 for value in colour]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


# The first eight colours of xterm.
XTERM = {
    "black": (0, 0, 0),
    "red": (205, 0, 0),
    "green": (0, 205, 0),
    "yellow": (205, 205, 0),
    "cyan": (0, 205, 205),
    "white": (229, 229, 229),
}


def rgb(colour, default):
    """Return the RGB triplet of a Rich colour."""
    if colour is None:
        return rgb(Style.parse(default).color, default)
    if colour.triplet is not None:
        return tuple(colour.triplet)
    return XTERM[colour.name]


FULL_BACKGROUNDS = ("background", "bar", "dialog", "cursor", "hover")


@for_each("name", [*FULL.cells, "stale", "graph", "live", "alert", "paused"])
def test_colours_have_a_contrast_of_at_least_4_5(name):
    for palette, backgrounds in (
        (FULL, [FULL.variables[f"board-{one}"] for one in FULL_BACKGROUNDS]),
        (ANSI, ["black"]),
    ):
        text = palette.cells[name] if name in palette.cells else getattr(palette, name)
        style = Style.parse(text)
        foreground = FULL.variables["board-foreground"] if palette is FULL else "white"
        for background in backgrounds:
            colours = rgb(style.color, foreground), rgb(style.bgcolor, background)
            assert contrast(*colours) >= 4.5, (palette.is_ansi, background)


@for_each("name", ["title", "accent", "stale", "foreground"])
@for_each("background", ["background", "bar", "dialog"])
def test_titles_have_a_contrast_of_at_least_4_5(name, background):
    colours = (FULL.variables[f"board-{one}"] for one in (name, background))
    assert contrast(*(rgb(Style.parse(one).color, "") for one in colours)) >= 4.5


def test_ansi_palette_uses_the_first_eight_colours_only():
    styles = [*ANSI.cells.values(), ANSI.graph, ANSI.live, ANSI.alert, ANSI.paused]
    for style in map(Style.parse, styles):
        for colour in (style.color, style.bgcolor):
            assert colour is None or colour.name in XTERM
    for value in ANSI.variables.values():
        assert value.removeprefix("ansi_") in {*XTERM, "reverse"}


def test_plain_palette_has_no_colours_and_tells_the_levels_apart():
    styles = [*PLAIN.cells.values(), PLAIN.graph, PLAIN.live, PLAIN.alert, PLAIN.paused]
    assert all(Style.parse(one).color is None for one in styles)
    levels = [PLAIN.level(level) for level in ("ok", "warning", "alarm")]
    assert len(set(levels)) == 3


@for_each(
    "variables, palette",
    [
        ({"TERM": "xterm-256color"}, FULL),
        ({"TERM": "tmux-256color"}, FULL),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, FULL),
        ({"TERM": "xterm"}, ANSI),
        ({"TERM": "linux"}, ANSI),
        ({"TERM": "dumb"}, PLAIN),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, PLAIN),
    ],
)
def test_palette_follows_the_terminal(monkeypatch, variables, palette):
    for name in ("TERM", "COLORTERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert terminal_palette() is palette


@for_each(
    "encoding, term, expected",
    [("utf-8", "xterm", False), ("UTF-8", "linux", True), ("cp932", "xterm", True)],
)
def test_terminals_without_blocks_get_ascii(monkeypatch, encoding, term, expected):
    monkeypatch.setenv("TERM", term)
    assert has_only_ascii(encoding) == expected
