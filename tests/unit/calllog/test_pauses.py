"""Pauses of a thread that computes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from basix_ws_cti.calllog import pauses as pauses_module
from basix_ws_cti.calllog.pauses import Pauses


@pytest.fixture
def clock(monkeypatch):
    """Clock that the test moves; ``pauses`` has the times of the pauses."""
    clock = SimpleNamespace(now=100.0, pauses=[])

    def sleep(seconds):
        clock.pauses.append(clock.now)
        clock.now += seconds

    functions = SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep)
    monkeypatch.setattr(pauses_module, "time", functions)
    return clock


def test_thread_pauses_after_each_millisecond_of_work(clock):
    pauses = Pauses()
    for _ in range(100):
        clock.now += 0.0001
        pauses.after_step()
    distances = [b - a for a, b in zip(clock.pauses, clock.pauses[1:], strict=False)]
    assert len(distances) >= 7
    assert all(0.001 < one < 0.0015 for one in distances)


def test_pause_follows_each_long_step(clock):
    pauses = Pauses()
    for _ in range(3):
        clock.now += 0.5
        pauses.after_step()
    assert len(clock.pauses) == 3
