"""How things are measured: in rounds, in which those that are compared take turns.

A machine that others use too is slow now and fast then, and hits whoever is measured just then.
So what counts is the ratio within one round. That is why this is neither pyperf nor
pytest-benchmark: both run one benchmark to its end before they begin the next.
"""

from __future__ import annotations

import gc
import itertools
import logging
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

import attrs
from attrs import frozen

T = TypeVar("T")

# Seconds that are never nothing: of a clock that ticks every 16 ms, too.
LEAST_TIME = 1e-7

# Every process begins anew: nothing of the one that starts it is in its memory.
SPAWN = multiprocessing.get_context("spawn")


@frozen(kw_only=True)
class Size:
    """How much is measured: enough to trust, or just enough to see that all of it works."""

    processes: int  # that each group is measured in: they differ in hashes and in memory's layout
    rounds: int  # in each process
    floods: int  # rounds of what takes seconds
    events: int
    flood: int
    users: tuple[int, ...]
    growing: int
    held: tuple[int, int]  # users, and calls of two channels each


FULL = Size(
    processes=3,
    rounds=7,
    floods=3,
    events=2000,
    flood=20_000,
    users=(500, 5000, 50_000),
    growing=1000,
    held=(10_000, 1000),
)
QUICK = Size(
    processes=1,
    rounds=1,
    floods=1,
    events=20,
    flood=100,
    users=(10, 20, 40),
    growing=10,
    held=(20, 10),
)


@frozen(kw_only=True)
class Row:
    """One line of the table: a value for each round, in ``unit``.

    ``ratios`` are the values in multiples of ``base``, another row of the same rounds; where
    there is none, both are empty. Less is better.
    """

    group: str
    name: str
    unit: str
    values: list[float]
    base: str = ""
    ratios: list[float] = attrs.field(factory=list)

    @property
    def value(self) -> float:
        """The middle of the values."""
        return statistics.median(self.values)

    @property
    def figure(self) -> float:
        """What is compared with another run: the middle of the ratios, else of the values."""
        return statistics.median(self.ratios or self.values)

    @property
    def spread(self) -> float:
        """How far apart the middle half of the figures is, as a share of the figure."""
        figures = self.ratios or self.values
        if len(figures) < 2 or not self.figure:
            return 0.0
        first, _, third = statistics.quantiles(figures, n=4, method="inclusive")
        return (third - first) / self.figure

    def joined(self, other: Row) -> Row:
        """This row, and the rounds of another process."""
        return attrs.evolve(
            self, values=self.values + other.values, ratios=self.ratios + other.ratios
        )


def take_turns(contestants: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """What each contestant measures, round by round; every other round goes backwards.

    A round before the first is not counted.
    """
    measured: dict[str, list[T]] = {name: [] for name in contestants}
    gc.collect()
    gc.freeze()  # what was prepared is no part of what is collected while measuring
    for number in range(rounds + 1):
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            value = contestants[name]()
            if number:
                measured[name].append(value)
    gc.unfreeze()
    return measured


def cpu_since(begin: float) -> float:
    """CPU seconds of this process since ``time.process_time()`` was that."""
    return max(time.process_time() - begin, LEAST_TIME)


def cpu(
    prepare: Callable[[], tuple[Callable[[Any], object], Sequence[Any]]], count: int | None = None
) -> Callable[[], float]:
    """A contestant: CPU seconds of calling a function with each of some arguments.

    ``prepare`` gives both, for one round. The seconds are for each of ``count`` things, or
    for each call; those of the garbage collection that the calls cause are in them.
    """

    def measure() -> float:
        function, arguments = prepare()
        gc.collect()
        begin = time.process_time()
        for argument in arguments:
            function(argument)
        return cpu_since(begin) / (count or len(arguments))

    return measure


def calling(
    function: Callable[[Any], object], *rounds: Sequence[Any], count: int | None = None
) -> Callable[[], float]:
    """A contestant: calls with the same arguments in each round, or with those of each in turn."""
    turns = itertools.cycle(rounds)
    return cpu(lambda: (function, next(turns)), count)


def apart(function: Callable[..., T], *arguments: Any) -> T:
    """What a function returns in a process of its own, which logs nothing."""
    with ProcessPoolExecutor(1, mp_context=SPAWN, initializer=logging.disable) as pool:
        return pool.submit(function, *arguments).result()


def rows(
    group: str,
    base: str,
    measured: Mapping[str, Sequence[float]],
    *,
    prefix: str = "",
    unit: str = "µs",
    scale: float = 1e6,
    shows_base: bool = True,
) -> list[Row]:
    """A row for each contestant, in multiples of ``base``, which is one of them."""
    return [
        Row(
            group=group,
            name=prefix + name,
            unit=unit,
            values=[value * scale for value in values],
            base=base,
            ratios=[value / other for value, other in zip(values, measured[base], strict=True)],
        )
        for name, values in measured.items()
        if shows_base or name != base
    ]
