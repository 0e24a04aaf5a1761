"""Calls over random lives of a PBX, against its own book: whole, joined late, and after gaps."""

from __future__ import annotations

from collections import Counter

import pytest
from support.call_transcripts import Reader
from support.random_pbx import compare, run
from support.sizes import NIGHTLY

GROUPS = 20
RUNS = 10_000 if NIGHTLY else 500


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_runs(group):
    """Whatever happens, calls start and end once, phases tile, and records are the PBX's own.

    Of two who watch, one sees everything: its records equal the book, row by row. The other
    comes late and goes blind: its records equal the book, or are marked incomplete.
    """
    reader = Reader()
    for seed in range(group, RUNS, GROUPS):
        compare(*run(seed, reader, seconds=10, rate=60, users=8))


def test_a_day_in_the_call_centre(capsys):
    """A day with fifty people, of which every call is recorded as the PBX's own book has it."""
    hours = 24 if NIGHTLY else 0.5
    pbx, whole, partly = run(7, Reader(), seconds=hours * 3600, rate=9, users=50, peaceful=True)
    calls, recorded, incomplete = compare(pbx, whole, partly)
    assert calls > 8 * 60 * hours
    ways = Counter(record.disposition for record in whole.ended.values())
    assert {"answered", "abandoned"} <= ways.keys()
    with capsys.disabled():
        print(f"\n{hours:g} h: {calls} calls, all as in the book: {dict(ways)}")  # noqa: T201
        print(f"with gaps: {recorded} calls, {incomplete} of them incomplete, none wrong")  # noqa: T201
