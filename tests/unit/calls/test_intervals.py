"""Arithmetic of intervals, compared with sets of moments."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basix_ws_cti.calls import Interval
from basix_ws_cti.calls.intervals import duration, duration_outside

TIMES = st.integers(0, 40)
INTERVALS = st.lists(st.builds(lambda a, b: Interval(started=a, ended=b), TIMES, TIMES), max_size=8)


def intervals(*pairs):
    return [Interval(started=started, ended=ended) for started, ended in pairs]


def moments(items):
    """Return the microseconds that lie in at least one interval."""
    return {moment for one in items for moment in range(one.started, one.ended)}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], 0),
        ([(5, 9)], 4),
        ([(5, 9), (0, 2)], 6),  # apart
        ([(0, 5), (5, 9)], 9),  # touching
        ([(0, 6), (5, 9)], 9),  # overlapping
        ([(0, 9), (5, 6), (5, 9)], 9),  # one within the other
        ([(5, 5), (7, 3)], 0),  # empty
        ([(0, 9), (20, 3), (4, 12)], 12),  # an empty one within others
    ],
)
def test_duration_counts_no_moment_twice(pairs, expected):
    assert duration(intervals(*pairs)) == expected


@settings(max_examples=30)
@given(INTERVALS)
def test_duration_is_the_number_of_moments(items):
    assert duration(items) == len(moments(items))


@settings(max_examples=30)
@given(INTERVALS, INTERVALS)
def test_duration_outside_is_the_number_of_moments_in_no_other_interval(items, others):
    assert duration_outside(items, others) == len(moments(items) - moments(others))
