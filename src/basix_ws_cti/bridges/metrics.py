"""Metrics: figures of a feed for Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import time

from prometheus_client import CollectorRegistry

from basix_ws_cti._internal.arguments import check_integer
from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.calls import CallEvent
from basix_ws_cti.client.feed import Feed
from basix_ws_cti.session.status import ClientState
from basix_ws_cti.sources.live import LiveSource
from basix_ws_cti.sources.source import Source

from .exposition import Exposition, Text
from .live_figures import LiveFigures

MAX_QUEUES: int = 250
"""Number of queues that have separate series; all further ones share those of ``other``."""


class Metrics:
    """Figures of a feed for Prometheus, without personal data.

    - ``feed``: a ``Client`` or a ``Follower``. Create the metrics before its block is entered, so
      that they count every call.
    - ``max_queues``: number of queues with separate series. All further queues share the
      series with the label ``queue="other"``.

    The number of series is bounded: 51 for each queue, and 100 others. Counters start at 0 with the
    program, and never fall.

    Raises ``UsageError`` for arguments that cannot work.
    """

    def __init__(self, feed: Feed, *, max_queues: int = MAX_QUEUES) -> None:
        check_integer("max_queues", max_queues)
        self._figures = LiveFigures(
            feed,
            max_queues=max_queues,
            now=lambda: time.time_ns() // 1000,
            stats=lambda: feed.stats,
        )
        self._exposition = Exposition(self._figures)
        with contextlib.suppress(RuntimeError):  # no event loop is running yet
            self._exposition.use_loop(asyncio.get_running_loop())
        feed.on_call(self._apply)
        feed.on_state(self._note_loop)

    @property
    def registry(self) -> CollectorRegistry:
        """Registry with these metrics and no others, for the functions of ``prometheus_client``."""
        return self._exposition.registry

    def render(self, accept: str = "") -> Text:
        """Return the metrics as text.

        - ``accept``: the ``Accept`` header of the request, which selects the format.

        Call it in another thread than the feed's event loop: with many queues it takes some
        milliseconds. Calls within a second share one text. Raises ``TimeoutError`` if the event
        loop is blocked for 5 seconds.
        """
        return self._exposition.render(accept)

    def _apply(self, event: CallEvent) -> None:
        self._figures.apply(event)

    def _note_loop(self, _state: ClientState) -> None:
        self._exposition.use_loop(asyncio.get_running_loop())


class SourceMetrics:
    """Figures of any source, as ``Metrics`` has them of a feed.

    ``follow`` counts the calls. A recording has no statistics of a connection.
    """

    def __init__(self, source: Source, *, max_queues: int = MAX_QUEUES) -> None:
        self._source = source
        self._client: Feed | None = source.client if isinstance(source, LiveSource) else None
        client = self._client
        figures = LiveFigures(
            source,
            max_queues=max_queues,
            now=lambda: to_microseconds(source.now()),
            stats=None if client is None else lambda: client.stats,
        )
        self.exposition: Exposition = Exposition(figures)
        """The metrics."""
        if client is not None:
            # Not through a queue: it may overflow, and its events are older than ``client.calls``.
            client.on_call(figures.apply)

    async def follow(self) -> None:
        """Count the calls until the feed ends. Raises the error that ended it.

        Calls of a live feed count from the creation of the metrics on.
        """
        self.exposition.use_loop(asyncio.get_running_loop())
        if self._client is not None:
            async for _ in self._client.call_events(where=lambda _event: False):
                pass  # the iteration only ends with the feed
            return
        async for _, event in self._source.call_events():
            self.exposition.figures.apply(event)
