"""Charts: scales, geometry, and texts as SVG."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from basix_ws_cti.reports.charts import (
    NARROW,
    Axis,
    Chart,
    Series,
    bars,
    heat_map,
    rate_line,
    shade_bounds,
    shorten,
    stacked_columns,
    text_width,
    ticks,
)

CHART = Chart(
    id="c", title="Title", description="Content.", unit="calls", text_of=lambda one: f"{one:g}"
)


def axis(count, steps=(1, 2, 4)):
    labels = [f"{index:02}:00" for index in range(count)]
    return Axis(title="hour", labels=labels, names=labels, steps=steps)


def parsed(svg):
    return ET.fromstring(svg)


def texts(svg, style):
    """Return the texts of a CSS class."""
    return [one.text for one in svg.iter("text") if style in one.get("class").split()]


def shapes(svg, tag, style):
    """Return the numbers of the shapes of a CSS class, by attribute and without units."""
    return [
        {name: float(value.rstrip("%")) for name, value in one.attrib.items() if name != "class"}
        for one in svg.iter(tag)
        if one.get("class") == style
    ]


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (5, [0, 1, 2, 3, 4, 5]),
        (6, [0, 2, 4, 6]),
        (23, [0, 5, 10, 15, 20, 25]),
        (26, [0, 10, 20, 30]),
        (99, [0, 20, 40, 60, 80, 100]),
        (297, [0, 100, 200, 300]),
        (101_000, [0, 50_000, 100_000, 150_000]),
    ],
)
def test_ticks_are_round_and_reach_the_highest_value(highest, expected):
    assert ticks(highest) == expected


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        (0, []),
        (1, [1]),
        (4, [1, 2, 3, 4]),
        (6, [1, 2, 3, 4, 5, 6]),
        (172, [29, 58, 87, 116, 145, 174]),
        (1961, [330, 660, 990, 1320, 1650, 1980]),
    ],
)
def test_shades_cover_all_values(highest, expected):
    assert shade_bounds(highest) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Sales", "Sales"), ("a" * 500, "a" * 11 + "…"), ("営業" * 90, "営業営業営業営…"), ("", "")],
)
def test_long_names_are_shortened(text, expected):
    assert shorten(text, 100) == expected
    assert text_width(expected) <= 100


def test_columns_are_stacked_in_proportion_to_their_values():
    svg = parsed(
        stacked_columns(
            CHART,
            axis(2),
            [
                Series(name="answered", style="answered", values=[6, 0]),
                Series(name="abandoned", style="abandoned", values=[2, 10]),
            ],
        )
    )
    (answered,) = shapes(svg, "rect", "answered")
    first, second = shapes(svg, "rect", "abandoned")
    # The plot area ends at 34 + 210 pixels, and 10 calls are 210 pixels high.
    assert answered == {"x": 7.5, "width": 35, "y": 244 - 126, "height": 126}
    assert first == {"x": 7.5, "width": 35, "y": 244 - 126 - 42, "height": 42}
    assert second == {"x": 57.5, "width": 35, "y": 34, "height": 210}
    assert texts(svg, "value") == ["8", "10"]
    assert texts(svg, "tick") == ["0", "2", "4", "6", "8", "10", "00:00", "01:00"]
    assert texts(svg, "axis-title") == ["calls", "hour"]
    tooltips = [one.text for one in svg.findall("g/title")]
    assert tooltips[0] == "00:00\nanswered: 6\nabandoned: 2"


def test_rates_below_the_target_are_rings():
    svg = parsed(rate_line(CHART, axis(5), [0.9, 0.8, 0.79, None, 1.0], target=0.8))
    met, missed = shapes(svg, "circle", "met"), shapes(svg, "circle", "missed")
    assert [one["cx"] for one in met] == [10, 30, 90]
    assert [one["cy"] for one in met] == pytest.approx([55, 76, 34])
    assert missed == [{"cx": 50, "cy": 78.1, "r": 4}]
    (target,) = shapes(svg, "line", "target")
    assert target["y1"] == target["y2"] == 76
    # The line is interrupted where there is no rate.
    assert [(one["x1"], one["x2"]) for one in shapes(svg, "line", "rate")] == [(10, 30), (30, 50)]


def test_heat_map_shows_the_value_of_each_cell():
    svg = parsed(heat_map(CHART, ["08:00", "09:00"], ["Mon", "Tue"], [[0, 5], [None, 12]]))
    styles = [one.get("class") for one in svg.iter("rect")]
    assert styles == ["shade-0", "shade-3", "shade-0", "shade-6"]
    assert texts(svg, "on-shade-0") == ["0"]
    assert texts(svg, "on-shade-3") == ["5"]
    assert texts(svg, "on-shade-6") == ["12"]
    assert texts(svg, "tick") == ["Mon", "Tue", "08:00", "09:00"]


def test_bars_begin_where_the_one_before_ends():
    svg = parsed(
        bars(
            CHART,
            ["Sales", "x" * 500],
            ["75", "handled: 40"],
            [
                Series(name="answered", style="answered", values=[50, 40]),
                Series(name="missed", style="abandoned", values=[25, 0]),
            ],
        )
    )
    first, second = shapes(svg, "rect", "answered")
    (missed,) = shapes(svg, "rect", "abandoned")
    assert (first["x"], first["width"], missed["x"], missed["width"]) == (0, 62.5, 62.5, 31.25)
    assert second["width"] == 50
    assert texts(svg, "tick") == ["0", "20", "40", "60", "80"]
    name, long_name = texts(svg, "name")
    assert name == "Sales"
    assert text_width(long_name) + text_width("handled: 40") < NARROW


@pytest.mark.parametrize(
    ("count", "steps", "always", "wide"),
    [
        (6, (1, 2, 4), [0, 1, 2, 3, 4, 5], []),
        (8, (1, 2, 4), [0, 2, 4, 6], [1, 3, 5, 7]),
        (24, (1, 2, 4, 12), [0, 4, 8, 12, 16, 20], []),
        (366, (1, 7, 14, 28, 56, 112), [0, 112, 224, 336], [56, 168, 280]),
        (1, (1,), [0], []),
    ],
)
def test_labels_are_as_many_as_fit(count, steps, always, wide):
    """Those of phones are a part of those of wide charts."""
    empty = Series(name="answered", style="answered", values=[0] * count)
    svg = parsed(stacked_columns(CHART, axis(count, steps), [empty]))
    labels = axis(count).labels
    at_bottom = [one for one in svg.iter("text") if one.get("y") == "262"]
    shown = {
        style: [one.text for one in at_bottom if one.get("class") == style]
        for style in ("tick", "tick wide")
    }
    assert shown["tick"] == [labels[index] for index in always]
    assert shown["tick wide"] == [labels[index] for index in wide]


def test_many_columns_have_no_tooltips_and_no_values():
    values = [index % 9 for index in range(366)]
    svg = stacked_columns(
        CHART, axis(366, (1, 7, 56)), [Series(name="answered", style="answered", values=values)]
    )
    assert len(shapes(parsed(svg), "rect", "answered")) == len([one for one in values if one])
    assert not parsed(svg).findall("g")
    assert not texts(parsed(svg), "value")
    assert len(svg) < 40_000


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "</svg>", '"><b>', "&lt;"])
def test_texts_are_escaped(name):
    chart = Chart(id="c", title=name, description=name, unit=name)
    series = [Series(name=name, style="answered", values=[1])]
    for svg in (
        bars(chart, [name], [name], series),
        stacked_columns(chart, Axis(title=name, labels=[name], names=[name], steps=(1,)), series),
        heat_map(chart, [name], [name], [[1]]),
    ):
        tree = parsed(svg)
        assert {one.tag for one in tree.iter()} <= {
            *("svg", "title", "desc", "g", "text", "line", "rect", "circle"),
        }
        assert tree.find("title").text == name
        assert tree.get("aria-labelledby") == "c-title c-desc"


def test_charts_without_values_are_drawn():
    assert texts(parsed(stacked_columns(CHART, axis(0), [])), "tick") == ["0", "1"]
    assert not shapes(parsed(rate_line(CHART, axis(1), [None], target=0.8)), "circle", "met")
    assert parsed(heat_map(CHART, [], [], [])).get("height") == "26"
