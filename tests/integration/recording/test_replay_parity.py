"""Replay of a recording compared with the live client that was recorded."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from support.waiting import eventually

from basix_ws_cti import Client, Gap, InfoEvent
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.mirror.changes import Added, Changed, Removed
from basix_ws_cti.recording import Recorder, replay
from basix_ws_cti.session.status import Disconnected, Synced, Syncing
from basix_ws_cti.simulator import Simulator, faults

PING_TIMEOUT = 0.5

# Times in a recording are rounded to milliseconds, and two clocks may differ by some.
PRECISION = timedelta(milliseconds=50)

CHANGES = (Added, Changed, Removed)


class LiveRun:
    """Records a client, and keeps every notification of its session in order."""

    def __init__(self, client, recorder):
        self.items = []
        self._recorder = recorder
        client.on_state(self.state)
        client.on_change(self.items.append)
        client.on_call(self.items.append)
        client.on_error(self.error)
        for name in ("InfoEvent", "InitialInfo", "FieldSpec", "SystemMsg", "Msg"):
            client._register(name, self.items.append)  # noqa: SLF001 - FieldSpec has no public callback

    def state(self, state):
        self._recorder.on_state(state)
        if not isinstance(state, Syncing | Synced | Disconnected):
            return
        # The loss of a connection that was in sync is reported twice: at once, and with the delay
        # until the next attempt, which is not recorded.
        last = self.items[-1] if self.items else None
        if isinstance(state, Disconnected) and isinstance(last, Disconnected):
            assert last.reason is state.reason
        else:
            self.items.append(state)

    def error(self, error):
        # A failed attempt is reported as a state, too.
        if not any(
            isinstance(one, Disconnected) and one.reason is error for one in self.items[-1:]
        ):
            self.items.append(error)


def normal(item):
    """Return an item without the identity of its errors: a recording has their texts only."""
    match item:
        case Gap(started, _, reason):
            is_resync = str(reason).startswith("a new snapshot is needed")
            return "gap", None if is_resync else started, str(reason)
        case Disconnected(reason):
            return "lost", str(reason)
        case Exception():
            return type(item), str(item)
    return item


async def record(path, injected):
    """Record a client whose connection gets these faults, one after the other.

    The PBX's clock stands still except for the steps of this function, and nothing happens while
    the client waits for the end of a snapshot. On a busy machine, it may otherwise read an event
    before it notices that the snapshot is complete, and a recording does not show that.
    """
    async with Simulator(speed=1e-9, seed=3, users=12) as pbx:
        pbx.advance(60)  # the first call begins at once
        recorder, is_recording = Recorder(path), True

        def record_frame(frame):
            if is_recording:
                recorder(frame)

        client = Client(
            **{**pbx.connect_args, "app_name": "parity"},
            full_events=True,
            on_frame=record_frame,
            ping_interval=0.5,
            ping_timeout=PING_TIMEOUT,
            quiet_time=0.2,
            backoff=Backoff(initial=0.1, maximum=0.2),
        )
        live = LiveRun(client, recorder)
        async with client:
            for fault in (*injected, None):
                await eventually(lambda: client.is_synced)
                events = count(live, InfoEvent)
                while count(live, InfoEvent) < events + 20:
                    pbx.advance(1)
                    await asyncio.sleep(0.01)
                if fault is not None:
                    gaps = count(live, Gap)
                    pbx.inject(fault)
                    pbx.advance(60)  # the client misses this minute, or its first event
                    await eventually(lambda gaps=gaps: count(live, Gap) > gaps)
            is_recording = False
            recorder.close()
            items = [*live.items]
    return items


def count(live, kind):
    """Return how many items of a type a client has reported."""
    return sum(type(item) is kind for item in live.items)


@pytest.mark.slow
async def test_replay_yields_the_notifications_of_the_live_client(tmp_path):
    """Every notification is identical despite silence, drops, resets and unreadable frames.

    The only exception is the end of a gap, and its start at an unreadable frame: the client reads
    the clock after the recorder.
    """
    injected = [faults.Drop(), faults.Silence(), faults.Truncate(), faults.Reset()]
    path = tmp_path / "day.rec"
    live = await record(path, injected)
    replayed = [item for _, item in replay(path, quiet_time=0.2)]
    assert [*map(normal, replayed)] == [*map(normal, live[: len(replayed)])]
    assert len(live) - len(replayed) <= 3  # one frame can give up to three notifications
    gaps = [(one, other) for one, other in zip(live, replayed, strict=False) if type(one) is Gap]
    # On a busy machine, the connection may also seem silent when it is not.
    assert len(gaps) >= len(injected)
    for one, other in gaps:
        assert other.started - PRECISION <= one.started
        assert other.ended - PRECISION <= one.ended
    silences = [gap for _, gap in gaps if "no answer to a ping" in str(gap.reason)]
    assert silences
    for gap in silences:
        assert (gap.ended - gap.started).total_seconds() > PING_TIMEOUT
    assert any(isinstance(item, CHANGES) and item.synthetic for item in replayed[20:])
