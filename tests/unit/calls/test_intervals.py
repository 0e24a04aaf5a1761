"""Arithmetic of intervals, compared with sets of moments."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basix_ws_cti.calls import Interval
from basix_ws_cti.calls.intervals import duration, duration_outside, union

TIMES = st.integers(0, 40)
INTERVALS = st.lists(st.builds(lambda a, b: Interval(started=a, ended=b), TIMES, TIMES), max_size=8)


def intervals(*pairs):
    return [Interval(started=started, ended=ended) for started, ended in pairs]


def moments(items):
    """Return the microseconds that lie in at least one interval."""
    return {moment for one in items for moment in range(one.started, one.ended)}


@pytest.mark.parametrize(
    ("given_pairs", "expected"),
    [
        ([], []),
        ([(5, 9)], [(5, 9)]),
        ([(5, 9), (0, 2)], [(0, 2), (5, 9)]),  # apart
        ([(0, 5), (5, 9)], [(0, 9)]),  # touching
        ([(0, 6), (5, 9)], [(0, 9)]),  # overlapping
        ([(0, 9), (5, 6)], [(0, 9)]),  # one within the other
        ([(5, 5), (7, 3)], []),  # empty
    ],
)
def test_union_joins_intervals_that_overlap_or_touch(given_pairs, expected):
    assert union(intervals(*given_pairs)) == tuple(intervals(*expected))


@given(INTERVALS)
def test_union_contains_the_same_moments_in_order_with_gaps(items):
    result = union(items)
    assert moments(result) == moments(items)
    assert all(one.started < one.ended for one in result)
    assert all(a.ended < b.started for a, b in itertools.pairwise(result))


@given(INTERVALS)
def test_duration_is_the_number_of_moments(items):
    assert duration(items) == len(moments(items))


@given(INTERVALS, INTERVALS)
def test_duration_outside_is_the_number_of_moments_in_no_other_interval(items, others):
    assert duration_outside(iter(items), iter(others)) == len(moments(items) - moments(others))
