"""Time limit of a snapshot: progress restarts it, other messages do not."""

from __future__ import annotations

import math

import pytest

from basix_ws_cti import FieldSpec, InfoEvent, InitialInfo, Msg, User
from basix_ws_cti.client.sync_deadline import MAX_SYNC_TIME, SyncDeadline


def started(timeout=60, *, now=100, bytes_received=500):
    deadline = SyncDeadline(timeout)
    deadline.start(now, bytes_received)
    return deadline


def test_no_snapshot_is_awaited_before_the_start_and_after_the_end():
    deadline = SyncDeadline(60)
    assert deadline.at == math.inf
    deadline.start(100, 0)
    assert deadline.at == 160
    deadline.end()
    assert deadline.at == math.inf


def test_limit_passes_without_progress():
    deadline = started()
    assert not deadline.has_passed(159.9, 500, 0)
    assert deadline.has_passed(160, 500, 0)


@pytest.mark.parametrize("message", [FieldSpec("user", ("id",)), InitialInfo("user", {})])
def test_new_part_of_the_snapshot_restarts_the_limit(message):
    deadline = started()
    deadline.received(message, 150, 600)
    assert deadline.at == 210


@pytest.mark.parametrize(
    "message", [FieldSpec("user", ("id",)), Msg("x"), InfoEvent("user", User(id=1), "updated")]
)
def test_repeated_part_or_other_message_is_no_progress(message):
    deadline = started()
    deadline.received(FieldSpec("user", ("id",)), 110, 600)
    deadline.received(message, 150, 700)
    assert deadline.at == 170


def test_message_after_the_end_does_not_restart_the_limit():
    deadline = started()
    deadline.end()
    deadline.received(InitialInfo("user", {}), 110, 600)
    assert deadline.at == math.inf


def test_long_frame_that_arrives_fast_enough_restarts_the_limit():
    deadline = started()
    assert not deadline.has_passed(160, 60_500, 60_000)
    assert deadline.at == 220
    assert deadline.has_passed(220, 120_499, 119_999)


def test_bytes_of_complete_frames_are_no_progress():
    """A busy PBX may send events forever."""
    assert started().has_passed(160, 1_000_000, 59_999)


def test_earlier_bytes_of_the_frame_do_not_count_twice():
    deadline = started()
    assert not deadline.has_passed(160, 100_500, 100_000)
    assert deadline.has_passed(220, 130_500, 130_000)


def test_any_progress_ends_after_an_hour():
    """A peer could invent kinds, or send a frame, without end."""
    deadline = started()
    for number in range(round(MAX_SYNC_TIME / 50)):
        deadline.received(FieldSpec(f"kind {number}", ("id",)), 100 + 50 * number, 500)
    assert deadline.at == 100 + MAX_SYNC_TIME
    assert deadline.has_passed(deadline.at, 10**9, 10**9)


def test_each_connection_starts_anew():
    deadline = started()
    deadline.received(FieldSpec("user", ("id",)), 150, 600)
    deadline.start(1000, 0)
    assert deadline.at == 1060
    deadline.received(FieldSpec("user", ("id",)), 1010, 600)
    assert deadline.at == 1070


def test_longer_timeout_than_an_hour_is_kept():
    assert started(2 * MAX_SYNC_TIME).at == 100 + 2 * MAX_SYNC_TIME


def test_zero_timeout_passes_without_bytes():
    assert started(0).has_passed(100, 500, 0)


def test_no_timeout_never_passes():
    deadline = started(None)
    deadline.received(FieldSpec("user", ("id",)), 150, 600)
    assert deadline.at == math.inf
    assert not deadline.has_passed(1e12, 0, 0)
