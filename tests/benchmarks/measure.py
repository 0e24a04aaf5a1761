"""How things are measured: rounds of what is compared, taken in turn, and what comes of them.

A machine that others use too is slow now and fast then. So the contestants of one comparison take
turns, and what counts is the ratio within a round. That is why this is not pyperf, which runs
one benchmark to its end before the next begins. What it has beyond that is here as well: a run
takes each group in several processes, which differ in the layout of memory and the hashes of
texts, and compares runs by more than their noise.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs
from attrs import frozen

T = TypeVar("T")

# Changes up to this share are never called one, however quiet the rounds were.
LEAST_CHANGE = 0.03


@frozen(kw_only=True)
class Size:
    """How much is measured: enough to trust, or just enough to see that all of it works."""

    rounds: int
    floods: int  # rounds of what takes seconds
    processes: int
    events: int
    flood: int
    users: tuple[int, ...]
    growing: int
    held_users: int
    held_channels: int
    starts: int


FULL = Size(
    rounds=7,
    floods=3,
    processes=3,
    events=2000,
    flood=20_000,
    users=(500, 5000, 50_000),
    growing=1000,
    held_users=10_000,
    held_channels=2000,
    starts=21,
)
QUICK = Size(
    rounds=2,
    floods=2,
    processes=1,
    events=60,
    flood=200,
    users=(10, 20, 40),
    growing=20,
    held_users=20,
    held_channels=10,
    starts=2,
)


@frozen(kw_only=True)
class Row:
    """One line of the table.

    ``values`` are in ``unit``, one for each round. ``figures`` are what is compared with another
    run: multiples of ``base`` in the same rounds or, without one, the values. ``cpu`` is what
    measuring took, in CPU seconds of the process that was measured.
    """

    group: str
    name: str
    unit: str
    values: Sequence[float]
    figures: Sequence[float]
    base: str = ""
    cpu: float = 0.0
    more_is_better: bool = False

    @property
    def best(self) -> float:
        """The best round's value: the least disturbed one."""
        return max(self.values) if self.more_is_better else min(self.values)

    @property
    def median(self) -> float:
        """The middle of the values."""
        return statistics.median(self.values)

    @property
    def figure(self) -> float:
        """The middle of the figures."""
        return statistics.median(self.figures)

    @property
    def noise(self) -> float:
        """How far apart the middle half of the figures is, as a share of the figure."""
        if len(self.figures) < 2 or not self.figure:
            return 0.0
        first, _, third = statistics.quantiles(self.figures, n=4, method="inclusive")
        return (third - first) / abs(self.figure)

    def joined(self, other: Row) -> Row:
        """This row with the rounds of another process added."""
        return attrs.evolve(
            self,
            values=[*self.values, *other.values],
            figures=[*self.figures, *other.figures],
            cpu=self.cpu + other.cpu,
        )


@frozen
class Change:
    """A row, before and after."""

    before: Row
    after: Row

    @property
    def ratio(self) -> float:
        """The figure after as a multiple of the figure before."""
        return self.after.figure / self.before.figure

    @property
    def verdict(self) -> str:
        """``better`` or ``worse``, when that is beyond the noise of both, else nothing."""
        noise = max(LEAST_CHANGE, self.before.noise + self.after.noise)
        if 1 / (1 + noise) <= self.ratio <= 1 + noise:
            return ""
        return "better" if (self.ratio > 1) is self.after.more_is_better else "worse"


def take_turns(contestants: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """What each contestant measures, round by round; every other round goes backwards."""
    measured: dict[str, list[T]] = {name: [] for name in contestants}
    gc.collect()
    gc.freeze()  # what was prepared is no part of what is collected while measuring
    for number in range(rounds):
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            measured[name].append(contestants[name]())
    gc.unfreeze()
    return measured


def cpu_seconds(prepare: Callable[[], Callable[[], object]]) -> Callable[[], float]:
    """A contestant: CPU seconds of what ``prepare`` returns, garbage collection included."""

    def measure() -> float:
        run = prepare()
        gc.collect()
        start = time.process_time()
        run()
        return time.process_time() - start

    return measure


def calling(*work: tuple[Callable[[Any], object], Sequence[Any]]) -> Callable[[], float]:
    """A contestant: CPU seconds of calling each function with each of its arguments."""

    def run() -> None:
        for function, arguments in work:
            for argument in arguments:
                function(argument)

    return cpu_seconds(lambda: run)


def rows_against(
    base: str,
    seconds: Mapping[str, Sequence[float]],
    *,
    group: str,
    count: int,
    prefix: str = "",
    shows_base: bool = True,
) -> list[Row]:
    """A row in µs for each of ``count`` items, for each contestant: in multiples of ``base``."""
    return [
        Row(
            group=group,
            name=prefix + name,
            unit="µs",
            values=[one / count * 1e6 for one in measured],
            figures=[one / other for one, other in zip(measured, seconds[base], strict=True)],
            base=base,
            cpu=sum(measured),
        )
        for name, measured in seconds.items()
        if shows_base or name != base
    ]
