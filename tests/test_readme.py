from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def block(language: str, after: str) -> str:
    """The first fenced block of a language behind a heading."""
    section = README[README.index(after) :]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_fifteen_lines_print_what_the_readme_says():
    """The README's example runs as it stands, and its output is the one shown."""
    done = subprocess.run(
        [sys.executable, "-c", block("python", "## Fifteen lines")],
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert done.stderr == ""
    assert done.stdout == block("text", "## Fifteen lines")


def test_the_table_of_kinds_is_complete():
    """Every kind that has a class of its own is in the README's table, with that class."""
    from basix_ws_cti.records import _ELEMENTS

    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", README, re.MULTILINE))
    assert rows == {kind: cls.__name__ for kind, cls in _ELEMENTS.items()}
