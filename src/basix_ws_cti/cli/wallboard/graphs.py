"""Sparklines and bars, as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

# Eighths of a block, and the ten steps of a terminal that lacks them.
_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII_STEPS = " .:-=+*#%@"


def sparkline(
    values: Sequence[float | None],
    full_height: float,
    width: int,
    lines: int = 1,
    *,
    is_ascii: bool = False,
) -> list[str]:
    """Return a sparkline of the last ``width`` values, as lines from top to bottom.

    A value above zero is always visible, and ``None`` leaves its column empty. ``full_height`` is
    the value that fills all lines.
    """
    steps = _ASCII_STEPS if is_ascii else _BLOCKS
    per_line = len(steps) - 1
    levels = []
    for value in values[-width:]:
        level = 0 if value is None else round(value / full_height * per_line * lines)
        levels.append(max(level, 1 if value else 0))
    return [
        "".join(steps[min(max(level - below * per_line, 0), per_line)] for level in levels).rjust(
            width
        )
        for below in reversed(range(lines))
    ]


def bar(share: float, width: int, *, is_ascii: bool = False) -> tuple[str, str]:
    """Return the filled and the empty part of a bar; ``share`` is from 0 to 1."""
    filled = min(width, max(round(share * width), 1 if share > 0 else 0))
    full, empty = "=-" if is_ascii else "━─"
    return full * filled, empty * (width - filled)
