"""Command ``top`` in tmux."""

from __future__ import annotations

import random
import re

import pytest
from support.tmux import TmuxWindow

pytestmark = [pytest.mark.tmux, pytest.mark.slow]

# The simulated time passes slowly, so that the first screen stays for long enough.
OPTIONS = ("top", "--simulate", "--simulate-speed", "0.01")

WORDS = ("Waiting", "Calls", "Queues", "サポート", "Users", "佐藤 健", "Parked", "Feed", "q Quit")


def shows_all(window):
    """Return True if the window shows all parts of the board."""
    text = window.text
    return all(word in text for word in WORDS)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_top_fills_the_window(size):
    """The clock is at the right edge of the first line, and the keys are in the last one."""
    with TmuxWindow(*OPTIONS, size=size) as window:
        window.wait_for(shows_all)
        lines = window.text.splitlines()
        assert len(lines) == size[1]
        assert lines[0].startswith(" live ")
        assert len(lines[0]) in {size[0] - 1, size[0]}  # tmux strips spaces
        assert lines[-1].endswith("q Quit")


def colour_codes(text):
    """Return the codes for colours in all SGR sequences of a text."""
    codes = [code for codes in re.findall(r"\x1b\[([\d;]*)m", text) for code in codes.split(";")]
    return {code for code in codes if re.fullmatch(r"[34]\d|9\d|10\d", code)}


@pytest.mark.parametrize(
    ("term", "env", "needed", "allowed"),
    [
        ("xterm-256color", {}, {"38", "48"}, None),
        ("xterm", {}, {"36", "42"}, {*map(str, (*range(30, 38), 39, *range(40, 48), 49))}),
        ("xterm-256color", {"NO_COLOR": "1"}, set(), {"39", "49"}),
    ],
)
def test_colours_are_those_of_the_terminal(term, env, needed, allowed):
    """A terminal of 256 colours has its own numbers for them, one of eight none of these."""
    with TmuxWindow(*OPTIONS, term=term, env=env) as window:
        window.wait_for(shows_all)
        codes = colour_codes(window.styled_text)
        assert needed <= codes
        assert allowed is None or codes <= allowed


def test_quick_resizes_leave_no_cells_behind():
    """After 100 sizes the window is as it was before them, and dialogs still open."""
    sizes = random.Random(2)
    with TmuxWindow(*OPTIONS) as window:
        window.wait_for(shows_all)
        window.type("p")
        window.wait_for("PAUSED")
        before = window.styled_text
        for _ in range(100):
            window.resize(sizes.randint(20, 220), sizes.randint(4, 70))
        window.resize(80, 24)
        window.wait_for(lambda window: window.styled_text == before)
        window.type("?")
        window.wait_for("tab, arrows, mouse")
        window.type("q")
        window.wait_for(shows_all)
        window.type("q")
        window.wait_for(lambda window: window.has_ended)
        assert "Traceback" not in window.text
