"""Measure, and print a table of ratios: ``python tests/benchmarks/run.py``.

docs/explanation/performance.md says what each group is. With ``--save FILE`` the rounds are
kept, and ``--compare FILE`` shows what has changed since, beyond the spread of both runs.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keeping
import live
import odd
import parsing
import start
import table
from measure import FULL, QUICK, Row, Size, apart

# Each is given a size and the number of the process that it is measured in.
MEASURES = (
    *(parsing.events, parsing.varied, parsing.sorts, parsing.sizes, odd.odd),
    *(keeping.keeping, keeping.growth, keeping.memory),
    *(live.socket, live.hold, start.start),
)
GROUPS: dict[str, Callable[[Size, int], list[Row]]] = {one.__name__: one for one in MEASURES}


def measure(group: str, size: Size) -> list[Row]:
    """The rows of a group, over all its processes."""
    rows: dict[str, Row] = {}
    for number in range(size.processes):
        for row in apart(GROUPS[group], size, number):
            rows[row.name] = rows[row.name].joined(row) if row.name in rows else row
    return list(rows.values())


def clocks() -> tuple[float, float]:
    """Seconds on the clock, and CPU seconds of this process and those that it started."""
    return time.perf_counter(), sum(os.times()[:4])


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--only",
        nargs="+",
        choices=GROUPS,
        default=GROUPS,
        metavar="GROUP",
        help=f"of: {', '.join(GROUPS)}",
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the rounds, as JSON")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="with a run that was saved")
    parser.add_argument(
        "--write", type=Path, metavar="PAGE", help="put tables between the marks of this page"
    )
    parser.add_argument("--quick", action="store_true", help="only see whether all of it works")
    options = parser.parse_args(given)
    size = "quick" if options.quick else "full"
    before, then = table.load(options.compare) if options.compare else (None, {"size": size})
    if then["size"] != size:
        parser.error("a quick run and a full one can't be compared")

    rows = []
    begin = clocks()
    for group in options.only:
        print(f"{group} …", file=sys.stderr, flush=True)
        rows += measure(group, QUICK if options.quick else FULL)
    wall, spent = (now - then for now, then in zip(clocks(), begin, strict=True))
    took = f"in {wall:.0f} s, {spent:.0f} CPU s"
    measured = {**table.machine(), "size": size, "on": f"{time.strftime('%Y-%m-%d')} {took}"}
    print(table.plain(table.table(rows, before)), table.plain(table.goals(rows)), took, sep="\n\n")
    if options.save:
        table.save(options.save, rows, measured)
    if options.write:
        titles = {name: inspect.getdoc(one) or "" for name, one in GROUPS.items()}
        table.write(options.write, table.page(rows, before, titles, measured))


if __name__ == "__main__":
    main()
