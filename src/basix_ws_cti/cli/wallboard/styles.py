"""Colours of the wallboard in the terminal: one palette for each kind of terminal.

Each palette with colours sets foreground and background, so that the colours of the terminal
itself, such as a light background, make no difference. With ``NO_COLOR`` there are only attributes
such as bold and reverse, in the colours of the terminal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from attrs import frozen
from rich.console import Console

from basix_ws_cti.board.limits import Level
from basix_ws_cti.board.tables import Style


@frozen(eq=False, kw_only=True)
class Palette:
    """Styles of one kind of terminal, as Rich styles, and the variables of the style sheet."""

    cells: Mapping[Style, str]
    """Style of each kind of cell."""

    stale: str
    """Style of every text while there is no live feed."""

    graph: str
    """Style of sparklines, and of the filled part of bars."""

    live: str
    """Style of the word for a live feed."""

    alert: str
    """Style of the band that says that there is no live feed."""

    paused: str
    """Style of the word for a paused display."""

    variables: Mapping[str, str]
    """Variables of the style sheet, by name."""

    is_ansi: bool = False
    """True if the colours are those of ANSI terminals, by name."""

    def level(self, level: Level | None) -> str:
        """Return the style of a figure with this level."""
        if level == "alarm":
            return self.cells["wait_alarm"]
        return self.cells["wait_warning"] if level == "warning" else "bold"


FULL = Palette(
    cells={
        "plain": "",
        "faint": "#a3a9b5",
        "wait_warning": "bold #16181d on #fc9867",
        "wait_alarm": "bold #ffffff on #b3243f",
        "warning": "bold #fc9867",
        "ivr": "#78dce8",
        "queued": "bold #ffd866",
        "ringing": "#ffd866",
        "talking": "#a9dc76",
        "parked": "#c5a5ff",
        "voicemail": "#8ab4f8",
        "conference": "#a9dc76",
        "other": "#78dce8",
        "unknown": "#a3a9b5",
    },
    stale="#979dab",
    graph="#78dce8",
    live="#16181d on #a9dc76",
    alert="bold #ffffff on #b3243f",
    paused="#16181d on #ffd866",
    variables={
        "board-background": "#16181d",
        "board-foreground": "#e6e6e6",
        "board-bar": "#2a2e37",
        "board-title": "#a0a8b8",
        "board-line": "#4b5263",
        "board-accent": "#78dce8",
        "board-cursor": "#243347",
        "board-cursor-text": "#ffffff",
        "board-cursor-style": "none",
        "board-hover": "#252a33",
        "board-dialog": "#1d2027",
        "board-stale": "#979dab",
        "board-shade": "#000000 60%",
    },
)
"""Palette of a terminal with 256 or more colours."""

ANSI = Palette(
    cells={
        "plain": "",
        "faint": "",
        "wait_warning": "black on yellow",
        "wait_alarm": "bold white on red",
        "warning": "bold yellow",
        "ivr": "cyan",
        "queued": "bold yellow",
        "ringing": "bold cyan",
        "talking": "green",
        "parked": "bold white",
        "voicemail": "cyan",
        "conference": "green",
        "other": "cyan",
        "unknown": "",
    },
    stale="dim",
    graph="cyan",
    live="black on green",
    alert="bold white on red",
    paused="black on yellow",
    variables={
        "board-background": "ansi_black",
        "board-foreground": "ansi_white",
        "board-bar": "ansi_black",
        "board-title": "ansi_white",
        "board-line": "ansi_white",
        "board-accent": "ansi_cyan",
        "board-cursor": "ansi_black",
        "board-cursor-text": "ansi_white",
        "board-cursor-style": "reverse",
        "board-hover": "ansi_black",
        "board-dialog": "ansi_black",
        "board-stale": "ansi_white",
        "board-shade": "ansi_black",
    },
    is_ansi=True,
)
"""Palette of a terminal with 8 or 16 colours: it uses the first eight, and bold."""

PLAIN = Palette(
    cells={
        **dict.fromkeys(FULL.cells, ""),
        "wait_warning": "bold underline",
        "wait_alarm": "bold reverse",
        "warning": "bold",
        "queued": "bold",
    },
    stale="dim",
    graph="",
    live="reverse",
    alert="bold reverse",
    paused="reverse",
    variables={
        **ANSI.variables,
        **dict.fromkeys(
            (name for name, value in ANSI.variables.items() if value.startswith("ansi_")),
            "ansi_default",
        ),
    },
    is_ansi=True,
)
"""Palette without colours, for ``NO_COLOR``."""


def terminal_palette() -> Palette:
    """Return the palette of the terminal that the program runs in, by ``TERM`` and ``NO_COLOR``."""
    if "NO_COLOR" in os.environ:
        return PLAIN
    color_system = Console(stderr=True, force_terminal=True).color_system
    if color_system is None:
        return PLAIN
    return ANSI if color_system == "standard" else FULL


def has_only_ascii(encoding: str) -> bool:
    """Return True if a terminal shows no lines and blocks: by encoding, or the Linux console."""
    return not encoding.lower().startswith("utf") or os.environ.get("TERM") == "linux"
