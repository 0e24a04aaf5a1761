"""Command ``top`` on various terminals: colours, hostile names, wide characters, resizing."""

from __future__ import annotations

import random
import re

import pytest
from support.hostile_texts import HOSTILE
from support.wallboard_screens import Terminal

from basix_ws_cti.simulator import Person, Simulator

ATTRIBUTES = {"", "0", "1", "2", "4", "7"}
EIGHT_COLOURS = {str(code) for code in (*range(30, 38), *range(40, 48), 39, 49)}

# Textual sets the shape of the mouse pointer.
POINTER_SHAPE = b"\x1b]22;default\x07"


@pytest.fixture
def pbx():
    """Return a simulated PBX without calls of its own."""
    with Simulator(calls=False, token="right") as simulator:
        yield simulator


def open_top(pbx, *options, env=None, **more):
    """Return ``top`` in a terminal, connected to a simulated PBX."""
    connection = pbx.connect_args
    arguments = ("--server", connection["server"], "--domain", connection["domain"])
    return Terminal(
        "top",
        *arguments,
        "--full-events",
        *options,
        env={"BASIX_TOKEN": "right", **(env or {})},
        **more,
    )


def graphic_codes(raw):
    """Return all codes of SGR sequences in the output."""
    sequences = re.findall(rb"\x1b\[([\d;]*)m", bytes(raw))
    return {code for sequence in sequences for code in sequence.decode().split(";")}


@pytest.mark.parametrize(
    ("env", "allowed"),
    [
        ({"TERM": "xterm"}, EIGHT_COLOURS),
        ({"TERM": "linux"}, EIGHT_COLOURS),
        ({"NO_COLOR": "1"}, {"39", "49"}),
    ],
)
@pytest.mark.slow
def test_colours_are_those_of_the_terminal(env, allowed):
    """The board, the details and the help use attributes, and the terminal's colours only."""
    options = ("--simulate", "--simulate-speed", "20", "--wait-limits", "0.1,0.2")
    with Terminal("top", *options, env=env) as terminal:
        terminal.wait_for("waiting")
        terminal.type("\r")
        terminal.wait_for("Phase")
        terminal.type("\x1b")
        terminal.wait_for(lambda text: "Phase" not in text)
        terminal.type("?")
        terminal.wait_for("tab, arrows, mouse")
        assert graphic_codes(terminal.raw) - ATTRIBUTES <= allowed


@pytest.mark.slow
def test_hostile_names_cannot_steer_the_terminal(pbx):
    """Names of users, groups and callers are escaped on the board, in the details, as bytes."""
    forbidden = "\x07\x08\x0b\x7f\x85\x9b\u2028\u202e\u2066\u200f\U000e0041"
    with open_top(pbx, columns=200, rows=60) as terminal:
        for name, escaped in HOSTILE.values():
            pbx.edit("1001", label=name)
            pbx.edit("1900", label=name)
            calls = [pbx.call(Person("0312341234", "42", name), to=to) for to in ("1001", "1900")]
            pbx.answer(calls[0])
            # The user in two tables, the group in three, and both callers.
            terminal.wait_for(lambda text, shown=escaped[:12]: text.count(shown) >= 7)
            terminal.type("\r")
            terminal.wait_for("Phase")
            terminal.type("q")
            terminal.wait_for(lambda text: "Phase" not in text)
            raw = bytes(terminal.raw).replace(POINTER_SHAPE, b"").decode()
            assert name == escaped or name not in raw
            assert not set(raw) & set(forbidden)
            assert "\x1b]" not in raw
            for call in calls:
                pbx.hangup(call)
            terminal.wait_for("Calls 0")


@pytest.mark.slow
def test_kana_of_both_widths_line_up(pbx):
    names = {"1001": "ﾃﾞﾓ ｶﾅ", "1002": "デモ カナ", "1003": "Demo Kana"}
    for extension, name in names.items():
        pbx.edit(extension, label=name)
    with open_top(pbx) as terminal:
        for name in (*names.values(), "q Quit"):
            terminal.wait_for(name)
        columns = set()
        for row in terminal.screen.buffer.values():
            cells = [row[x].data for x in range(80)]
            columns |= {x for x in range(77) if "".join(cells[x : x + 4]) in names}
        assert len(columns) == 1


def is_straight(cells):
    """Return True if a frame that fills 80 columns has both sides in each row."""
    sides = [(row[0] == "│", row[79] == "│") for row in cells]
    return sides.count((True, True)) > 5 and not {(True, False), (False, True)} & {*sides}


@pytest.mark.slow
def test_kana_of_both_widths_line_up_in_the_details(pbx):
    """The frame is straight, and the texts of phases begin where their heading does."""
    names = ("ﾃﾞﾓ ｶﾅ", "デモ カナ", "Demo Kana")
    for extension, name in zip(("1001", "1002", "1003"), names, strict=True):
        pbx.edit(extension, label=name)
    with open_top(pbx) as terminal:
        for number, extension in enumerate(("1001", "1002", "1003")):
            call = pbx.call(Person("0312341234", "42", names[number]), to=extension)
            pbx.answer(call)
            row = re.compile(rf"talking .* {names[number]} \(0312341234\)")
            terminal.wait_for(lambda text, row=row: row.search(text))
            terminal.type("\r")
            terminal.wait_for(f"talking with {names[number]}")
            terminal.wait_for(lambda _text: is_straight(terminal.cells))
            rows = [row for row in terminal.cells if row[0] == "│"]
            (heading,) = (row.index("P") for row in rows if "Phase" in "".join(row))
            (phase,) = (row.index("t") for row in rows if "talking with" in "".join(row))
            assert phase == heading
            terminal.type("q")
            terminal.wait_for("q Quit")
            pbx.hangup(call)
            terminal.wait_for("Calls 0")


@pytest.mark.slow
def test_quick_resizes_leave_no_cells_behind(pbx):
    """After 100 sizes the screen is as it was before them."""
    sizes = random.Random(1)
    pbx.answer(pbx.call(to="1001"))
    with open_top(pbx) as terminal:
        terminal.wait_for("talking")
        terminal.type("p")
        terminal.wait_for("PAUSED")
        terminal.settle()
        before = terminal.text
        for _ in range(100):
            terminal.resize(sizes.randint(20, 220), sizes.randint(4, 70))
            terminal.read()
        terminal.resize(80, 24)
        terminal.wait_for(lambda text: text == before)
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
        assert b"Traceback" not in terminal.raw
