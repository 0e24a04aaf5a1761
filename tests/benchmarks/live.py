"""Clients on a loopback socket: cost per message, and how long they block the event loop."""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any
from unittest.mock import patch

import websockets
import workload
from attrs import define
from measure import Row, Size, cpu_since, rows, take_turns
from server import PAUSE, PAUSE_SECONDS, serving

from basix_ws_cti import Client, MessageParser, Mirror, Msg, connect
from basix_ws_cti.calls import CallTracker
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.transport.frame_reader import FeedSocket

END = Writer().msg("end")

# Seconds after which a reader counts as hanging.
TIMEOUT = 300


def bare(port: int, name: str, **options: Any) -> websockets.connect:
    """Return a connection of the WebSocket library, without this package."""
    url = f"ws://127.0.0.1:{port}/?app_name={name}"
    return websockets.connect(url, compression=None, max_size=None, proxy=None, **options)


async def read_bare(port: int, name: str) -> None:
    """Receive frames and discard them."""
    async with bare(port, name) as websocket:
        while await websocket.recv() != END:
            pass


async def read_frames(port: int, name: str) -> None:
    """Receive frames through the package's ``FeedSocket`` and discard them."""
    socket: Any = functools.partial(FeedSocket, max_size=None)
    async with bare(port, name, create_connection=socket) as websocket:
        while await websocket.receive() != END:
            pass


async def read_by_hand(port: int, name: str) -> None:
    """Parse frames, and keep a mirror and a call tracker, without ``Client``."""
    parser, mirror, tracker = MessageParser(), Mirror(), CallTracker()
    async with bare(port, name) as websocket:
        while (frame := await websocket.recv()) != END:
            tracker.apply(mirror.apply(parser.parse(frame)))


async def read_messages(port: int, name: str) -> None:
    """Receive messages with ``connect`` and discard them."""
    async with connect(f"ws://127.0.0.1:{port}", app_name=name) as cti:
        async for message in cti:
            if type(message) is Msg:
                return


async def read_with_client(
    port: int, name: str, *, subscriber: bool = False, calls: bool = False
) -> tuple[int, int]:
    """Run a client, optionally with a subscriber and calls; return their numbers."""
    seen = 0
    ended = asyncio.Event()

    async def subscribe() -> None:
        nonlocal seen
        async for _ in client.changes():
            seen += 1

    async with Client(f"ws://127.0.0.1:{port}", app_name=name) as client:
        client.on_msg(lambda _: ended.set())
        followed = client.calls if calls else ()
        task = asyncio.create_task(subscribe()) if subscriber else None
        await ended.wait()
        await client.synced()
    if task is not None:
        await task
    return seen, len(followed)


READERS: dict[str, Callable[[int, str], Coroutine[Any, Any, object]]] = {
    "bare loop": read_bare,
    "our socket": read_frames,
    "by hand": read_by_hand,
    "connect": read_messages,
    "Client": read_with_client,
    "Client, subscriber": functools.partial(read_with_client, subscriber=True),
    "Client, subscriber, calls": functools.partial(read_with_client, subscriber=True, calls=True),
}


def run(reader: Coroutine[Any, Any, object], timeout: float = TIMEOUT) -> object:
    """Run a reader to its end."""
    gc.collect()
    return asyncio.run(asyncio.wait_for(reader, timeout))


def flood(events: int, number: int) -> dict[str, list[bytes]]:
    """Return the repeated events of the benchmark, and different events of a simulated day.

    The events come when a client is synced: those of its quiet time take another path.
    """
    bench, day = workload.bench(), workload.day(events, seed=number + 1)
    again = itertools.islice(workload.ever_new(bench.events), events)
    return {
        "bench": [*bench.opening, PAUSE, *again, END],
        "day": [*day.opening, PAUSE, *day.events, END],
    }


