"""Fan-out against a plain loop of redis-py: events per second, latency, CPU and memory.

    python tests/benchmarks/fanout.py [events] [followers …]

It starts a Redis server, and prints a table. All figures are of one run on one machine: compare
them with each other, not with those of another machine.
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from redis.asyncio import Redis
from support.redis_server import RedisServer

from basix_ws_cti import Client
from basix_ws_cti.fanout.follower import Follower
from basix_ws_cti.fanout.publisher import Publisher
from basix_ws_cti.simulator import Simulator

LATENCY_RATE = 1000  # events per second
LATENCY_SECONDS = 5
SETTLE_SECONDS = 1  # without an event


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def plain_loop(port, events):
    """Append and read entries of the same size one by one, as a first attempt would."""
    data = json.dumps({"kind": "user", "element": {"id": 1, "text": "x" * 400}})
    async with Redis(port=port, protocol=2) as writer, Redis(port=port, protocol=2) as reader:
        began, used = time.monotonic(), cpu()

        async def read():
            last, count = "0-0", 0
            while count < events:
                for _, entries in await reader.xread({"plain": last}, count=100, block=1000):
                    for last, fields in entries:
                        json.loads(fields[b"data"])
                        count += 1

        reading = asyncio.create_task(read())
        for _ in range(events):
            await writer.xadd("plain", {"data": data}, maxlen=50_000)
        await reading
        return events / (time.monotonic() - began), (cpu() - used) / events * 1e6


async def client_alone(pbx, events):
    """Return events per second and CPU per event of a client without Redis."""
    async with Client(**{**pbx.connect_args, "app_name": "alone"}, full_events=True) as client:
        await client.synced()
        counted = Counter(client)
        began, used = time.monotonic(), cpu()
        pbx.flood(events)
        seconds = await counted.settles() - began
        return counted.count / seconds, (cpu() - used) / counted.count * 1e6


class Counter:
    """Number of changes that a client or follower has reported; ``delays`` of marked users."""

    def __init__(self, feed):
        self.count = 0
        self.delays = []
        feed.on_change(self._note)

    def _note(self, change):
        self.count += 1
        label = getattr(change.element, "label", None) or ""
        if label.startswith("sent "):
            self.delays.append(time.time() - float(label[5:]))

    async def settles(self):
        """Wait until nothing more arrives: a flood may contain changes without an effect."""
        last, since = 0, time.monotonic()
        while not last or time.monotonic() - since < SETTLE_SECONDS:
            if self.count != last:
                last, since = self.count, time.monotonic()
            await asyncio.sleep(0.01)
        return since


async def measure(followers, events):
    """Return the figures of a publisher and a number of followers in this process."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(folder)
        server.start()
        try:
            return await measure_with(server, followers, events)
        finally:
            server.close()


async def measure_with(server, followers, events):
    async with Simulator(calls=False, speed=0.001, users=200) as pbx:
        publisher = Publisher(server.url, lambda: Client(**pbx.connect_args, full_events=True))
        task = asyncio.create_task(publisher.run())
        readers = [Follower(server.url) for _ in range(followers)]
        counters = [Counter(reader) for reader in readers]
        for reader in readers:
            await reader.__aenter__()
        for reader in readers:
            await reader.synced()
        began, used = time.monotonic(), cpu()
        pbx.flood(events)
        seconds = max(await asyncio.gather(*(one.settles() for one in counters))) - began
        spent = cpu() - used
        rate = counters[0].count / seconds
        per_event = spent / counters[0].count * 1e6
        end = time.monotonic() + LATENCY_SECONDS
        number = 0
        while time.monotonic() < end:
            for _ in range(LATENCY_RATE // 100):
                number += 1
                pbx.edit(str(1001 + number % 200), label=f"sent {time.time()}")
            await asyncio.sleep(0.01)
        await asyncio.gather(*(one.settles() for one in counters))
        for reader in readers:
            await reader.__aexit__(None, None, None)
        task.cancel()
        await asyncio.wait([task])
        delays = sorted(delay for one in counters for delay in one.delays)
        return rate, per_event, delays


async def main():
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    numbers = [int(one) for one in sys.argv[2:]] or [1, 20]
    print(f"{datetime.now(UTC):%Y-%m-%d}, {events} events")
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(folder)
        server.start()
        plain, plain_cpu = await plain_loop(server.port, events)
        server.close()
    print(f"plain loop: {plain:.0f} events/s, {plain_cpu:.0f} us CPU per event")
    async with Simulator(calls=False, speed=0.001, users=200) as pbx:
        rate, used = await client_alone(pbx, events)
    print(f"simulator and client alone: {rate:.0f} events/s, {used:.0f} us CPU per event")
    for number in numbers:
        rate, used, delays = await measure(number, events)
        cuts = statistics.quantiles(delays, n=100)
        print(
            f"{number} followers: {rate:.0f} events/s ({rate / plain:.2f} of the plain loop), "
            f"{used:.0f} us CPU per event; at {LATENCY_RATE} events/s: "
            f"p50 {cuts[49] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms, "
            f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB"
        )


if __name__ == "__main__":
    asyncio.run(main())
