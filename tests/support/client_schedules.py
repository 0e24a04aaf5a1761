"""Clients of a simulated PBX over real sockets, and random schedules of faults for them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random

from basix_ws_cti import to_dict
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.client import Client
from basix_ws_cti.mirror.changes import Added, Gap, Lagged, Removed
from basix_ws_cti.session.status import Stopped, Synced
from basix_ws_cti.simulator import Simulator, faults

from .waiting import TIMEOUT, eventually


async def entered(client, state_class, *, retry=False):
    """Wait until the client is in a state of this class, and return the state.

    ``retry`` waits for a ``Disconnected`` that holds the delay before the next attempt.
    """
    found = asyncio.get_running_loop().create_future()

    def check(state):
        matches = isinstance(state, state_class) and not (retry and state.retry_in is None)
        if matches and not found.done():
            found.set_result(state)

    unregister = client.on_state(check)
    check(client.state)
    try:
        return await found
    finally:
        unregister()


async def stop_reason(client):
    """Wait until the client stops, and return the error that stopped it."""
    await eventually(lambda: isinstance(client.state, Stopped))
    return client.state.reason


def as_dicts(mirror):
    """Return a mirror's elements in the form of ``Simulator.snapshot()``."""
    return {kind: {key: to_dict(one) for key, one in mirror[kind].items()} for kind in mirror}


def is_current(client, pbx):
    """Return True if the mirror equals the PBX's state, except for a made-up kind of a fault."""
    mirrored = as_dicts(client.mirror)
    mirrored.pop("robot", None)
    expected = {kind: elements for kind, elements in pbx.snapshot().items() if elements}
    return client.is_synced and mirrored == expected


def new_client(pbx, **options):
    """Return a client with short delays for a simulator."""
    defaults = {
        **pbx.connect_args,
        "backoff": Backoff(initial=0.02, maximum=0.1),
        "quiet_time": 0.05,
        "close_timeout": 0.1,
    }
    return Client(**{**defaults, **options})


@contextlib.asynccontextmanager
async def connected(pbx, **options):
    """Run a client that is synced."""
    async with new_client(pbx, **options) as client:
        await client.synced(TIMEOUT)
        yield client


def ping_options(ending):
    """Return options for pings: frequent where silence must be detected, else none.

    A busy machine might answer frequent pings too late.
    """
    is_silent = isinstance(ending, faults.Silence)
    return {"ping_interval": 0.1, "ping_timeout": 1} if is_silent else {"ping_interval": None}


def random_fault(rng):
    """Return a fault of a random kind."""
    return rng.choice(
        [
            faults.Drop(),
            faults.Reset(),
            faults.HalfClose(),
            faults.Silence(),
            faults.Stall(0.05),
            faults.Split(rng.randint(1, 50)),
            faults.Coalesce(0.02),
            faults.Refuse(503, times=2),
            faults.Refuse(429, retry_after=0),
            faults.DelayHandshake(0.05),
            faults.DropDuringSnapshot(rng.randint(0, 20)),
            faults.EventFirst(),
            faults.SendFrame(),
            faults.Truncate(),
            faults.Repeat(),
            faults.UpdateAfterRemoval(),
            faults.ChangeSpec(rng.choice(["channel", "user"])),
            faults.UnknownKind(),
            faults.UnspecifiedKind(),
            faults.Restart(down_for=rng.choice([0, 0.05])),
            faults.Flood(50),
        ]
    )


def apply_change(held, item):
    """Apply a change to a subscriber's copy of the state: elements by kind and key."""
    if isinstance(item, Gap):
        return
    assert not isinstance(item, Lagged)
    place = (item.element_name, item.key)
    assert (place in held) is not isinstance(item, Added), item
    if isinstance(item, Removed):
        del held[place]
    else:
        held[place] = item.element


async def run_schedule(seed):
    """Inject a random schedule of faults; return the number of gaps.

    In the end, the mirror and the copies of a fast and a slow subscriber equal the PBX's state.
    """
    rng = random.Random(seed)
    copy, slow_copy, incomplete = {}, {}, []
    async with (
        Simulator(speed=100, users=6, seed=seed, specs_first=rng.random() < 0.5) as pbx,
        # A busy machine may pause within the first snapshot.
        new_client(pbx, ping_interval=0.15, ping_timeout=0.15, quiet_time=0.5) as client,
    ):
        # The simulated day removes no element of these kinds.
        kinds = ("domain", "user", "group", "group_member", "terminal")

        def check_mirror(_):
            # All kinds are present, or before the first snapshot none.
            present = {kind for kind in kinds if client.mirror[kind]}
            if present != (set(kinds) if was_synced else set()):
                incomplete.append((client.state, present))

        def note_synced(state):
            nonlocal was_synced
            was_synced = was_synced or isinstance(state, Synced)

        async def apply_slowly(change):
            await asyncio.sleep(0.002)
            apply_change(slow_copy, change)

        was_synced = False
        errors = []
        client.on_state(note_synced)
        client.on_state(check_mirror)
        client.on_change(check_mirror)
        client.on_change(functools.partial(apply_change, copy))
        client.on_change(apply_slowly, size=4)
        client.on_error(errors.append)
        await client.synced(TIMEOUT)
        for _ in range(rng.randint(3, 8)):
            pbx.inject(random_fault(rng))
            await asyncio.sleep(rng.choice([0, 0.01, 0.1]))
        pbx.disarm_faults()

        def has_converged():
            mirror = client.mirror
            state = {(kind, key): one for kind in mirror for key, one in mirror[kind].items()}
            return copy == slow_copy == state and is_current(client, pbx)

        # The simulated day stops, so that the slow subscriber can catch up on any machine.
        pbx.speed = 1e-6
        await eventually(has_converged, 2 * TIMEOUT)
        assert incomplete == []
        assert not [error for error in errors if isinstance(error, AssertionError | KeyError)]
        return client.stats.gaps


def client_tasks():
    """Return the running tasks that clients have started."""
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("basix_ws_cti")]
