"""A Prometheus endpoint: how the queues do, and how the feed does.

    python examples/metrics.py --port 9100
    curl http://127.0.0.1:9100/metrics

Needs ``prometheus_client``. Which PBX: see feed.py.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import TYPE_CHECKING, Any

from feed import feed, run
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from basix_ws_cti import Client, QueueStats

if TYPE_CHECKING:
    from prometheus_client import Metric

    from basix_ws_cti import CallEvent

Rows = tuple[tuple[str, str, bool], ...]

# Of a group, in the last hour unless it says now: name, help, microseconds or not.
QUEUE: Rows = (
    ("waiting", "callers who wait now", False),
    ("longest_wait", "how long the first of them has waited", True),
    ("offered", "calls that left the queue", False),
    ("answered", "of them, those that were answered", False),
    ("abandoned", "of them, those whose caller gave up", False),
    ("average_answer", "how long the answered waited on average", True),
    ("maximum_answer", "how long the answered waited at most", True),
    ("service_level", "the share that was answered within 20 seconds, 0 to 1", False),
)
USER: Rows = (
    ("answered", "calls that the user answered", False),
    ("missed", "calls that the user missed", False),
    ("talked", "how long the user talked", True),
)
COUNTED = ("frames", "bytes", "reconnects", "gaps", "bad_frames", "missed")


def families(about: str, rows: Rows, figures: dict[tuple[str, str], Any]) -> list[Metric]:
    """A metric for each row, with a sample for each of ``figures``, by id and label."""
    metrics: list[Metric] = []
    for name, text, is_duration in rows:
        unit = "_seconds" if is_duration else ""
        family = GaugeMetricFamily(f"basix_{about}_{name}{unit}", text, labels=["id", "label"])
        for labels, those in figures.items():
            value = getattr(those, name)
            if value is not None:
                family.add_metric(labels, value / 1e6 if is_duration else value)
        metrics.append(family)
    return metrics


class Figures(Collector):
    """What is served: figured out when somebody asks."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._queues = QueueStats(window=3600, service_level=20)
        self._loop = asyncio.get_running_loop()
        self._ahead: int | None = None  # microseconds of the PBX's clock before ours
        client.on_call(self._take)

    def _take(self, event: CallEvent) -> None:
        self._queues.apply([event])
        ahead = (event.call.ended or event.call.phase.started) - our_clock()
        self._ahead = ahead if self._ahead is None else max(ahead, self._ahead)

    def collect(self) -> list[Metric]:
        # The web server has threads of its own, and the client lives in its event loop.
        return asyncio.run_coroutine_threadsafe(self.now(), self._loop).result(5)

    async def now(self) -> list[Metric]:
        mirror, stats = self._client.mirror, self._client.stats
        now = our_clock() + (self._ahead or 0)
        groups = {
            (str(key), group.label or ""): self._queues.group(key, now)
            for key, group in mirror.groups.items()
        }
        users = {
            (str(key), user.label or ""): self._queues.user(key, now)
            for key, user in mirror.users.items()
        }
        messages = CounterMetricFamily("basix_feed_messages", "by sort", labels=["sort"])
        for sort, count in stats.messages.items():
            messages.add_metric([sort], count)
        age = GaugeMetricFamily("basix_feed_last_frame_age_seconds", "since something came")
        if stats.last_frame_age is not None:
            age.add_metric([], stats.last_frame_age)
        return [
            *families("group", QUEUE, groups),
            *families("user", USER, users),
            GaugeMetricFamily("basix_feed_synced", "1: all this is true", self._client.is_synced),
            GaugeMetricFamily("basix_feed_lag", "items that wait for subscribers", stats.lag),
            *(
                CounterMetricFamily(f"basix_feed_{name}", "since the start", getattr(stats, name))
                for name in COUNTED
            ),
            messages,
            age,
        ]


def our_clock() -> int:
    return time.time_ns() // 1000


async def serve(port: int) -> None:
    async with feed("metrics") as pbx:
        client = Client(**pbx, full_events=True)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Figures(client))
        async with client:
            server, thread = start_http_server(port, "127.0.0.1", registry)
            print(f"http://127.0.0.1:{server.server_port}/metrics", flush=True)
            try:
                async for _ in client.changes():
                    pass  # until the client ends: then with its error
            finally:
                await asyncio.to_thread(server.shutdown)
                server.server_close()
                thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=9100, help="to listen on (0: any)")
    parser.add_argument("--seconds", type=float, help="end after that time")
    options = parser.parse_args()
    run(serve(options.port), options.seconds)


if __name__ == "__main__":
    main()
