"""Recorded source: agreement with the recorded client, snapshots, gaps, damage, and time."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from support.etf_encoder import Atom, Charlist, field_spec, frame, info_event, initial_info
from support.sizes import NIGHTLY
from support.virtual_clock import now, on_virtual_clock
from support.waiting import eventually

from basix_ws_cti import Client, FieldSpec, Gap, InfoEvent, InitialInfo, Msg, RecordingError
from basix_ws_cti.calls import CallEnded, CallStarted
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.recording import (
    Connected,
    Frame,
    LeftOut,
    Lost,
    RecordedLoss,
    Recorder,
    read_recording,
)
from basix_ws_cti.session.status import Connecting, Stopped, Synced, Syncing
from basix_ws_cti.simulator import Simulator, faults
from basix_ws_cti.sources.recorded import RecordedSource

STARTED = datetime(2026, 1, 31, 9, tzinfo=UTC)
USERS = [field_spec("user", "id", "label"), initial_info("user", (1, "Ana"), (2, "Ken"))]


@pytest.fixture
def opened():
    """Function that opens a recording, which is closed after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda path: stack.enter_context(read_recording(path))


@pytest.fixture
def recorded(opened):
    """Function that records entries and returns a source; bare frames arrive at 0."""

    def make(path, entries, **options):
        with Recorder(path, started=STARTED, clock=lambda: 0.0) as recorder:
            for entry in entries:
                recorder.write(Frame(0, entry) if isinstance(entry, bytes) else entry)
        return RecordedSource(opened(path), **{"speed": None, **options})

    return make


def at(seconds):
    return STARTED + timedelta(seconds=seconds)


async def collect(items):
    return [item async for item in items]


# -- agreement with the recorded client ------------------------------------------------


def known_facts(event):
    """Return the facts of a call event without the ends of legs that vanished in a gap."""
    call = event.call
    phases = [(one.kind, one.party, one.place, one.by, one.started) for one in call.phases]
    legs = [(one.uuid, one.party, one.outcome) for one in call.legs]
    return type(event), call.id, call.disposition, call.complete, phases, legs


async def record_a_client(path, injected, seconds):
    """Return messages, call events, types of notices and final mirror of a recorded client.

    The feed runs for ``seconds`` before each fault and after the last. A fault waits until the
    client is synced again, so that each one makes a gap of its own on a busy machine too.
    """
    messages, events, notices = [], [], []
    async with Simulator(speed=150, seed=5, users=12) as pbx:
        recorder, is_recording = Recorder(path), True

        def record_frame(frame):
            if is_recording:
                recorder(frame)

        options = {"on_frame": record_frame, "backoff": Backoff(initial=0.01, maximum=0.05)}
        client = Client(**pbx.connect_args, full_events=True, **options)

        def state(new):
            recorder.on_state(new)
            if notices[-1:] != [type(new)]:
                notices.append(type(new))

        client.on_state(state)
        client.on_call(events.append)
        client.on_change(lambda gap: notices.append(type(gap)), where=lambda _: False)
        for register in (client.on_info_event, client.on_initial_info):
            register(lambda *arguments: messages.append(arguments))
        async with client:
            await client.synced()
            for count, fault in enumerate(injected, 1):
                await asyncio.sleep(seconds)
                pbx.inject(fault)
                await eventually(lambda count=count: notices.count(Gap) == count)
                await client.synced()
            await asyncio.sleep(seconds)
            elements = {kind: dict(client.mirror[kind]) for kind in client.mirror}
            is_recording = False
            recorder.close()
        return messages, events, notices, elements


def callback_arguments(message):
    """Return the arguments that a client passes to the callbacks of a message."""
    if isinstance(message, InfoEvent):
        return message.element_name, message.element, message.event_name
    return message.element_name, message.elements


@pytest.mark.slow
@pytest.mark.parametrize(
    "injected",
    [[], [faults.Drop(), faults.Truncate(), faults.Reset()]],
    ids=["complete", "with gaps"],
)
async def test_recorded_source_shows_the_feed_of_the_live_client(tmp_path, injected):
    """Messages, call events, states, gaps and the final mirror are those of the recorded client.

    This includes lost connections and frames that could not be read.
    """
    path = tmp_path / "day.rec"
    messages, events, live_kinds, elements = await record_a_client(
        path, injected, 1.7 / (len(injected) + 1)
    )
    notices = []
    with read_recording(path) as recording:
        source = RecordedSource(recording, speed=None, on_notice=notices.append)
        assert source.state == Connecting(1)
        found = [message async for _, message in source.messages()]
    kept = [callback_arguments(one) for one in found if isinstance(one, InfoEvent | InitialInfo)]
    assert kept == messages[: len(kept)]
    assert len(kept) >= len(messages) - 50  # frames may have arrived while the recording was closed
    assert {kind: dict(source.mirror[kind]) for kind in source.mirror} == elements
    assert isinstance(source.state, Stopped)
    with read_recording(path) as recording:
        source = RecordedSource(recording, speed=None)
        replayed = [event async for _, event in source.call_events()]
    assert len(replayed) > 100
    if injected:
        assert [*map(known_facts, replayed)] == [*map(known_facts, events[: len(replayed)])]
    else:
        assert replayed == events[: len(replayed)]
    kinds = [type(one) for one in notices if not isinstance(one, Exception)]
    expected = [one for one in live_kinds if one not in {Connecting, Stopped}]
    assert kinds == [*expected, Stopped]
    assert kinds.count(Gap) == len(injected)


