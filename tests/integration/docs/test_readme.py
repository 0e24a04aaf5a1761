from __future__ import annotations

import re

from support import docs_code
from support.paths import ROOT

README = ROOT / "README.md"


def test_the_example_shows_what_it_prints():
    """The README's program has its output below it; test_docs.py runs and compares it."""
    (program,) = [block for block in docs_code.blocks(README) if block.language == "python"]
    assert program.output is not None
    assert not docs_code.goes_on(program.output)


def test_the_two_commands():
    """The commands that CI runs, as written, in a fresh copy are the README's first blocks."""
    commands = [block.source for block in docs_code.blocks(README) if block.language == "sh"]
    assert [re.match(r"[\w./-]+ (-m venv|install)", command)[1] for command in commands] == [
        "-m venv",
        "install",
    ]


def test_it_is_short():
    """The README says what this is, shows it, and leads on; its tables are in ``docs/``."""
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    assert not re.search(r"^\|", text, re.MULTILINE)
