"""Live figures of queues and users, computed from call events.

The module reads no clock: times are the PBX's, in microseconds since the epoch, and the caller
passes the present time. The figures come from calls alone; login and presence of agents are not
considered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from attrs import define, field, frozen

from basix_ws_cti._internal.arguments import check_seconds

from .events import CallEnded, CallEvent
from .model import Call, Disposition, Phase

SECOND = 1_000_000
"""One second in microseconds."""

# Ended waits kept per group, and ended legs per user: a thousand a minute for an hour.
MAX_KEPT = 60_000


@frozen(kw_only=True)
class QueueFigures:
    """Figures of one group's queue.

    ``waiting`` and ``longest_wait`` describe the present; all others the waits that ended in the
    window.
    """

    waiting: int
    """Number of calls that wait now."""
    longest_wait: int
    """Longest wait of the calls that wait now, in microseconds; 0 if no call waits."""
    offered: int
    """Number of waits that ended, in whatever way."""
    answered: int
    """Number of waits that ended with an answer."""
    abandoned: int
    """Number of waits that the caller ended by hanging up."""
    average_answer: int | None
    """Average speed of answer (ASA): average wait of answered calls, in microseconds; ``None``
    if none was answered."""
    maximum_answer: int | None
    """Longest wait of an answered call, in microseconds; ``None`` if none was answered."""
    service_level: float | None
    """Calls answered within the threshold, divided by ``offered``: 0 to 1; ``None`` if no call
    was offered."""


@frozen(kw_only=True)
class UserFigures:
    """Figures of one user's legs that ended in the window."""

    answered: int
    """Number of legs that were answered, calls by the user included."""
    missed: int
    """Number of legs that the user missed; calls answered on another phone are not missed."""
    talked: int
    """Time between answer and end of the legs, summed up, in microseconds."""


@frozen
class _EndedWait:
    ended: int
    waited: int
    answered: bool
    abandoned: bool


@frozen
class _EndedLeg:
    ended: int
    outcome: Disposition
    talked: int


@define
class QueueStats:
    """Figures over a sliding window, updated by call events.

    Memory is bounded: active calls, and 60,000 ended waits per group and ended legs per user.
    """

    window: float = 3600
    """Length of the window, in seconds."""
    service_level: float = 20
    """Threshold of the service level, in seconds: the longest wait that counts as in time."""
    _calls: dict[str, Call] = field(init=False, factory=dict)
    _waits: dict[int, deque[_EndedWait]] = field(init=False, factory=dict)
    _legs: dict[int, deque[_EndedLeg]] = field(init=False, factory=dict)
    # Number of phases of each active call whose waits have been counted, by call id.
    _counted: dict[str, int] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        check_seconds("window", self.window)
        check_seconds("service_level", self.service_level, at_least=0)

    @property
    def groups(self) -> set[int]:
        """Ids of the groups that have figures."""
        return {*self._waits, *(group for _, group in self._now_waiting())}

    @property
    def users(self) -> set[int]:
        """Ids of the users that have figures."""
        return {*self._legs}

    @property
    def active_calls(self) -> int:
        """Number of active calls that the figures follow."""
        return len(self._calls | self._counted)

    def apply(self, events: Iterable[CallEvent]) -> None:
        """Update the figures with call events, in their order."""
        for event in events:
            call = event.call
            self._count_waits(call)
            if isinstance(event, CallEnded):
                self._count_legs(call)
                self._calls.pop(call.id, None)
                self._counted.pop(call.id, None)
            else:
                self._calls[call.id] = call

    def group(self, group_id: int, now: int) -> QueueFigures:
        """Return a group's figures at ``now``, in microseconds since the epoch."""
        waiting = [now - phase.started for phase, group in self._now_waiting() if group == group_id]
        waits = self._waits.get(group_id, deque())
        _drop_older(waits, now - self.window * SECOND)
        answers = [wait.waited for wait in waits if wait.answered]
        in_time = sum(wait <= self.service_level * SECOND for wait in answers)
        return QueueFigures(
            waiting=len(waiting),
            longest_wait=max(0, *waiting) if waiting else 0,
            offered=len(waits),
            answered=len(answers),
            abandoned=sum(wait.abandoned for wait in waits),
            average_answer=sum(answers) // len(answers) if answers else None,
            maximum_answer=max(answers, default=None),
            service_level=in_time / len(waits) if waits else None,
        )

    def user(self, user_id: int, now: int) -> UserFigures:
        """Return a user's figures at ``now``, in microseconds since the epoch."""
        legs = self._legs.get(user_id, deque())
        _drop_older(legs, now - self.window * SECOND)
        return UserFigures(
            answered=sum(leg.outcome == "answered" for leg in legs),
            missed=sum(leg.outcome == "missed" for leg in legs),
            talked=sum(leg.talked for leg in legs),
        )

    def _now_waiting(self) -> list[tuple[Phase, int]]:
        """Return the current phase and the group's id of each call that waits in a queue."""
        return [
            (call.phase, call.phase.party.group_id)
            for call in self._calls.values()
            if call.phase.kind == "queued" and isinstance(call.phase.party.group_id, int)
        ]

    def _count_waits(self, call: Call) -> None:
        """Count the waits that have ended since the last event of the call."""
        counted = self._counted.get(call.id, 0)
        phases = call.phases
        for index in range(counted, len(phases)):
            phase = phases[index]
            if phase.ended is None:
                break
            counted = index + 1
            if phase.kind != "queued" or not isinstance(phase.party.group_id, int):
                continue
            next_kind = phases[index + 1].kind if index + 1 < len(phases) else None
            waits = self._waits.setdefault(phase.party.group_id, deque(maxlen=MAX_KEPT))
            waits.append(
                _EndedWait(
                    ended=phase.ended,
                    waited=phase.duration,
                    answered=next_kind == "talking",
                    abandoned=next_kind is None and call.disposition == "abandoned",
                )
            )
        self._counted[call.id] = counted

    def _count_legs(self, call: Call) -> None:
        for leg in call.legs:
            user_id = leg.party.user_id
            if not isinstance(user_id, int) or leg.outcome is None or leg.ended is None:
                continue
            talked = leg.ended - leg.answered if leg.answered is not None else 0
            legs = self._legs.setdefault(user_id, deque(maxlen=MAX_KEPT))
            legs.append(_EndedLeg(leg.ended, leg.outcome, max(0, talked)))


def _drop_older(items: deque[_EndedWait] | deque[_EndedLeg], than: float) -> None:
    """Drop the items that ended before ``than``, in microseconds since the epoch."""
    while items and items[0].ended < than:
        items.popleft()
