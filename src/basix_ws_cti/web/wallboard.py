"""The wallboard of a source: follows its feed, and keeps the views that browsers look at.

Call events are applied as they arrive. Views are built at most every 200 ms, and only while
somebody looks at them; without events once a second, because a level changes as time passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any
from zoneinfo import ZoneInfo

from attrs import Factory, define, field

from basix_ws_cti._internal.translation import use_language
from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.board.feed_history import FeedHistory
from basix_ws_cti.board.model import BoardModel, BoardState
from basix_ws_cti.board.text import cell_text
from basix_ws_cti.calls import QueueStats
from basix_ws_cti.sources.source import Source

from .document import Document, DocumentBuilder, Moment, QueueLevels, members_by_user
from .feed_state import feed_field
from .limit_set import LimitSet
from .rows import to_milliseconds
from .view import View
from .view_key import ViewKey

FRAME_INTERVAL = 0.2
"""Least time between two frames of a view, in seconds."""

IDLE_INTERVAL = 1.0
"""Time between two frames of a view without events, in seconds: a level or the state of a phone may
have changed."""

HEARTBEAT_INTERVAL = 5.0
"""Time between two heartbeats, in seconds."""

UNUSED_TIME = 60.0
"""Time for which a view is kept that nobody looks at, in seconds: for browsers that poll."""

MAX_VIEWS = 200
"""Views at once. Each filter, language and right makes one; the bound keeps hostile requests from
filling the memory."""


@define(eq=False, kw_only=True)
class Wallboard:
    """Feed of a source and the views of it. Its tasks run between ``start`` and ``stop``."""

    source: Source
    """Feed to show."""

    zone: ZoneInfo
    """Time zone of the call centre, in which days begin."""

    limits: LimitSet
    """Limits of the figures."""

    site: str | None = None
    """Name of the call centre; ``None``: the PBX's domain."""

    speed: float = 1
    """Seconds of the feed's time per second; other than 1 for a recording or a simulated PBX."""

    with_sound: bool = False
    """True: pages may sound an alarm."""

    has_caller: bool = False
    """True: readers who may send commands may start calls, too."""

    has_report: bool = False
    """True: the server has a page of reports."""

    counting_from: int | None = None
    """Time from which on calls of today are counted although the feed was not live yet, in
    microseconds since the epoch: that of a call log. ``None``: there is none."""

    model: BoardModel = field(init=False)
    """Model of the board."""

    _views: dict[ViewKey, View] = Factory(dict)
    _queue_levels: QueueLevels = Factory(QueueLevels)
    _news: asyncio.Event = Factory(asyncio.Event)
    _tasks: set[asyncio.Task[None]] = Factory(set)
    _is_closing: bool = False

    def __attrs_post_init__(self) -> None:
        self.model = BoardModel(
            self.source,
            FeedHistory(self.source.now),
            self.zone,
            self.limits.general,
            stats=QueueStats(since_midnight=self.zone),
        )

    # -- tasks ---------------------------------------------------------------------------

    def start(self, *more: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start to follow the source, unless that was done; ``more`` run as long."""
        if self._tasks or self._is_closing:
            return
        for work in (self._follow, self._draw, self._beat, *more):
            self._tasks.add(asyncio.create_task(work()))

    async def stop(self) -> None:
        """End all streams and tasks."""
        self.end_streams()
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def end_streams(self) -> None:
        """End all streams, and accept no further ones."""
        self._is_closing = True
        for view in self._views.values():
            view.close()

    async def ended(self) -> None:
        """Wait until the feed ends. Raises the error that ended it."""
        await asyncio.gather(*self._tasks)

    async def _follow(self) -> None:
        async for _, event in self.source.call_events():
            self.model.apply(event)
            self._news.set()
        self._news.set()

    async def _draw(self) -> None:
        try:
            while True:
                await self._draw_once()
        except Exception:
            # Heartbeats would make the pages believe that their values are current.
            self.end_streams()
            raise

    async def _draw_once(self) -> None:
        """Wait until there is something to draw, draw it, and pause."""
        clock = asyncio.get_running_loop().time
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_INTERVAL):
                await self._news.wait()
        self._news.clear()
        started = clock()
        self.draw()
        # A board that takes long to build leaves as much time to everything else.
        await asyncio.sleep(max(FRAME_INTERVAL, clock() - started))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL)
            time = self.time()
            for view in self._views.values():
                view.beat(time)

    # -- views ---------------------------------------------------------------------------

    def time(self) -> int:
        """Return the PBX's time in milliseconds since the epoch. It goes on without a feed."""
        return to_milliseconds(to_microseconds(self.source.now()) + self.model.clock_offset)

    def view(self, key: ViewKey) -> View | None:
        """Return a view, with its present document.

        ``None``: there are too many views, or the streams have been ended.
        """
        if self._is_closing:
            return None
        now = asyncio.get_running_loop().time()
        view = self._views.get(key)
        if view is not None:
            view.used_at = now
            return view
        if len(self._views) >= MAX_VIEWS and not self._drop_unused(now):
            return None
        view = self._views[key] = View(key, DocumentBuilder(key), now)
        view.show(self._document(view, self._moment()), self.time())
        return view

    @property
    def streams(self) -> int:
        """Number of browsers that follow a view."""
        return sum(len(view.mailboxes) for view in self._views.values())

    def draw(self) -> None:
        """Build the views that somebody looks at, and send what changed."""
        self._drop_unused(asyncio.get_running_loop().time())
        if not self._views:
            self.model.feed_status()
            return
        moment, time = self._moment(), self.time()
        for view in self._views.values():
            view.show(self._document(view, moment), time)

    def _drop_unused(self, now: float) -> bool:
        """Forget views that nobody looks at; return True if there were any."""
        unused = [
            key
            for key, view in self._views.items()
            if not view.mailboxes and now - view.used_at > UNUSED_TIME
        ]
        for key in unused:
            del self._views[key]
        return bool(unused)

    def _moment(self) -> Moment:
        state = self.model.observe()
        return Moment(
            state=state,
            stats=self.model.stats,
            mirror=self.source.mirror,
            members=members_by_user(self.source.mirror),
            queue_levels=self._queue_levels.update(state.queues, self.limits),
            limits=self.limits,
            drawn_at=asyncio.get_running_loop().time(),
        )

    def _document(self, view: View, moment: Moment) -> Document:
        """Return the document of a view, with texts in the view's language."""
        return contextvars.copy_context().run(self._localised, view, moment)

    def _localised(self, view: View, moment: Moment) -> Document:
        use_language(view.key.language)
        state = moment.state
        domain = moment.mirror.domain
        document: Document = {
            "feed": feed_field(state, self.zone),
            "site": cell_text(self.site or str((domain and domain.name) or "")),
            "zone": self.zone.key,
            "speed": self.speed,
            "counting": self._counting(state),
            "service_level_threshold": self.model.service_level,
            "commands": view.key.with_commands,
            "starts_calls": view.key.with_commands and self.has_caller,
            "sound": self.with_sound,
            "report": self.has_report and view.key.bound.is_everything,
        }
        if not state.status.was_live:
            empty: Document = {"figures": {}, "queues": {}, "agents": {}, "calls": {}, "parked": {}}
            return {**document, **empty, "day": []}
        return {**document, **view.builder.build(moment)}

    def _counting(self, state: BoardState) -> dict[str, int | None]:
        since = self.model.counting_since
        begin = None if since is None else to_microseconds(since) + state.clock_offset
        if self.counting_from is not None and (begin is None or self.counting_from < begin):
            begin = self.counting_from
        if begin is None:
            return {"since": None}
        midnight = self.model.stats.window_start(state.now)
        return {"since": to_milliseconds(max(begin, midnight))}
