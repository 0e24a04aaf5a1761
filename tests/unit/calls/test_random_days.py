"""Calls of random days against the PBX's own ledger: complete, late and interrupted feeds."""

from __future__ import annotations

from collections import Counter

import pytest
from support.call_transcripts import MessageReader
from support.random_pbx import compare_with_ledger, run
from support.sizes import NIGHTLY

GROUPS = 20
RUNS = 10_000 if NIGHTLY else 200


@pytest.mark.slow
@pytest.mark.parametrize("group", range(GROUPS))
def test_random_days_agree_with_the_ledger(group):
    """Calls start and end once, phases tile, and records equal the PBX's own ledger.

    An observer with gaps in its feed marks incomplete records as such.
    """
    reader = MessageReader()
    for seed in range(group, RUNS, GROUPS):
        compare_with_ledger(*run(seed, reader, seconds=20, rate=40, users=8, interference=0.6))


@pytest.mark.slow
def test_call_centre_day_agrees_with_the_ledger(capsys):
    """Every call of fifty users is recorded as in the PBX's own ledger."""
    hours = 24 if NIGHTLY else 0.5
    pbx, complete, interrupted = run(
        7, MessageReader(), seconds=hours * 3600, rate=9, users=50, interference=0
    )
    calls, recorded, incomplete = compare_with_ledger(pbx, complete, interrupted)
    assert calls > 8 * 60 * hours
    dispositions = Counter(record.disposition for record in complete.ended.values())
    assert {"answered", "abandoned"} <= dispositions.keys()
    with capsys.disabled():
        print(f"\n{hours:g} h: {calls} calls, all as in the ledger: {dict(dispositions)}")  # noqa: T201
        print(f"with gaps: {recorded} calls, {incomplete} of them incomplete, none wrong")  # noqa: T201
