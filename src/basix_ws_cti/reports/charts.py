"""Charts as static inline SVG for an HTML page: columns, a line of rates, a heat map and bars.

Horizontal positions are percentages of the plot area, vertical ones are pixels: a chart fills any
width, and its texts keep their size. Shapes and texts have classes; the page's style sheet gives
them colours, and the plot area its margins, which hold the labels of the axes. It hides texts of
the class ``wide`` in charts narrower than ``WIDE``. ElementTree escapes all texts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from itertools import pairwise
from xml.etree.ElementTree import Element, SubElement, tostring

from attrs import frozen

NARROW = 290
"""Width of the smallest plot area that texts have to fit into, in pixels: a phone's."""

WIDE = 460
"""Width of the plot area from which on texts of the class ``wide`` are shown, in pixels."""

DENSE = 62
"""Number of columns above which these are too narrow for tooltips."""

SHADES = 6
"""Number of shades of a heat map, for values above 0."""

# Pixels. The plot area has the title of the vertical axis and the highest value above it.
_TOP, _HEIGHT, _CELL_HEIGHT, _BAR_HEIGHT = 34, 210, 26, 42

# Pixels: size of texts, and the space between two.
_SIZE, _SPACE = 12, 12

# Widths of characters by the size of the text, of a wide font. All others are at most 0.65.
_WIDTHS = {**dict.fromkeys(" !'(),-./:;I[]fijlrt|", 0.42), **dict.fromkeys("#%&+<=>@MWmw~…", 1.0)}

# Attributes that are percentages.
_HORIZONTAL = frozenset({"cx", "width", "x", "x1", "x2"})


@frozen(kw_only=True)
class Chart:
    """Texts of a chart."""

    id: str
    """Prefix of the ids of its elements, unique in the page."""
    title: str
    """Short title."""
    description: str
    """Content in one or two sentences, for readers who cannot see the chart."""
    unit: str = ""
    """Title of the axis of values, with their unit."""
    text_of: Callable[[float], str] = str
    """Function that returns a value as text."""


@frozen(kw_only=True)
class Series:
    """Values of one kind, such as the answered calls."""

    name: str
    """Name of the kind."""
    style: str
    """CSS class of the shapes."""
    values: Sequence[float]
    """One value, at least 0, for each column or bar."""

    def text(self, index: int, text_of: Callable[[float], str]) -> str:
        """Return the name and a value."""
        return f"{self.name}: {text_of(self.values[index])}"


@frozen(kw_only=True)
class Axis:
    """Horizontal axis of columns or points."""

    title: str
    """Meaning and unit of the labels."""
    labels: Sequence[str]
    """One label for each column."""
    names: Sequence[str]
    """Complete name of each column, for tooltips."""
    steps: Sequence[int]
    """Distances, in columns, that labels may have, ascending."""


