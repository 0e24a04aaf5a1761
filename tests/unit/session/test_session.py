"""Session: messages, idle time and losses in; notifications out."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime

import pytest

from basix_ws_cti import Channel, FieldSpec, InfoEvent, InitialInfo, Msg, UsageError, User
from basix_ws_cti.calls import CallEnded, CallStarted
from basix_ws_cti.exceptions import (
    ConnectionLost,
    DecodeError,
    ProtocolError,
    ResyncRequired,
    SyncTimeout,
)
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Removed
from basix_ws_cti.mirror.snapshot import LATE_KIND_WAIT
from basix_ws_cti.session.resync import RESYNC_INTERVAL
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


def test_event_between_two_kinds_is_part_of_the_snapshot():
    """Events do not complete the snapshot; those after its last kind are applied one by one."""
    session = Session()
    session.connected()
    messages = [
        *(SPECS[0], InitialInfo("user", {1: User(id=1)})),
        InfoEvent("user", User(id=2), "added"),
        *(SPECS[1], InitialInfo("channel", {"a": CALL})),
        InfoEvent("user", User(id=1), "removed"),
    ]
    assert feed(session, *messages) == messages
    assert not session.is_synced
    assert notifications(session.idle(session.quiet_at)) == [
        Synced(),
        Added("user", User(id=1), synthetic=True),
        Added("user", User(id=2), synthetic=True),
        Added("channel", CALL, synthetic=True),
        Removed("user", User(id=1)),
    ]
    assert [*session.mirror.users] == [2]


def test_calls_within_the_quiet_time_are_reported_step_by_step():
    """A call that starts before the snapshot is complete is no less complete than a later one."""
    session = Session()
    session.follow_calls()
    session.connected()
    feed(session, *snapshot())
    messages = [InfoEvent("channel", CALL, name) for name in ("added", "removed")]
    assert feed(session, *messages) == messages
    _, added, started, removed, ended = notifications(session.idle(session.quiet_at))
    assert (added, removed) == (Added("channel", CALL), Removed("channel", CALL))
    assert isinstance(started, CallStarted)
    assert isinstance(ended, CallEnded)
    assert ended.call.complete


@pytest.mark.parametrize("specs_first", [True, False])
def test_events_between_kinds_after_a_reconnect_end_no_calls(specs_first):
    """Kinds of the previous connection are waited for, so that their elements stay."""
    session = Session()
    session.follow_calls()
    session.connected()
    feed(session, *snapshot(User(id=1), channels=[CALL]))
    notifications(session.idle(session.quiet_at))
    session.lost(ConnectionLost(1006), NOON + 10)
    session.connected()
    users, calls = snapshot(User(id=1), channels=[CALL])[2:]
    first = [*SPECS, users] if specs_first else [SPECS[0], users]
    feed(session, *first, InfoEvent("user", User(id=2), "added"), now=NOON + 11)
    assert session.quiet_at > NOON + 11.3
    feed(session, SPECS[1], calls, now=NOON + 12)
    items = notifications(session.idle(session.quiet_at))
    assert [type(item) for item in items] == [Synced, Gap, Added]
    assert items[-1].element == User(id=2)
    assert [*session.calls] == ["a"]


def test_kind_that_a_newer_pbx_no_longer_has_is_removed_after_a_bounded_wait(synced):
    synced.lost(ConnectionLost(1006), NOON + 10)
    synced.connected()
    feed(synced, SPECS[1], InitialInfo("channel", {}), now=NOON + 11)
    assert synced.quiet_at == NOON + 11 + LATE_KIND_WAIT
    assert synced.settled_at < NOON + 12
    items = notifications(synced.idle(synced.quiet_at))
    assert [type(item) for item in items] == [Synced, Gap, Removed]
    synced.lost(ConnectionLost(1006), NOON + 20)
    synced.connected()
    feed(synced, SPECS[1], InitialInfo("channel", {}), now=NOON + 21)
    assert synced.quiet_at < NOON + 22


def test_kind_that_arrived_after_the_snapshot_is_waited_for_too(synced):
    feed(synced, FieldSpec("group", ("id",)), InitialInfo("group", {}))
    synced.lost(ConnectionLost(1006), NOON + 10)
    synced.connected()
    feed(synced, *snapshot(User(id=1)), now=NOON + 11)
    assert synced.quiet_at == NOON + 11 + LATE_KIND_WAIT


def test_busy_pbx_is_synced_without_a_quiet_moment():
    """A driver that always finds a message to read need not call ``idle``."""
    session = Session()
    session.connected()
    messages = snapshot(User(id=1))
    feed(session, *messages)
    event = InfoEvent("user", User(id=2), "added")
    for tenth in range(13):
        assert feed(session, event, now=NOON + tenth / 10) == [event]
    assert feed(session, event, now=NOON + 1.3) == [
        Synced(),
        Added("user", User(id=1), synthetic=True),
        Added("user", User(id=2)),
        event,
    ]


def test_kinds_that_never_came_before_the_time_out_do_not_prevent_the_next_sync():
    session = Session()
    for number in range(3):
        session.connected()
        feed(session, *snapshot(User(id=1))[:3], now=NOON)
        assert session.quiet_at == (NOON + LATE_KIND_WAIT if number else float("inf"))
        notifications(session.idle(session.quiet_at))
        assert session.is_synced is bool(number)
        session.lost(SyncTimeout(60), NOON + 60, timed_out=True)
    session.connected()
    feed(session, *snapshot(User(id=1)), now=NOON)
    assert session.quiet_at < NOON + 1


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


@pytest.mark.parametrize("fails_at", ["binding", "delivery of Synced", "delivery of the Gap"])
def test_gap_that_a_failure_kept_from_its_subscribers_is_reported_later(fails_at):
    """The driver, or its function ``bind``, fails while the snapshot becomes current."""
    failures = []

    def bind(_):
        if failures:
            raise failures.pop()
        return lambda item: item

    session = Session(bind=bind)
    session.connected()
    feed(session, *snapshot())
    notifications(session.idle(session.quiet_at))
    first = ConnectionLost(1006)
    session.lost(first, NOON + 1)
    session.connected()
    feed(session, *snapshot())
    items = session.idle(NOON + 2)
    if fails_at == "binding":
        failures.append(RuntimeError("x"))
        with pytest.raises(RuntimeError):
            next(items)
    else:
        last = Synced if fails_at == "delivery of Synced" else Gap
        while not isinstance(next(items), last):
            pass
        items.close()
    session.lost(RuntimeError("x"), NOON + 3)
    session.connected()
    feed(session, *snapshot())
    gaps = [item for item in session.idle(NOON + 4) if isinstance(item, Gap)]
    assert gaps == [Gap(utc(NOON + 1), utc(NOON + 4), first)]


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


@pytest.mark.parametrize(
    "error",
    [
        ProtocolError("expected a binary frame, got a text frame"),
        ProtocolError("expected text, got tuple of length 2", None, "msg"),
        ProtocolError("expected text, got tuple of length 2", None, "system_msg"),
        ProtocolError("no field_spec received for this kind", "robot", "info_event"),
        ProtocolError("no field_spec received for this kind", "robot", "initial_info"),
    ],
    ids=str,
)
def test_unreadable_frames_that_hold_no_known_elements_need_no_resync(synced, error):
    assert synced.reject(error, NOON) == [error]
    assert not synced.resync_pending
    assert synced.resync_at == float("inf")


@pytest.mark.parametrize(
    "error",
    [
        DecodeError(3, "truncated"),
        ProtocolError("expected a list of records", "user", "initial_info"),
        ProtocolError("expected a tuple as record", "channel", "info_event"),
        ProtocolError("expected a tuple as record", "robot", "initial_info record 3"),
        ProtocolError("expected text as kind", None, "info_event"),
        ProtocolError("the kind is too long", None, "field_spec"),
        ProtocolError("unreadable", "user"),
    ],
    ids=str,
)
def test_unreadable_frames_that_may_hold_elements_need_a_resync(synced, error):
    """The state stays synced: it follows the feed, but one element may be stale."""
    assert synced.reject(error, NOON) == [error]
    assert synced.is_synced
    assert synced.resync_pending
    assert (synced.resync_at, synced.resync_problem) == (NOON, error)


def test_kind_with_elements_and_without_a_field_spec_needs_a_resync(synced):
    """The elements of the previous connection would be lost or become stale."""
    synced.lost(ConnectionLost(1006), NOON)
    synced.connected()
    synced.reject(ProtocolError("no field_spec", "user", "initial_info"), NOON + 1)
    assert synced.resync_at == NOON + 1


def resync(session, now):
    """Do what a driver does when a resync is due."""
    session.lost(ResyncRequired(session.resync_problem), now)
    session.connected()
    feed(session, *snapshot(User(id=1, label="Ana")), now=now)
    return notifications(session.idle(now + 1))


def test_resyncs_keep_an_interval(synced):
    """The first is due at once, the second after the interval, whatever errors follow."""
    error = DecodeError(3, "truncated")
    synced.reject(error, NOON)
    resync(synced, NOON)
    assert not synced.resync_pending
    synced.reject(error, NOON + 4)
    synced.reject(DecodeError(9, "truncated"), NOON + 8)
    assert synced.resync_at == NOON + RESYNC_INTERVAL
    resync(synced, NOON + RESYNC_INTERVAL)
    synced.reject(error, NOON + 5 * RESYNC_INTERVAL)
    assert synced.resync_at == NOON + 5 * RESYNC_INTERVAL


def test_resync_is_due_within_the_interval_after_the_clock_was_set_back(synced):
    synced.reject(DecodeError(3, "x"), NOON)
    resync(synced, NOON)
    synced.reject(DecodeError(3, "x"), NOON - 86_400)
    assert synced.resync_at == NOON - 86_400 + RESYNC_INTERVAL


def test_gap_of_a_resync_begins_with_the_unreadable_frame(synced):
    synced.reject(DecodeError(3, "x"), NOON)
    resync(synced, NOON)
    synced.reject(DecodeError(3, "x"), NOON + 4)
    synced.reject(DecodeError(3, "x"), NOON + 8)
    gap = resync(synced, NOON + 30)[1]
    assert (gap.started, gap.ended) == (utc(NOON + 4), utc(NOON + 31))
    assert isinstance(gap.reason, ResyncRequired)


def test_loss_of_the_connection_makes_a_resync_unnecessary(synced):
    synced.reject(DecodeError(3, "x"), NOON)
    resync(synced, NOON)
    synced.reject(DecodeError(3, "x"), NOON + 4)
    (lost,) = synced.lost(ConnectionLost(1006), NOON + 6)
    assert lost.last_heard == utc(NOON + 6)
    synced.connected()
    assert not synced.resync_pending
    feed(synced, *snapshot(), now=NOON + 7)
    assert notifications(synced.idle(NOON + 8))[1].started == utc(NOON + 4)


def test_snapshot_with_an_unreadable_kind_becomes_visible_without_it():
    """A PBX with one broken kind is of more use than none; the state is marked, and renewed."""
    session = Session()
    error = ProtocolError("expected a list of records", "channel", "initial_info")
    session.connected()
    feed(session, *SPECS)
    session.reject(error, NOON)
    assert session.resync_at == NOON
    session.lost(ResyncRequired(error), NOON)
    session.connected()
    feed(session, *snapshot(User(id=1))[:3], now=NOON + 1)
    session.reject(error, NOON + 1)
    assert session.resync_at == NOON + RESYNC_INTERVAL
    assert session.quiet_at == NOON + 1 + LATE_KIND_WAIT
    assert len(notifications(session.idle(session.quiet_at))) == 2
    assert session.is_synced
    assert session.resync_pending
    session.lost(ResyncRequired(error), session.resync_at)
    session.connected()
    feed(session, *snapshot(User(id=1)), now=NOON + 40)
    gap = notifications(session.idle(NOON + 41))[1]
    assert gap.started == utc(NOON + 1 + LATE_KIND_WAIT)


def test_each_kind_of_unreadable_frame_is_reported_once():
    """Class and problem identify a kind; the number of reported kinds is limited."""
    session = Session()
    error = DecodeError(0, "truncated")
    assert session.reject(error, NOON) == [error]
    assert session.reject(DecodeError(7, "truncated"), NOON) == []
    other = ProtocolError("truncated")
    assert session.reject(other, NOON) == [other]
    for number in range(MAX_REPORTED_ERRORS - 2):
        assert session.reject(ProtocolError(f"problem {number}"), NOON)
    assert session.reject(ProtocolError("one too many"), NOON) == []


def test_errors_that_are_not_reported_take_no_memory():
    session = Session()
    for number in range(MAX_REPORTED_ERRORS):
        session.reject(ProtocolError(f"problem {number}"), NOON)
    tracemalloc.start()
    try:
        for number in range(1000):
            assert not session.reject(ProtocolError(f"{number}" + "x" * 1000), NOON)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000


def test_repr_shows_whether_the_session_is_synced():
    assert repr(Session()) == "<Session not synced, 0 gaps, <Mirror empty>>"
