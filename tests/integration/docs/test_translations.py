"""A page in another language is kept beside the English one of the same name."""

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
    """The page that a translation is of."""
    return DOCS / page.relative_to(DOCS / "ja")


@pytest.fixture(params=TRANSLATED, ids=lambda page: page.relative_to(DOCS).as_posix())
def translated(request):
    return request.param


def without_comments(block):
    """A block's code; a program's comments are for people, and may differ. Nothing else may."""
    if block.language != "python":
        return block.source
    lines = block.source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(block.source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    return "\n".join(lines)


def prose(page):
    """A page without its blocks."""
    return re.sub(
        r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )


def test_there_is_a_quick_start():
    """A newcomer who reads Japanese finds the quick start in it."""
    assert DOCS / "ja" / "quickstart.md" in TRANSLATED


def test_the_code_is_the_same(translated):
    """The same blocks in the same order: language, file, code but for comments, output."""
    theirs, ours = (
        [
            (one.language, one.file, without_comments(one), one.output)
            for one in docs_code.blocks(page)
        ]
        for page in (translated, english(translated))
    )
    assert theirs == ours
    assert any(language == "python" for language, *_ in ours)


def test_the_sections_are_the_same(translated):
    """As many headings, of the same levels in the same order."""
    theirs, ours = (
        re.findall(r"^#+(?= )", prose(page), re.MULTILINE)
        for page in (translated, english(translated))
    )
    assert theirs == ours


def test_it_leads_to_the_same_pages(translated):
    """The same links and pictures in the same order, and the first of each is to the other."""
    theirs, ours = (
        [
            ((page.parent / path).resolve(), anchor)
            for path, _, anchor in (
                target.partition("#") for target in re.findall(r"\]\((\S+?)\)", prose(page))
            )
        ]
        for page in (translated, english(translated))
    )
    assert theirs.pop(0) == (english(translated), "")
    assert ours.pop(0) == (translated, "")
    assert theirs == ours


def test_a_paragraph_is_one_line(translated):
    """A line's end within Japanese text would be shown as a gap."""
    assert not re.search(r"[^\x00-\x7f]\n[^\x00-\x7f]", prose(translated))


@pytest.fixture
def site():
    """What docs/conf.py defines."""
    pytest.importorskip("sphinx", reason="the site is built with the extra docs")
    return runpy.run_path(str(DOCS / "conf.py"))


def test_japanese_words_are_found(site):
    """The search knows a Japanese word by itself, the text around it, and English as before."""
    words = site["Search"]({}).split("calls: キューで待っている呼や、パーク保留中の呼です。")
    assert {"calls", "キュー", "保留", "パーク保留中の呼です"} <= {*words}


@pytest.mark.parametrize("page", ["ja/quickstart", "quickstart"])
def test_a_page_says_its_language(site, page):
    """A page is in the language of its folder, and English elsewhere."""
    context = {"language": "en"}
    site["say_language"](None, page, "page.html", context, None)
    assert context == {"language": "ja" if page.startswith("ja/") else "en"}
