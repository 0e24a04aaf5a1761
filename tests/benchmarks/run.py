"""Run the benchmarks and print a table of ratios: ``python tests/benchmarks/run.py``.

docs/development/performance-notes.md explains the groups. ``--save FILE`` saves all rounds, and
``--compare FILE`` shows the changes since then that exceed the spread of both runs.
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
import parsing
import start
import table
import tradeoffs
from measure import FULL, QUICK, Row, Size, apart

# Each function gets a size and the number of the process that it runs in.
MEASURES = (
    *(parsing.events, parsing.varied, parsing.message_kinds, parsing.sizes),
    *(tradeoffs.tradeoffs, keeping.keeping, keeping.growth, keeping.memory),
    *(live.socket, live.hold, start.start),
)
GROUPS: dict[str, Callable[[Size, int], list[Row]]] = {one.__name__: one for one in MEASURES}


def measure(group: str, size: Size) -> list[Row]:
    """Measure a group in all its processes; return its rows."""
    rows: dict[str, Row] = {}
    for number in range(size.processes):
        for row in apart(GROUPS[group], size, number):
            rows[row.name] = rows[row.name].joined(row) if row.name in rows else row
    return list(rows.values())


def clocks() -> tuple[float, float]:
    """Return the wall time, and the CPU time of this process and its children, in seconds."""
    return time.perf_counter(), sum(os.times()[:4])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--only",
        nargs="+",
        choices=GROUPS,
        default=GROUPS,
        metavar="GROUP",
        help=f"groups to measure: {', '.join(GROUPS)}",
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="save all rounds as JSON")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="compare with a saved run")
    parser.add_argument(
        "--write", type=Path, metavar="PAGE", help="write the tables between the marks of this page"
    )
    parser.add_argument(
        "--quick", action="store_true", help="run at a tiny size, to check that everything works"
    )
    options = parser.parse_args(arguments)
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