def ticks(highest: float, *, at_most: int = 5) -> list[int]:
    """Return round numbers from 0 up to at least ``highest``, at most that many above 0."""
    step = 1
    while step * at_most < highest:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return list(range(0, max(step, -int(-highest // step) * step) + 1, step))


def shade_bounds(highest: int) -> list[int]:
    """Return the round upper bounds of the shades of a heat map, ascending."""
    step = max(1, -(-highest // SHADES))
    unit = 10 ** max(0, len(str(step)) - 2)
    step = -(-step // unit) * unit
    return [step * shade for shade in range(1, SHADES + 1) if step * (shade - 1) < highest]


def text_width(text: str) -> float:
    """Return an upper estimate of the width of a text in a chart, in pixels."""
    return _SIZE * sum(map(_width, text))


def shorten(text: str, width: float) -> str:
    """Return a text that is at most ``width`` pixels wide; ``…`` replaces its end."""
    if text_width(text) <= width:
        return text
    while text and text_width(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _width(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    return _WIDTHS.get(character, 0.8 if character.isupper() else 0.65)


def stacked_columns(chart: Chart, axis: Axis, series: Sequence[Series]) -> str:
    """Return a chart of stacked columns, the first series at the bottom."""
    totals = [sum(values) for values in zip(*(one.values for one in series), strict=True)]
    scale = ticks(max(totals, default=0))
    svg = _plot(chart, axis, [(tick / scale[-1], chart.text_of(tick)) for tick in scale])
    slot = 100 / max(1, len(totals))
    width = slot * (0.7 if len(totals) <= DENSE else 0.9)
    styles = _visible([chart.text_of(total) for total in totals], [1])
    for index, total in enumerate(totals):
        group = svg
        if len(totals) <= DENSE:
            lines = [one.text(index, chart.text_of) for one in series]
            group = _group(svg, axis.names[index], *lines)
        below = 0.0
        for one in series:
            if value := one.values[index] / scale[-1]:
                below += value
                x, y = slot * (index + 0.5) - width / 2, _y(below)
                _add(group, "rect", one.style, x=x, y=y, width=width, height=_HEIGHT * value)
        if total and (style := styles[index]) is not None:
            text, x = chart.text_of(total), slot * (index + 0.5)
            _text(svg, f"value{style}", text, x=x, y=_y(below) - 5)
    return tostring(svg, "unicode")


def rate_line(chart: Chart, axis: Axis, rates: Sequence[float | None], *, target: float) -> str:
    """Return a chart of a rate (0 to 1) over time, and its target as a dashed line.

    Points below the target are rings, the others are discs. ``None``: no rate, and no point.
    """
    svg = _plot(chart, axis, [(step / 5, chart.text_of(step / 5)) for step in range(6)])
    _add(svg, "line", "target", x1=0.0, x2=100.0, y1=_y(target), y2=_y(target))
    slot = 100 / max(1, len(rates))
    points = [(slot * (index + 0.5), rate) for index, rate in enumerate(rates)]
    for (x1, rate), (x2, following) in pairwise(points):
        if rate is not None and following is not None:
            _add(svg, "line", "rate", x1=x1, x2=x2, y1=_y(rate), y2=_y(following))
    texts = ["" if rate is None else chart.text_of(rate) for rate in rates]
    styles = _visible(texts, [1])
    for index, (x, rate) in enumerate(points):
        if rate is not None:
            is_dense = len(rates) > DENSE
            group = svg if is_dense else _group(svg, axis.names[index], texts[index])
            point = "met" if rate >= target else "missed"
            _add(group, "circle", point, cx=x, cy=_y(rate), r=2 if is_dense else 4)
            if (style := styles[index]) is not None:
                _text(svg, f"value{style}", texts[index], x=x, y=_y(rate) - 9)
    return tostring(svg, "unicode")


def heat_map(
    chart: Chart,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[int | None]],
) -> str:
    """Return a heat map whose cells show their values; ``values`` has one sequence for each row.

    ``None``: the cell is not part of the report, and has no value.
    """
    bounds = shade_bounds(max((cell or 0 for row in values for cell in row), default=0))
    svg = _root(chart, _CELL_HEIGHT * (len(rows) + 1))
    width = 100 / max(1, len(columns))
    for index, name in enumerate(columns):
        _text(svg, "tick", name, x=width * (index + 0.5), y=16)
    for row, (name, cells) in enumerate(zip(rows, values, strict=True), 1):
        y = _CELL_HEIGHT * row
        _text(svg, "tick", name, x=0.0, y=y + 17, dx=-8, anchor="end")
        for column, cell in enumerate(cells):
            shade = sum(bound < (cell or 0) for bound in bounds) + 1 if cell else 0
            x, style = width * column, f"shade-{shade}"
            _add(svg, "rect", style, x=x, y=y, width=width, height=_CELL_HEIGHT)
            if cell is not None:
                x, text = x + width / 2, chart.text_of(cell)
                _text(svg, f"on-{style}", text, x=x, y=y + 17)
    return tostring(svg, "unicode")


def bars(chart: Chart, names: Sequence[str], notes: Sequence[str], series: Sequence[Series]) -> str:
    """Return a chart of stacked horizontal bars, each below its name and a note.

    - ``notes``: a short text for each bar, such as its value.
    """
    totals = [sum(values) for values in zip(*(one.values for one in series), strict=True)]
    scale = ticks(max(totals, default=0), at_most=4)
    bottom = _BAR_HEIGHT * len(names) + 4
    svg = _root(chart, bottom + 40, style="chart bars")
    for tick in scale:
        x = 100 * tick / scale[-1]
        anchor = {0: "start", scale[-1]: "end"}.get(tick, "middle")
        _add(svg, "line", "grid", x1=x, x2=x, y1=0, y2=bottom)
        _text(svg, "tick", chart.text_of(tick), x=x, y=bottom + 16, anchor=anchor)
    _text(svg, "axis-title", chart.unit, x=100.0, y=bottom + 34, anchor="end")
    for index, (name, note) in enumerate(zip(names, notes, strict=True)):
        top = _BAR_HEIGHT * index
        name_on_bar = shorten(name, NARROW - text_width(note) - _SPACE)
        _text(svg, "name", name_on_bar, x=0.0, y=top + 17, anchor="start")
        _text(svg, "value", note, x=100.0, y=top + 17, anchor="end")
        group = _group(svg, name, *(one.text(index, chart.text_of) for one in series))
        left = 0.0
        for one in series:
            if width := 100 * one.values[index] / scale[-1]:
                _add(group, "rect", one.style, x=left, y=top + 23, width=width, height=14)
            left += width
    return tostring(svg, "unicode")


# -- parts of charts -----------------------------------------------------------------------


def _plot(chart: Chart, axis: Axis, scale: Sequence[tuple[float, str]]) -> Element:
    """Return an SVG with both axes; ``scale`` has heights (0 to 1) and their labels."""
    base = _TOP + _HEIGHT
    svg = _root(chart, base + 42)
    _text(svg, "axis-title", chart.unit, x=0.0, y=12, dx=-50, anchor="start")
    for share, text in scale:
        y = _y(share)
        _add(svg, "line", "grid" if share else "axis", x1=0.0, x2=100.0, y1=y, y2=y)
        _text(svg, "tick", text, x=0.0, y=y + 4, dx=-8, anchor="end")
    slot = 100 / max(1, len(axis.labels))
    for index, style in enumerate(_visible(axis.labels, axis.steps)):
        if style is not None:
            x, text = slot * (index + 0.5), axis.labels[index]
            _text(svg, f"tick{style}", text, x=x, y=base + 18)
    _text(svg, "axis-title", axis.title, x=100.0, y=base + 38, anchor="end")
    return svg


def _visible(labels: Sequence[str], steps: Sequence[int]) -> list[str | None]:
    """Return each label's class, "" or " wide"; ``None``: there is no room for the label."""
    space = _SPACE if any(" " in label for label in labels) else _SPACE / 2
    needed = (max(map(text_width, labels), default=0) + space) * len(labels)
    wide = next((step for step in steps if step * WIDE >= needed), 0)
    multiples = [step for step in steps if wide and step % wide == 0]
    narrow = next((step for step in multiples if step * NARROW >= needed), 0)
    return [
        "" if narrow and index % narrow == 0 else " wide" if wide and index % wide == 0 else None
        for index in range(len(labels))
    ]


def _y(share: float) -> float:
    return _TOP + _HEIGHT * (1 - share)


def _root(chart: Chart, height: float, style: str = "chart") -> Element:
    ids = {name: f"{chart.id}-{name}" for name in ("title", "desc")}
    svg = Element("svg", {"class": style, "role": "img", "height": f"{height}"})
    svg.set("aria-labelledby", " ".join(ids.values()))
    SubElement(svg, "title", id=ids["title"]).text = chart.title
    SubElement(svg, "desc", id=ids["desc"]).text = chart.description
    return svg


def _group(svg: Element, *tooltip: str) -> Element:
    group = SubElement(svg, "g")
    SubElement(group, "title").text = "\n".join(tooltip)
    return group


def _text(svg: Element, style: str, text: str, *, anchor: str = "middle", **at: float) -> None:
    _add(svg, "text", style, text, text_anchor=anchor, **at)


def _add(
    parent: Element, tag: str, style: str, text: str | None = None, **attributes: float | str
) -> None:
    """Add an element; numbers are percentages or pixels, by the name of their attribute."""
    element = SubElement(parent, tag, {"class": style})
    element.text = text
    for name, value in attributes.items():
        unit = "%" if name in _HORIZONTAL else ""
        written = value if isinstance(value, str) else f"{value:.4g}{unit}"
        element.set(name.replace("_", "-"), written)
