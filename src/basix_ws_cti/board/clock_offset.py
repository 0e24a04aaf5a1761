"""Text about the difference between the PBX's clock and the clock of this machine."""

from __future__ import annotations

from basix_ws_cti._internal.translation import _, ngettext

from .durations import format_duration

_DAY = 24 * 3600 * 1_000_000  # in microseconds

SHOWN_OFFSET = 60 * 1_000_000
"""Difference in microseconds from which on a display mentions that the clocks differ."""


def describe_clock_offset(offset: int) -> str:
    """Return an offset as text, such as ``PBX clock 2:00:00 ahead``; in days from two days on."""
    days = abs(offset) // _DAY
    if days >= 2:
        text = ngettext("{count} day", "{count} days", days)
        amount = text.format(count=f"{days:,}")
    else:
        amount = format_duration(abs(offset))
    text = _("PBX clock {amount} ahead") if offset > 0 else _("PBX clock {amount} behind")
    return text.format(amount=amount)
