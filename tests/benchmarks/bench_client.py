"""Messages per second through ``Client``, against a bare WebSocket that reads the same frames.

Run it as ``python tests/benchmarks/bench_client.py``. A server in a process of its own sends
the benchmark's frames; rounds of both readers alternate, and what counts is their ratio.
Then: what a mirror of 10,000 users and 1,000 channels weighs, against the same as plain dicts,
each read from the same frames in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import re
import statistics
import subprocess
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

from bench_parse import SPECS, read_frames
from websockets.asyncio.client import connect as websocket_connect
from websockets.asyncio.server import ServerConnection, serve

from basix_ws_cti import Client, InitialInfo, MessageParser, Mirror, to_dict
from basix_ws_cti.simulator import Pbx
from basix_ws_cti.simulator.scenarios import CALLERS, company
from basix_ws_cti.simulator.wire import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from basix_ws_cti.messages import Message


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


def snapshot_frames() -> tuple[list[bytes], list[bytes]]:
    """The field_specs of users and channels, and the initial_infos with them all."""
    pbx, writer = Pbx(), Writer()
    company(pbx, 10_000)
    for user in list(pbx.users.values())[:500]:
        pbx.connect(pbx.call_user(pbx.receive(CALLERS[0], "0501234567"), user))
    snapshot = pbx.snapshot()
    specs, infos = [], []
    for kind in ("user", "channel"):
        specs.append(writer.field_spec(kind))
        records = [writer.record(kind, one) for one in snapshot[kind].values()]
        infos.append(writer.initial_info(kind, records))
    return specs, infos


def as_mirror(messages: Iterable[Message]) -> Mirror:
    """What is read, in a mirror."""
    mirror = Mirror()
    for message in messages:
        mirror.apply(message)
    return mirror


def as_dicts(messages: Iterable[Message]) -> dict[str, dict[Any, dict[str, Any]]]:
    """What is read, in plain dicts, and nothing else of it."""
    return {
        message.element_name: {key: to_dict(one) for key, one in message.elements.items()}
        for message in messages
        if isinstance(message, InitialInfo)
    }


def weigh(hold: Callable[[Iterable[Message]], Any]) -> int:
    """Bytes of what ``hold`` makes of the frames, when all else is gone."""
    specs, infos = snapshot_frames()
    parser = MessageParser()
    for frame in specs:
        parser.parse(frame)
    gc.collect()
    tracemalloc.start()
    held = hold(parser.parse(frame) for frame in infos)
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    if (len(held["user"]), len(held["channel"])) != (10_000, 1_000):
        raise AssertionError("the world is not of the size that is spoken of")
    return size


def compare_memory() -> None:
    """Each in a process of its own: neither shares a text with the other."""
    sizes = {}
    for what in HOLDERS:
        command = [sys.executable, __file__, "--weigh", what]
        sizes[what] = int(subprocess.run(command, check=True, capture_output=True).stdout)
    mirror, dicts = sizes["mirror"], sizes["dicts"]
    print(
        f"10,000 users and 1,000 channels: a mirror {mirror / 2**20:.1f} MiB, "
        f"plain dicts {dicts / 2**20:.1f} MiB, ratio {mirror / dicts:.2f}"
    )


HOLDERS = {"mirror": as_mirror, "dicts": as_dicts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--send", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--weigh", choices=HOLDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        asyncio.run(send_frames(options.send))
    elif options.weigh:
        print(weigh(HOLDERS[options.weigh]))
    else:
        asyncio.run(compare(options.events, options.rounds))
        compare_memory()


if __name__ == "__main__":
    main()
