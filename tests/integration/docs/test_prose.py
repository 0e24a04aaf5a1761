"""Plain English: words that pages and messages avoid."""

from __future__ import annotations

import pytest
from support import plain_english


def page_name(page):
    return page.relative_to(plain_english.ROOT).as_posix()


@pytest.mark.parametrize("page", plain_english.pages(), ids=page_name)
def test_page_uses_plain_english(page):
    """The failure lists file, line, term, and what to write instead."""
    text = plain_english.without_code(page.read_text(encoding="utf-8"))
    found = [*plain_english.places(page_name(page), text)]
    assert not found, "\n".join(map(str, found))


def test_messages_use_plain_english():
    name = page_name(plain_english.CATALOGUE)
    found = [*plain_english.places(name, plain_english.messages())]
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The picture is whole.", ["'picture'", "'whole'"]),
        ("A client is told of\nit, and so\nmany more.", ["'told'", "'so many'"]),
        ("A blind client", ["'blind'"]),
        ("A telephone rings", ["'telephone'"]),
        ("An empty list is none", ["'is none'"]),
    ],
)
def test_terms_are_found_with_line_and_replacement(text, expected):
    found = [str(place) for place in plain_english.places("page.md", text)]
    assert [one.split(": ")[1] for one in found] == expected
    assert all(one.startswith("page.md:") and "write instead: " in one for one in found)


@pytest.mark.parametrize(
    "text",
    [
        "A blind transfer, and transfers (blind and attended)",
        "A telephone number",
        "`None` if there is none, and none of these",
        "`picture.py` and ``tells of``",
        "[an image](picture.svg)",
        "```python\npicture = 1\n```",
    ],
)
def test_correct_uses_and_code_are_not_found(text):
    assert [*plain_english.places("page.md", plain_english.without_code(text))] == []


def test_line_of_a_term_after_code_is_that_of_the_page():
    text = plain_english.without_code("One\n\n```text\nwhole\n```\n\nThe `whole`\nwhole")
    (place,) = plain_english.places("page.md", text)
    assert place.line == 8


def test_messages_keep_their_lines_and_lose_their_translations():
    catalogue = plain_english.CATALOGUE.read_text(encoding="utf-8").splitlines()
    messages = plain_english.messages().splitlines()
    line = catalogue.index('msgid "Print one JSON document."')
    assert messages[line].strip(' "') == "Print one JSON document."
    assert not messages[line + 1].strip()


def test_exceptions_are_used():
    """Each exception names a file, a text in it, and a reason."""
    for (file, part), reason in plain_english.EXCEPTIONS.items():
        text = (plain_english.ROOT / file).read_text(encoding="utf-8").lower()
        assert part in " ".join(text.split())
        assert reason
