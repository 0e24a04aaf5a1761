"""The table: in a terminal, in a page of the documentation, and in a file to compare with."""

from __future__ import annotations

import itertools
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
from measure import Change, Row

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

HEADINGS = ("group", "what", "best", "median", "figure", "in", "noise", "CPU s")
COMPARED = (*HEADINGS, "before", "after/before", "")
LEFT = frozenset({0, 1, 5, 10})  # columns of words


def machine() -> dict[str, str]:
    """What was measured, and where."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists() and (found := re.search(r"model name\s*: (.*)", info.read_text())):
        cpu = found[1]
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(terse=True),
        "cpu": f"{cpu}, {os.cpu_count()} CPUs",
        **{name: version(name) for name in ("attrs", "websockets", "bert", "erlang_py")},
    }


def save(path: Path, rows: Sequence[Row], measured: Mapping[str, Any]) -> None:
    """Keep the rows for later."""
    content = {"measured": measured, "rows": [attrs.asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> tuple[list[Row], dict[str, Any]]:
    """The rows of a run that was saved, and what was measured then."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return [Row(**row) for row in content["rows"]], content["measured"]


def changes(before: Sequence[Row], after: Sequence[Row]) -> list[Change]:
    """The rows that are in both runs."""
    old = {(row.group, row.name): row for row in before}
    return [Change(old[key], row) for row in after if (key := (row.group, row.name)) in old]


def number(value: float) -> str:
    """Three digits, or the whole number."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cells(row: Row) -> tuple[str, ...]:
    """A row as it is shown."""
    values = [f"{number(value)} {row.unit}" for value in (row.best, row.median)]
    cpu = f"{row.cpu:.1f}" if row.cpu else ""
    figure = number(row.figure)
    return (row.group, row.name, *values, figure, row.base or row.unit, f"{row.noise:.0%}", cpu)


def lines(rows: Sequence[Row], before: Sequence[Row] = ()) -> list[tuple[str, ...]]:
    """The table: its headings and its rows, with what has changed if there is a before."""
    if not before:
        return [HEADINGS, *map(cells, rows)]
    old = {(one.after.group, one.after.name): one for one in changes(before, rows)}
    table = [COMPARED]
    for row in rows:
        change = old.get((row.group, row.name))
        compared = ("", "", "new")
        if change is not None:
            compared = (number(change.before.figure), f"{change.ratio:.2f}", change.verdict)
        table.append((*cells(row), *compared))
    return table


def plain(table: Sequence[Sequence[str]]) -> str:
    """For a terminal."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in LEFT else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    )


def markdown(
    table: Sequence[Sequence[str]], titles: Mapping[str, str], measured: Mapping[str, Any]
) -> str:
    """For the documentation: a table for each group, below its title."""
    said = ", ".join(f"{name} {what}" for name, what in measured.items())
    parts = [f"Measured with {said}."]
    (_, *headings), *body = table
    rule = ["---" if place in LEFT else "--:" for place in range(1, len(table[0]))]
    for group, lines in itertools.groupby(body, key=lambda line: line[0]):
        shown = [headings, rule, *(line[1:] for line in lines)]
        parts += [
            f"### {group}",
            titles[group],
            "\n".join("| " + " | ".join(line) + " |" for line in shown),
        ]
    return "\n\n".join(parts)


def write_page(path: Path, text: str) -> None:
    """Put the text between the marks of a page, in place of what is there."""
    page = path.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, mark, tail = rest.partition(END)
    if not mark:
        raise ValueError(f"{path} has no {BEGIN} with a {END} after it")
    path.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")
