"""``Client`` over a loopback socket: how much it takes, and how long it holds the event loop.

The client has its mirror, one subscriber to every change, and follows calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import workload
from attrs import define, frozen
from measure import Row, Size, take_turns
from server import SINGLY, serving
from websockets.asyncio.client import connect

from basix_ws_cti import Client, MessageParser, Mirror
from basix_ws_cti.calls import CallTracker
from basix_ws_cti.simulator.wire import Writer

END = Writer().msg("end")

# Seconds that everything may take before it counts as hanging.
PATIENCE = 300


@frozen
class Taken:
    """What a round took, in seconds."""

    wall: float
    cpu: float


@define
class Steps:
    """Milliseconds of the longest step of an event loop, and of the longest collection in one.

    CPU time: that others have the machine meanwhile is not counted.
    """

    own: float = 0.0
    collecting: float = 0.0


async def read_bare(port: int, name: str) -> None:
    """A receive loop of the WebSocket library, and nothing else."""
    url = f"ws://127.0.0.1:{port}/?app_name={name}"
    async with (
        asyncio.timeout(PATIENCE),
        connect(url, compression=None, max_size=None, proxy=None) as websocket,
    ):
        while await websocket.recv() != END:
            pass


async def read_by_hand(port: int, name: str) -> None:
    """A receive loop that parses, keeps a mirror and follows calls, and has no ``Client``."""
    parser, mirror, tracker = MessageParser(), Mirror(), CallTracker()
    url = f"ws://127.0.0.1:{port}/?app_name={name}"
    async with (
        asyncio.timeout(PATIENCE),
        connect(url, compression=None, max_size=None, proxy=None) as websocket,
    ):
        while (frame := await websocket.recv()) != END:
            tracker.apply(mirror.apply(parser.parse(frame)))
    assert mirror.channels


async def read_with_client(port: int, name: str) -> None:
    """A client with its mirror, one subscriber, and calls."""
    seen = 0
    ended = asyncio.Event()
    async with (
        asyncio.timeout(PATIENCE),
        Client(f"ws://127.0.0.1:{port}", app_name=name) as client,
    ):
        client.on_msg(lambda _: ended.set())
        calls = client.calls

        async def subscribe() -> None:
            nonlocal seen
            async for _ in client.changes():
                seen += 1

        task = asyncio.create_task(subscribe())
        await ended.wait()
        await client.synced()
    await task
    assert len(calls) <= seen > 0


def timed(
    reader: Callable[[int, str], Coroutine[Any, Any, None]], port: int, name: str
) -> Callable[[], Taken]:
    """A contestant: one connection, to the end of what comes."""

    def measure() -> Taken:
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        asyncio.run(reader(port, name))
        return Taken(time.perf_counter() - wall, time.process_time() - cpu)

    return measure


def flood(events: int, number: int) -> dict[str, list[bytes]]:
    """So many events twice: the benchmark's over and over, and a day's that come but once."""
    bench, day = workload.bench(), workload.day(events, seed=number + 1)
    again = itertools.islice(workload.ever_new(bench.events), events)
    return {"bench": [*bench.opening, *again, END], "day": [*day.opening, *day.events, END]}


def socket(size: Size, number: int) -> list[Row]:
    """Messages that ``Client`` takes in a second, in multiples of a bare receive loop's."""
    rows = []
    programmes = flood(size.flood, number)
    programmes["day" + SINGLY] = programmes["day"]
    with serving(programmes) as port:
        for name, frames in programmes.items():
            measured = take_turns(
                {
                    "bare loop": timed(read_bare, port, name),
                    "by hand": timed(read_by_hand, port, name),
                    "Client": timed(read_with_client, port, name),
                },
                size.floods,
            )
            for unit, place in (("msg/s", "wall"), ("msg/CPU s", "cpu")):
                for who, rounds in measured.items():
                    rates = [len(frames) / getattr(one, place) for one in rounds]
                    bare = [len(frames) / getattr(one, place) for one in measured["bare loop"]]
                    rows.append(
                        Row(
                            group="socket",
                            name=f"{name}: {who}, {unit}",
                            unit=unit,
                            values=rates,
                            figures=[a / b for a, b in zip(rates, bare, strict=True)],
                            base="bare loop",
                            cpu=sum(one.cpu for one in rounds),
                            more_is_better=True,
                        )
                    )
    return rows


@contextlib.contextmanager
def watched_loop() -> Iterator[Steps]:
    """Each step of any event loop is timed, what the collector takes of it apart."""
    steps = Steps()
    collecting = started = 0.0

    def collect(phase: str, _: object) -> None:
        nonlocal collecting, started
        if phase == "start":
            started = time.thread_time()
        else:
            collecting += time.thread_time() - started

    run = asyncio.Handle._run

    def timed_run(handle: asyncio.Handle) -> None:
        nonlocal collecting
        collecting = 0.0
        start = time.thread_time()
        run(handle)
        own = time.thread_time() - start - collecting
        steps.own = max(steps.own, own * 1e3)
        steps.collecting = max(steps.collecting, collecting * 1e3)

    gc.callbacks.append(collect)
    asyncio.Handle._run = timed_run
    try:
        yield steps
    finally:
        asyncio.Handle._run = run
        gc.callbacks.remove(collect)


def hold(size: Size, number: int) -> list[Row]:
    """How long the client holds its event loop at most: in a flood, and for a large picture."""
    users = size.users[-1]
    programmes = {**flood(size.flood, number), "users": [*workload.company(users), END]}
    titles = {
        "bench": "flood of the benchmark's events",
        "day": "flood of a day's events",
        "users": f"initial_info of {users:,} users",
    }
    with serving(programmes) as port:

        def steps_of(name: str) -> Callable[[], Steps]:
            def measure() -> Steps:
                gc.collect()
                with watched_loop() as steps:
                    asyncio.run(read_with_client(port, name))
                return steps

            return measure

        measured = take_turns({name: steps_of(name) for name in titles}, size.floods)
    return [
        held(f"{titles[name]}: {what}", [getattr(one, place) for one in rounds])
        for name, rounds in measured.items()
        for what, place in (("longest step", "own"), ("longest collection", "collecting"))
    ]


def held(name: str, values: Sequence[float]) -> Row:
    """A row of milliseconds that stand for themselves."""
    return Row(group="hold", name=name, unit="ms", values=values, figures=values)
