"""Values in formats without types of their own for times and durations."""

from __future__ import annotations

from datetime import datetime

from basix_ws_cti.reports.tables import Kind


def iso_time(kind: Kind, moment: datetime) -> str:
    """Return a time in ISO 8601 with UTC offset.

    Edges of intervals are written to the second, all other times to the microsecond.
    """
    return moment.isoformat(timespec="microseconds" if kind == "time" else "seconds")


def seconds(microseconds: float) -> int | float:
    """Return a duration in seconds: an integer if it is a whole number of them."""
    whole, rest = divmod(microseconds, 1_000_000)
    return microseconds / 1_000_000 if rest else int(whole)
