"""Durations as text, and times in the unit of the PBX."""

from __future__ import annotations

from datetime import datetime


def format_duration(microseconds: int) -> str:
    """Return a duration as ``0:07`` or ``1:02:03``.

    A negative one is ``0:00?``: the PBX's timestamps contradict each other. Less than a second is
    ``0:00``, since it may be rounding.
    """
    if microseconds <= -1_000_000:
        return "0:00?"
    minutes, seconds = divmod(max(0, microseconds) // 1_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def to_microseconds(moment: datetime) -> int:
    """Return a time in microseconds since the epoch, as the PBX sends times."""
    return round(moment.timestamp() * 1_000_000)