# -- snapshots and gaps ---------------------------------------------------------------


async def test_source_is_not_settled_during_the_events_that_lead_to_a_snapshot(tmp_path, recorded):
    fields = field_spec("channel", "uuid", "direction", "offer_timestamp")
    leg = ("u", Atom("inbound"), 1_769_850_000_000_000)
    entries = [
        *(Connected(0), fields, initial_info("channel"), Lost(5, "ConnectionLost", None)),
        *(Connected(6), Frame(6, fields), Frame(6, initial_info("channel", leg))),
        Frame(9, info_event("channel", leg, "removed")),
    ]
    source = recorded(tmp_path / "day.rec", entries)
    found = [(type(event), source.is_settled) async for _, event in source.call_events()]
    assert found == [(CallStarted, False), (CallEnded, True)]


async def test_loss_and_gap_are_reported_as_notices(tmp_path, recorded):
    """The error has the class and text of the original one; the gap follows the next snapshot."""
    notices = []
    entries = [
        *(Connected(0), *USERS, Lost(5, "ConnectionLost", "the connection was lost")),
        *(Lost(5.5, "ConnectFailed", None), Connected(6)),
        *(Frame(6, one) for one in (USERS[0], initial_info("user", (1, "Ana")))),
        Frame(7, info_event("user", (1, "Mia"))),
    ]
    source = recorded(tmp_path / "day.rec", entries, on_notice=notices.append)
    found = await collect(source.messages())
    syncing, synced, lost, failed, resyncing, resynced, gap, stopped = notices
    assert (syncing, synced, resyncing, resynced) == (Syncing(), Synced(), Syncing(), Synced())
    assert (str(lost.reason), str(failed.reason)) == ("the connection was lost", "ConnectFailed")
    assert gap == Gap(at(5), at(6.25), lost.reason)
    assert isinstance(gap.reason, RecordedLoss)
    assert stopped == Stopped(None)
    assert found[-1] == (at(7), InfoEvent("user", source.mirror.users[1], "updated"))
    assert {user.label for user in source.mirror.users.values()} == {"Mia"}
    assert source.now() == at(7)


async def test_first_messages_come_when_the_snapshot_is_complete(tmp_path, recorded):
    """They keep the times of their arrival; the mirror knows every element that they refer to."""
    kinds = ("group", "user")
    entries = [field_spec(kind, "id") for kind in kinds]
    entries += [Frame(at, initial_info(kind, (1,))) for at, kind in enumerate(kinds, 1)]
    source = recorded(tmp_path / "day.rec", entries)
    found = []
    async for moment, message in source.messages():
        found.append((moment, type(message), len(source.mirror.users)))
    assert found == [
        (at(0), FieldSpec, 0),
        (at(0), FieldSpec, 0),
        (at(1), InitialInfo, 1),
        (at(2), InitialInfo, 1),
    ]


async def test_recording_without_connection_entries_is_one_connection(tmp_path, recorded):
    source = recorded(tmp_path / "day.rec", USERS)
    await collect(source.messages())
    assert [*source.mirror.users] == [1, 2]


async def test_unreadable_frames_are_reported_once_per_kind(tmp_path, recorded):
    """Other frames are not affected."""
    notices = []
    hello = frame((Atom("msg"), "hello"))
    entries = [*USERS, b"\x83", b"\x83h", LeftOut(0, 7), frame((Atom("info_event"), Charlist("x")))]
    source = recorded(tmp_path / "day.rec", [*entries, hello], on_notice=notices.append)
    found = [message async for _, message in source.messages()]
    assert found[-1] == Msg("hello")
    errors = [type(one).__name__ for one in notices if isinstance(one, Exception)]
    assert errors == ["DecodeError", "DecodeError", "ProtocolError"]


async def test_field_specs_belong_to_their_connection(tmp_path, recorded):
    notices = []
    entries = [Connected(0), *USERS, Connected(1), Frame(1, USERS[1])]
    source = recorded(tmp_path / "day.rec", entries, on_notice=notices.append)
    await collect(source.messages())
    (error,) = [one for one in notices if isinstance(one, Exception)]
    assert error.problem == "no field_spec received for this kind"


