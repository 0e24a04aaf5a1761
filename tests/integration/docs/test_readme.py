"""README: example, install commands and length."""

from __future__ import annotations

import re

from support import docs_code
from support.paths import ROOT

README = ROOT / "README.md"


def test_example_has_its_complete_output():
    """test_docs.py runs the program and compares the output."""
    (program,) = [block for block in docs_code.blocks(README) if block.language == "python"]
    assert program.output is not None
    assert not docs_code.is_endless(program.output)


def test_shell_blocks_are_the_two_install_commands():
    """CI runs these commands as written in a fresh copy."""
    commands = [block.source for block in docs_code.blocks(README) if block.language == "sh"]
    assert [re.match(r"[\w./-]+ (-m venv|install)", command)[1] for command in commands] == [
        "-m venv",
        "install",
    ]


def test_readme_is_short_and_has_the_usual_sections():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    assert re.findall(r"^## (.+)", text, re.MULTILINE) == [
        "Install",
        "Quick start",
        "Features",
        "Documentation",
        "日本語",
        "License",
    ]
