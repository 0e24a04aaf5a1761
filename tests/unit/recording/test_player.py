"""Replay of a recording: order and times of its notifications, losses, damage and its file."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from support.etf_encoder import Atom, Charlist, field_spec, frame, info_event, initial_info

from basix_ws_cti import FieldSpec, InfoEvent, InitialInfo, Msg, RecordingError, User
from basix_ws_cti.calls import CallEnded, CallStarted
from basix_ws_cti.exceptions import DecodeError, ProtocolError
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Removed
from basix_ws_cti.mirror.snapshot import LATE_KIND_WAIT
from basix_ws_cti.recording import (
    Connected,
    Frame,
    LeftOut,
    Lost,
    RecordedLoss,
    Recorder,
    Recording,
    read_recording,
    replay,
)
from basix_ws_cti.session.status import Connecting, Disconnected, Stopped, Synced, Syncing

STARTED = datetime(2026, 1, 31, 9, tzinfo=UTC)

USER_FIELDS = field_spec("user", "id", "label")
ANA = User(id=1, label="Ana")
MIA = User(id=1, label="Mia")
SNAPSHOT = [USER_FIELDS, initial_info("user", (1, "Ana"))]

CALL_FIELDS = field_spec("channel", "uuid", "direction", "peer_location", "offer_timestamp")
CALL = ("a", Atom("inbound"), Atom("external"), 5)

HELLO = frame((Atom("msg"), "hello"))
TRUNCATED = b"\x83h"
EMPTY_TERM = b"\x83"
UNKNOWN_SHAPE = frame((Atom("info_event"), Charlist("x")))


def at(seconds):
    return STARTED + timedelta(seconds=seconds)


def frames(seconds, *data):
    return [Frame(seconds, one) for one in data]


def record(*entries):
    """Return the bytes of a recording of these entries."""
    file = io.StringIO()
    with Recorder(file, started=STARTED, clock=lambda: 0.0) as recorder:
        for entry in entries:
            recorder.write(entry)
    return file.getvalue().encode()


def replay_of(*entries, **options):
    return replay(io.BytesIO(record(*entries)), **options)


@pytest.fixture
def path(tmp_path):
    """A recording of a snapshot and one event on disk."""
    path = tmp_path / "day.rec"
    path.write_bytes(record(Connected(0), *frames(1, *SNAPSHOT), Frame(2, HELLO)))
    return path


# -- order and times ------------------------------------------------------------------


def test_notifications_come_in_order_with_their_times():
    """Messages of a snapshot come first; its changes follow at the end of the quiet time."""
    items = replay_of(
        Connected(0.5),
        *frames(1, *SNAPSHOT),
        Frame(3, info_event("user", (1, "Mia"))),
        Frame(4.25, HELLO),
        quiet_time=0.5,
    )
    assert [*items] == [
        (at(0.5), Syncing()),
        (at(1), FieldSpec("user", ("id", "label"))),
        (at(1), InitialInfo("user", {1: ANA})),
        (at(1.5), Synced()),
        (at(1.5), Added("user", ANA, synthetic=True)),
        (at(3), Changed("user", MIA, ANA)),
        (at(3), InfoEvent("user", MIA, "updated")),
        (at(4.25), Msg("hello")),
    ]


def test_event_within_the_quiet_time_is_applied_at_its_end():
    items = replay_of(
        Connected(0), *frames(1, *SNAPSHOT), Frame(1.1, info_event("user", (1, "Mia")))
    )
    assert [*items][3:] == [
        (at(1.1), InfoEvent("user", MIA, "updated")),
        (at(1.1), Synced()),
        (at(1.1), Added("user", ANA, synthetic=True)),
        (at(1.1), Changed("user", MIA, ANA)),
    ]


def test_recording_that_ends_while_a_kind_is_late_leaves_the_snapshot_incomplete():
    """A kind that the previous connection had is missing; the state before the loss stays."""
    items = replay_of(
        *frames(1, *SNAPSHOT, field_spec("group", "id"), initial_info("group", (7,))),
        *(Frame(2, HELLO), Lost(3, "ConnectionLost"), *frames(4, *SNAPSHOT)),
    )
    assert not [item for _, item in items if isinstance(item, Gap)]
    assert [*items.mirror.groups] == [7]


def test_kinds_that_a_timed_out_connection_lacked_are_waited_for_briefly():
    """A recording of a client that met SyncTimeout replays as the client went on."""
    snapshot = [*SNAPSHOT, field_spec("group", "id")]
    items = replay_of(
        *(*frames(1, *snapshot), Lost(61, "SyncTimeout")),
        *(*frames(62, *snapshot), Frame(99, HELLO)),
    )
    assert [at for at, item in items if isinstance(item, Synced)] == [at(62 + LATE_KIND_WAIT)]


def test_entry_at_the_end_of_the_quiet_time_comes_after_the_snapshot():
    items = [*replay_of(Connected(0), *frames(1, *SNAPSHOT), Frame(1.25, HELLO))]
    assert items[3:] == [
        (at(1.25), Synced()),
        (at(1.25), Added("user", ANA, synthetic=True)),
        (at(1.25), Msg("hello")),
    ]


def test_quiet_time_that_the_recording_cuts_off_completes_the_snapshot():
    """A recording that ends within the quiet time says nothing more about the snapshot."""
    items = [*replay_of(Connected(0), *frames(1, *SNAPSHOT))]
    assert items[3:] == [(at(1), Synced()), (at(1), Added("user", ANA, synthetic=True))]


def test_end_of_the_recording_leaves_an_incomplete_snapshot_incomplete():
    items = replay_of(Connected(0), *frames(1, *SNAPSHOT), Frame(1, field_spec("group", "id")))
    assert [type(item) for _, item in items] == [Syncing, FieldSpec, InitialInfo, FieldSpec]
    assert not items.was_synced
    assert not items.mirror.users
    assert items.state == Stopped(None)


def test_steps_yield_each_time_before_its_notifications():
    """Players that wait for the recorded times need the time of a step before it is taken."""
    items = replay_of(Connected(1), *frames(2, *SNAPSHOT), Frame(10, HELLO))
    assert [*items.steps()] == [
        1.0,
        Syncing(),
        2.0,
        FieldSpec("user", ("id", "label")),
        2.0,
        InitialInfo("user", {1: ANA}),
        2.25,
        Synced(),
        Added("user", ANA, synthetic=True),
        10.0,
        Msg("hello"),
    ]


def test_rounding_does_not_move_the_quiet_time_before_the_last_entry():
    """Times never go back, even if the quiet time ends with the last entry."""
    for number in range(1, 50):
        items = replay_of(*frames(number / 10, *SNAPSHOT), Frame(9, HELLO), quiet_time=0)
        times = [item for item in items.steps() if isinstance(item, float)]
        assert times == pytest.approx([*[number / 10] * 3, 9.0])
        assert times == sorted(times)


def test_replay_shows_the_state_of_each_moment():
    items = replay_of(
        Connected(0), *frames(1, *SNAPSHOT), Frame(2, HELLO), Lost(3, "ConnectionLost")
    )
    assert (items.state, items.is_synced, items.was_synced) == (Connecting(1), False, False)
    seen = []
    for _, item in items:
        assert isinstance(item, FieldSpec | InitialInfo | Added | Msg) or items.state == item
        seen.append((type(items.state), len(items.mirror.users), items.is_synced))
    assert seen == [
        *[(Syncing, 0, False)] * 3,
        *[(Synced, 1, True)] * 3,
        (Disconnected, 1, False),
    ]
    assert items.was_synced
    assert items.state == Stopped(None)


def test_moment_is_in_utc(tmp_path):
    items = replay_of(Connected(0))
    assert items.moment(2.5) == at(2.5)
    assert items.moment(2.5).tzinfo is UTC
    assert items.recording.header.started == STARTED


def test_country_code_applies_to_the_mirror():
    fields = field_spec("channel", "uuid", "calling_number")
    leg = initial_info("channel", ("a", "+442079460018"))
    for options, expected in (({"country_code": "44"}, ["a"]), ({}, [])):
        items = replay_of(*frames(0, fields, leg), **options)
        assert len([*items]) == 6
        found = items.mirror.channels_by_number("020 7946 0018")
        assert [one.uuid for one in found] == expected


# -- losses ---------------------------------------------------------------------------


def lose_and_reconnect(*losses):
    """Return what follows after a complete snapshot: losses, a new connection, a message."""
    entries = [Connected(0), *frames(1, *SNAPSHOT), Frame(2, HELLO), *losses]
    new_snapshot = [USER_FIELDS, initial_info("user", (1, "Mia"))]
    return [*replay_of(*entries, Connected(6), *frames(7, *new_snapshot), Frame(9, HELLO))][6:]


def test_loss_with_last_heard_starts_the_gap_there():
    lost, *_, synced, gap, changed, hello = lose_and_reconnect(
        Lost(5, "ConnectionLost", "no pong", 3.5)
    )
    moment, state = lost
    assert moment == at(5)
    assert state == Disconnected(state.reason, None)
    assert state.last_heard == at(3.5)
    assert synced == (at(7.25), Synced())
    assert gap == (at(7.25), Gap(at(3.5), at(7.25), state.reason))
    assert changed == (at(7.25), Changed("user", MIA, ANA, synthetic=True))
    assert hello == (at(9), Msg("hello"))


def test_loss_without_last_heard_starts_the_gap_at_the_loss():
    items = lose_and_reconnect(Lost(5, "ConnectionLost", "no pong"))
    assert items[0][1].last_heard == at(5)
    (gap,) = [item for _, item in items if isinstance(item, Gap)]
    assert (gap.started, gap.ended) == (at(5), at(7.25))


def test_failed_attempt_is_reported_and_does_not_move_the_gap():
    """The first loss of current state starts the gap and is its reason."""
    items = lose_and_reconnect(
        Lost(4, "ConnectionLost", "no pong", 3), Lost(5, "ConnectFailed", "no route to host")
    )
    (first_at, first), (second_at, second) = items[:2]
    assert (first_at, second_at) == (at(4), at(5))
    assert (str(first.reason), str(second.reason)) == ("no pong", "no route to host")
    assert second == Disconnected(second.reason, None)
    assert second.last_heard is None
    (gap,) = [item for _, item in items if isinstance(item, Gap)]
    assert (gap.started, gap.reason) == (at(3), first.reason)


def test_gap_ends_with_a_recording_that_ends_within_the_quiet_time():
    items = replay_of(
        *frames(1, *SNAPSHOT), Frame(2, HELLO), Lost(3, "ConnectionLost"), *frames(4, *SNAPSHOT)
    )
    (gap,) = [item for item in items if isinstance(item[1], Gap)]
    assert gap == (at(4), Gap(at(3), at(4), gap[1].reason))


def test_loss_while_syncing_discards_the_snapshot():
    """The kinds of a snapshot that broke off do not count for the next connection."""
    users = [initial_info("user", (number, "Ana")) for number in (1, 2)]
    items = replay_of(
        *(Connected(0), *frames(1, USER_FIELDS, users[0]), Lost(1.1, "ConnectionLost")),
        *(Connected(2), *frames(3, USER_FIELDS, users[1]), Frame(4, HELLO)),
    )
    found = [item for _, item in items]
    assert [type(item) for item in found[3:5]] == [Disconnected, Syncing]
    assert found[7:] == [
        Synced(),
        Added("user", User(id=2, label="Ana"), synthetic=True),
        Msg("hello"),
    ]


def test_recorded_loss_has_the_name_and_text_of_the_original_error():
    loss = RecordedLoss("ConnectionLost", "no pong within 5 s")
    assert (loss.error, loss.text) == ("ConnectionLost", "no pong within 5 s")
    assert str(loss) == "no pong within 5 s"


@pytest.mark.parametrize("text", [None, ""])
def test_recorded_loss_without_text_shows_its_name(text):
    assert str(RecordedLoss("ConnectionLost", text)) == "ConnectionLost"


# -- connections ----------------------------------------------------------------------


def test_recording_without_connection_entries_is_one_connection():
    """``connect`` records frames only; the first one starts the connection, and it does so once."""
    items = replay_of(*frames(1, *SNAPSHOT), Frame(2, HELLO))
    assert [*items] == [
        (at(1), Syncing()),
        (at(1), FieldSpec("user", ("id", "label"))),
        (at(1), InitialInfo("user", {1: ANA})),
        (at(1.25), Synced()),
        (at(1.25), Added("user", ANA, synthetic=True)),
        (at(2), Msg("hello")),
    ]


def test_frame_after_a_loss_starts_a_connection():
    items = replay_of(
        *frames(1, *SNAPSHOT), Frame(2, HELLO), Lost(3, "ConnectionLost"), *frames(4, *SNAPSHOT)
    )
    found = [item for _, item in items][6:]
    assert [type(item) for item in found] == [
        *(Disconnected, Syncing, FieldSpec, InitialInfo, Synced, Gap),
    ]


def test_field_specs_belong_to_their_connection():
    items = replay_of(
        Connected(0), *frames(0, *SNAPSHOT), Connected(1), *frames(1, SNAPSHOT[1], HELLO)
    )
    (error,) = [item for _, item in items if isinstance(item, ProtocolError)]
    assert error.problem == "no field_spec received for this kind"


# -- calls ----------------------------------------------------------------------------


def call_entries():
    return [
        *frames(1, CALL_FIELDS, initial_info("channel", CALL)),
        Frame(2, info_event("channel", CALL, "removed")),
    ]


def test_calls_are_followed_from_the_start():
    items = replay_of(*call_entries())
    assert not items.calls
    events = []
    for moment, item in items:
        if isinstance(item, CallStarted | CallEnded):
            events.append((moment, type(item), [*items.calls]))
    assert events == [(at(1.25), CallStarted, ["a"]), (at(2), CallEnded, [])]


def test_replay_without_calls_yields_no_call_events():
    items = [item for _, item in replay_of(*call_entries(), calls=False)]
    assert [type(item) for item in items] == [
        *(Syncing, FieldSpec, InitialInfo, Synced, Added, Removed, InfoEvent),
    ]


# -- unreadable frames ----------------------------------------------------------------


def test_each_kind_of_unreadable_frame_is_reported_once():
    """Unreadable frames change nothing else; frames that were left out are skipped."""
    unreadable = [EMPTY_TERM, EMPTY_TERM, TRUNCATED, UNKNOWN_SHAPE, UNKNOWN_SHAPE]
    items = [
        *replay_of(*frames(1, *SNAPSHOT), *frames(2, *unreadable), LeftOut(2, 7), *frames(3, HELLO))
    ]
    errors = [(moment, item) for moment, item in items if isinstance(item, Exception)]
    assert [(moment, type(error)) for moment, error in errors] == [
        (at(2), DecodeError),
        (at(2), DecodeError),
        (at(2), ProtocolError),
    ]
    assert errors[0][1].reason != errors[1][1].reason
    assert items[-1] == (at(3), Msg("hello"))


# -- damage ---------------------------------------------------------------------------


def test_damage_is_raised_after_everything_before_it():
    """The snapshot before the damage is completed, and the state holds the error."""
    data = record(*frames(1, *SNAPSHOT), Frame(2, HELLO))
    *lines, _ = data.splitlines(keepends=True)
    items = replay(io.BytesIO(b"".join(lines)[:-10]))
    found = []
    with pytest.raises(RecordingError, match="line 4: the recording is incomplete") as caught:
        found.extend(item for _, item in items)
    assert found == [
        Syncing(),
        FieldSpec("user", ("id", "label")),
        InitialInfo("user", {1: ANA}),
        Synced(),
        Added("user", ANA, synthetic=True),
    ]
    assert items.state == Stopped(caught.value)


def test_file_that_is_no_recording_is_refused():
    with pytest.raises(RecordingError, match="line 1: not valid JSON"):
        replay(io.BytesIO(b"hello\n"))
    with pytest.raises(FileNotFoundError):
        replay("/no/such/file.rec")


# -- the file -------------------------------------------------------------------------


def test_context_manager_closes_the_file(path):
    with replay(path) as items:
        assert next(items) == (at(0), Syncing())
    with pytest.raises(ValueError, match="closed file"):
        next(items)


def test_context_manager_closes_the_file_after_an_error(path):
    with pytest.raises(KeyError), replay(path) as items:
        raise KeyError
    with pytest.raises(ValueError, match="closed file"):
        next(items)


@pytest.mark.parametrize("is_damaged", [False, True], ids=["complete", "damaged"])
def test_end_of_the_replay_closes_the_file(path, is_damaged):
    if is_damaged:
        path.write_bytes(path.read_bytes()[:-5])
    file = path.open("rb")
    items = replay(Recording(file, path.name, owned=True))
    found = [next(items) for _ in range(6)]
    assert found[-1] == (at(2), Msg("hello"))
    assert not file.closed
    with pytest.raises(RecordingError if is_damaged else StopIteration):
        next(items)
    assert file.closed


def test_open_file_stays_open(path):
    with path.open("rb") as file:
        with replay(file) as items:
            assert len([*items]) == 6
        assert not file.closed


@pytest.mark.parametrize("convert", [str, lambda path: path, read_recording])
def test_source_is_a_path_or_a_recording(path, convert):
    with replay(convert(path)) as items:
        assert [type(item) for _, item in items][-1] is Msg


def test_replay_is_not_settled_during_the_events_that_lead_to_a_snapshot():
    entries = [
        Connected(0),
        *frames(1, CALL_FIELDS, initial_info("channel", CALL)),
        *frames(2, info_event("channel", CALL, "updated")),
    ]
    replayed = replay_of(*entries)
    settled = [(type(item), replayed.is_settled) for _, item in replayed]
    assert (CallStarted, False) in settled
    assert settled[-1] == (InfoEvent, True)
