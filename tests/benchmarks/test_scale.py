"""The benchmark of a large call centre: small in every run, ten minutes at full size."""

from __future__ import annotations

import re

import pytest
import scale

SMALL = ["--users=60", "--channels=20", "--rate=200", "--subscribers=3", "--seconds=1.5"]


@pytest.mark.slow
def test_command_prints_a_figure_for_each_cost(capsys):
    scale.main(SMALL)
    rows = [re.split(r"  +", line) for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in rows] == [
        *("events received", "changes received, least and most", "calls logged"),
        *("CPU", "CPU for each event"),
        *("memory at a quarter of the time", "memory at the end"),
        *("longest step of the event loop", "longest wait of another task"),
        *("longest garbage collection", "lag, median", "lag, 99th percentile"),
    ]
    figures = dict(rows)
    assert int(figures["events received"].partition(",")[0]) > 0
    assert int(figures["calls logged"]) > 0
    least, most = figures["changes received, least and most"].split()
    assert least == most != "0"


def test_events_of_the_busy_pbx_keep_its_number_of_channels():
    busy = scale.BusyPbx(scale.Load(users=30, channels=8))
    assert len(busy.pbx.channels) == 8
    frames = busy.events(100)
    assert len(frames) == len({*frames}) == 100
    assert len(busy.pbx.channels) == 8


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_memory_of_a_large_call_centre_is_flat():
    """Ten minutes with 20,000 users, 2,000 channels, a call log and 20 subscribers."""
    load = scale.Load(seconds=600.0)
    result = scale.measure(load)
    quarter, end = result.memory
    assert result.events > 100_000
    assert end < 1.2 * quarter
    assert min(result.changes) == max(result.changes) > 0
    assert result.held.step < 3 * 0.020
