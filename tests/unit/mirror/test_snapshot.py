"""Snapshot builder: the snapshot of a connection while it arrives."""

from __future__ import annotations

import math
from collections import deque

from support.cases import for_each

from basix_ws_cti import FieldSpec, InfoEvent, InitialInfo, Msg, User
from basix_ws_cti.mirror import snapshot
from basix_ws_cti.mirror.snapshot import BACKLOG_TIME, LATE_KIND_WAIT, SnapshotBuilder

USER_SPEC = FieldSpec("user", ("id",))
GROUP_SPEC = FieldSpec("group", ("id",))
USERS_ARRIVED = InitialInfo("user", {1: User(id=1)})
NO_GROUPS = InitialInfo("group", {})
EVENT = InfoEvent("user", User(id=2), "added")


def build(*messages, now=10.0, **options):
    """Return a builder with a quiet time of 0.5 s, to which the messages were added at ``now``."""
    builder = SnapshotBuilder(0.5, **options)
    add(builder, now, *messages)
    return builder


def add(builder, now, *messages):
    for message in messages:
        deque(builder.add(message, now), maxlen=0)


@for_each(
    "messages, quiet_at",
    [
        ([], math.inf),
        ([EVENT], math.inf),
        ([USER_SPEC], math.inf),
        ([USER_SPEC, EVENT], math.inf),
        ([USER_SPEC, USERS_ARRIVED], 10.5),
        ([USERS_ARRIVED], 10.5),
        ([USER_SPEC, USERS_ARRIVED, Msg("x")], 10.5),
        ([USER_SPEC, USERS_ARRIVED, USER_SPEC], 10.5),
        ([USER_SPEC, USERS_ARRIVED, EVENT], 10.5),
        ([USER_SPEC, USERS_ARRIVED, GROUP_SPEC], math.inf),
        ([USER_SPEC, GROUP_SPEC, USERS_ARRIVED], math.inf),
        ([USER_SPEC, GROUP_SPEC, USERS_ARRIVED, NO_GROUPS], 10.5),
    ],
)
def test_quiet_time_begins_when_every_announced_kind_has_arrived(messages, quiet_at):
    builder = build(*messages)
    assert builder.quiet_at == builder.settled_at == quiet_at


@for_each("message", [EVENT, Msg("hello"), USER_SPEC, USERS_ARRIVED])
def test_messages_without_a_new_kind_leave_the_quiet_time(message):
    """A PBX that always sends something must be synced nevertheless."""
    builder = build(USER_SPEC, USERS_ARRIVED)
    add(builder, 10.3, message)
    assert builder.quiet_at == 10.5


def test_each_new_kind_restarts_the_quiet_time():
    builder = build(USER_SPEC, USERS_ARRIVED)
    add(builder, 10.4, GROUP_SPEC, NO_GROUPS)
    assert builder.quiet_at == 10.9


def test_events_between_kinds_are_applied_to_the_snapshot():
    """With the last kind, all elements are of the same time; later events are kept."""
    builder = build(USER_SPEC, USERS_ARRIVED, EVENT)
    assert (dict(builder.mirror.users), builder.events) == ({1: User(id=1)}, [EVENT])
    add(builder, 11.0, GROUP_SPEC, NO_GROUPS)
    assert (list(builder.mirror.users), builder.events) == ([1, 2], [])
    removal = InfoEvent("user", User(id=1), "removed")
    add(builder, 12.0, removal)
    assert (list(builder.mirror.users), builder.events) == ([1, 2], [removal])


def test_number_of_kept_events_is_limited(monkeypatch):
    monkeypatch.setattr(snapshot, "MAX_KEPT_EVENTS", 3)
    events = [InfoEvent("user", User(id=number), "added") for number in range(5)]
    builder = build(USER_SPEC, USERS_ARRIVED, *events[:3])
    assert builder.events == events[:3]
    add(builder, 10.0, *events[3:])
    assert (list(builder.mirror.users), builder.events) == ([1, 0, 2, 3], [events[4]])


def test_kinds_of_the_previous_connection_are_waited_for():
    """The wait is bounded, and ends early when the kinds arrive."""
    builder = build(USER_SPEC, USERS_ARRIVED, previous_kinds={"user", "group"})
    assert (builder.settled_at, builder.quiet_at) == (10.5, 10.0 + LATE_KIND_WAIT)
    add(builder, 12.0, GROUP_SPEC)
    assert builder.quiet_at == math.inf
    add(builder, 12.5, NO_GROUPS)
    assert builder.quiet_at == 13.0


def test_wait_for_late_kinds_is_no_shorter_than_the_quiet_time():
    builder = SnapshotBuilder(LATE_KIND_WAIT + 1, {"group"})
    add(builder, 10.0, USERS_ARRIVED)
    assert builder.quiet_at == 10.0 + LATE_KIND_WAIT + 1


def test_kinds_that_the_pbx_never_sends_are_waited_for_briefly():
    builder = build(USER_SPEC, GROUP_SPEC, USERS_ARRIVED)
    assert builder.missing == {"group"}
    builder = build(USER_SPEC, GROUP_SPEC, USERS_ARRIVED, unsent_kinds={"group"})
    assert builder.quiet_at == 10.0 + LATE_KIND_WAIT
    assert build(GROUP_SPEC, unsent_kinds={"group"}).quiet_at == math.inf  # nothing has arrived


def test_kinds_in_unreadable_frames_are_waited_for_briefly():
    builder = build(USER_SPEC, GROUP_SPEC, USERS_ARRIVED)
    builder.has_lost_frames = True
    assert (builder.settled_at, builder.quiet_at) == (10.5, 10.0 + LATE_KIND_WAIT)


def test_messages_that_wait_to_be_read_delay_the_snapshot_for_a_bounded_time():
    builder = build(USER_SPEC, USERS_ARRIVED)
    assert not builder.is_overdue(10.4 + BACKLOG_TIME)
    assert builder.is_overdue(10.5 + BACKLOG_TIME)
    assert not build(USER_SPEC).is_overdue(1e9)


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
