"""Queue figures: how the groups and users of a call centre do, told from calls alone.

Pure: times are the PBX's, in microseconds since the epoch, and "now" is given by who asks.
A group's queue is what calls say of it; who is logged in, or present, is not looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from attrs import Factory, define, frozen

from basix_ws_cti.exceptions import UsageError

from .events import CallEnded, CallEvent
from .model import Call, Disposition, Phase

SECOND = 1_000_000

# Waits of one group, or legs of one user, that are kept in the window: a thousand in a minute.
MAX_KEPT = 60_000


@frozen(kw_only=True)
class QueueFigures:
    """A group's queue: now, and what ended in the window. Durations are microseconds.

    ``offered`` calls came out of the queue: ``answered``, ``abandoned`` by the caller while
    they waited, or went elsewhere. ``service_level`` is the share of them that were answered
    in time, 0 to 1; ``None``: there were none. So are the averages.
    """

    waiting: int
    longest_wait: int
    offered: int
    answered: int
    abandoned: int
    average_answer: int | None
    maximum_answer: int | None
    service_level: float | None


@frozen(kw_only=True)
class UserFigures:
    """A user's legs that ended in the window: how many, and microseconds of talk."""

    answered: int
    missed: int
    talked: int


@frozen
class _Wait:
    ended: int
    waited: int
    answered: bool
    abandoned: bool


@frozen
class _Part:
    ended: int
    outcome: Disposition
    talked: int


@define
class QueueStats:
    """Counts over a sliding window of ``window`` seconds, fed with the events of calls.

    ``service_level`` is in seconds: who is answered within it counts for the service level.
    Memory is bounded by the calls that go on, and 60,000 waits a group in the window.
    """

    window: float = 3600
    service_level: float = 20
    _calls: dict[str, Call] = Factory(dict)
    _waits: dict[int, deque[_Wait]] = Factory(dict)
    _parts: dict[int, deque[_Part]] = Factory(dict)
    # How many phases of the calls that go on are counted already.
    _counted: dict[str, int] = Factory(dict)

    def __attrs_post_init__(self) -> None:
        if not (self.window > 0 and self.service_level >= 0):
            raise UsageError("window and service_level are seconds, window more than none")

    @property
    def groups(self) -> set[int]:
        """The ids of the groups that there are figures of."""
        return {*self._waits, *(group for _, group in self._now_waiting())}

    @property
    def users(self) -> set[int]:
        """The ids of the users that there are figures of."""
        return {*self._parts}

    def apply(self, events: Iterable[CallEvent]) -> None:
        """Take in what happened to calls, in its order."""
        for event in events:
            call = event.call
            self._count_waits(call)
            if isinstance(event, CallEnded):
                self._count_parts(call)
                self._calls.pop(call.id, None)
                self._counted.pop(call.id, None)
            else:
                self._calls[call.id] = call

    def group(self, group_id: int, now: int) -> QueueFigures:
        """A group's figures at ``now``, microseconds since the epoch."""
        waiting = [now - phase.started for phase, group in self._now_waiting() if group == group_id]
        waits = self._waits.get(group_id, deque())
        _forget(waits, now - self.window * SECOND)
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
        """A user's figures at ``now``, microseconds since the epoch."""
        parts = self._parts.get(user_id, deque())
        _forget(parts, now - self.window * SECOND)
        return UserFigures(
            answered=sum(part.outcome == "answered" for part in parts),
            missed=sum(part.outcome == "missed" for part in parts),
            talked=sum(part.talked for part in parts),
        )

    def _now_waiting(self) -> list[tuple[Phase, int]]:
        return [
            (call.phase, call.phase.party.group_id)
            for call in self._calls.values()
            if call.phase.kind == "queued" and isinstance(call.phase.party.group_id, int)
        ]

    def _count_waits(self, call: Call) -> None:
        """Count the stays in queues that have ended since the call was last seen."""
        seen = self._counted.get(call.id, 0)
        phases = call.phases
        for at in range(seen, len(phases)):
            phase = phases[at]
            if phase.ended is None:
                break
            seen = at + 1
            if phase.kind != "queued" or not isinstance(phase.party.group_id, int):
                continue
            after = phases[at + 1].kind if at + 1 < len(phases) else None
            waits = self._waits.setdefault(phase.party.group_id, deque(maxlen=MAX_KEPT))
            waits.append(
                _Wait(
                    ended=phase.ended,
                    waited=phase.duration,
                    answered=after == "talking",
                    abandoned=after is None and call.disposition == "abandoned",
                )
            )
        self._counted[call.id] = seen

    def _count_parts(self, call: Call) -> None:
        for leg in call.legs:
            who = leg.party.user_id
            if not isinstance(who, int) or leg.outcome is None or leg.ended is None:
                continue
            talked = leg.ended - leg.answered if leg.answered is not None else 0
            parts = self._parts.setdefault(who, deque(maxlen=MAX_KEPT))
            parts.append(_Part(leg.ended, leg.outcome, max(0, talked)))


def _forget(items: deque[_Wait] | deque[_Part], before: float) -> None:
    while items and items[0].ended < before:
        items.popleft()
