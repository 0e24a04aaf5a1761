"""Messages per second through ``Client``, against a bare WebSocket that reads the same frames.

Run it as ``python tests/benchmarks/bench_client.py``. A server in a process of its own sends
the benchmark's frames; rounds of both readers alternate, and what counts is their ratio.
Then: what a mirror of 10,000 users and 1,000 channels weighs, against the same as plain dicts.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import statistics
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

from bench_parse import SPECS, read_frames
from websockets.asyncio.client import connect as websocket_connect
from websockets.asyncio.server import ServerConnection, serve

from basix_ws_cti import Client, MessageParser, Mirror, to_dict
from basix_ws_cti.simulator import Pbx
from basix_ws_cti.simulator.scenarios import CALLERS, company
from basix_ws_cti.simulator.wire import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def ever_new(frames: list[bytes]) -> Iterator[bytes]:
    """The same events over and over, each time round with other timestamps.

    Or all but the first round would tell a mirror nothing new. A timestamp is an integer of
    seven bytes, the lowest first.
    """
    for number in itertools.count():
        stamp = bytes([number % 256])
        for frame in frames:
            yield re.sub(
                rb"n\x07\0.", lambda found, s=stamp: found[0][:3] + s, frame, flags=re.DOTALL
            )


async def send_frames(events: int) -> None:
    """Serve one reader after another the same frames, until stdin ends."""
    frames = read_frames()
    later = [frame for _, frame in zip(range(events), ever_new(frames[SPECS:]), strict=False)]
    end = Writer().msg("end")

    async def handle(client: ServerConnection) -> None:
        for frame in frames[:SPECS]:
            await client.send(frame)
        for frame in later:
            await client.send(frame)
        await client.send(end)
        await client.wait_closed()

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def read_bare(port: int) -> None:
    """A receive loop, and nothing else."""
    end = Writer().msg("end")
    url = f"ws://127.0.0.1:{port}/"
    async with websocket_connect(url, compression=None, max_size=None, proxy=None) as websocket:
        while await websocket.recv() != end:
            pass


async def read_with_client(port: int) -> None:
    """A client with its mirror, and one subscriber to every change."""
    seen = 0
    ended = asyncio.Event()
    async with Client(f"ws://127.0.0.1:{port}", app_name="bench") as client:
        client.on_msg(lambda _: ended.set())

        async def subscribe() -> None:
            nonlocal seen
            async for _ in client.changes():
                seen += 1

        task = asyncio.create_task(subscribe())
        await ended.wait()
    await task
    if not seen:
        raise AssertionError("no change was seen")


def timed(reader: Callable[[int], Any], port: int) -> tuple[float, float]:
    """Seconds on the wall, and CPU seconds of this process, for one round."""
    wall, cpu = time.perf_counter(), time.process_time()
    asyncio.run(reader(port))
    return time.perf_counter() - wall, time.process_time() - cpu


async def compare(events: int, rounds: int) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--send", str(events)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdout is None or process.stdin is None:
        raise AssertionError("the server has pipes")
    port = int(await process.stdout.readline())
    bare, client = [], []
    for _ in range(rounds):
        bare.append(await asyncio.to_thread(timed, read_bare, port))
        client.append(await asyncio.to_thread(timed, read_with_client, port))
    process.stdin.close()
    await process.wait()
    for place, what in enumerate(("messages per second", "messages per CPU second")):
        one = [round_[place] for round_ in bare]
        other = [round_[place] for round_ in client]
        ratios = [a / b for a, b in zip(one, other, strict=True)]
        print(
            f"{what}: bare {events / statistics.median(one):,.0f}, "
            f"Client {events / statistics.median(other):,.0f}, "
            f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def weigh() -> None:
    """Bytes of a mirror, and of the same as plain dicts."""
    pbx, writer, parser = Pbx(), Writer(), MessageParser()
    company(pbx, 10_000)
    for user in list(pbx.users.values())[:500]:
        pbx.connect(pbx.call_user(pbx.receive(CALLERS[0], "0501234567"), user))
    snapshot = pbx.snapshot()
    frames = []
    for kind in ("user", "channel"):
        parser.parse(writer.field_spec(kind))
        records = [writer.record(kind, one) for one in snapshot[kind].values()]
        frames.append(writer.initial_info(kind, records))
    tracemalloc.start()
    mirror = Mirror()
    for frame in frames:
        mirror.apply(parser.parse(frame))
    elements = tracemalloc.get_traced_memory()[0]
    plain = {kind: {key: to_dict(one) for key, one in mirror[kind].items()} for kind in mirror}
    dicts = tracemalloc.get_traced_memory()[0] - elements
    tracemalloc.stop()
    print(
        f"a mirror of {len(plain['user'])} users and {len(plain['channel'])} channels: "
        f"{elements / 2**20:.1f} MiB; the dicts of to_dict beside it: {dicts / 2**20:.1f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--send", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        asyncio.run(send_frames(options.send))
        return
    asyncio.run(compare(options.events, options.rounds))
    weigh()


if __name__ == "__main__":
    main()
