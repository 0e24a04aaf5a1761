"""Schedule of resyncs, and which unreadable frames make one necessary."""

from __future__ import annotations

import math

import pytest

from basix_ws_cti import DecodeError, ProtocolError
from basix_ws_cti.session.resync import RESYNC_INTERVAL, ResyncSchedule, concerns_elements

FIRST, SECOND = DecodeError(0, "first"), DecodeError(0, "second")


def test_no_resync_is_due_without_an_unreadable_frame():
    schedule = ResyncSchedule()
    schedule.snapshot_completed(5)
    assert (schedule.problem, schedule.since, schedule.due_at) == (None, math.inf, math.inf)


def test_first_unreadable_frame_makes_a_resync_due_at_once():
    schedule = ResyncSchedule()
    schedule.request(FIRST, 100)
    assert (schedule.problem, schedule.since, schedule.due_at) == (FIRST, 100, 100)


def test_later_frames_do_not_change_the_schedule():
    schedule = ResyncSchedule()
    schedule.request(FIRST, 100)
    schedule.request(SECOND, 101)
    assert (schedule.problem, schedule.since, schedule.due_at) == (FIRST, 100, 100)


@pytest.mark.parametrize(
    ("now", "due_at"),
    [
        (100, 100 + RESYNC_INTERVAL),
        (100 + RESYNC_INTERVAL - 1, 100 + RESYNC_INTERVAL),
        (100 + RESYNC_INTERVAL + 1, 100 + RESYNC_INTERVAL + 1),
        (-1000, -1000 + RESYNC_INTERVAL),  # the clock was set back
    ],
)
def test_next_resync_is_an_interval_after_the_last(now, due_at):
    schedule = ResyncSchedule()
    schedule.request(FIRST, 100)
    schedule.began(100)
    schedule.clear()
    schedule.request(SECOND, now)
    assert (schedule.problem, schedule.since, schedule.due_at) == (SECOND, now, due_at)


def test_frame_within_a_snapshot_makes_it_stale_from_its_completion_on():
    """Elements of the snapshot may be stale, but no subscriber has seen them before."""
    schedule = ResyncSchedule()
    schedule.request(FIRST, 100)
    schedule.snapshot_completed(103)
    assert (schedule.problem, schedule.since, schedule.due_at) == (FIRST, 103, 100)


@pytest.mark.parametrize(
    ("error", "may_have_changed_the_state"),
    [
        (DecodeError(0, "truncated"), True),
        (ProtocolError("a text frame"), False),
        (ProtocolError("x", None, "system_msg"), False),
        (ProtocolError("x", None, "msg"), False),
        (ProtocolError("x", "user"), True),
        (ProtocolError("x", "user", "info_event"), True),
        (ProtocolError("x", "user", "initial_info"), True),
        (ProtocolError("x", "robot", "info_event"), False),
        (ProtocolError("x", "robot", "initial_info"), False),
        (ProtocolError("x", None, "info_event"), True),
        (ProtocolError("x", None, "field_spec"), True),
        (ProtocolError("x", "robot", "field_spec"), True),
    ],
)
def test_frame_concerns_elements_if_it_may_have_changed_the_state(
    error, may_have_changed_the_state
):
    assert concerns_elements(error, {"user", "channel"}) is may_have_changed_the_state
