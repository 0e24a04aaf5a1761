"""Runs the scenarios of the simulated PBX concurrently, in the PBX's own time.

A scenario is a generator: it operates on the PBX, and yields the number of seconds until it
continues.
"""

from __future__ import annotations

import contextlib
import heapq
from itertools import count
from typing import TYPE_CHECKING

from attrs import define, field

from basix_ws_cti._internal.arguments import check_seconds

from .errors import NotPossibleError
from .model import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .model import Channel, Fields, Key
    from .pbx import Pbx

    Scenario = Iterator[float]


@define(eq=False)
class _Run:
    """A scenario that runs, and the channels that it has created."""

    scenario: Scenario
    channels: list[Channel] = field(factory=list)


class Timeline:
    """Scheduler of the scenarios of one PBX.

    A heap holds the next step of each scenario. Taking a step moves the PBX's clock to the
    time of the step, so the clock never runs past a step that is due.
    """

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx
        self._order = count()  # steps due at the same time are taken in the order scheduled
        self._due: list[tuple[int, int, _Run]] = []
        self._running: _Run | None = None
        pbx.listeners.append(self._record_channel)

    def start(self, scenario: Scenario, after: float = 0) -> None:
        """Schedule the start of a scenario in ``after`` seconds.

        Raises ``UsageError`` for a negative number.
        """
        check_seconds("after", after, at_least=0)
        self._schedule(_Run(scenario), after)

    def start_now(self, scenario: Scenario) -> None:
        """Take the first step of a scenario at once.

        Raises ``NotPossibleError`` if that step is not possible.
        """
        self._resume(_Run(scenario))

    @property
    def time_to_next(self) -> float | None:
        """Return the seconds of PBX time until the next step; ``None``: nothing is scheduled."""
        return (self._due[0][0] - self._pbx.now) / SECOND if self._due else None

    def step(self) -> None:
        """Move the clock to the next step, and take it."""
        self._pbx.now, _, run = heapq.heappop(self._due)
        try:
            self._resume(run)
        except NotPossibleError:
            # A command or another scenario has changed the call. The scenario is abandoned, and
            # the channels that it created are hung up, so that no call stays for ever.
            self.start(_hang_up_all(self._pbx, run.channels), self._pbx.random.uniform(1, 20))

    def advance(self, seconds: float) -> None:
        """Move the clock on by ``seconds``, and take all steps due in that time."""
        end = self._pbx.now + round(seconds * SECOND)
        while self._due and self._due[0][0] <= end:
            self.step()
        self._pbx.now = end

    def _resume(self, run: _Run) -> None:
        before, self._running = self._running, run
        try:
            wait = next(run.scenario, None)
        finally:
            self._running = before
        if wait is not None:
            self._schedule(run, wait)

    def _schedule(self, run: _Run, after: float) -> None:
        due = self._pbx.now + round(after * SECOND)
        heapq.heappush(self._due, (due, next(self._order), run))

    def _record_channel(self, kind: str, key: Key, _: Fields, event_name: str) -> None:
        """Listen to the PBX, and note which scenario creates a channel."""
        if self._running is not None and kind == "channel" and event_name == "added":
            self._running.channels.append(self._pbx.channels[str(key)])


def _hang_up_all(pbx: Pbx, channels: Iterable[Channel]) -> Scenario:
    for channel in channels:
        if channel.uuid in pbx.channels:
            with contextlib.suppress(NotPossibleError):
                pbx.hang_up(channel)
            yield pbx.random.uniform(0, 2)
