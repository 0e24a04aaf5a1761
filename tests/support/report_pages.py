"""HTML pages of reports: pages of given rows, and their parts."""

from __future__ import annotations

import contextlib
from html.parser import HTMLParser
from random import Random
from zoneinfo import ZoneInfo

from basix_ws_cti._internal.translation import use_language
from basix_ws_cti.reports import Reports, Selection
from basix_ws_cti.reports.page import render_page
from support.call_centre import AGENTS, QUEUES, write_call_centre
from support.report_periods import period

TOKYO = ZoneInfo("Asia/Tokyo")

DAY = period((2026, 11, 30), (2026, 12, 1), TOKYO)
MONTH = period((2026, 11, 1), (2026, 12, 1), TOKYO)
YEAR = period((2025, 12, 1), (2026, 12, 1), TOKYO)

# Morning after the day and the month.
CREATED = period((2026, 12, 1, 7, 5), (2026, 12, 2), TOKYO).start


@contextlib.contextmanager
def language(name):
    """Use a language for a time."""
    use_language(name)
    try:
        yield
    finally:
        use_language("en")


def page_of(database, selection, *, lang="en", by=None, **options):
    """Return the page of a call log; ``options`` are those of ``Reports``."""
    with language(lang):
        return render_page(Reports(database, **options), selection, created=CREATED, by=by)


def call_centre_page(folder, span, *, lang="en", calls_a_day=260, by=None, **options):
    """Return the page of a call centre; ``options`` are those of ``write_call_centre``."""
    options = {"queues": QUEUES[lang], "agents": AGENTS[lang], **options}
    database = folder / f"{lang}-{(span.end - span.start).days}.db"
    write_call_centre(database, span, Random(4), calls_a_day=calls_a_day, **options)
    return page_of(database, Selection(period=span), lang=lang, by=by)


class Page(HTMLParser):
    """Parts of a page, found by a parser for HTML.

    - ``tags``: every tag with its attributes. ``lang``: language of the page.
    - ``tables``: rows of texts, by title. ``tiles``: texts of the headline figures, by name.
    - ``notices``, ``facts``: texts. ``leads``: texts below the headings.
    """

    def __init__(self, html):
        super().__init__()
        self.tags, self.tables, self.tiles = [], {}, {}
        self.notices, self.facts, self.leads = [], [], []
        self._path, self._row, self._text = [], [], ""
        self.feed(html)
        self.close()

    @property
    def lang(self):
        """Language of the page."""
        return next(attributes["lang"] for tag, attributes in self.tags if tag == "html")

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag in {"meta", "link", "br", "img"}:
            return
        self._path.append((tag, attributes.get("class", "")))
        if tag in {"th", "td", "dt", "dd", "caption", "p", "li", "h1", "h2"}:
            self._text = ""
        if tag == "tr":
            self._row = []

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self._text += data

    def handle_endtag(self, tag):
        (opened, style) = self._path.pop()
        assert opened == tag
        classes = {style for _tag, style in self._path}
        text = " ".join(self._text.split())
        if tag == "caption":
            self._table = self.tables.setdefault(text, [])
        elif tag in {"th", "td"}:
            self._row.append(text)
        elif tag == "tr":
            self._table.append(self._row)
        elif tag == "dt" and "tiles" in classes:
            self._tile = self.tiles.setdefault(text, [])
        elif tag == "dd" and "tiles" in classes and text:
            self._tile.append(text)
        elif tag in {"p", "li"} and "notice" in classes:
            self.notices.append(text)
        elif tag in {"dt", "dd"} and "facts" in classes:
            self.facts.append(text)
        elif tag == "p" and style == "lead":
            self.leads.append(text)
