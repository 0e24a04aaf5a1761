"""A Prometheus endpoint with figures of queues, users and the feed.

    python examples/metrics.py --port 9100
    curl http://127.0.0.1:9100/metrics

Needs ``prometheus_client``. feed.py chooses the PBX.
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

# Name and help text of each figure, and whether it is in microseconds. The figures cover the last
# hour, except those that say "now".
GROUP_FIGURES: Rows = (
    ("waiting", "calls that wait now", False),
    ("longest_wait", "longest wait of the calls that wait now", True),
    ("offered", "calls offered: those that entered the queue", False),
    ("answered", "calls answered", False),
    ("abandoned", "calls abandoned by the caller", False),
    ("short_abandons", "calls abandoned by the caller within 5 s", False),
    ("overflowed_out", "calls that went on to another queue, user or number", False),
    ("overflowed_in", "calls that came from another queue", False),
    ("abandon_rate", "share of calls abandoned, 0 to 1", False),
    ("service_level_of_offered", "share of calls answered within 20 s, 0 to 1", False),
    ("average_answer", "average speed of answer (ASA): average wait of calls answered", True),
    ("maximum_answer", "longest wait of calls answered", True),
    ("average_handle", "average handle time (AHT), without wrap-up", True),
)
USER_FIGURES: Rows = (
    ("offered", "calls offered to the agent", False),
    ("answered", "calls offered that the agent answered", False),
    ("missed", "calls offered that the agent missed", False),
    ("placed", "calls placed by the agent", False),
    ("talked", "talk time of the agent", True),
)
FEED_COUNTERS = ("frames", "bytes", "reconnects", "gaps", "bad_frames", "missed")


def families(subject: str, rows: Rows, figures: dict[tuple[str, str], Any]) -> list[Metric]:
    """Return one metric per row, with one sample per id and label in ``figures``."""
    metrics: list[Metric] = []
    for name, text, is_duration in rows:
        unit = "_seconds" if is_duration else ""
        family = GaugeMetricFamily(f"basix_{subject}_{name}{unit}", text, labels=["id", "label"])
        for labels, values in figures.items():
            value = getattr(values, name)
            if value is not None:
                family.add_metric(labels, value / 1e6 if is_duration else value)
        metrics.append(family)
    return metrics


class FeedCollector(Collector):
    """Collector that computes all figures when Prometheus scrapes them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._queues = QueueStats(window=3600, service_level=20)
        self._loop = asyncio.get_running_loop()
        # Microseconds by which the PBX's clock is ahead of this machine's; None: not known yet.
        self._clock_offset: int | None = None
        client.on_call(self._apply)

    def _apply(self, event: CallEvent) -> None:
        self._queues.apply([event])
        # An event arrives after it happened, so the largest difference is the best estimate.
        offset = (event.call.ended or event.call.phase.started) - local_time()
        self._clock_offset = (
            offset if self._clock_offset is None else max(offset, self._clock_offset)
        )

    def collect(self) -> list[Metric]:
        # Prometheus' web server calls this in a thread; the client belongs to the event loop.
        return asyncio.run_coroutine_threadsafe(self.metrics(), self._loop).result(5)

    async def metrics(self) -> list[Metric]:
        """Return all metrics; to be run in the client's event loop."""
        mirror, stats = self._client.mirror, self._client.stats
        now = local_time() + (self._clock_offset or 0)
        groups = {
            (str(key), group.label or ""): self._queues.group(key, now)
            for key, group in mirror.groups.items()
        }
        users = {
            (str(key), user.label or ""): self._queues.user(key, now)
            for key, user in mirror.users.items()
        }
        messages = CounterMetricFamily("basix_feed_messages", "messages by type", labels=["type"])
        for message_type, count in stats.messages.items():
            messages.add_metric([message_type], count)
        age = GaugeMetricFamily("basix_feed_last_frame_age_seconds", "time since the last frame")
        if stats.last_frame_age is not None:
            age.add_metric([], stats.last_frame_age)
        return [
            *families("group", GROUP_FIGURES, groups),
            *families("user", USER_FIGURES, users),
            GaugeMetricFamily(
                "basix_feed_synced", "1: in sync with the PBX", self._client.is_synced
            ),
            GaugeMetricFamily("basix_feed_lag", "items queued for subscribers", stats.lag),
            *(
                CounterMetricFamily(
                    f"basix_feed_{name}", "total since the start", getattr(stats, name)
                )
                for name in FEED_COUNTERS
            ),
            messages,
            age,
        ]


def local_time() -> int:
    """Return the time of this machine's clock, in microseconds since the epoch."""
    return time.time_ns() // 1000


async def serve(port: int) -> None:
    async with feed("metrics") as pbx:
        client = Client(**pbx, full_events=True)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(FeedCollector(client))
        async with client:
            server, thread = start_http_server(port, "127.0.0.1", registry)
            print(f"http://127.0.0.1:{server.server_port}/metrics", flush=True)
            try:
                async for _ in client.changes():
                    pass  # ends when the client stops, with its error
            finally:
                await asyncio.to_thread(server.shutdown)
                server.server_close()
                thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--port",
        type=int,
        default=9100,
        help="TCP port to listen on; 0: any free one (default 9100)",
    )
    parser.add_argument("--seconds", type=float, help="stop after this many seconds")
    options = parser.parse_args()
    run(serve(options.port), options.seconds)


if __name__ == "__main__":
    main()
