"""Board of one moment, built from a source.

Without a live feed the board is stale: it stays as it was when the feed was lost, and durations do
not go on. ``FeedStatus`` has the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo

from attrs import Factory, define, frozen

from basix_ws_cti._internal.translation import _, ngettext
from basix_ws_cti.calls import Call, CallEnded, CallEvent, QueueStats
from basix_ws_cti.calls.pbx_clock import PbxClock
from basix_ws_cti.mirror.changes import Lagged
from basix_ws_cti.session.status import Synced
from basix_ws_cti.sources.source import Source

from .clock_offset import SHOWN_OFFSET, describe_clock_offset
from .durations import to_microseconds
from .feed_history import FeedHistory
from .feed_status import FeedStatus, next_status
from .headline import Figure, headline_figures, sample
from .labels import Labels, join_phrases
from .limits import DEFAULT_BOARD_LIMITS, BoardLimits
from .queues import QueueState, QueueTotals, queue_states
from .rows import call_rows, feed_rows, parked_rows, queue_rows, user_rows
from .tables import Row
from .trend import Trend
from .users import UserState, user_states


@frozen
class Board:
    """State of the wallboard at one moment."""

    now: int
    """Time of the PBX's clock, in microseconds since the epoch; durations end there. For a stale
    board, the time at which the feed was lost."""

    at: datetime
    """Time of the feed's source, timezone-aware: by this machine's clock if the feed is live."""

    status: FeedStatus
    """State of the feed."""

    figures: tuple[Figure, ...]
    """Headline figures, in display order."""

    rows: Mapping[str, tuple[Row, ...]]
    """Rows of each table, by the table's name."""

    calls: Mapping[str, Call]
    """Ongoing calls by id."""

    gaps: int
    """Number of gaps in the feed so far."""

    counting_since: datetime | None = None
    """Time from which on queue calls are counted, timezone-aware; ``None`` if the feed was never
    live."""

    window: float = 3600
    """Longest time for which queue calls are counted, in seconds."""

    clock_offset: int = 0
    """Estimated difference between the PBX's clock and ``at``, in microseconds; positive: the PBX's
    clock is ahead."""

    def remarks(self, zone: tzinfo | None = None) -> str:
        """Return in one line what a reader of the figures needs to know.

        These are the time since when they count, gaps in the feed, and the offset of the PBX's
        clock. Times are in ``zone``; ``None`` is local time.
        """
        parts = [self._counting_period(zone)]
        if self.gaps:
            parts.append(ngettext("{count} gap", "{count} gaps", self.gaps).format(count=self.gaps))
        if abs(self.clock_offset) >= SHOWN_OFFSET:
            parts.append(describe_clock_offset(self.clock_offset))
        return join_phrases(part for part in parts if part)

    def _counting_period(self, zone: tzinfo | None) -> str:
        since = self.counting_since
        if since is None:
            return ""
        if self.at - since < timedelta(seconds=self.window):
            return _("counting since {time}").format(time=f"{since.astimezone(zone):%H:%M}")
        minutes = round(self.window / 60)
        return ngettext(
            "counts of the last {minutes} minute", "counts of the last {minutes} minutes", minutes
        ).format(minutes=minutes)


@frozen(eq=False)
class BoardState:
    """State of feed, queues, users and calls at one moment, from which a display is made."""

    now: int
    """Time of the PBX's clock, in microseconds since the epoch; durations end there. For a stale
    board, the time at which the feed was lost."""

    at: datetime
    """Time of the feed's source, timezone-aware: by this machine's clock if the feed is live."""

    status: FeedStatus
    """State of the feed."""

    queues: Mapping[int | str, QueueState]
    """Queue of each group, by the group's id."""

    users: tuple[UserState, ...]
    """State of each user."""

    calls: Mapping[str, Call]
    """Ongoing calls by id."""

    call_of_leg: Mapping[str, str]
    """Id of the call of each leg, by the leg's uuid."""

    clock_offset: int
    """Estimated difference between the PBX's clock and ``at``, in microseconds; positive: the PBX's
    clock is ahead."""


