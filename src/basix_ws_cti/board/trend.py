"""Past values of figures, for sparklines."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TypeAlias

from attrs import Factory, define

SAMPLE_INTERVAL = 30 * 1_000_000
"""Least time between two samples, in microseconds of the feed's time."""

MAX_SAMPLES = 60
"""Samples kept."""

Sample: TypeAlias = Mapping[str, float | None]

_NO_SAMPLE: Sample = {}


@define
class Trend:
    """Samples of figures at regular intervals, oldest first."""

    _samples: deque[Sample] = Factory(lambda: deque(maxlen=MAX_SAMPLES))
    _sampled_at: int | None = None
    _is_interrupted: bool = False

    def add(self, sample: Sample, now: int) -> None:
        """Keep a sample if the last one is old enough; ``now`` is in microseconds."""
        if self._sampled_at is not None:
            elapsed = now - self._sampled_at
            if 0 <= elapsed < SAMPLE_INTERVAL:
                return
            if self._is_interrupted:
                missed = min(MAX_SAMPLES, elapsed // SAMPLE_INTERVAL - 1)
                self._samples.extend(_NO_SAMPLE for _ in range(missed))
        self._samples.append(sample)
        self._sampled_at = now
        self._is_interrupted = False

    def interrupt(self) -> None:
        """Note that values are unknown from now on until the next sample."""
        self._is_interrupted = True

    def values(self, name: str, now: int) -> tuple[float | None, ...]:
        """Return the values of a figure before ``now``; ``None`` where it was unknown."""
        values = tuple(sample.get(name) for sample in self._samples)
        return values[:-1] if self._sampled_at == now else values
