"""Publishers as processes, compared with a plain loop that appends each frame with redis-py.

The plain loop receives frames and calls XADD for each one; it has no mirror, no calls, no standby
and no checks.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import tempfile
import time

import redis.asyncio
import websockets
import workload
from server import PAUSE, serving
from support.process_memory import peak_memory
from support.redis_server import RedisServer

from basix_ws_cti import Client, connect
from basix_ws_cti.fanout import AnonymisingConnector, Publisher
from basix_ws_cti.simulator.frame_writer import Writer

END = Writer().msg("end")


def report(results, events, started, cpu):
    results.put(
        {
            "seconds": time.perf_counter() - started,
            "cpu": (time.process_time() - cpu) / events,
            "megabytes": peak_memory(),
        }
    )


def plain_loop(redis_port, pbx_port, events, results):
    async def run():
        client = redis.asyncio.Redis(port=redis_port, protocol=2)
        url = f"ws://127.0.0.1:{pbx_port}/?app_name=publisher"
        async with websockets.connect(url, compression=None, max_size=None, proxy=None) as socket:
            started = None
            while (frame := await socket.recv()) != END:
                await client.xadd("plain", {"data": frame}, maxlen=50_000, approximate=True)
                if started is None and b"info_event" in frame[:20]:
                    started, cpu = time.perf_counter(), time.process_time()
            report(results, events, started, cpu)
        await client.aclose()

    asyncio.run(run())


def publisher(redis_port, pbx_port, events, results, connector=connect):
    async def run():
        began, ended = [], asyncio.Event()

        def make_client():
            client = Client(f"ws://127.0.0.1:{pbx_port}", app_name="publisher", connector=connector)
            client.on_info_event(
                lambda *_: began or began.extend((time.perf_counter(), time.process_time()))
            )
            client.on_msg(lambda _: ended.set())
            return client

        one = Publisher(f"redis://127.0.0.1:{redis_port}", make_client)
        task = asyncio.create_task(one.run())
        await ended.wait()
        while one.pending:
            await asyncio.sleep(0.001)
        report(results, events, *began)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(run())


def anonymising(*arguments):
    publisher(*arguments, connector=AnonymisingConnector(b"0123456789abcdef"))


def measure(target, events):
    """Return the report of one publisher of so many events, which come as fast as it reads."""
    session = workload.bench()
    frames = [*itertools.islice(workload.ever_new(session.events), events)]
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        serving({"publisher": [*session.opening, PAUSE, PAUSE, *frames, END]}) as pbx_port,
        RedisServer(folder) as server,
    ):
        results = context.Queue()
        process = context.Process(target=target, args=(server.port, pbx_port, events, results))
        process.start()
        found = results.get(timeout=300)
        process.join()
    return found


def print_table(events):
    print(f"{'publisher':12} events/s  CPU µs/event   ratio    MB  ratio")
    base = None
    for target in (plain_loop, publisher, anonymising):
        found = measure(target, events)
        base = base or found
        print(
            f"{target.__name__:12} {events / found['seconds']:8,.0f}  {found['cpu'] * 1e6:12.0f}"
            f"  {found['cpu'] / base['cpu']:6.1f}  {found['megabytes']:4.0f}"
            f"  {found['megabytes'] / base['megabytes']:5.1f}"
        )