async def test_calls_are_followed_from_the_first_access(tmp_path, recorded):
    """Calls that are in progress then are included."""
    names = ("uuid", "direction", "peer_location", "offer_timestamp", "state")
    leg = ("a", Atom("inbound"), Atom("external"), 5, (5, Atom("ivr"), "menu"))
    entries = [field_spec("channel", *names), initial_info("channel", leg)]
    source = recorded(tmp_path / "day.rec", entries)
    assert not source.calls
    await source.synced()
    assert [*source.calls] == ["a"]
    late = recorded(tmp_path / "other.rec", entries)
    await late.synced()
    assert [*late.calls] == ["a"]


async def test_synced_reads_up_to_the_complete_snapshot(tmp_path, recorded):
    later = Frame(9, info_event("user", (3, "Mia"), "added"))
    source = recorded(tmp_path / "day.rec", [*USERS, later])
    mirror = await source.synced()
    assert [*mirror.users] == [1, 2]
    assert source.state == Synced()
    assert source.now() == at(0.25)
    assert await source.synced() is mirror
    await source.read_to_end()
    assert [*mirror.users] == [1, 2, 3]
    source.check()


async def test_synced_raises_if_the_snapshot_never_completes(tmp_path, recorded):
    source = recorded(tmp_path / "day.rec", USERS[:1])
    with pytest.raises(RecordingError, match="line 3: the recording ends before"):
        await source.synced()


async def test_damage_is_raised_after_everything_before_it(tmp_path, recorded, opened):
    path = tmp_path / "day.rec"
    recorded(path, USERS)
    path.write_bytes(path.read_bytes()[:-20])
    source = RecordedSource(opened(path), speed=None)
    found = []
    with pytest.raises(RecordingError, match="line 4: the recording is incomplete"):
        async for _, message in source.messages():
            found.append(type(message))
    assert found == [FieldSpec, InitialInfo]
    assert [*source.mirror.users] == [1, 2]
    assert isinstance(source.state.reason, RecordingError)
    source = RecordedSource(opened(path), speed=None)
    await source.read_to_end()
    assert [*source.mirror.users] == [1, 2]
    with pytest.raises(RecordingError):
        source.check()


# -- time -----------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [1, 4, 0.5])
@on_virtual_clock
async def test_messages_come_at_their_recorded_times(tmp_path, recorded, speed):
    """Times are divided by the speed; ``now`` advances between entries."""
    loop = asyncio.get_running_loop()
    loop.now = began = 1024.0
    notices, times, found = [], [], []
    moments = [0.5, 1.5, 2.125, 6.125, 9.5]
    for moment in moments:
        loop.call_at(began + moment / speed, lambda: times.append(source.now()))
    entries = [Connected(1), *(Frame(2, one) for one in USERS), Frame(10, USERS[0])]
    source = recorded(tmp_path / "day.rec", entries, speed=speed)
    source.on_notice = lambda notice: notices.append((type(notice), (now() - began) * speed))
    assert source.now() == STARTED
    async for moment, _ in source.messages():
        assert source.now() == at((now() - began) * speed)
        found.append((moment, (now() - began) * speed))
    assert times == [at(moment) for moment in moments]
    assert notices == [(Syncing, 1), (Synced, 2.25), (Stopped, 10)]
    assert found == [(at(2), 2), (at(2), 2.25), (at(10), 10)]


async def test_replay_without_waiting_yields_to_other_tasks(tmp_path, recorded):
    hello = frame((Atom("msg"), "hello"))
    source = recorded(tmp_path / "day.rec", [Frame(at * 3600, hello) for at in range(2000)])
    steps = 0

    async def count_steps():
        nonlocal steps
        while True:
            await asyncio.sleep(0)
            steps += 1

    task = asyncio.create_task(count_steps())
    assert len(await collect(source.messages())) == 2000
    task.cancel()
    assert steps >= 7


@pytest.mark.slow
async def test_memory_does_not_grow_with_the_recording(tmp_path, recorded):
    count = 1_000_000 if NIGHTLY else 20_000
    events = [info_event("user", (number, "Ana")) for number in (1, 2)]
    peaks = []
    for lines in (count // 10, count):
        path = tmp_path / f"{lines}.rec"
        frames = (Frame(at, events[at % 2]) for at in range(lines))
        source = recorded(path, (entry for part in (USERS, frames) for entry in part))
        tracemalloc.start()
        seen = 0
        async for _ in source.messages():
            seen += 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert seen == lines + 2
    assert peaks[1] < peaks[0] + 100_000
