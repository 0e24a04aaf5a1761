"""Session: messages, idle time and losses in; notifications out."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime

import pytest

from basix_ws_cti import Channel, FieldSpec, InfoEvent, InitialInfo, Msg, UsageError, User
from basix_ws_cti.calls import CallEnded, CallStarted
from basix_ws_cti.exceptions import ConnectionLost, DecodeError, ProtocolError
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Removed
from basix_ws_cti.session.session import MAX_REPORTED_ERRORS, Session
from basix_ws_cti.session.status import Disconnected, Synced, Syncing

NOON = 1_800_000_000.0
SPECS = [FieldSpec("user", ("id",)), FieldSpec("channel", ("uuid",))]
CALL = Channel(uuid="a", direction="inbound", peer_location="external", offer_timestamp=5)


def snapshot(*users, channels=()):
    return [
        *SPECS,
        InitialInfo("user", {user.id: user for user in users}),
        InitialInfo("channel", {leg.uuid: leg for leg in channels}),
    ]


def notifications(items):
    return [item for item in items if item is not None]


def feed(session, *messages, now=NOON):
    return [item for message in messages for item in notifications(session.receive(message, now))]


def utc(seconds):
    return datetime.fromtimestamp(seconds, UTC)


@pytest.fixture
def synced():
    """A session whose state is current: one user, no calls."""
    session = Session()
    session.connected()
    feed(session, *snapshot(User(id=1, label="Ana")))
    notifications(session.idle(session.quiet_at))
    return session


def test_quiet_time_completes_the_snapshot():
    """The changes of a snapshot become visible and are reported once the quiet time is over."""
    session = Session(quiet_time=0.5)
    assert session.connected() == [Syncing()]
    messages = snapshot(User(id=1))
    assert feed(session, *messages) == messages
    assert session.quiet_at == NOON + 0.5
    assert not session.mirror.users
    assert not session.is_synced
    assert notifications(session.idle(NOON + 0.5)) == [
        Synced(),
        Added("user", User(id=1), synthetic=True),
    ]
    assert session.is_synced
    assert session.quiet_at == float("inf")


def test_first_event_completes_the_snapshot_and_is_applied():
    """An event after the last initial_info is applied to the complete snapshot."""
    session = Session()
    session.connected()
    feed(session, *snapshot(User(id=1)))
    event = InfoEvent("user", User(id=2), "added")
    assert feed(session, event) == [
        Synced(),
        Added("user", User(id=1), synthetic=True),
        Added("user", User(id=2)),
        event,
    ]


def test_idle_does_not_complete_a_snapshot_with_missing_kinds():
    session = Session()
    session.connected()
    feed(session, *snapshot(User(id=1))[:3])
    assert notifications(session.idle(NOON + 99)) == []
    assert session.is_syncing
    assert Session().idle(NOON) == ()


def test_changes_come_before_the_message(synced):
    """Changes are reported before the message that made them; unknown events change nothing."""
    event = InfoEvent("user", User(id=1, label="Mia"), "updated")
    assert feed(synced, event) == [
        Changed("user", User(id=1, label="Mia"), User(id=1, label="Ana")),
        event,
    ]
    assert feed(synced, event) == [event]
    assert feed(synced, Msg("hello")) == [Msg("hello")]


def test_call_events_come_between_changes_and_message(synced):
    """When a change is reported, the calls include it already."""
    assert not synced.calls
    event = InfoEvent("channel", CALL, "added")
    change, started, message = synced.receive(event, NOON)
    assert (change, message) == (Added("channel", CALL), event)
    assert isinstance(started, CallStarted)
    assert [*synced.calls] == ["a"]


def test_late_initial_info_replaces_its_kind(synced):
    """This applies to an initial_info after the snapshot is complete."""
    late = InitialInfo("user", {2: User(id=2)})
    assert feed(synced, late) == [
        Removed("user", User(id=1, label="Ana"), synthetic=True),
        Added("user", User(id=2), synthetic=True),
        late,
    ]


def test_loss_and_resync_report_a_gap_and_the_differences(synced):
    """The gap lasts from the last sign of life until the next snapshot is complete."""
    assert synced.follow_calls().calls == {}
    feed(synced, InfoEvent("channel", CALL, "added"))
    reason = ConnectionLost(1006)
    (lost,) = synced.lost(reason, NOON + 20, last_heard=NOON + 10)
    assert lost == Disconnected(reason, None)
    assert lost.last_heard == utc(NOON + 10)
    assert not synced.is_synced
    assert [*synced.mirror.channels] == ["a"]  # the last known state
    synced.connected()
    feed(synced, *snapshot(User(id=1, label="Ana")))
    state, gap, removed, ended = notifications(synced.idle(NOON + 30))
    assert state == Synced()
    assert gap == Gap(utc(NOON + 10), utc(NOON + 30), reason)
    assert removed == Removed("channel", CALL, synthetic=True)
    assert isinstance(ended, CallEnded)
    assert ended.call.ended == round((NOON + 10) * 1_000_000)
    assert synced.gaps == 1


def test_gap_without_last_heard_starts_at_the_loss(synced):
    synced.lost(ConnectionLost(1000), NOON + 20)
    synced.connected()
    feed(synced, *snapshot())
    items = notifications(synced.idle(NOON + 21))
    assert [item for item in items if isinstance(item, Gap)] == [
        Gap(utc(NOON + 20), utc(NOON + 21), items[1].reason)
    ]


def test_gap_never_ends_before_it_starts(synced):
    """If the clock was set back meanwhile, the gap is empty."""
    synced.lost(ConnectionLost(1006), NOON + 20)
    synced.connected()
    feed(synced, *snapshot())
    (gap,) = [item for item in synced.idle(NOON) if isinstance(item, Gap)]
    assert gap.started == gap.ended == utc(NOON)


def test_loss_while_syncing_reports_nothing():
    """A state that was not current cannot become stale; an incomplete snapshot is discarded."""
    session = Session()
    session.connected()
    feed(session, *snapshot(User(id=1))[:3])
    assert session.lost(ConnectionLost(1006), NOON) == []
    steps = [*session.discard_snapshot()]
    assert steps
    assert set(steps) == {None}
    assert not session.is_syncing
    assert [*session.discard_snapshot()] == []
    assert session.connected() == [Syncing()]


def test_later_losses_do_not_move_the_gap(synced):
    """The first of several losses before the next snapshot starts the gap."""
    first = ConnectionLost(1006)
    synced.lost(first, NOON + 1)
    synced.connected()
    synced.lost(ConnectionLost(1001), NOON + 2)
    synced.connected()
    feed(synced, *snapshot())
    (gap,) = [item for item in synced.idle(NOON + 3) if isinstance(item, Gap)]
    assert gap == Gap(utc(NOON + 1), utc(NOON + 3), first)


def test_message_without_a_connection_raises_usage_error():
    with pytest.raises(UsageError, match=r"call connected\(\) first"):
        Session().receive(Msg("x"), NOON)


def test_long_work_has_pause_points(synced):
    """A large difference comes in steps, and nothing is reported before all of it is visible."""
    synced.lost(ConnectionLost(1006), NOON)
    synced.connected()
    feed(synced, *snapshot(*(User(id=number) for number in range(2, 502))))
    items = iter(synced.idle(NOON + 1))
    steps = 0
    for item in items:
        assert len(synced.mirror.users) == 500
        if item is not None:
            assert item == Synced()
            break
        steps += 1
    assert steps > 500
    assert [type(item) for item in items].count(Added) == 500


def test_bound_items_replace_the_items():
    """``bind`` is called when items become visible, and its results are yielded."""
    bound = []

    def bind(kind):
        bound.append(kind)
        return lambda item: (kind, item)

    session = Session(bind=bind)
    session.follow_calls()
    session.connected()
    feed(session, *snapshot(User(id=1), channels=[CALL]))
    items = notifications(session.idle(NOON))
    assert items[0] == Synced()
    assert [item[0] for item in items[1:]] == ["change", "change", "call"]
    assert bound == ["change", "call"]
    ended = InfoEvent("channel", CALL, "removed")
    change, event, message = session.receive(ended, NOON)
    assert (change, message) == (Removed("channel", CALL), ended)
    assert event[0] == "call"


def test_each_kind_of_unreadable_frame_is_reported_once():
    """Class and problem identify a kind; the number of reported kinds is limited."""
    session = Session()
    error = DecodeError(0, "truncated")
    assert session.reject(error) == [error]
    assert session.reject(DecodeError(7, "truncated")) == []
    other = ProtocolError("truncated")
    assert session.reject(other) == [other]
    for number in range(MAX_REPORTED_ERRORS - 2):
        assert session.reject(ProtocolError(f"problem {number}"))
    assert session.reject(ProtocolError("one too many")) == []


def test_errors_that_are_not_reported_take_no_memory():
    session = Session()
    for number in range(MAX_REPORTED_ERRORS):
        session.reject(ProtocolError(f"problem {number}"))
    tracemalloc.start()
    try:
        for number in range(1000):
            assert not session.reject(ProtocolError(f"{number}" + "x" * 1000))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000