def socket(size: Size, number: int) -> list[Row]:
    """A message over a socket, as a multiple of its cost in a bare receive loop."""
    table = []
    programmes = flood(size.flood, number)
    with serving(programmes) as port:
        for name, frames in programmes.items():

            def timed(reader: str, name: str = name) -> tuple[float, float]:
                wall, cpu = time.perf_counter(), time.process_time()
                run(READERS[reader](port, name))
                return time.perf_counter() - wall - PAUSE_SECONDS, cpu_since(cpu)

            measured = take_turns(
                {reader: functools.partial(timed, reader) for reader in READERS}, size.floods
            )
            for place, clock in enumerate(("wall", "CPU")):
                each = {
                    reader: [seconds[place] / len(frames) for seconds in rounds]
                    for reader, rounds in measured.items()
                }
                table += rows("socket", "bare loop", each, prefix=f"{name}, {clock}: ", unit="µs")
    return table


@define
class Held:
    """Longest times, in seconds, for which an event loop was blocked."""

    step: float = 0.0
    """Longest step, in CPU time of its thread, without garbage collections."""
    wait: float = 0.0
    """Longest delay of a task that sleeps for 1 ms, in wall time, without garbage collections."""
    collection: float = 0.0
    """Longest garbage collection, in CPU time of its thread; it stops all threads."""
    _began: tuple[float, float] = (0.0, 0.0)
    _collecting: float = 0.0  # CPU seconds of collections in this step
    _collected: float = 0.0  # seconds of all collections, on the clock

    def collect(self, phase: str, _: object) -> None:
        """Record the start or the end of a garbage collection."""
        if phase == "start":
            self._began = time.perf_counter(), time.thread_time()
            return
        wall, spent = self._began
        took = time.thread_time() - spent
        self._collected += time.perf_counter() - wall
        self.collection = max(self.collection, took)
        if threading.current_thread() is threading.main_thread():
            self._collecting += took

    def run(self, plain_run: Callable[[asyncio.Handle], None], handle: asyncio.Handle) -> None:
        """Run a step of the event loop and measure it."""
        self._collecting = 0.0
        begin = time.thread_time()
        plain_run(handle)
        self.step = max(self.step, time.thread_time() - begin - self._collecting)

    async def probe(self) -> None:
        """Sleep for 1 ms again and again, and measure the delay."""
        while True:
            begin, collected = time.perf_counter(), self._collected
            await asyncio.sleep(0.001)
            late = time.perf_counter() - begin - 0.001 - (self._collected - collected)
            self.wait = max(self.wait, late)

    async def watch(self, reader: Coroutine[Any, Any, object]) -> None:
        """Run a reader to its end, with the probe."""
        probing = asyncio.create_task(self.probe())
        await reader
        probing.cancel()


def watched(reader: Coroutine[Any, Any, object], timeout: float = TIMEOUT) -> Held:
    """Measure how long a reader blocks its event loop."""
    held = Held()
    plain_run = asyncio.Handle._run  # noqa: SLF001 - asyncio has no hook around a callback
    gc.callbacks.append(held.collect)
    try:
        with patch.object(asyncio.Handle, "_run", lambda handle: held.run(plain_run, handle)):
            run(held.watch(reader), timeout)
    finally:
        gc.callbacks.remove(held.collect)
    return held


def hold(size: Size, number: int) -> list[Row]:
    """Longest times for which ``Client``, with a subscriber and calls, blocks its event loop."""
    users = size.users[-1]
    programmes = {
        f"initial_info of {users:,} users": [*workload.company(users), END],
        "flood": flood(size.flood, number)["day"],
    }
    read = READERS["Client, subscriber, calls"]
    with serving(programmes) as port:
        measured = take_turns(
            {name: lambda n=name: watched(read(port, n)) for name in programmes}, size.floods
        )
    return [
        Row(
            group="hold",
            name=f"{name}: longest {what}",
            unit="ms",
            values=[getattr(held, what) * 1e3 for held in rounds],
        )
        for name, rounds in measured.items()
        for what in ("step", "wait", "collection")
    ]
