"""A recording as a source: what it shows is what the client showed that was recorded."""

from __future__ import annotations

import asyncio
import contextlib
import time
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from support.etf_encoder import Atom, Charlist, field_spec, frame, info_event, initial_info
from support.sizes import NIGHTLY

from basix_ws_cti import Client, FieldSpec, Gap, InfoEvent, InitialInfo, Msg, RecordingError
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
from basix_ws_cti.session.status import Connecting, Disconnected, Stopped, Synced, Syncing
from basix_ws_cti.simulator import Simulator, faults
from basix_ws_cti.sources.recorded import RecordedSource

STARTED = datetime(2026, 1, 31, 9, tzinfo=UTC)
USERS = [field_spec("user", "id", "label"), initial_info("user", (1, "Ana"), (2, "Ken"))]


@pytest.fixture
def opened():
    """Opens recordings, and closes them after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda path: stack.enter_context(read_recording(path))


@pytest.fixture
def recorded(opened):
    """Makes sources of recordings of entries; frames may stand for themselves, at 0."""

    def make(path, entries, **options):
        with Recorder(path, started=STARTED, clock=lambda: 0.0) as recorder:
            for entry in entries:
                recorder.write(Frame(0, entry) if isinstance(entry, bytes) else entry)
        return RecordedSource(opened(path), **{"speed": None, **options})

    return make


def at(seconds):
    return STARTED + timedelta(seconds=seconds)


async def every(items):
    return [item async for item in items]


# -- what a client shows --------------------------------------------------------------


def outline(event):
    """A call's event without when what vanished in a gap is taken to have ended."""
    call = event.call
    phases = [(one.kind, one.party, one.place, one.by, one.started) for one in call.phases]
    legs = [(one.uuid, one.party, one.outcome) for one in call.legs]
    return type(event), call.id, call.disposition, call.complete, phases, legs


async def record_a_client(path, scheduled, seconds):
    """What a client told while it was recorded."""
    messages, events, told = [], [], []
    async with Simulator(speed=150, seed=5, users=12, faults=scheduled) as pbx:
        recorder = Recorder(path)
        options = {"on_frame": recorder, "backoff": Backoff(initial=0.01, maximum=0.05)}
        client = Client(**pbx.connect_args, full_events=True, **options)

        def state(new):
            match new:
                case Syncing():
                    recorder.connected()
                case Disconnected(reason, _):
                    recorder.lost(reason)
            if told[-1:] != [type(new)]:
                told.append(type(new))

        client.on_state(state)
        client.on_call(events.append)
        client.on_change(lambda gap: told.append(type(gap)), where=lambda _: False)
        for register in (client.on_info_event, client.on_initial_info):
            register(lambda *given: messages.append(given))
        async with client:
            await client.synced()
            await asyncio.sleep(seconds)
            picture = {kind: dict(client.mirror[kind]) for kind in client.mirror}
            recorder.close()
            client._feed_loop._open_connection.options["on_frame"] = None
        return messages, events, told, picture


def arguments(message):
    """What the client's callbacks are given of a message."""
    if isinstance(message, InfoEvent):
        return message.element_name, message.element, message.event_name
    return message.element_name, message.elements


@pytest.mark.parametrize(
    "scheduled",
    [[], [(0.4, faults.Drop()), (0.8, faults.Truncate()), (1.2, faults.Reset())]],
    ids=["whole", "with gaps"],
)
async def test_a_recording_shows_what_the_client_showed(tmp_path, scheduled):
    """Messages, call events, states, gaps and the picture at the end are those of the client that
    was recorded, across lost connections and frames that could not be read.
    """
    path = tmp_path / "day.rec"
    messages, events, told, picture = await record_a_client(path, scheduled, 1.7)
    notices = []
    with read_recording(path) as recording:
        source = RecordedSource(recording, speed=None, on_notice=notices.append)
        assert source.state == Connecting(1)
        found = [message async for _, message in source.messages()]
    kept = [arguments(one) for one in found if isinstance(one, InfoEvent | InitialInfo)]
    assert kept == messages[: len(kept)]
    assert len(kept) >= len(messages) - 50  # of the moment in which the recording was closed
    assert {kind: dict(source.mirror[kind]) for kind in source.mirror} == picture
    assert isinstance(source.state, Stopped)
    with read_recording(path) as recording:
        source = RecordedSource(recording, speed=None)
        again = [event async for _, event in source.call_events()]
    assert len(again) > 100
    if scheduled:
        assert [*map(outline, again)] == [*map(outline, events[: len(again)])]
    else:
        assert again == events[: len(again)]
    sorts = [type(one) for one in notices if not isinstance(one, Exception)]
    wanted = [one for one in told if one not in {Connecting, Stopped}]
    assert sorts == [*wanted, Stopped]
    assert sorts.count(Gap) == len(scheduled)


# -- pictures and gaps ----------------------------------------------------------------


