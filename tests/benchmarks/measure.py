"""Measurement in rounds, in which the contestants take turns.

The speed of a shared machine varies over time, so only the ratio within one round counts. pyperf
and pytest-benchmark do not fit, because they finish one benchmark before they start the next.
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

# Minimum time in seconds, for clocks that tick only every 16 ms: a ratio needs a positive base.
LEAST_TIME = 1e-7

# Each process starts with empty memory, not with a copy of its parent's.
SPAWN = multiprocessing.get_context("spawn")


@frozen(kw_only=True)
class Size:
    """Amount of work: for reliable figures, or just to check that everything works."""

    processes: int  # per group; processes differ in hashes and in memory layout
    rounds: int  # in each process
    floods: int  # rounds of measurements that take seconds
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
        """Median of the values."""
        return statistics.median(self.values)

    @property
    def figure(self) -> float:
        """Median of the ratios, or of the values if there are none; compared between runs."""
        return statistics.median(self.ratios or self.values)

    @property
    def spread(self) -> float:
        """Interquartile range of the ratios or values, relative to ``figure``."""
        figures = self.ratios or self.values
        if len(figures) < 2 or not self.figure:
            return 0.0
        first, _, third = statistics.quantiles(figures, n=4, method="inclusive")
        return (third - first) / self.figure

    def joined(self, other: Row) -> Row:
        """Return this row with the rounds of another process added."""
        return attrs.evolve(
            self, values=self.values + other.values, ratios=self.ratios + other.ratios
        )


def take_turns(contestants: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Return what each contestant measures, round by round.

    Every other round runs backwards. One round before the first is not counted.
    """
    measured: dict[str, list[T]] = {name: [] for name in contestants}
    gc.collect()
    gc.freeze()  # excludes the prepared objects from later collections
    for number in range(rounds + 1):
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            value = contestants[name]()
            if number:
                measured[name].append(value)
    gc.unfreeze()
    return measured


def cpu_since(begin: float) -> float:
    """Return the CPU seconds of this process since ``time.process_time()`` was ``begin``."""
    return max(time.process_time() - begin, LEAST_TIME)


def cpu(
    prepare: Callable[[], tuple[Callable[[Any], object], Sequence[Any]]], count: int | None = None
) -> Callable[[], float]:
    """Return a contestant that measures the CPU seconds of calls.

    ``prepare`` returns the function and its arguments for one round. The result is divided by
    ``count``, or by the number of calls. It includes garbage collections during the calls.
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
    """Return a contestant that calls a function; the lists of arguments alternate by round."""
    turns = itertools.cycle(rounds)
    return cpu(lambda: (function, next(turns)), count)


def apart(function: Callable[..., T], *arguments: Any) -> T:
    """Return the result of a function in a separate process without logging."""
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
    """Return a row for each contestant, with ratios to the contestant ``base``."""
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
