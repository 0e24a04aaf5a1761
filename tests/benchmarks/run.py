"""Measure, and print a table of ratios: ``python tests/benchmarks/run.py [GROUP …]``.

docs/performance.md says what each group is. With ``--save FILE`` the rounds are kept, and
``--compare FILE`` shows what has changed since, beyond the noise of both runs.
"""

from __future__ import annotations

import argparse
import inspect
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import attrs
import keeping
import live
import memory
import parsing
import start
import table
from measure import FULL, QUICK, Row, Size

# Each is given a size and the number of its process, and is measured in several processes;
# those that start processes of their own in one.
GROUPS: dict[str, Callable[[Size, int], list[Row]]] = {
    "events": parsing.events,
    "varied": parsing.varied,
    "sorts": parsing.sorts,
    "sizes": parsing.sizes,
    "keeping": keeping.events,
    "growth": keeping.growth,
    "socket": live.socket,
    "hold": live.hold,
    "memory": memory.memory,
    "start": start.start,
}
ONCE = {"growth", "memory", "start"}


def measure(group: str, size: Size, *, quick: bool) -> list[Row]:
    """The rows of a group, over all its processes."""
    rows: dict[str, Row] = {}
    for number in range(1 if group in ONCE else size.processes):
        command = [sys.executable, __file__, group, "--process", str(number)]
        command += ["--quick"] if quick else []
        run = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")
        for row in (Row(**one) for one in json.loads(run.stdout)):
            rows[row.name] = rows[row.name].joined(row) if row.name in rows else row
    return list(rows.values())


def main(given: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of: {', '.join(GROUPS)}")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the rounds, as JSON")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="with a run that was saved")
    parser.add_argument("--page", type=Path, help="put the table between the marks of this page")
    parser.add_argument("--quick", action="store_true", help="only see whether all of it works")
    parser.add_argument("--process", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(given)
    if unknown := [name for name in options.groups if name not in GROUPS]:
        parser.error(f"there is no group {unknown[0]!r}, but these: {', '.join(GROUPS)}")
    size = QUICK if options.quick else FULL
    if options.process is not None:
        (group,) = options.groups
        logging.getLogger("basix_ws_cti").addHandler(logging.NullHandler())
        rows = GROUPS[group](size, options.process)
        print(json.dumps([attrs.asdict(row) for row in rows]))
        return

    before, then = table.load(options.compare) if options.compare else ([], None)
    if then is not None and then["quick"] != options.quick:
        parser.error("a quick run and a full one can't be compared")
    measured = {**table.machine(), "date": time.strftime("%Y-%m-%d"), "quick": options.quick}
    rows = []
    for group in options.groups or GROUPS:
        print(f"{group} …", file=sys.stderr, flush=True)
        rows += measure(group, size, quick=options.quick)
    shown = table.lines(rows, before)
    print(table.plain(shown))
    if options.save:
        table.save(options.save, rows, measured)
    if options.page:
        titles = {name: inspect.getdoc(function) or "" for name, function in GROUPS.items()}
        table.write_page(options.page, table.markdown(shown, titles, measured))


if __name__ == "__main__":
    main()
