"""Metrics as text for Prometheus, rendered outside the event loop, and cached.

The event loop of the feed only copies the counters. The caller's thread counts users, makes the
metrics, and renders them. Scrapes within ``CACHE_TIME`` share one text.
"""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from attrs import frozen
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from .live_figures import LiveFigures, Snapshot
from .metric_families import make_families
from .population import Population

CACHE_TIME: float = 1.0
"""Time for which a text answers further scrapes, in seconds."""

SNAPSHOT_TIMEOUT: float = 5.0
"""Time for which a scrape waits for the event loop, in seconds."""

# Level of gzip: level 6 takes four times as long, and saves a fifth.
_GZIP_LEVEL = 1

# Formats whose text is cached.
_MAX_FORMATS = 4


@frozen
class Text:
    """Metrics as text."""

    content_type: str
    """Media type, with the version of the format."""
    body: bytes
    """Text in UTF-8."""
    compressed: bytes
    """``body`` with gzip."""
    rendered_at: float
    """Time of ``time.monotonic`` at which it was rendered."""


class Exposition(Collector):
    """Collector of the metrics of one feed, in a separate registry.

    - ``figures``: the feed's figures, which belong to one event loop.
    - ``cache_time``: time for which a text answers further scrapes, in seconds.

    Any thread may use it. Another thread than the event loop's lets the loop copy the figures.
    """

    def __init__(self, figures: LiveFigures, *, cache_time: float = CACHE_TIME) -> None:
        self._figures = figures
        self._cache_time = cache_time
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._texts: dict[str, Text] = {}
        self.registry: CollectorRegistry = CollectorRegistry(auto_describe=False)
        """Registry with these metrics."""
        self.registry.register(self)

    @property
    def figures(self) -> LiveFigures:
        """The feed's figures."""
        return self._figures

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let an event loop, that of the feed, copy the figures from now on."""
        self._loop = loop

    def describe(self) -> Iterator[Metric]:
        """Return no names: a registry would collect all metrics to learn them."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Return all metrics of this moment.

        Raises ``TimeoutError`` if the event loop does not answer in time.
        """
        snapshot = self.snapshot()
        queues = {queue.id for queue in snapshot.queues if queue.id is not None}
        return make_families(snapshot, lambda: Population.of(self._figures.mirror, queues))

    def snapshot(self) -> Snapshot:
        """Return the figures of this moment. Raises like ``collect``."""
        loop = self._loop
        if loop is None or loop.is_closed() or _is_running_here(loop):
            return self._figures.snapshot()
        taken: Future[Snapshot] = Future()
        try:
            loop.call_soon_threadsafe(_fulfil, taken, self._figures.snapshot)
        except RuntimeError:  # the loop was closed at this moment
            return self._figures.snapshot()
        return taken.result(SNAPSHOT_TIMEOUT)

    def render(self, accept: str = "") -> Text:
        """Return the metrics in the format that an ``Accept`` header asks for.

        Raises like ``collect``.
        """
        encode, content_type = choose_encoder(accept)
        if self._loop is not None and _is_running_here(self._loop):
            # A thread that holds the lock may wait for this event loop.
            return self._render(encode, content_type)
        with self._lock:
            text = self._texts.get(content_type)
            if text is None or time.monotonic() - text.rendered_at >= self._cache_time:
                text = self._render(encode, content_type)
                # A client chooses parts of the content type: keep one text per format only.
                if len(self._texts) >= _MAX_FORMATS and content_type not in self._texts:
                    self._texts.clear()
                self._texts[content_type] = text
            return text

    def _render(self, encode: Callable[[Collector], bytes], content_type: str) -> Text:
        body = encode(self.registry)
        return Text(content_type, body, gzip.compress(body, _GZIP_LEVEL), time.monotonic())


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _fulfil(taken: Future[Snapshot], snapshot: Callable[[], Snapshot]) -> None:
    try:
        result = snapshot()
    except Exception as error:  # noqa: BLE001 - the waiting thread raises it
        taken.set_exception(error)
    else:
        taken.set_result(result)
