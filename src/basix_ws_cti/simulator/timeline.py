"""When things happen in the simulated PBX: scenarios side by side, in the PBX's own time.

A scenario is a generator. It does things to the PBX, and yields the seconds until it wants
to go on.
"""

from __future__ import annotations

import contextlib
import heapq
from itertools import count
from typing import TYPE_CHECKING

from attrs import define, field

from .pbx import SECOND, NotPossibleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .model import Channel
    from .pbx import Key, Pbx, Picture

    Scenario = Iterator[float]


@define(eq=False)
class _Running:
    """A scenario, and the channels that it brought into the world."""

    scenario: Scenario
    channels: list[Channel] = field(factory=list)


class Timeline:
    """Runs any number of scenarios, in the order of the PBX's time."""

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx
        self._order = count()  # first come, first served among those due together
        self._due: list[tuple[int, int, _Running]] = []
        self._running: _Running | None = None
        pbx.listeners.append(self._notice)

    def start(self, scenario: Scenario, after: float = 0) -> None:
        """Let a scenario begin in ``after`` seconds; a negative number is a ``ValueError``."""
        if after < 0:
            raise ValueError(f"a scenario begins now or later, not after {after} s")
        self._schedule(_Running(scenario), after)

    def begin(self, scenario: Scenario) -> None:
        """Let a scenario begin at once; ``NotPossibleError`` if it can't."""
        self._go_on(_Running(scenario))

    @property
    def pause(self) -> float | None:
        """Seconds of PBX time until something happens; ``None``: nothing will."""
        return (self._due[0][0] - self._pbx.now) / SECOND if self._due else None

    def step(self) -> None:
        """Move the clock to the next thing that happens, and let it happen."""
        self._pbx.now, _, running = heapq.heappop(self._due)
        try:
            self._go_on(running)
        except NotPossibleError:
            # Somebody interfered: a command, another scenario. What is left of the call
            # comes to its end by itself, as calls do.
            self.start(_peter_out(self._pbx, running.channels), self._pbx.random.uniform(1, 20))

    def advance(self, seconds: float) -> None:
        """Move the clock on, and let happen what falls into that time."""
        end = self._pbx.now + round(seconds * SECOND)
        while self._due and self._due[0][0] <= end:
            self.step()
        self._pbx.now = end

    def _go_on(self, running: _Running) -> None:
        before, self._running = self._running, running
        try:
            wait = next(running.scenario, None)
        finally:
            self._running = before
        if wait is not None:
            self._schedule(running, wait)

    def _schedule(self, running: _Running, after: float) -> None:
        due = self._pbx.now + round(after * SECOND)
        heapq.heappush(self._due, (due, next(self._order), running))

    def _notice(self, kind: str, key: Key, _: Picture, event_name: str) -> None:
        if self._running is not None and kind == "channel" and event_name == "added":
            self._running.channels.append(self._pbx.channels[str(key)])


def _peter_out(pbx: Pbx, channels: Iterable[Channel]) -> Scenario:
    for channel in channels:
        if channel.uuid in pbx.channels:
            with contextlib.suppress(NotPossibleError):
                pbx.hang_up(channel)
            yield pbx.random.uniform(0, 2)