async def test_a_gap(tmp_path, recorded):
    """A loss is told with its error's class and text, and the gap once the picture is whole."""
    notices = []
    entries = [
        *(Connected(0), *USERS, Lost(5, "ConnectionLost", "the connection was lost")),
        *(Lost(5.5, "ConnectFailed", None), Connected(6)),
        *(Frame(6, one) for one in (USERS[0], initial_info("user", (1, "Ana")))),
        Frame(7, info_event("user", (1, "Mia"))),
    ]
    source = recorded(tmp_path / "day.rec", entries, on_notice=notices.append)
    found = await every(source.messages())
    syncing, synced, lost, failed, again, whole, gap, stopped = notices
    assert (syncing, synced, again, whole) == (Syncing(), Synced(), Syncing(), Synced())
    assert (str(lost.reason), str(failed.reason)) == ("the connection was lost", "ConnectFailed")
    assert gap == Gap(at(5), at(6.25), lost.reason)
    assert isinstance(gap.reason, RecordedLoss)
    assert stopped == Stopped(None)
    assert found[-1] == (at(7), InfoEvent("user", source.mirror.users[1], "updated"))
    assert {user.label for user in source.mirror.users.values()} == {"Mia"}
    assert source.now() == at(7)


async def test_who_is_named_is_known(tmp_path, recorded):
    """What the first picture tells is given out once it is whole, with the times at which it
    came: whom it names is known by then.
    """
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


async def test_a_recording_without_connections(tmp_path, recorded):
    """Frames that ``connect`` handed over, without a word of a connection, are one connection's."""
    source = recorded(tmp_path / "day.rec", USERS)
    await every(source.messages())
    assert [*source.mirror.users] == [1, 2]


async def test_frames_that_cannot_be_read(tmp_path, recorded):
    """A frame that is broken, or was left out, takes nothing from the others; each sort is told
    once.
    """
    notices = []
    hello = frame((Atom("msg"), "hello"))
    entries = [*USERS, b"\x83", b"\x83h", LeftOut(0, 7), frame((Atom("info_event"), Charlist("x")))]
    source = recorded(tmp_path / "day.rec", [*entries, hello], on_notice=notices.append)
    found = [message async for _, message in source.messages()]
    assert found[-1] == Msg("hello")
    errors = [type(one).__name__ for one in notices if isinstance(one, Exception)]
    assert errors == ["DecodeError", "DecodeError", "ProtocolError"]


async def test_each_connection_says_its_fields_anew(tmp_path, recorded):
    """Which fields there are is each connection's own: what an earlier one said counts no more."""
    notices = []
    entries = [Connected(0), *USERS, Connected(1), Frame(1, USERS[1])]
    source = recorded(tmp_path / "day.rec", entries, on_notice=notices.append)
    await every(source.messages())
    (error,) = [one for one in notices if isinstance(one, Exception)]
    assert error.problem == "no field_spec received for this kind"


async def test_calls_are_followed(tmp_path, recorded):
    """Calls are followed from when they are asked for, with what is there already."""
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


async def test_synced(tmp_path, recorded):
    """Waiting for the picture reads until it is whole, and no further."""
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


async def test_a_picture_that_does_not_come(tmp_path, recorded):
    """A recording that ends before the picture is whole says so."""
    source = recorded(tmp_path / "day.rec", USERS[:1])
    with pytest.raises(RecordingError, match="line 3: the recording ends before"):
        await source.synced()


async def test_all_before_the_damage_is_used(tmp_path, recorded, opened):
    """Where a recording breaks off, all before it has been shown; then it is said."""
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
async def test_it_waits_for_its_times(tmp_path, recorded, monkeypatch, speed):
    """Each entry comes at its time, divided by the speed, and the picture is whole a quiet time
    after it was told; ``now`` goes on meanwhile, as far as the next entry.
    """
    clock, slept, seen = [100.0], [], []
    sleep = asyncio.sleep

    async def fake(seconds):
        if seconds:
            slept.append(seconds * speed)
            for _ in range(2):
                clock[0] += seconds / 2
                seen.append(source.now())
        await sleep(0)

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr("basix_ws_cti.sources.recorded.asyncio.sleep", fake)
    entries = [Connected(1), *(Frame(2, one) for one in USERS), Frame(10, USERS[0])]
    source = recorded(tmp_path / "day.rec", entries, speed=speed)
    assert source.now() == STARTED
    found = await every(source.messages())
    assert slept == pytest.approx([1, 1, 0.25, 7.75])
    assert seen == [at(one) for one in (0.5, 1, 1.5, 2, 2.125, 2.25, 6.125, 10)]
    assert [moment for moment, _ in found] == [at(2), at(2), at(10)]


async def test_at_once_it_lets_others_run(tmp_path, recorded):
    """Without waiting, others still have their turn, and nothing sleeps."""
    hello = frame((Atom("msg"), "hello"))
    source = recorded(tmp_path / "day.rec", [Frame(at * 3600, hello) for at in range(2000)])
    turns = 0

    async def other():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(other())
    assert len(await every(source.messages())) == 2000
    task.cancel()
    assert turns >= 7


async def test_memory_is_flat(tmp_path, recorded):
    """Ten times as many lines, at once, take no more memory."""
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
