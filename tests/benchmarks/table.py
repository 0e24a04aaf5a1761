"""Table of results: for a terminal, a documentation page, and a file for comparisons."""

from __future__ import annotations

import itertools
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import attrs
from attrs import frozen
from measure import Row

import basix_ws_cti

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

HEADINGS = ("group", "what", "each", "ratio", "to", "spread")
COMPARED = (*HEADINGS, "before", "after/before", "")
WORDS = frozenset({0, 1, 4, 8})  # columns with text

# Relative changes up to this size never count, however small the spread.
LEAST_CHANGE = 0.03


@frozen
class Goal:
    """Maximum for the worst of some rows."""

    words: str
    group: str
    rows: str
    """Regular expression for their complete names."""
    most: float
    unit: str = ""
    """Unit of the value; the goal limits the ratio if this is empty."""


GOALS = (
    Goal("frame to callback, channel events", "events", "frame to callback", 9),
    Goal("the same, of events none of which comes twice", "varied", "channels: frame to.*", 9),
    Goal("growth: each of 4 n", "growth", ".*", 1.25),
    Goal("`Client`, subscriber, calls", "socket", ".*CPU: Client, subscriber, calls", 1.25),
    Goal("longest step in a flood", "hold", "flood: longest step", 20, " ms"),
    Goal("longest step, `initial_info` of 50,000 users", "hold", "init.*step", 20, " ms"),
    Goal("a mirror of 10,000 users and 2,000 channels", "memory", "both: mirror", 0.5),
    Goal("`import basix_ws_cti`", "start", "import basix_ws_cti", 2.2),
    Goal("`basix-ws-cti --help`", "start", "basix-ws-cti --help", 200, " ms"),
)


def machine() -> dict[str, str]:
    """Return the versions and the machine of this run."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists() and (found := re.search(r"model name\s*: (.*)", info.read_text())):
        cpu = found[1]
    return {
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.system(),
        "processor": f"{cpu} ({os.cpu_count()})",
        **{name: version(name) for name in ("attrs", "websockets", "bert")},
        "compiled": str(getattr(basix_ws_cti, "compiled", False)),
    }


def save(path: Path, rows: Sequence[Row], measured: Mapping[str, str]) -> None:
    """Save the rows to a file."""
    content = {"measured": measured, "rows": [attrs.asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> tuple[list[Row], dict[str, str]]:
    """Return the rows of a saved run, and its versions and machine."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return [Row(**row) for row in content["rows"]], content["measured"]


def number(value: float) -> str:
    """Format a number with three digits, or without decimals."""
    return f"{value:,.{max(0, 3 - len(str(int(value))))}f}"


def verdict(before: Row, after: Row) -> str:
    """Return ``better`` or ``worse`` if the change exceeds the spread of both rows."""
    ratio = after.figure / before.figure
    noise = 1 + max(LEAST_CHANGE, before.spread + after.spread)
    if 1 / noise <= ratio <= noise:
        return ""
    return "worse" if ratio > 1 else "better"


def table(rows: Sequence[Row], before: Sequence[Row] | None = None) -> list[tuple[str, ...]]:
    """Return the headings and the rows, with the changes since ``before``."""
    old = {(row.group, row.name): row for row in before or ()}
    lines = [HEADINGS if before is None else COMPARED]
    for row in rows:
        ratio = number(row.figure) if row.base else ""
        each = f"{number(row.value)} {row.unit}"
        cells = (row.group, row.name, each, ratio, row.base, f"{row.spread:.0%}")
        if before is None:
            lines.append(cells)
        elif (was := old.get((row.group, row.name))) is None:
            lines.append((*cells, "", "", "new"))
        else:
            change = f"{row.figure / was.figure:.2f}"
            lines.append((*cells, number(was.figure), change, verdict(was, row)))
    return lines


def goals(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return headings, and a line for each goal that was measured."""
    lines = [("", "goal", "at most", "measured", "")]
    for goal in GOALS:
        figures = [
            row.value if goal.unit else row.figure
            for row in rows
            if row.group == goal.group and re.fullmatch(goal.rows, row.name)
        ]
        if figures:
            worst = max(figures)
            said = [f"{number(value)}{goal.unit}" for value in (goal.most, worst)]
            lines.append(("", goal.words, *said, "reached" if worst <= goal.most else "missed"))
    return lines


def plain(lines: Sequence[Sequence[str]]) -> str:
    """Format lines for a terminal."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in WORDS else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).strip()
        for line in lines
    )


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Format lines as a Markdown table, without the first column, the group."""
    headings, *body = (line[1:] for line in lines)
    rule = ["---" if place in WORDS else "--:" for place in range(1, len(headings) + 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, rule, *body))


def page(
    rows: Sequence[Row],
    before: Sequence[Row] | None,
    titles: Mapping[str, str],
    measured: Mapping[str, str],
) -> str:
    """Return the generated part of a page: goals, and a table for each group."""
    said = "; ".join(f"{name} {what}" for name, what in measured.items())
    headings, *body = table(rows, before)
    parts = [f"Measured with {said}.", markdown(goals(rows))]
    for group, lines in itertools.groupby(body, key=lambda line: line[0]):
        parts += [f"### {group}", titles[group], markdown([headings, *lines])]
    return "\n\n".join(parts)


def write(path: Path, text: str) -> None:
    """Replace the text between the marks of a page."""
    head, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise ValueError(f"{path} has no {BEGIN} with a {END} after it")
    path.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}", encoding="utf-8")
