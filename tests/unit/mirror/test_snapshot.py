from __future__ import annotations

import math
from collections import deque

import pytest

from basix_ws_cti import FieldSpec, InfoEvent, InitialInfo, Msg, User
from basix_ws_cti.mirror.snapshot import SnapshotBuilder

USERS = FieldSpec("user", ("id",))
GROUPS = FieldSpec("group", ("id",))
HERE = InitialInfo("user", {1: User(id=1)})
EVENT = InfoEvent("user", User(id=2), "added")


def built(*messages, now=10.0):
    """What is built of messages, all at one time, with half a second of quiet."""
    builder = SnapshotBuilder(0.5)
    for message in messages:
        deque(builder.add(message, now), maxlen=0)
    return builder


@pytest.mark.parametrize(
    ("messages", "quiet_at"),
    [
        ([], math.inf),
        ([USERS], math.inf),
        ([USERS, HERE], 10.5),
        ([USERS, HERE, Msg("x")], 10.5),
        ([USERS, HERE, USERS], 10.5),
        ([USERS, HERE, GROUPS], math.inf),
        ([USERS, GROUPS, HERE], math.inf),
        ([USERS, GROUPS, HERE, InitialInfo("group", {})], 10.5),
    ],
)
def test_when_all_has_come(messages, quiet_at):
    """A picture is whole some time after every kind that was announced has come."""
    builder = built(*messages)
    assert builder.quiet_at == quiet_at
    assert builder.has_all_kinds == (quiet_at == 10.5)
    assert not builder.is_completed_by(Msg("x"))


def test_what_says_nothing_of_kinds():
    """A message, and a field_spec that comes again, leave the quiet time as it is."""
    builder = built(USERS, HERE)
    for message in (Msg("hello"), FieldSpec("user", ("id", "name"))):
        assert list(builder.add(message, 10.3)) == []
    assert builder.quiet_at == 10.5


def test_with_an_event():
    """With the first event after all has come the picture is whole; before, events belong to it."""
    builder = built(USERS, HERE)
    assert builder.is_completed_by(EVENT)
    assert not builder.is_completed_by(HERE)
    assert not built(USERS).is_completed_by(EVENT)
    assert not built().is_completed_by(EVENT)
    assert dict(built(USERS, EVENT, now=1.0).mirror.users) == {2: User(id=2)}


def test_steps():
    """A big picture is taken in a step for each element, and is there with the last."""
    builder = built(USERS)
    users = {number: User(id=number) for number in range(10)}
    steps = builder.add(InitialInfo("user", users), 10.0)
    for _ in range(10):
        next(steps)
        assert len(builder.mirror.users) == 0
    assert list(steps) == []
    assert dict(builder.mirror.users) == users
