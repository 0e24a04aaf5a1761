"""Benchmark of the simulator: events per second, and time to build its PBX.

Run it as ``python tests/benchmarks/bench_simulator.py``. The clients are bare WebSockets in a
separate process, which discard the frames. Only the simulator's process is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time

from websockets.asyncio.client import connect

from basix_ws_cti import feed_url
from basix_ws_cti.simulator import Pbx, Simulator, faults
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.scenarios import CALLERS, populate
from basix_ws_cti.simulator.session_frames import initial_frames

READY, DONE = b"ready\n", b"done\n"


async def read_all(urls: list[str], last: bytes) -> None:
    """Run a client per URL until the last frame; report the progress on stdout."""

    async def client(url: str) -> None:
        async with connect(url, compression=None, max_size=None, proxy=None) as websocket:
            while await websocket.recv() != first:
                pass
            ready.release()
            while await websocket.recv() != last:
                pass

    first = Writer().msg("first")
    ready = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        for url in urls:
            group.create_task(client(url))
        # The simulator sends "first" when all clients are connected.
        for _ in urls:
            await ready.acquire()
        sys.stdout.buffer.write(READY)
        sys.stdout.buffer.flush()
    sys.stdout.buffer.write(DONE)
    sys.stdout.buffer.flush()


def snapshot_frames(pbx: Pbx) -> list[bytes]:
    """Return the initial frames of the first client."""
    writer = Writer()
    records = {
        kind: [writer.record(kind, state) for state in elements.values()]
        for kind, elements in pbx.snapshot().items()
    }
    return initial_frames(writer, records)


async def send_all(clients: int, events: int) -> tuple[float, float]:
    """Return the wall and CPU seconds for sending ``events`` to each of the clients."""
    async with Simulator(calls=False, users=50, max_connections=clients) as pbx:
        url = feed_url(**pbx.connect_args)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, "--read", str(clients), url), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        while len(pbx.connections) < clients:
            await asyncio.sleep(0.01)
        pbx.msg("first")
        assert await process.stdout.readline() == READY
        wall, cpu = time.perf_counter(), time.process_time()
        seen = itertools.count(1)
        all_sent = asyncio.Event()
        pbx.pbx.listeners.append(lambda *_: next(seen) == events and all_sent.set())
        pbx.inject(faults.Flood(events))
        await all_sent.wait()
        pbx.msg("last")
        assert await process.stdout.readline() == DONE
        figures = time.perf_counter() - wall, time.process_time() - cpu
        await process.wait()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        clients, url = options.read
        asyncio.run(read_all([url] * int(clients), Writer().msg("last")))
        return

    start = time.process_time()
    pbx = Pbx()
    populate(pbx, 10_000)
    for user in list(pbx.users.values())[:500]:
        line = pbx.receive(CALLERS[0], "0501234567")
        pbx.connect(pbx.call_user(line, user))
    print(
        f"PBX with {len(pbx.users)} users and {len(pbx.channels)} live channels: "
        f"{time.process_time() - start:.2f} CPU s"
    )
    start = time.process_time()
    frames = snapshot_frames(pbx)
    print(
        f"snapshot of {sum(map(len, frames)) / 1e6:.1f} MB: {time.process_time() - start:.2f} CPU s"
    )
    for clients in (1, 50):
        events = options.events if clients == 1 else options.events // 10
        wall, cpu = asyncio.run(send_all(clients, events))
        print(
            f"{events} events to {clients} clients: {events * clients / wall:,.0f} frames/s "
            f"({events / wall:,.0f} events/s), {wall:.2f} s, {cpu:.2f} CPU s"
        )


if __name__ == "__main__":
    main()
