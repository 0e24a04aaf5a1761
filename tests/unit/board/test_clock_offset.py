"""Text about the difference between two clocks."""

from __future__ import annotations

from basix_ws_cti.board.clock_offset import describe_clock_offset

SECOND = 1_000_000
HOUR = 3600 * SECOND


def test_offset_is_described_with_its_direction():
    assert describe_clock_offset(2 * HOUR) == "PBX clock 2:00:00 ahead"
    assert describe_clock_offset(-90 * SECOND) == "PBX clock 1:30 behind"
    assert describe_clock_offset(48 * HOUR - SECOND) == "PBX clock 47:59:59 ahead"
    assert describe_clock_offset(48 * HOUR) == "PBX clock 2 days ahead"
    assert describe_clock_offset(-20_000 * 24 * HOUR) == "PBX clock 20,000 days behind"
