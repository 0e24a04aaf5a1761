"""The page of a report in Chromium: wide, on a phone, dark, in print, and with hostile names."""

from __future__ import annotations

import re

import attrs
import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from support.browser import A4_HEIGHT, VIEWS, contrast, open_browser, open_view, overlaps
from support.report_pages import CREATED, DAY, MONTH, YEAR, Page, call_centre_page

from basix_ws_cti.reports import Reports, Selection
from basix_ws_cti.reports.page.content import read_rows
from basix_ws_cti.reports.page.html import render

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]

HOSTILE = (
    *("<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "http://evil.example/"),
    *("=HYPERLINK(1)", "\u202egpj.exe", "W" * 500, "営業" * 250, "&#x202e;"),
)

SHOWN = ["en", "ja", "hostile"]

# Figures of a large company's year, the widest that tiles have to hold.
LARGE = {
    "offered": 12_345_678,
    "answered": 11_345_678,
    "maximum_wait": 359_999_000_000,
    "average_answer": 3_661_000_000,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pages by name: a month, a Japanese day, a day with hostile names, and large figures."""
    folder = tmp_path_factory.mktemp("pages")
    pages = {
        "en": call_centre_page(folder, MONTH, calls_a_day=40),
        "ja": call_centre_page(folder, DAY, lang="ja", calls_a_day=300),
        "hostile": call_centre_page(
            tmp_path_factory.mktemp("hostile"), DAY, queues=HOSTILE, agents=HOSTILE
        ),
    }
    reports = Reports(folder / "ja-1.db")
    rows = read_rows(reports, Selection(period=DAY), by=None, created=CREATED)
    large = attrs.evolve(rows, total=attrs.evolve(rows.total, **LARGE))
    pages["large"] = render(large)
    for name, html in pages.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in pages}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def views(files):
    """Return a function that opens a page in a view, once."""
    opened = {}
    async with open_browser() as browser:

        async def view_of(name, view):
            if (name, view) not in opened:
                opened[name, view] = await open_view(browser, files[name], view)
            return opened[name, view]

        yield view_of


in_each_view = pytest.mark.parametrize("view", VIEWS)
of_each_page = pytest.mark.parametrize("name", SHOWN)


@of_each_page
async def test_page_loads_nothing_and_runs_nothing(views, files, name):
    view = await views(name, "wide")
    assert view.requests == [files[name].as_uri()]
    assert not view.messages
    counts = await view.page.evaluate(
        "[document.scripts.length, document.links.length, document.images.length]"
    )
    assert counts == [0, 0, 0]


@in_each_view
@of_each_page
async def test_nothing_is_wider_than_the_page(views, name, view):
    """Only tables scroll, within their frames; in print, they do not."""
    shown = await views(name, view)
    (root,) = await shown.boxes("html")
    assert root["scrollWidth"] <= root["clientWidth"] == VIEWS[view][1]
    outside = "body *:not(.table *):not(caption)" if view != "print" else "body *:not(caption)"
    for box in await shown.boxes(outside):
        assert box["left"] >= -1.5, box
        assert box["right"] <= root["clientWidth"] + 1.5, box


@in_each_view
@of_each_page
async def test_texts_of_charts_neither_overlap_nor_leave_their_figure(views, name, view):
    shown = await views(name, view)
    figures = await shown.boxes("figure")
    assert len(figures) == 7
    for number, figure in enumerate(figures, 1):
        texts = await shown.boxes(f"section:nth-of-type({number}) .chart text")
        assert len(texts) > 4
        assert not overlaps(texts)
        for text in texts:
            assert text["left"] >= figure["left"] - 1, text
            assert text["right"] <= figure["right"] + 1, text
            assert text["top"] >= figure["top"], text
            assert text["bottom"] <= figure["bottom"] + 1, text


@in_each_view
@of_each_page
async def test_headline_figures_are_large_and_complete(views, name, view):
    shown = await views(name, view)
    main, *others = await shown.boxes(".tile .figure")
    assert main["size"] >= 40
    assert len(others) == 6
    assert min(box["size"] for box in others) >= 26
    for box in (main, *others):
        assert box["scrollWidth"] <= box["clientWidth"], box
    assert min(box["size"] for box in await shown.boxes(".chart text")) >= 12


@pytest.mark.parametrize(
    ("name", "view"),
    [("en", "wide"), ("en", "phone dark"), ("ja", "wide dark"), ("hostile", "phone")],
)
async def test_axe_finds_no_serious_violation(views, name, view):
    shown = await views(name, view)
    found = await Axe().run(shown.page)
    serious = [
        (one["id"], [node["target"] for node in one["nodes"]][:3])
        for one in found.response["violations"]
        if one["impact"] in {"serious", "critical"}
    ]
    assert not serious
    assert len(found.response["passes"]) > 10


@in_each_view
async def test_texts_and_shapes_of_charts_have_contrast(views, view):
    """4.5 for texts and 3 for shapes, as WCAG requires; axe does not look into SVG."""
    shown = await views("en", view)
    (section, *_) = await shown.colours("section")
    ground = section["background"]
    for text in await shown.colours(".chart text"):
        in_cell = text["className"].startswith("on-")
        assert contrast(text["fill"], text["below"] if in_cell else ground) >= 4.5, text
    shapes = await shown.colours(".chart .answered, .chart .met")
    assert min(contrast(one["fill"], ground) for one in shapes) >= 3
    lines = await shown.colours(
        ".chart .abandoned, .chart .other, .chart .rate, .chart .target, .chart .missed"
    )
    assert {one["className"] for one in lines} == {
        *("abandoned", "other", "rate", "target", "missed"),
    }
    assert min(contrast(one["stroke"], ground) for one in lines) >= 3


@pytest.mark.parametrize("view", ["wide", "phone", "print"])
async def test_columns_are_drawn_in_proportion_to_the_table(views, files, view):
    shown = await views("en", view)
    rows = Page(files["en"].read_text(encoding="utf-8")).tables["Queue calls by result"][1:-1]
    columns = await shown.boxes("#results-chart-desc ~ g:has(rect) > rect.answered")
    answered = [int(row[2]) for row in rows if row[2] != "0"]
    assert len(columns) == len(answered)
    pixels = max(box["height"] for box in columns) / max(answered)
    for box, value in zip(columns, answered, strict=True):
        assert box["height"] == pytest.approx(value * pixels, abs=0.2)
    (chart,) = await shown.boxes(".chart:has(#results-chart-desc)")
    # Of 30 columns with spaces in between, none is wider than its share.
    assert all(0.5 < box["width"] / (chart["clientWidth"] / 30) < 1 for box in columns)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("wide", ["0–10", "10–20", "20–30", "30–60", "60–120", "≥120"]),
        ("phone", ["0–10", "20–30", "60–120"]),
    ],
)
async def test_wide_charts_have_more_labels(views, view, expected):
    shown = await views("en", view)
    labels = await shown.boxes(".chart:has(#waits-chart-desc) .tick:not([dx])")
    assert [box["text"] for box in labels] == expected


@pytest.mark.parametrize("name", ["en", "ja"])
async def test_tables_of_a_wide_page_need_no_scrolling_sideways(views, name):
    shown = await views(name, "wide")
    for box in await shown.boxes(".table"):
        assert box["scrollWidth"] <= box["clientWidth"], box["text"][:40]


@of_each_page
async def test_print_shows_every_row_and_cuts_no_chart(views, name):
    shown = await views(name, "print")
    for box in await shown.boxes(".table"):
        assert box["scrollHeight"] <= box["clientHeight"] + 1, box["text"][:40]
    for box in await shown.boxes("figure"):
        assert box["height"] < A4_HEIGHT
    breaks = (
        "[...document.querySelectorAll('figure')].map(one => getComputedStyle(one).breakInside)"
    )
    assert set(await shown.page.evaluate(breaks)) == {"avoid"}
    (ground,) = {one["background"] for one in await shown.colours("section")}
    assert ground == "rgb(255, 255, 255)"


@pytest.mark.parametrize("name", ["en", "ja"])
async def test_pdf_has_pages_of_a4(views, name):
    shown = await views(name, "print")
    pdf = await shown.page.pdf(prefer_css_page_size=True)
    sizes = re.findall(rb"/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\]", pdf)
    assert {(round(float(width)), round(float(height))) for width, height in sizes} == {(595, 842)}
    assert 4 <= len(sizes) <= 10


async def test_hostile_names_are_shown_as_texts(views):
    shown = await views("hostile", "phone")
    text = await shown.page.inner_text("body")
    for name in ("<script>alert(1)</script>", "onerror=alert(1)>", r"\u202egpj.exe", "&#x202e;"):
        assert name in text
    assert "\u202e" not in text
    assert not shown.messages


@pytest.mark.parametrize("view", ["wide", "phone", "print"])
async def test_large_figures_fit_into_their_tiles(views, view):
    shown = await views("large", view)
    boxes = await shown.boxes(".tile .figure")
    assert [box["text"] for box in boxes[1:3]] == ["12,345,678", "11,345,678"]
    assert boxes[5]["text"] == "99:59:59"
    for box in boxes:
        assert box["scrollWidth"] <= box["clientWidth"], box


async def test_year_by_days_is_at_most_300_kib(tmp_path):
    html = call_centre_page(tmp_path, YEAR, lang="ja", calls_a_day=20, by="day")
    assert len(Page(html).tables["キュー着信の結果"]) == 1 + 365 + 1
    assert len(html.encode()) <= 300 * 1024
