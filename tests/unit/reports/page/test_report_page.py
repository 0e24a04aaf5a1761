"""The HTML page of a report: figures, texts, notices and tables."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import time, timedelta

import pytest
from support.call_rows import SECOND, participation, queue_wait
from support.report_pages import DAY, MONTH, TOKYO, YEAR, Page, page_of
from support.report_periods import at, period
from support.report_rows import call_record, fill, unanswered

from basix_ws_cti import Thresholds, UsageError
from basix_ws_cti.reports import Reports, Selection
from basix_ws_cti.reports.page import render_page
from basix_ws_cti.reports.page.wording import rate_text

# The day of the page begins at this time, in seconds.
MIDNIGHT = DAY.start_us // SECOND

HOUR = 3600

FORMULA = "calls answered within 20 s, divided by calls whose wait ended"

pytestmark = pytest.mark.slow


def small_day(**names):
    """Return rows of five waits: 9:00 to 9:04 in queue 1, 14:00 in queue 2."""
    nine, two = MIDNIGHT + 9 * HOUR, MIDNIGHT + 14 * HOUR
    waits = [
        queue_wait("a", nine, 5),
        queue_wait("b", nine + 60, 20),
        queue_wait("c", nine + 120, 25),
        queue_wait("d", nine + 180, 4, "abandoned"),
        queue_wait("e", two, 60, "voicemail", group_id=2),
    ]
    parts = [
        participation("a", 11, offered=nine, talked=100, group_id=1),
        participation("b", 12, offered=nine + 60, talked=50, held=10, group_id=1),
        participation("c", 11, offered=nine + 120, talked=30, group_id=1),
        participation("c", 12, offered=nine + 120, result="missed", group_id=1),
    ]
    calls = [
        *(call_record(one, nine * SECOND, group_id=1) for one in "abc"),
        unanswered("d", nine * SECOND, group_id=1),
        unanswered("e", two * SECOND, group_id=2, disposition="voicemail"),
        unanswered("f", two * SECOND, direction="outbound", disposition="busy"),
    ]
    named = [("group", 1, "Sales"), ("group", 2, "Support"), ("user", 11, "Sato")]
    return {
        "waits": waits,
        "participations": parts,
        "calls": calls,
        "names": [
            {"kind": kind, "id": id_, "since": 0, "name": names.get(name, name), "extension": None}
            for kind, id_, name in named
        ],
    }


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("small day") / "calls.db", **small_day())


def test_headline_figures_are_those_of_the_waits(log):
    page = Page(page_of(log, Selection(period=DAY)))
    assert page.tiles == {
        "Service level": ["40.0%", "▼ 40.0 points below the target of 80%", FORMULA],
        "Offered": ["5", "calls that entered a queue"],
        "Answered": ["3", "60.0% of the calls offered"],
        "Abandoned": ["20.0%", "1 call; within 5 s: 1"],
        "ASA": ["0:16", "average wait of the calls answered"],
        "Longest wait": ["1:00", "of all queue calls"],
        "AHT": ["1:03", "average handle time: talk and hold"],
    }


def test_rate_just_below_its_target_is_not_shown_as_equal_to_it(log):
    page = Page(page_of(log, Selection(period=DAY), target=0.4004))
    figure, verdict, _ = page.tiles["Service level"]
    assert figure == "39.9%"
    assert verdict == "▼ 0.1 points below the target of 40%"


@pytest.mark.parametrize(
    ("rate", "target", "text"),
    [
        (1999 / 2500, 0.8, "79.9%"),
        (0.7994, 0.8, "79.9%"),
        (0.8, 0.8, "80.0%"),
        (0.80049, 0.8, "80.0%"),
        (0.99999, 1, "99.9%"),
        (0, 0.0004, "0.0%"),
        (1999 / 2500, None, "80.0%"),
        (None, 0.8, "–"),
    ],
)
def test_rates_are_rounded_to_one_decimal_but_not_up_to_a_target(rate, target, text):
    assert rate_text(rate, target) == text


def test_options_of_the_reports_are_used_and_stated(log):
    thresholds = Thresholds(service_level=25, short_abandon=3, bands=[30])
    html = page_of(log, Selection(period=DAY), thresholds=thresholds, wrap_up=10, target=0.6)
    page = Page(html)
    assert page.tiles["Service level"] == [
        *("60.0%", "✓ Target of 60% reached", FORMULA.replace("20", "25")),
    ]
    assert page.tiles["Abandoned"][1] == "1 call; within 3 s: 0"
    assert page.tiles["AHT"] == ["1:13", "average handle time, with 10 s of wrap-up"]
    assert [row[0] for row in page.tables["Waits in the queue"][1:]] == ["0–30", "≥30", "Total"]


def test_formula_of_the_service_level_is_stated(log):
    html = page_of(log, Selection(period=DAY))
    assert "Calls answered within 20 s ÷ calls whose wait ended." in html
    assert (
        "Calls answered within 20 s ÷ calls answered: 66.7%. Without short abandons: 50.0%. With "
        "abandons within 20 s counted as answered in time: 60.0%."
    ) in html


def test_tables_have_the_figures_of_the_charts(log):
    tables = Page(page_of(log, Selection(period=DAY))).tables
    assert tables["Queue calls by result"] == [
        ["Start of the hour", "Offered", "Answered", "Abandoned", "Abandon rate", "Other end"],
        ["09:00", "4", "3", "1", "25.0%", "0"],
        *([f"{hour}:00", "0", "0", "0", "–", "0"] for hour in range(10, 14)),
        ["14:00", "1", "0", "0", "0.0%", "1"],
        ["Total", "5", "3", "1", "20.0%", "1"],
    ]
    assert tables["Service level"][1] == ["09:00", "50.0%", "no", "0:16", "0:25"]
    assert tables["Service level"][2] == ["10:00", "–", "", "–", "–"]
    assert tables["Queue calls by weekday and hour"] == [
        ["Hour", "Mon", "Total"],
        ["09:00", "4", "4"],
        *([f"{hour}:00", "0", "0"] for hour in range(10, 14)),
        ["14:00", "1", "1"],
        ["Total", "5", "5"],
    ]
    assert tables["Waits in the queue"] == [
        ["Wait in seconds", "Answered", "Share answered by then", "Abandoned"],
        ["0–10", "1", "33.3%", "1"],
        ["10–20", "0", "33.3%", "0"],
        ["20–30", "2", "100.0%", "0"],
        ["30–60", "0", "100.0%", "0"],
        ["60–120", "0", "100.0%", "0"],
        ["≥120", "0", "100.0%", "0"],
        ["Total", "3", "–", "1"],
    ]
    assert tables["Queues"][1:] == [
        ["Sales", "4", "3", "1", "25.0%", "50.0%", "0:16", "0:25", "1:03"],
        ["Support", "1", "0", "0", "0.0%", "0.0%", "–", "1:00", "–"],
        ["All queues", "5", "3", "1", "20.0%", "40.0%", "0:16", "1:00", "1:03"],
    ]
    assert tables["Agents"][1:] == [
        ["Sato", "2", "2", "0", "0", "0", "2", "2:10", "1:05"],
        ["agent 12", "2", "1", "1", "0", "0", "1", "0:50", "1:00"],
    ]
    assert tables["Calls by direction and result"][1:] == [
        ["Inbound", "5", "3", "1", "0", "1", "0", "0"],
        ["Outbound", "1", "0", "0", "1", "0", "0", "0"],
        ["Internal", "0", "0", "0", "0", "0", "0", "0"],
        ["Total", "6", "3", "1", "1", "1", "0", "0"],
    ]


def test_main_findings_are_sentences(log):
    leads = Page(page_of(log, Selection(period=DAY))).leads
    assert leads == [
        "Busiest: 09:00, with 4 calls.",
        "Hours with calls that reached the target of 80%: 0 of 2.",
        "Busiest: Mon from 09:00 to 10:00, with 4 calls.",
        "66.7% of the calls answered waited at most 20 s. The longest wait of all calls was 1:00.",
        "Queues with calls: 2. The busiest is first.",
        "Agents with calls: 2. The one who handled the most is first.",
        "All calls of the period, also those that entered no queue: 6.",
    ]


@pytest.mark.parametrize(
    ("span", "by", "heading", "first"),
    [
        (DAY, None, "Mon 30 November 2026", "09:00"),
        (DAY, "30min", "Mon 30 November 2026", "09:00"),
        (MONTH, None, "November 2026", "Sun 1 Nov"),
        (MONTH, "week", "November 2026", "1 Nov"),
        (YEAR, None, "1 December 2025 – 30 November 2026", "Dec 2025"),
        (YEAR, "day", "1 December 2025 – 30 November 2026", "Mon 1 December 2025"),
        (
            period((2026, 11, 30, 8, 30), (2026, 12, 2, 9), TOKYO),
            None,
            "30 November 2026 08:30 – 2 December 2026 09:00",
            "Mon 30 Nov",
        ),
    ],
    ids=["day", "day by half hours", "month", "weeks", "year", "year by days", "hours"],
)
def test_page_names_its_period_and_intervals(log, span, by, heading, first):
    html = page_of(log, Selection(period=span), by=by)
    assert f"<h1>{heading}</h1>" in html
    assert Page(html).tables["Queue calls by result"][1][0] == first


def test_conditions_are_stated(log):
    selection = Selection(period=MONTH, weekdays={0, 6}, hours=(time(9), time(12)), groups={1, 2})
    page = Page(page_of(log, selection))
    assert page.facts == [
        *("Queues", "Sales, Support", "Weekdays", "Mon, Sun", "Hours", "09:00–12:00"),
        *("Time zone", "Asia/Tokyo", "Created", "1 December 2026 07:05"),
    ]
    days = [row[0] for row in page.tables["Queue calls by result"][1:-1]]
    assert days == [
        f"Sun {day} Nov" if day % 7 == 1 else f"Mon {day} Nov"
        for day in (
            1,
            2,
            8,
            9,
            15,
            16,
            22,
            23,
            29,
            30,
        )
    ]
    assert page.tables["Queue calls by weekday and hour"][0] == ["Hour", "Mon", "Sun", "Total"]
    assert page.tiles["Offered"][0] == "4"


def test_period_without_calls_has_zeros_and_no_rates(tmp_path):
    page = Page(page_of(fill(tmp_path / "calls.db"), Selection(period=DAY)))
    assert [figures[0] for figures in page.tiles.values()] == ["–", "0", "0", "–", "–", "–", "–"]
    assert page.leads == [
        "No call entered a queue.",
        "Hours with calls that reached the target of 80%: 0 of 0.",
        "No call entered a queue.",
        "No call was answered.",
        "Queues with calls: 0. The busiest is first.",
        "No agent had a call.",
        "All calls of the period, also those that entered no queue: 0.",
    ]
    assert len(page.tables["Queue calls by result"]) == 26
    assert not page.notices


@pytest.mark.parametrize(("number", "listed"), [(1, 1), (12, 11)])
def test_gaps_in_the_feed_are_stated(tmp_path, number, listed):
    starts = [at(2026, 11, 30, hour, 10, zone=TOKYO) for hour in range(number)]
    gaps = [
        {"started": start, "ended": start + 300 * SECOND, "reason": "KeepaliveTimeout"}
        for start in starts
    ]
    page = Page(page_of(fill(tmp_path / "calls.db", gaps=gaps), Selection(period=DAY)))
    times = "1 time" if number == 1 else "12 times"
    assert page.notices[0] == (
        f"The feed was interrupted {times} in this period. Calls in that time may be missing or "
        "incomplete."
    )
    assert page.notices[1] == "30 November 2026 00:10 – 00:15"
    assert len(page.notices) == 1 + listed
    assert page.notices[-1] == "and 2 more" or number == 1


def test_too_many_intervals_become_longer_ones(log):
    page = Page(page_of(log, Selection(period=MONTH), by="15min"))
    assert page.tables["Queue calls by result"][1][0] == "Sun 1 Nov"
    (notice,) = page.notices
    assert notice == (
        "The period has more than 366 of the intervals that were asked for. This page shows longer "
        "ones; a CSV or XLSX report has all."
    )


@pytest.mark.parametrize("by", [None, "day"])
def test_period_of_more_months_than_a_page_shows_is_refused(log, by):
    longest = period((1996, 6, 1), (2026, 12, 1), TOKYO)
    table = Page(page_of(log, Selection(period=longest), by=by)).tables["Queue calls by result"]
    assert [row[0] for row in table[1:-1:365]] == ["Jun 1996", "Nov 2026"]
    with pytest.raises(UsageError, match="the period has more than 366 months"):
        page_of(log, Selection(period=period((1996, 5, 1), (2026, 12, 1), TOKYO)), by=by)


def test_repeated_hour_has_its_offset(tmp_path):
    span = period((2026, 10, 25), (2026, 10, 26))
    waits = [queue_wait(str(n), span.start_us // SECOND + n * HOUR) for n in range(25)]
    log = fill(tmp_path / "calls.db", waits=waits)
    rows = Page(page_of(log, Selection(period=span))).tables["Queue calls by result"]
    assert len(rows) == 1 + 25 + 1
    assert [row[0] for row in rows[3:6]] == ["02:00", "02:00 +0100", "03:00"]


def test_page_is_in_the_language_of_the_context(log):
    page = Page(page_of(log, Selection(period=DAY), lang="ja"))
    assert page.lang == "ja"
    assert page.tiles["サービスレベル"] == [
        *("40.0%", "▼ 目標80%を40.0ポイント下回っています"),
        "20秒以内に応答した呼の数を、待ちが終わった呼の数で割った割合",
    ]
    assert page.leads[0] == "着信が最も多かったのは09:00で、4件です。"
    assert "<h1>2026年11月30日\uff08月\uff09</h1>" in page_of(log, Selection(period=DAY), lang="ja")
    assert Page(page_of(log, Selection(period=DAY))).lang == "en"


def test_page_allows_only_its_own_style(log):
    html = page_of(log, Selection(period=DAY))
    (style,) = re.findall("<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    tags = Page(html).tags
    (policy,) = [
        attributes["content"]
        for tag, attributes in tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    names = {tag for tag, _attributes in tags}
    assert not names & {"script", "link", "img", "iframe", "object", "a", "form", "base"}
    for _tag, attributes in tags:
        assert not {name for name in attributes if name.startswith("on")}
        assert not attributes.keys() & {"style", "src", "href", "srcset", "xlink:href"}
    # Patterns are the only references, and lie within the page.
    assert re.findall(r"url\([^)]*\)", style) == ["url(#hatch)"]
    assert "@import" not in style


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("</script><b>x", "</script><b>x"),
        ('=HYPERLINK("http://evil.example/","x")', '=HYPERLINK("http://evil.example/","x")'),
        ("http://evil.example/x", "http://evil.example/x"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("a\x00b\x1b[31m", r"a\x00b\x1b[31m"),
        ("{{ 7*7 }}{% raw %}", "{{ 7*7 }}{% raw %}"),
        ("&lt;i&gt;", "&lt;i&gt;"),
        ("x" * 500, "x" * 200),
    ],
)
def test_names_are_texts_and_nothing_else(log, tmp_path, name, shown):
    hostile = fill(tmp_path / "calls.db", **small_day(Sales=name, Sato=name))
    selection = Selection(period=DAY, groups={1, 2})
    page = Page(page_of(hostile, selection))
    assert page.tables["Queues"][1][0] == shown
    assert page.tables["Agents"][1][0] == shown
    assert page.facts[1] == f"{shown}, Support"
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in Page(page_of(log, selection)).tags]


def test_more_agents_than_the_page_has_are_counted(tmp_path):
    nine = MIDNIGHT + 9 * HOUR
    parts = [participation(str(id_), id_, offered=nine) for id_ in range(1, 252)]
    html = page_of(fill(tmp_path / "calls.db", participations=parts), Selection(period=DAY))
    assert len(Page(html).tables["Agents"]) == 1 + 200
    assert "The first 200 of 251; a CSV or XLSX report has all." in html


def test_selection_of_users_is_refused(log):
    selection = Selection(period=DAY, users={11})
    with pytest.raises(UsageError, match="waits have none"):
        render_page(Reports(log), selection, created=DAY.end + timedelta(hours=7))
