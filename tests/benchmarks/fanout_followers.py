"""Followers of a stream, compared with a plain redis-py loop that parses the JSON of each entry.

    PYTHONPATH=src:tests python tests/benchmarks/fanout_followers.py

Readers are processes. The plain loop calls XREAD and ``json.loads``; it has no mirror, no call
events and no checks. The script prints for both: entries per second, CPU time per entry and memory
while entries are appended as fast as possible, with a short and a long stream, and latencies from
the append to the reader at 1,000 entries per second, with 1, 5 and 20 readers, and at 100 with 20
readers, for which two processors are enough. A table of publishers precedes it.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time

import attrs
import fanout_publishers
from redis import Redis
from support.process_memory import peak_memory
from support.redis_server import RedisServer
from support.stream_source import StreamSource

from basix_ws_cti.elements import Channel
from basix_ws_cti.fanout import Follower
from basix_ws_cti.fanout.entry_encoder import encode
from basix_ws_cti.fanout.stream import EntryId
from basix_ws_cti.mirror.changes import Changed
from basix_ws_cti.states import Ringing

ENTRIES = 10_000
RATE = 1000  # entries per second
LEGS = [
    Channel(
        uuid=f"00000000-0000-4000-8000-{number:012}",
        direction="inbound",
        peer_location="external",
        calling_name="山田 太郎",
        calling_number="0312341234",
        called_number="0501234567",
        offer_timestamp=1_700_000_000_000_000,
        last_event="CHANNEL_PROGRESS",
        call_id=f"{number:016x}@192.0.2.1",
    )
    for number in range(100)
]


class Meter:
    """Latencies and resources of one reader, from its first entry to its last."""

    def __init__(self, count):
        self._count = count
        self.latencies = []

    def note(self, sent_at):
        if not self.latencies:
            self._started, self._cpu = time.perf_counter(), time.process_time()
        self.latencies.append(time.time() - sent_at / 1e6)
        return len(self.latencies) >= self._count

    def report(self, results):
        results.put(
            {
                "seconds": time.perf_counter() - self._started,
                "cpu": time.process_time() - self._cpu,
                "megabytes": peak_memory(),
                "latencies": self.latencies,
            }
        )


def plain_loop(port, count, ready, results):
    redis, meter = Redis(port=port, protocol=2), Meter(count)
    last = redis.xrevrange("basix", count=1)[0][0]
    ready.put(None)
    while True:
        for _, page in redis.xread({"basix": last}, count=64, block=1000):
            for entry_id, fields in page:
                last = entry_id
                data = json.loads(fields[b"data"])
                if meter.note(data["element"]["state"]["ts"]):
                    meter.report(results)
                    return


def follower(port, count, ready, results):
    async def run():
        meter, done = Meter(count), asyncio.Event()

        def on_info_event(_kind, element, _event):
            if meter.note(element.state.ts):
                done.set()

        async with Follower(f"redis://127.0.0.1:{port}") as feed:
            feed.on_info_event(on_info_event)
            _ = feed.calls  # follow calls, as a wallboard does
            await feed.synced()
            ready.put(None)
            await done.wait()
        meter.report(results)

    asyncio.run(run())


def append(source, client, count, rate):
    """Append changes; ``rate`` per second, or as fast as possible for ``None``."""
    started, batch = time.perf_counter(), 1 if rate else 200
    for first in range(0, count, batch):
        if rate:
            time.sleep(max(0.0, started + first / rate - time.perf_counter()))
        pipeline = client.pipeline(transaction=False)
        for number in range(first, first + batch):
            now = time.time_ns() // 1000
            leg = attrs.evolve(LEGS[number % len(LEGS)], state=Ringing(ts=now))
            entry = encode(Changed("channel", leg, LEGS[0]))
            entry_id = EntryId(source.last.epoch, source.last.seq + 1)
            given = entry.fields(at=now, previous=source.last, snapshot=source.snapshot)
            pipeline.xadd("basix", given, id=entry_id.encode())
            source.last = entry_id
        pipeline.execute()


def measure(reader, readers, count, rate, length=0):
    """Return the reports of the readers of one stream; ``length``: entries that it has before."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, RedisServer(folder) as server:
        source = StreamSource(server.client)
        source.begin()
        append(source, server.client, length, None)
        source.append_snapshot()
        ready, results = context.Queue(), context.Queue()
        arguments = (server.port, count, ready, results)
        processes = [context.Process(target=reader, args=arguments) for _ in range(readers)]
        for process in processes:
            process.start()
        for _ in processes:
            ready.get(timeout=120)
        append(source, server.client, count, rate)
        reports = [results.get(timeout=300) for _ in processes]
        for process in processes:
            process.join()
    return reports


def summary(reports, count):
    """Return the figures of a row: means, and the latencies of all readers together."""
    latencies = [one * 1000 for report in reports for one in report["latencies"]]
    cuts = statistics.quantiles(latencies, n=100)
    return {
        "cpu": statistics.mean(report["cpu"] for report in reports) / count * 1e6,
        "megabytes": max(report["megabytes"] for report in reports),
        "p50": cuts[49],
        "p99": cuts[98],
        "rate": count / statistics.mean(report["seconds"] for report in reports),
    }


def print_table(cases):
    print(
        f"{'reader':12} readers  length  entries/s  CPU µs/entry  ratio   MB  ratio"
        "  p50 ms  ratio  p99 ms  ratio"
    )
    for readers, count, rate, length in cases:
        plain = None
        for reader in (plain_loop, follower):
            found = summary(measure(reader, readers, count, rate, length), count)
            plain = plain or found
            ratio = {name: value / plain[name] for name, value in found.items()}
            print(
                f"{reader.__name__:12} {readers:7} {length:7,} {found['rate']:10,.0f}"
                f"  {found['cpu']:12.0f}  {ratio['cpu']:5.1f}"
                f"  {found['megabytes']:3.0f}  {ratio['megabytes']:5.1f}"
                f"  {found['p50']:6.1f}  {ratio['p50']:5.1f}"
                f"  {found['p99']:6.1f}  {ratio['p99']:5.1f}",
                flush=True,
            )


def main(scale=1):
    """Print the tables; ``scale``: share of the sizes, for a quick trial."""
    fanout_publishers.print_table(round(ENTRIES * scale))
    print()
    count, timed, many = round(ENTRIES * scale), round(5 * RATE * scale), 20 if scale == 1 else 5
    print_table(
        [
            (1, count, None, 0),
            (1, count, None, round(50_000 * scale)),
            *((readers, timed, RATE, 0) for readers in (1, 5, many)),
            (many, timed // 10, RATE // 10, 0),
        ]
    )


if __name__ == "__main__":
    main(0.02 if "--quick" in sys.argv else 1)
