"""Sums over rows: classes of durations, and sums of sums."""

from __future__ import annotations

from random import Random

import pytest
from support.report_rows import random_participations, random_waits

from basix_ws_cti import AgentFigures, QueueFigures, Thresholds
from basix_ws_cti.calls.figures import classes_of
from basix_ws_cti.calls.sums import AgentSums, DurationClasses, DurationSum, QueueSums
from basix_ws_cti.calls.tallies import AgentTally, QueueTally, counts_for_agent, counts_in_queue

THRESHOLDS = Thresholds(service_level=20, short_abandon=5, bands=(5, 20, 60))
CLASSES = classes_of(THRESHOLDS)


def test_duration_within_a_threshold_is_at_most_as_long():
    classes = DurationClasses.of(within=[20], below=[20, 5])
    assert classes.cuts == (5, 20, 21)
    counts = classes.counts([1, 4, 5, 19, 20, 20, 21, 99])
    assert counts == [2, 2, 2, 2]
    assert classes.within(counts, 20) == 6
    assert classes.below(counts, 20) == 4
    assert classes.below(counts, 5) == 2


def test_no_thresholds_are_one_class():
    classes = DurationClasses.of([], [])
    assert classes.counts([3, 4]) == [2]


def test_duration_sums_add_up():
    total = DurationSum()
    total.add(DurationSum())
    assert total.longest is None
    total.add(DurationSum.of([2, 3]))
    total.add(DurationSum.of([1]))
    total.add(DurationSum())
    assert (total.number, total.total, total.longest) == (3, 6, 3)


def figures(sums, served=None):
    return QueueFigures.of_sums(
        sums,
        AgentSums() if served is None else served,
        waiting=sums.results[None],
        longest_wait=None if sums.results[None] else 0,
        thresholds=THRESHOLDS,
        wrap_up=0,
    )


def test_queues_together_have_the_figures_of_all_rows():
    waits = [*filter(counts_in_queue, random_waits(Random(1), 400, 0, 10**9))]
    parts = []
    for group_id in range(1, 5):
        tally = QueueTally(group_id)
        tally.extend(waits)
        parts.append(tally.sums(CLASSES))
    total = QueueSums.together(parts, CLASSES)
    assert figures(total) == QueueFigures.of(waits, thresholds=THRESHOLDS)
    assert figures(parts[1]) == QueueFigures.of(waits, group_id=2, thresholds=THRESHOLDS)


def test_groups_of_waits_give_the_figures_of_the_waits():
    """Durations may come as sums, as a database returns them."""
    waits = [*filter(counts_in_queue, random_waits(Random(2), 300, 0, 10**9, groups=1))]
    sums = QueueSums(classes=CLASSES)
    for result in {wait.result for wait in waits}:
        rows = [wait for wait in waits if wait.result == result]
        durations = sorted(wait.waited_us for wait in rows if wait.waited_us is not None)
        for wait in rows:
            sums.count(1, wait.next_group_id, result, 1, wait.entered_by_transfer)
        sums.add_durations(result, DurationSum.of(durations), CLASSES.counts(durations))
        if result == "abandoned":
            sums.abandon_times = durations
    assert figures(sums) == QueueFigures.of(waits, thresholds=THRESHOLDS)


def test_agents_together_have_the_figures_of_all_rows():
    rows = [
        row
        for row in random_participations(Random(3), 400, 0, 10**9)
        if counts_for_agent(row) and row.user_id is not None
    ]
    tallies = {row.user_id: AgentTally() for row in rows}
    for row in rows:
        tallies[row.user_id].add(row)
    total = AgentSums.together(tallies.values())
    assert AgentFigures.of_sums(total, wrap_up=2) == AgentFigures.of(rows, wrap_up=2)


@pytest.mark.parametrize("seed", range(3))
def test_row_that_is_removed_again_leaves_no_trace(seed):
    rows = random_participations(Random(seed), 60, 0, 10**9)
    tally = AgentTally()
    for row in rows:
        tally.add(row)
    for row in rows[:30]:
        tally.remove(row)
    expected = AgentTally()
    expected.extend(rows[30:])
    assert AgentFigures.of_sums(tally, wrap_up=0) == AgentFigures.of_sums(expected, wrap_up=0)
    for row in rows[30:]:
        tally.remove(row)
    assert (tally.handled, tally.talked, tally.longest_talk, tally.held) == (0, 0, 0, 0)
