"""Translated pages, compared with the English page of the same name."""

from __future__ import annotations

import io
import re
import runpy
import tokenize

import pytest
from support import docs_code

DOCS = docs_code.ROOT / "docs"
TRANSLATED = sorted(DOCS.glob("ja/**/*.md"))


def english(page):
    """Return the English page of a translation."""
    return DOCS / page.relative_to(DOCS / "ja")


@pytest.fixture(params=TRANSLATED, ids=lambda page: page.relative_to(DOCS).as_posix())
def translated(request):
    return request.param


def without_comments(block):
    """Return a block's code without comments, which are translated."""
    if block.language != "python":
        return block.source
    lines = block.source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(block.source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    return "\n".join(lines)


def prose(page):
    """Return a page without its code blocks."""
    return re.sub(
        r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )


# Pages that are translated; operators and newcomers read these first.
EXPECTED = (
    "quickstart.md",
    "tutorial.md",
    "howto/call-log.md",
    "howto/reports.md",
    "howto/service.md",
    "howto/wallboard.md",
    "howto/wallboard-screens.md",
)


@pytest.mark.parametrize("name", EXPECTED)
def test_expected_page_is_translated(name):
    assert DOCS / "ja" / name in TRANSLATED


def test_code_blocks_are_equal(translated):
    """Language, file, code and output are equal; comments may differ."""
    theirs, ours = (
        [
            (one.language, one.file, without_comments(one), one.output)
            for one in docs_code.blocks(page)
        ]
        for page in (translated, english(translated))
    )
    assert theirs == ours


def test_code_blocks_of_a_translated_page_are_found():
    languages = {block.language for block in docs_code.blocks(DOCS / "ja" / "quickstart.md")}
    assert languages == {"python", "sh"}


def test_heading_levels_are_equal(translated):
    theirs, ours = (
        re.findall(r"^#+(?= )", prose(page), re.MULTILINE)
        for page in (translated, english(translated))
    )
    assert theirs == ours


def links(page):
    """Return file and anchor of each link and image of a page, in order."""
    targets = re.findall(r"(?:\]\(|\{download\}`[^`]*<)([^)>\s]+)[)>]", prose(page))
    return [
        ((page.parent / path).resolve() if path else page, anchor)
        for path, _, anchor in (target.partition("#") for target in targets)
    ]


def in_japanese(target, anchor):
    """Return the target that a Japanese page links to: the translation, if there is one.

    Its anchors are Japanese: test_docs.py checks that they exist.
    """
    page = DOCS / "ja" / target.relative_to(DOCS) if target.is_relative_to(DOCS) else target
    return (page, "") if page in TRANSLATED else (target, anchor)


def test_links_are_equal(translated):
    """The first link of each page leads to the other language, the others to the same pages.

    If there is a translation, the Japanese page links to it.
    """
    theirs, ours = links(translated), links(english(translated))
    assert theirs.pop(0) == (english(translated), "")
    assert ours.pop(0) == (translated, "")
    assert [(target, "" if target in TRANSLATED else anchor) for target, anchor in theirs] == [
        in_japanese(*link) for link in ours
    ]


def included(page):
    """Return the files that a page includes."""
    text = page.read_text(encoding="utf-8")
    return [
        (page.parent / path).resolve()
        for path in re.findall(r"^```\{literalinclude\} (\S+)", text, re.MULTILINE)
    ]


def test_included_files_are_equal(translated):
    assert included(translated) == included(english(translated))


def test_number_of_table_rows_is_equal(translated):
    theirs, ours = (
        len(re.findall(r"^\|", prose(page), re.MULTILINE))
        for page in (translated, english(translated))
    )
    assert theirs == ours


def test_paragraphs_are_single_lines(translated):
    """A line break within Japanese text would be displayed as a space."""
    assert not re.search(r"[^\x00-\x7f]\n[^\x00-\x7f]", prose(translated))


@pytest.fixture
def site():
    """Names that docs/conf.py defines."""
    pytest.importorskip("sphinx", reason="the site is built with the extra docs")
    return runpy.run_path(str(DOCS / "conf.py"))


def test_search_finds_japanese_words(site):
    """The search splits Japanese text into words, and keeps English words."""
    words = site["Search"]({}).split("calls: キューで待っている呼や、パーク保留中の呼です。")
    assert {"calls", "キュー", "保留", "パーク保留中の呼です"} <= {*words}


@pytest.mark.parametrize("page", ["ja/quickstart", "quickstart"])
def test_page_language_follows_its_folder(site, page):
    context = {"language": "en"}
    site["say_language"](None, page, "page.html", context, None)
    assert context == {"language": "ja" if page.startswith("ja/") else "en"}
