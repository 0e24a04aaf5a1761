"""Bars of the day: queue calls by quarter hour."""

from __future__ import annotations

from collections.abc import Iterable

from basix_ws_cti.calls import QueueStats

_QUARTER = 15 * 60 * 1_000_000  # in microseconds; all time zones are whole quarters from UTC


def day_bars(stats: QueueStats, groups: Iterable[int | str], now: int) -> list[dict[str, int]]:
    """Return a bar for each quarter hour of today in which a call entered one of the queues.

    A bar has its ``start`` in milliseconds since the epoch, and the numbers of calls that were
    offered, answered and abandoned, by the time at which they entered the queue. ``now`` is in
    microseconds.
    """
    bars: dict[int, dict[str, int]] = {}
    for group in groups:
        for wait in stats.waits(group, now):  # type: ignore[arg-type]  # an id as the PBX sent it
            start = wait.entered - wait.entered % _QUARTER
            bar = bars.setdefault(
                start, {"start": start // 1000, "offered": 0, "answered": 0, "abandoned": 0}
            )
            bar["offered"] += 1
            if wait.result in {"answered", "abandoned"}:
                bar[wait.result] += 1
    return [bars[start] for start in sorted(bars)]
