"""Replay of a recording compared with the live client that was recorded."""

from __future__ import annotations

import asyncio

import pytest

from basix_ws_cti import Client, Gap
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.mirror.changes import Added, Changed, Removed
from basix_ws_cti.recording import Recorder, replay
from basix_ws_cti.session.status import Disconnected, Synced, Syncing
from basix_ws_cti.simulator import Simulator, faults

# Seconds between an event in the client and the recorder's reading of the clock, on a busy machine.
TOLERANCE = 0.25

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


async def record(path, scheduled, seconds):
    async with Simulator(speed=30, seed=3, users=12, faults=scheduled) as pbx:
        recorder, is_recording = Recorder(path), True

        def record_frame(frame):
            if is_recording:
                recorder(frame)

        client = Client(
            **{**pbx.connect_args, "app_name": "parity"},
            full_events=True,
            on_frame=record_frame,
            ping_interval=0.5,
            ping_timeout=0.5,
            quiet_time=0.2,
            backoff=Backoff(initial=0.1, maximum=0.2),
        )
        live = LiveRun(client, recorder)
        async with client:
            await client.synced(10)
            await asyncio.sleep(seconds)
            is_recording = False
            recorder.close()
            items = [*live.items]
    return items


@pytest.mark.slow
async def test_replay_yields_the_notifications_of_the_live_client(tmp_path):
    """Every notification is identical despite silence, drops, resets and unreadable frames.

    The only exception is the end of a gap, and its start at an unreadable frame: client and
    recorder read the clock one after the other.
    """
    scheduled = [
        (1, faults.Drop()),
        (2, faults.Silence()),
        (5, faults.Truncate()),
        (6, faults.Reset()),
    ]
    path = tmp_path / "day.rec"
    live = await record(path, scheduled, 8)
    replayed = [item for _, item in replay(path, quiet_time=0.2)]
    assert [*map(normal, replayed)] == [*map(normal, live[: len(replayed)])]
    assert len(live) - len(replayed) <= 3  # one frame can give up to three notifications
    gaps = [(one, other) for one, other in zip(live, replayed, strict=False) if type(one) is Gap]
    assert len(gaps) == 4
    for one, other in gaps:
        assert abs((one.started - other.started).total_seconds()) < TOLERANCE
        assert abs((one.ended - other.ended).total_seconds()) < TOLERANCE
    silence = gaps[1][1]
    assert silence.ended - silence.started > (gaps[0][1].ended - gaps[0][1].started)
    assert any(isinstance(item, CHANGES) and item.synthetic for item in replayed[20:])
