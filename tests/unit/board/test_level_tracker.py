"""Levels of figures with two limits, and their hysteresis."""

from __future__ import annotations

import pytest

from basix_ws_cti import UsageError
from basix_ws_cti.board.level_tracker import LevelTracker
from basix_ws_cti.board.limits import Limits, ShareLimits

WAIT = Limits(60, 120)
SERVICE_LEVEL = ShareLimits(0.8, 0.75)
ABANDONED = ShareLimits(0.05, 0.08)


@pytest.mark.parametrize(
    ("limits", "steps"),
    [
        # A level falls once the value is a tenth better than the limit, and rises at the limit.
        (WAIT, [(59, "ok"), (60, "warning"), (58, "warning"), (54.1, "warning"), (53, "ok")]),
        (WAIT, [(120, "alarm"), (115, "alarm"), (107, "warning"), (120, "alarm"), (10, "ok")]),
        (WAIT, [(60, "warning"), (None, None), (59, "ok")]),
        (SERVICE_LEVEL, [(0.8, "ok"), (0.79, "warning"), (0.805, "warning"), (0.82, "ok")]),
        (SERVICE_LEVEL, [(0.74, "alarm"), (0.755, "alarm"), (0.77, "warning"), (0.9, "ok")]),
        (ABANDONED, [(0.05, "warning"), (0.045, "warning"), (0.03, "ok"), (0.08, "alarm")]),
    ],
)
def test_levels_rise_at_once_and_fall_by_a_margin(limits, steps):
    tracker = LevelTracker()
    for value, level in steps:
        number = value
        if value is not None and isinstance(limits, Limits):
            number = round(value * 1_000_000)
        assert tracker.update("figure", number, limits) == level, value


def test_figures_have_levels_of_their_own_until_they_are_forgotten():
    tracker = LevelTracker()
    assert tracker.update("one", 60_000_000, WAIT) == "warning"
    assert tracker.update("other", 58_000_000, WAIT) == "ok"
    tracker.keep_only(["other"])
    assert tracker.update("one", 58_000_000, WAIT) == "ok"


@pytest.mark.parametrize("limits", [(0.5, 0.5), (1.2, 0.5), (0.5, -0.1), (float("nan"), 0.5)])
def test_limits_that_cannot_work_are_rejected(limits):
    with pytest.raises(UsageError):
        ShareLimits(*limits)
