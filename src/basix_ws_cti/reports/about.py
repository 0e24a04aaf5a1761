"""Description of a report: what it counts, by which definitions, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import time, timedelta
from typing import Any

from attrs import frozen

from basix_ws_cti._internal.translation import N_, _
from basix_ws_cti.board.durations import format_duration, to_microseconds

from .intervals import By
from .reports import Reports
from .rows import GapRow
from .selection import Selection

_WEEKDAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))

_INTERVALS: dict[By, str] = {
    "15min": N_("15 minutes"),
    "30min": N_("30 minutes"),
    "hour": N_("hour"),
    "day": N_("day"),
    "week": N_("week"),
    "month": N_("month"),
}


@frozen(kw_only=True)
class About:
    """Description of a report."""

    reports: Reports
    """Reports of a call log, with the definitions of the figures."""
    selection: Selection
    """Rows that the report counts."""
    by: By | None
    """Length of the intervals; ``None``: one interval."""
    names: Mapping[tuple[str, int], str]
    """Last name of each user and group, by kind and id."""
    gaps: Sequence[GapRow]
    """Gaps in the feed within the period."""

    def members(self) -> dict[str, Any]:
        """Return the description as members of a JSON object."""
        selection, thresholds = self.selection, self.reports.thresholds
        hours = selection.hours
        return {
            "database": self.reports.name,
            "from": selection.period.start.isoformat(),
            "to": selection.period.end.isoformat(),
            "timezone": selection.period.timezone.key,
            "by": self.by,
            "weekdays": sorted(selection.weekdays),
            "hours": None if hours is None else [f"{one:%H:%M}" for one in hours],
            "groups": sorted(selection.groups),
            "users": sorted(selection.users),
            "service_level_seconds": thresholds.service_level,
            "target": self.reports.target,
            "short_abandon_seconds": thresholds.short_abandon,
            "band_seconds": [*thresholds.bands],
            "wrap_up_seconds": self.reports.wrap_up,
            "gaps": [
                {"from": gap.start.isoformat(), "to": gap.end.isoformat(), "reason": gap.reason}
                for gap in self.gaps
            ],
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield the description as labels and texts, in the reader's language."""
        thresholds = self.reports.thresholds
        yield _("Database"), self.reports.name
        yield _("Period"), self.period_text()
        yield _("Time zone"), self.selection.period.timezone.key
        yield from self._conditions()
        yield (
            _("Service level"),
            _("{target:.0%} of calls answered within {seconds:g} s").format(
                target=self.reports.target, seconds=thresholds.service_level
            ),
        )
        seconds = _("{seconds:g} s")
        yield _("Short abandons"), seconds.format(seconds=thresholds.short_abandon)
        yield _("Wrap-up"), seconds.format(seconds=self.reports.wrap_up)
        if self.gaps:
            yield _("Gaps in the feed"), self.gap_warning() or ""

    def period_text(self) -> str:
        """Return the period as its first and last day, or as its start and end."""
        start, end = self.selection.period.start, self.selection.period.end
        if start.time() != time() or end.time() != time():
            return f"{start:%Y-%m-%d %H:%M} – {end:%Y-%m-%d %H:%M}"
        first, last = start.date(), end.date() - timedelta(days=1)
        return f"{first}" if first == last else f"{first} – {last}"

    def gap_warning(self) -> str | None:
        """Return a warning that calls may be missing; ``None`` without gaps in the period."""
        if not self.gaps:
            return None
        period = self.selection.period
        missing = sum(
            min(to_microseconds(gap.end), period.end_us)
            - max(to_microseconds(gap.start), period.start_us)
            for gap in self.gaps
        )
        return _("the feed was interrupted for {time} in this period: calls may be missing").format(
            time=format_duration(missing)
        )

    def other_period_hint(self) -> str | None:
        """Return when the calls of the call log are; ``None`` if the period may contain some."""
        period, known = self.selection.period, self.reports.first_and_last_start()
        if known is None:
            return _("the call log has no calls yet")
        first, last = known
        if first < period.end and last >= period.start:
            return None
        days = [f"{one.astimezone(period.timezone):%Y-%m-%d}" for one in (first, last)]
        return _("the call log has no calls of this period, but from {first} to {last}").format(
            first=days[0], last=days[1]
        )

    def _conditions(self) -> Iterator[tuple[str, str]]:
        selection = self.selection
        if self.by is not None:
            yield _("Interval"), _(_INTERVALS[self.by])
        if selection.weekdays:
            days = [_(_WEEKDAYS[day]) for day in sorted(selection.weekdays)]
            yield _("Days of the week"), ", ".join(days)
        if selection.hours is not None:
            start, end = selection.hours
            yield _("Hours"), f"{start:%H:%M} – {end:%H:%M}"
        if selection.groups:
            yield _("Queues"), self._names_of("group", selection.groups)
        if selection.users:
            yield _("Agents"), self._names_of("user", selection.users)

    def _names_of(self, kind: str, ids: Iterable[int]) -> str:
        return ", ".join(self.names.get((kind, one), str(one)) for one in sorted(ids))
