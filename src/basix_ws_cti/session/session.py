"""Session: the state of one feed over all of its connections. No I/O, no clock.

A driver owns the source of messages (a socket, a recording, a queue) and the clock. It reports what
happens with ``connected``, ``receive``, ``reject``, ``idle`` and ``lost``; the session keeps the
mirror and the calls up to date and yields notifications. Every driver therefore reports the
same changes, call events and gaps for the same feed.

The life of a connection::

    connected --> [snapshot arrives] --> complete --> [events] --> lost
                   nothing is visible     difference    changes     state is stale

Invariants:

- While a snapshot arrives, ``mirror`` and ``calls`` keep showing the last complete state. The new
  state becomes visible at once, when the snapshot is complete. ``snapshot`` explains when that is.
  Events that arrived after its last kind are then applied one by one.
- A frame that could not be read and may have changed the state leaves ``is_synced`` as it is: the
  mirror follows the feed, but an element may be stale. ``resync_pending`` is True from then on. At
  ``resync_at`` the driver ends the connection; the gap begins with the unreadable frame.
- Notifications of one moment come in this order: state, gap, changes, call events, message. When a
  subscriber sees a change, the mirror and the calls already include it. While a snapshot arrives,
  messages are delivered on their arrival, before the changes that follow from them.
- The changes between two complete states turn the first into the second.
- ``None`` among the notifications is a pause point: the session has done a short step of long work,
  and the driver may yield to its event loop before it continues. The driver must exhaust one
  iterable before it calls the next method.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from basix_ws_cti._internal.arguments import check_seconds
from basix_ws_cti._internal.callables import check_function
from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.calls.model import Call
from basix_ws_cti.calls.tracker import CallTracker
from basix_ws_cti.exceptions import DecodeError, ProtocolError, ResyncRequired, UsageError
from basix_ws_cti.messages import FieldSpec, InfoEvent, InitialInfo, Message
from basix_ws_cti.mirror.changes import Change, Gap
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.mirror.snapshot import QUIET_TIME, SnapshotBuilder

from .resync import ResyncSchedule, concerns_elements
from .status import Disconnected, Synced, Syncing

# Kinds of unreadable frames that are reported, once each. A peer could invent names without end.
MAX_REPORTED_ERRORS = 100

Notification = (
    Syncing
    | Synced
    | Disconnected
    | Gap
    | Change
    | CallEvent
    | Message
    | DecodeError
    | ProtocolError
)
"""Anything that a session yields, apart from pause points."""

Bind = Callable[[Literal["change", "call"]], Callable[[Any], Any]]
"""Returns a function that binds items to the subscribers of this moment. See ``Session``."""


def _no_binding(_: Literal["change", "call"]) -> Callable[[Any], Any]:
    return lambda item: item


class Session:
    """State of one feed, driven by messages, idle time and lost connections.

    ``now`` is always in seconds since the Unix epoch (UTC), as a float, and never goes back within
    one connection.

    - ``quiet_time``: seconds without a new kind after which a snapshot is complete.
    - ``country_code``: country of numbers written without one, for the mirror.
    - ``bind``: for drivers whose subscribers come and go while long work is in progress. Items
      become visible in ``mirror`` and ``calls`` earlier than they are delivered; a subscriber that
      arrives in between has seen them already and must not receive them. ``bind("change")`` or
      ``bind("call")`` is called when items become visible; the function it returns is applied to
      each of these items, and its result is yielded in the item's place.

    Raises ``UsageError`` for invalid arguments.
    """

    mirror: Mirror
    """State of the PBX: empty before the first snapshot is complete; while ``is_synced`` is False,
    the last state that was current."""

    is_synced: bool
    """True while ``mirror`` follows the feed: it shows the current state, apart from the contents
    of unreadable frames (see ``resync_pending``)."""

    was_synced: bool
    """True once a snapshot has been complete."""

    is_settled: bool
    """False while the notifications that lead to a new state are being yielded: ``mirror`` and
    ``calls`` show that state already."""

    gaps: int
    """Number of gaps so far."""

    def __init__(
        self,
        *,
        quiet_time: float = QUIET_TIME,
        country_code: str = "81",
        bind: Bind = _no_binding,
    ) -> None:
        check_seconds("quiet_time", quiet_time, at_least=0)
        check_function("bind", bind, "kind")
        self.mirror = Mirror(country_code=country_code)
        self.is_synced = False
        self.was_synced = False
        self.is_settled = True
        self.gaps = 0
        self._quiet_time = quiet_time
        self._bind = bind
        self._builder: SnapshotBuilder | None = None
        self._resync = ResyncSchedule()
        self._announced: set[str] = set()  # kinds with a field_spec on this connection
        self._previous_kinds: set[str] = set()  # kinds of the last complete state
        self._unsent_kinds: set[str] = set()  # announced on a connection that never sent them
        self._tracker: CallTracker | None = None
        self._gap_started: float | None = None
        self._gap_reason: Exception | None = None
        self._reported: set[str] = set()

    def __repr__(self) -> str:
        state = "synced" if self.is_synced else "not synced"
        return f"<Session {state}, {self.gaps} gaps, {self.mirror!r}>"

    @property
    def calls(self) -> Mapping[str, Call]:
        """Calls in progress, by id: read-only and live.

        The session follows calls from the first access on. Access it before the first message to
        see every call from its start.
        """
        return self.follow_calls().calls

    @property
    def quiet_at(self) -> float:
        """Time at which the driver must call ``idle``, once it has read all that has arrived."""
        return math.inf if self._builder is None else self._builder.quiet_at

    @property
    def settled_at(self) -> float:
        """Time from which the driver may call ``idle`` if it cannot wait until ``quiet_at``.

        Until ``quiet_at``, the snapshot waits for kinds that may never come.
        """
        return math.inf if self._builder is None else self._builder.settled_at

    @property
    def resync_pending(self) -> bool:
        """True once a frame of this connection could not be read that may have changed the state.

        One element, or in a snapshot one kind, may be stale until the next snapshot.
        """
        return self._resync.problem is not None

    @property
    def resync_at(self) -> float:
        """Time at which the driver must end the connection to get a new snapshot; usually inf.

        The reason for ``lost`` is then ``ResyncRequired(resync_problem)``.
        """
        return self._resync.due_at

    @property
    def resync_problem(self) -> DecodeError | ProtocolError | None:
        """Error of the unreadable frame behind ``resync_pending``; ``None``: there is none."""
        return self._resync.problem

    @property
    def is_syncing(self) -> bool:
        """True while a snapshot arrives."""
        return self._builder is not None

    def follow_calls(self) -> CallTracker:
        """Follow calls from now on, and return the tracker that does so."""
        if self._tracker is None:
            self._tracker = CallTracker(self.mirror.channels.values())
        return self._tracker

    def connected(self) -> list[Syncing]:
        """Start a connection: its snapshot follows."""
        builder = SnapshotBuilder(self._quiet_time, self._previous_kinds, self._unsent_kinds)
        self._builder, self._announced = builder, builder.announced
        self._resync.clear()
        self.is_synced = False
        return [Syncing()]

    def receive(self, message: Message, now: float) -> Iterable[Any]:
        """Apply a message and return what follows from it.

        Raises ``UsageError`` if no connection was started.
        """
        if self.is_synced:
            # Nearly every message of a feed takes this branch; a list needs no pause points.
            if type(message) is InfoEvent:
                changes = self.mirror.apply(message)
                if not changes:
                    return (message,)
                if self._tracker is None or not (events := self._tracker.apply(changes)):
                    return (*changes, message)
                return (*changes, *map(self._bind("call"), events), message)
            if type(message) is InitialInfo:
                return self._unsettled(self._replace_kind(message))
            if type(message) is FieldSpec:
                self._announced.add(message.element_name)
            return (message,)
        if self._builder is None:
            raise UsageError("the session has no connection: call connected() first")
        return self._add_to_snapshot(self._builder, message, now)

    def idle(self, now: float) -> Iterable[Any]:
        """Complete the snapshot, unless an announced kind is still due."""
        if self._builder is None or self._builder.settled_at == math.inf:
            return ()
        return self._unsettled(self._complete(self._builder, now))

    def reject(
        self, error: DecodeError | ProtocolError, now: float
    ) -> list[DecodeError | ProtocolError]:
        """Skip an unreadable frame, and schedule a resync if it may have changed the state.

        Returns the error if it is the first of its kind, else nothing.
        """
        if self._may_change_state(error):
            self._resync.request(error, now)
            if self._builder is not None:
                self._builder.has_lost_frames = True
        problem = error.reason if isinstance(error, DecodeError) else error.problem
        kind = f"{type(error).__name__} {problem}"
        if kind in self._reported or len(self._reported) >= MAX_REPORTED_ERRORS:
            return []
        self._reported.add(kind)
        return [error]

    def lost(
        self,
        reason: Exception,
        now: float,
        last_heard: float | None = None,
        *,
        timed_out: bool = False,
    ) -> list[Disconnected]:
        """End the connection. From ``last_heard`` on, events may have been missed.

        ``last_heard`` is the time of the connection's last sign of life; ``None``: ``now``.
        ``timed_out``: the snapshot was not complete in time, so later ones need not wait for the
        kinds that it lacked. Returns nothing if the state was not current, for then nothing changes
        for subscribers.
        """
        if isinstance(reason, ResyncRequired):
            self._resync.began(now)
        if timed_out and self._builder is not None:
            self._unsent_kinds = self._builder.missing
        if not self.is_synced:
            return []
        self.is_synced = False
        last_heard = now if last_heard is None else last_heard
        if self._gap_started is None:  # else an earlier gap was not reported yet, and goes on
            self._gap_started = min(last_heard, self._resync.since)
            self._gap_reason = reason
        return [Disconnected(reason, None, last_heard=_utc(last_heard))]

    def discard_snapshot(self) -> Iterator[None]:
        """Free an incomplete snapshot step by step; it would block the event loop otherwise."""
        if self._builder is not None:
            for _ in self._builder.mirror.replace_stepwise(Mirror()):
                yield None
            self._builder = None

    # -- snapshots --------------------------------------------------------------------

    def _may_change_state(self, error: DecodeError | ProtocolError) -> bool:
        return concerns_elements(error, self._announced.union(self.mirror))

    def _unsettled(self, notifications: Iterator[Any]) -> Iterator[Any]:
        """Yield notifications that lead to a new state."""
        self.is_settled = False
        try:
            yield from notifications
        finally:
            self.is_settled = True

    def _add_to_snapshot(
        self, builder: SnapshotBuilder, message: Message, now: float
    ) -> Iterator[Any]:
        yield from builder.add(message, now)
        if builder.is_overdue(now):
            yield from self._unsettled(self._complete(builder, now))
        yield message

    def _complete(self, builder: SnapshotBuilder, now: float) -> Iterator[Any]:
        """Make a complete snapshot the current state."""
        self._builder = None
        self._previous_kinds = builder.loaded
        self._unsent_kinds = self._unsent_kinds & builder.missing
        self._resync.snapshot_completed(now)
        differences = self.mirror.replace_stepwise(builder.mirror)
        gap = None
        if self._gap_started is not None:
            started = min(self._gap_started, now)
            gap = Gap(_utc(started), _utc(now), self._gap_reason)
        notifications = yield from self._collect(differences, gap)
        self.is_synced = self.was_synced = True
        yield Synced()
        if gap is not None:
            self.gaps += 1
            yield notifications.popleft()
            # Not forgotten earlier: if the driver fails before, the next snapshot reports the gap.
            self._gap_started = self._gap_reason = None
        yield from _emptied(notifications)
        for event in builder.events:
            *items, _ = self.receive(event, now)  # the message was delivered on its arrival
            yield from items
            yield None

    def _replace_kind(self, message: InitialInfo) -> Iterator[Any]:
        """Apply an ``initial_info`` that arrives after the snapshot was complete."""
        self._previous_kinds.add(message.element_name)
        differences = yield from self.mirror.load_stepwise(message.element_name, message.elements)
        yield from _emptied((yield from self._collect(differences)))
        yield message

    def _collect(
        self, differences: Iterator[Change | None], gap: Gap | None = None
    ) -> Generator[None, None, deque[Any]]:
        """Update the calls for all differences, and return the notifications in their order.

        The mirror shows the differences already; each call event becomes visible with its step.
        """
        tracker = self._tracker
        bind = self._bind("change")
        leg_changes: list[Change | Gap] = [] if gap is None else [gap]
        notifications = deque(map(bind, leg_changes))
        for change in differences:
            if change is not None:
                notifications.append(bind(change))
                if change.element_name == "channel":
                    leg_changes.append(change)
            yield None
        if tracker is not None:
            for events in tracker.apply_stepwise(leg_changes):
                if events:
                    notifications.extend(map(self._bind("call"), events))
                yield None
        return notifications


def _emptied(notifications: deque[Any]) -> Iterator[Any]:
    """Yield all notifications; each is freed once it is delivered."""
    while notifications:
        yield notifications.popleft()


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
