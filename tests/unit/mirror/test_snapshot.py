"""Snapshot builder: the snapshot of a connection while it arrives."""

from __future__ import annotations

import math
from collections import deque

import pytest

from basix_ws_cti import FieldSpec, InfoEvent, InitialInfo, Msg, User
from basix_ws_cti.mirror.snapshot import SnapshotBuilder

USER_SPEC = FieldSpec("user", ("id",))
GROUP_SPEC = FieldSpec("group", ("id",))
USERS_ARRIVED = InitialInfo("user", {1: User(id=1)})
EVENT = InfoEvent("user", User(id=2), "added")


def build(*messages, now=10.0):
    """Return a builder with a quiet time of 0.5 s, to which the messages were added at ``now``."""
    builder = SnapshotBuilder(0.5)
    for message in messages:
        deque(builder.add(message, now), maxlen=0)
    return builder


@pytest.mark.parametrize(
    ("messages", "quiet_at"),
    [
        ([], math.inf),
        ([USER_SPEC], math.inf),
        ([USER_SPEC, USERS_ARRIVED], 10.5),
        ([USER_SPEC, USERS_ARRIVED, Msg("x")], 10.5),
        ([USER_SPEC, USERS_ARRIVED, USER_SPEC], 10.5),
        ([USER_SPEC, USERS_ARRIVED, GROUP_SPEC], math.inf),
        ([USER_SPEC, GROUP_SPEC, USERS_ARRIVED], math.inf),
        ([USER_SPEC, GROUP_SPEC, USERS_ARRIVED, InitialInfo("group", {})], 10.5),
    ],
)
def test_quiet_time_begins_when_every_announced_kind_has_arrived(messages, quiet_at):
    builder = build(*messages)
    assert builder.quiet_at == quiet_at
    assert builder.has_all_kinds == (quiet_at == 10.5)
    assert not builder.is_completed_by(Msg("x"))


def test_messages_without_new_kinds_leave_the_quiet_time():
    """A message and a repeated field_spec do not move the end of the quiet time."""
    builder = build(USER_SPEC, USERS_ARRIVED)
    for message in (Msg("hello"), FieldSpec("user", ("id", "name"))):
        assert list(builder.add(message, 10.3)) == []
    assert builder.quiet_at == 10.5


def test_event_completes_the_snapshot_when_no_kind_is_missing():
    """While a kind is missing, an event is part of the snapshot."""
    builder = build(USER_SPEC, USERS_ARRIVED)
    assert builder.is_completed_by(EVENT)
    assert not builder.is_completed_by(USERS_ARRIVED)
    assert not build(USER_SPEC).is_completed_by(EVENT)
    assert not build().is_completed_by(EVENT)
    assert dict(build(USER_SPEC, EVENT, now=1.0).mirror.users) == {2: User(id=2)}


def test_large_initial_info_is_loaded_in_steps():
    """Each step takes one element; all elements become visible with the last step."""
    builder = build(USER_SPEC)
    users = {number: User(id=number) for number in range(10)}
    steps = builder.add(InitialInfo("user", users), 10.0)
    for _ in range(10):
        next(steps)
        assert len(builder.mirror.users) == 0
    assert list(steps) == []
    assert dict(builder.mirror.users) == users
