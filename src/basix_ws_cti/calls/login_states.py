"""Login states of one agent over time."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from attrs import Factory, define

from .model import Interval

# Periods kept per agent and state: memory stays bounded if a login state flips all the time.
MAX_PERIODS = 10_000

ElementKey = tuple[str, int | str | None]
"""Kind and key of an element."""


def expire(periods: deque[Interval], start: float) -> None:
    """Drop the periods that ended before ``start``, in microseconds."""
    while periods and periods[0].ended <= start:
        periods.popleft()


def _no_periods() -> dict[bool, deque[Interval]]:
    return {state: deque(maxlen=MAX_PERIODS) for state in (True, False)}


@define(eq=False)
class LoginStates:
    """Login states of one agent: logged in (``True``), logged out (``False``) or unknown."""

    answers: dict[ElementKey, bool] = Factory(dict)
    """Elements that tell the state, and what each of them tells."""
    state: bool | None = None
    """Present state; ``None``: unknown."""
    since: int = 0
    """Start of the present state, in microseconds."""
    past: dict[bool, deque[Interval]] = Factory(_no_periods)
    """Earlier periods of each known state, oldest first."""

    @property
    def is_empty(self) -> bool:
        """Return True if nothing is known of the agent."""
        return not (self.answers or any(self.past.values()))

    def update(self, key: ElementKey, answer: bool | None, now: int) -> None:  # noqa: FBT001
        """Take what an element tells at ``now``; ``None``: nothing, or the element is gone."""
        self.answers.pop(key, None)
        if answer is not None:
            self.answers[key] = answer
        state = any(self.answers.values()) if self.answers else None
        if state is self.state:
            return
        # After the clock was set back, a period would end before its start.
        if self.state is not None and self.since < now:
            self.past[self.state].append(Interval(started=self.since, ended=now))
        self.state, self.since = state, now

    def forget(self, now: int) -> None:
        """End the present state at ``now``: it is unknown until an element tells it."""
        for key in [*self.answers]:
            self.update(key, None, now)

    def periods(self, states: Collection[bool], since: int, until: int) -> list[Interval]:
        """Return the periods of these states, cut to the time from ``since`` to ``until``."""
        found = [period for state in states for period in self.past[state]]
        if self.state in states:
            found.append(Interval(started=self.since, ended=until))
        return [Interval(started=max(p.started, since), ended=min(p.ended, until)) for p in found]

    def expire(self, start: float) -> None:
        """Drop the periods that ended before ``start``, in microseconds."""
        for periods in self.past.values():
            expire(periods, start)
