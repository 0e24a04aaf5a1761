"""Clients over real sockets, and random schedules of faults for them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random

from basix_ws_cti import (
    to_dict,
)
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.client import Client
from basix_ws_cti.mirror.changes import Added, Gap, Lagged, Removed
from basix_ws_cti.session.status import Synced
from basix_ws_cti.simulator import Simulator, faults

from .waiting import TIMEOUT, eventually


async def entered(client, sort, *, retry=False):
    """Wait for a state of that sort, with ``retry`` one that knows when to try again."""
    while not (isinstance(client.state, sort) and not (retry and client.state.retry_in is None)):
        await client._state._wait()
    return client.state


def plain(mirror):
    return {kind: {key: to_dict(one) for key, one in mirror[kind].items()} for kind in mirror}


def is_true(client, pbx):
    """Whether the mirror holds what the PBX holds (a kind that it made up for a fault aside)."""
    shown = {kind: elements for kind, elements in plain(client.mirror).items() if kind != "robot"}
    truth = {kind: elements for kind, elements in pbx.snapshot().items() if elements}
    return client.is_synced and shown == truth


def make(pbx, **options):
    defaults = {
        **pbx.connect_args,
        "backoff": Backoff(initial=0.02, maximum=0.1),
        "quiet_time": 0.05,
        "close_timeout": 0.1,
    }
    return Client(**{**defaults, **options})


@contextlib.asynccontextmanager
async def connected(pbx, **options):
    async with make(pbx, **options) as client:
        await client.synced(TIMEOUT)
        yield client


def patience_with(ending):
    """How to ping: often where it must be found out, and never so that others are suspected."""
    is_silent = isinstance(ending, faults.Silence)
    return {"ping_interval": 0.1, "ping_timeout": 1} if is_silent else {"ping_interval": None}


def some_fault(chance):
    return chance.choice(
        [
            faults.Drop(),
            faults.Reset(),
            faults.HalfClose(),
            faults.Silence(),
            faults.Stall(0.05),
            faults.Split(chance.randint(1, 50)),
            faults.Coalesce(0.02),
            faults.Refuse(503, times=2),
            faults.Refuse(429, retry_after=0),
            faults.DelayHandshake(0.05),
            faults.DropDuringSnapshot(chance.randint(0, 20)),
            faults.EventFirst(),
            faults.SendFrame(),
            faults.Truncate(),
            faults.Repeat(),
            faults.UpdateAfterRemoval(),
            faults.ChangeSpec(chance.choice(["channel", "user"])),
            faults.UnknownKind(),
            faults.UnspecifiedKind(),
            faults.Restart(down_for=chance.choice([0, 0.05])),
            faults.Flood(50),
        ]
    )


def fold(held, item):
    if isinstance(item, Gap):
        return
    assert not isinstance(item, Lagged)
    place = (item.element_name, item.key)
    assert (place in held) is not isinstance(item, Added), item
    if isinstance(item, Removed):
        del held[place]
    else:
        held[place] = item.element


async def one_schedule(seed):
    """A schedule of faults; how many gaps there were."""
    chance = random.Random(seed)
    held, slow, halves = {}, {}, []
    async with (
        Simulator(speed=100, users=6, seed=seed, specs_first=chance.random() < 0.5) as pbx,
        # A busy machine may pause in the middle of a picture: only an event makes it whole soon.
        make(pbx, ping_interval=0.15, ping_timeout=0.15, quiet_time=2) as client,
    ):
        kinds = ("domain", "user", "group", "group_member", "terminal")

        def look(_):
            # What the day does not do away with: all of it, or before the first picture nothing.
            shown = {kind for kind in kinds if client.mirror[kind]}
            if shown != (set(kinds) if was_synced else set()):
                halves.append((client.state, shown))

        def note(state):
            nonlocal was_synced
            was_synced = was_synced or isinstance(state, Synced)

        async def late(change):
            await asyncio.sleep(0.002)
            fold(slow, change)

        was_synced = False
        errors = []
        client.on_state(note)
        client.on_state(look)
        client.on_change(look)
        client.on_change(functools.partial(fold, held))
        client.on_change(late, size=4)
        client.on_error(errors.append)
        await client.synced(TIMEOUT)
        for _ in range(chance.randint(3, 8)):
            pbx.inject(some_fault(chance))
            await asyncio.sleep(chance.choice([0, 0.01, 0.1]))
        pbx._client_handler.armed_faults.clear()

        def told():
            mirror = client.mirror
            truth = {(kind, key): one for kind in mirror for key, one in mirror[kind].items()}
            return held == slow == truth and is_true(client, pbx)

        # The day stands still, and who is slow can catch up: a busy machine too.
        pbx.speed = 1e-6
        await eventually(told, 2 * TIMEOUT)
        assert halves == []
        assert not [error for error in errors if isinstance(error, AssertionError | KeyError)]
        return client.stats.gaps


def tasks_of_the_client():
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("basix_ws_cti")]
