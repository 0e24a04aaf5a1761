"""Limits of waits, and the level that a wait has reached."""

from __future__ import annotations

import pytest

from basix_ws_cti import UsageError
from basix_ws_cti.board.limits import Limits


@pytest.mark.parametrize(
    ("seconds", "level"),
    [
        (0, "ok"),
        (59.999, "ok"),
        (60, "warning"),
        (119.999, "warning"),
        (120, "alarm"),
        (9e9, "alarm"),
    ],
)
def test_level_changes_at_the_limits(seconds, level):
    assert Limits(60, 120).level(round(seconds * 1_000_000)) == level


@pytest.mark.parametrize("limits", [(120, 60), (60, 60), (0, 60), (-1, 60), (60, float("inf"))])
def test_limits_must_be_positive_and_ascend(limits):
    with pytest.raises(UsageError):
        Limits(*limits)