@define
class BoardModel:
    """Builder of boards from a source. It also keeps what only call events report."""

    source: Source
    """Feed to show."""

    history: FeedHistory
    """History that receives the source's notices."""

    zone: tzinfo | None = None
    """Time zone of displayed times; ``None`` is local time."""

    limits: BoardLimits = DEFAULT_BOARD_LIMITS
    """Limits from which on a wait is too long."""

    max_ended_calls: int = 200
    """Ended calls kept for the details view; the oldest is dropped first."""

    missed_events: int = 0
    """Number of call events lost because the consumer was too slow."""

    ended_calls: dict[str, Call] = Factory(dict)
    """Calls that ended most recently, by id, oldest first."""

    stats: QueueStats = Factory(QueueStats)
    """Figures of the calls that are counted, which the model updates."""

    counting_since: datetime | None = None
    """Time from which on calls are counted, timezone-aware; ``None``: never live so far."""

    clock_offset: int = 0
    """The PBX's time minus the source's, estimated, of the last live board, in microseconds."""

    _clock: PbxClock = Factory(PbxClock)
    _trend: Trend = Factory(Trend)
    _status: FeedStatus | None = None

    def __attrs_post_init__(self) -> None:
        self.stats.restart(self.source.calls.values())

    @property
    def service_level(self) -> float:
        """Longest wait that counts as within the service level, in seconds."""
        return self.stats.service_level

    def apply(self, event: CallEvent | Lagged) -> None:
        """Update queue figures and ended calls from a call event."""
        self._note_counting()
        if isinstance(event, Lagged):
            self.missed_events += event.missed
            self.stats.restart(self.source.calls.values())
            return
        self.stats.apply([event])
        self._clock.observe(event, to_microseconds(self.source.now()))
        if isinstance(event, CallEnded):
            if len(self.ended_calls) >= self.max_ended_calls:
                del self.ended_calls[next(iter(self.ended_calls))]
            self.ended_calls[event.call.id] = event.call

    def feed_status(self) -> FeedStatus:
        """Return the state of the feed now. Call it regularly, so that ``since`` is exact."""
        state = self.source.state
        if isinstance(state, Synced):
            self._note_counting()
        was_live = self.counting_since is not None
        self._status = next_status(self._status, state, self.source.now(), was_live=was_live)
        return self._status

    def observe(self) -> BoardState:
        """Return the state of this moment."""
        at = self.source.now()
        status = self.feed_status()
        calls = dict(self.source.calls)
        mirror = self.source.mirror
        if status.is_live or not status.was_live:
            time = to_microseconds(at)
            self.clock_offset = self._clock.offset(mirror, calls.values(), time)
        else:
            time = to_microseconds(status.since)
        now = time + self.clock_offset
        call_of_leg = {leg.uuid: call.id for call in calls.values() for leg in call.legs}
        return BoardState(
            now=now,
            at=at,
            status=status,
            queues=queue_states(mirror, self.stats, call_of_leg, now),
            users=tuple(user_states(mirror, now)),
            calls=calls,
            call_of_leg=call_of_leg,
            clock_offset=self.clock_offset,
        )

    def build_board(self) -> Board:
        """Return the board of this moment."""
        state = self.observe()
        now, users, call_of_leg = state.now, state.users, state.call_of_leg
        labels = Labels(self.source.mirror)
        totals = QueueTotals.of(state.queues)
        figures = headline_figures(totals, users, self._trend, self.limits, now)
        if state.status.is_live:
            self._trend.add(sample(figures), now)
        else:
            self._trend.interrupt()
        return Board(
            now=now,
            at=state.at,
            status=state.status,
            figures=figures,
            rows={
                "calls": tuple(call_rows(state.calls.values(), labels, now, self.limits.wait)),
                "queues": tuple(queue_rows(state.queues, labels, self.limits.wait)),
                "users": tuple(user_rows(users, call_of_leg, labels, self.stats, now)),
                "parked": tuple(parked_rows(call_of_leg, labels, now, self.limits.parked)),
                "feed": tuple(feed_rows(self.history, self.zone)),
            },
            calls=state.calls,
            gaps=self.history.gaps,
            counting_since=self.counting_since,
            window=self.stats.window,
            clock_offset=state.clock_offset,
        )

    def _note_counting(self) -> None:
        if self.counting_since is None:
            self.counting_since = self.source.now()
