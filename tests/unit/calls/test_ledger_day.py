"""A simulated day of 10,000 calls, whose rows are those of the PBX's own ledger."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest
from support.ledger_day import differences, play_day
from support.random_pbx import shared_columns
from support.sizes import NIGHTLY

from basix_ws_cti.simulator import CallRow, ParticipationRow, WaitRow

CALLS = 10_000
SEEDS = range(20) if NIGHTLY else [1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_rows_of_a_day_equal_the_ledger(seed):
    """There is no difference in any column, and the day has calls of all kinds."""
    pbx, rows = play_day(seed, CALLS)
    assert differences(pbx, rows) == []
    assert len(rows.calls) >= CALLS
    assert {row.purpose for row in rows.calls} == {
        *("call", "consult", "pickup", "monitor", "service"),
    }
    assert Counter(row.disposition for row in rows.calls).keys() == {
        *("answered", "abandoned", "missed", "unanswered", "busy", "rejected", "unreachable"),
        *("ended_in_menu", "voicemail", "no_message", "failed"),
    }
    assert {row.abandoned_in for row in rows.calls} == {None, "queue", "ringing", "parked"}
    assert {row.result for row in rows.waits} == {
        *("answered", "abandoned", "overflowed", "voicemail", "ended"),
    }
    assert {row.role for row in rows.participations} == {
        *("offered", "placed", "consulted", "picked_up", "retrieved", "monitored", "service"),
    }
    assert {row.result for row in rows.participations} == {
        *("answered", "missed", "busy", "rejected", "failed", "abandoned", "unanswered"),
        "picked_up_elsewhere",
    }


@pytest.mark.slow
def test_differences_are_found():
    """A row that only one side has, or that differs in a column, is reported for both sides."""
    pbx, rows = play_day(3, 50)
    assert differences(pbx, rows) == []
    rows.waits[0] = attrs.evolve(rows.waits[0], rings=99)
    del rows.participations[0]
    found = differences(pbx, rows)
    assert [text.split(":")[0] for text in found] == [
        *("wait, library", "wait, ledger", "participation, ledger"),
    ]


def test_ledger_shares_all_its_columns_but_the_number_of_parks():
    pbx, _ = play_day(1, 1)
    for row_type, rows in (
        (CallRow, pbx.ledger),
        (WaitRow, pbx.ledger.waits),
        (ParticipationRow, pbx.ledger.participations),
    ):
        columns = {one.name for one in attrs.fields(row_type)}
        for row in rows:
            assert columns - shared_columns(row).keys() == {"parks"} & columns
