"""Period: the time that a report covers, in one time zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from attrs import frozen

from basix_ws_cti._internal.arguments import check_instance, check_text
from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.exceptions import UsageError

# Years whose days, in any time zone, are times that a datetime and every database can hold.
_FIRST_YEAR, _LAST_YEAR = 1971, 9998

_FORMS = (
    "a date such as 2026-11-30, a month such as 2026-11, a time such as 2026-11-30T09:00, or "
    "today, yesterday, this-week, last-week, this-month or last-month"
)


@frozen
class Period:
    """Half-open range of time: ``start`` belongs to it, ``end`` does not.

    Both have the same ``ZoneInfo``, in which a report counts days, weekdays and hours.
    """

    start: datetime
    """First moment of the period."""
    end: datetime
    """First moment after the period."""

    def __attrs_post_init__(self) -> None:
        for name, moment in (("start", self.start), ("end", self.end)):
            check_instance(name, moment, datetime, "a datetime")
            if not isinstance(moment.tzinfo, ZoneInfo):
                raise UsageError(
                    f"{name} must have a ZoneInfo as its time zone, such as ZoneInfo('Asia/Tokyo')"
                )
            _check_year(name, moment.year)
        if self.start.tzinfo != self.end.tzinfo:
            raise UsageError("start and end must have the same time zone")
        if self.start_us >= self.end_us:
            raise UsageError(
                f"the period is empty: its end {self.end.isoformat()} must be after its start "
                f"{self.start.isoformat()}"
            )

    @property
    def timezone(self) -> ZoneInfo:
        """Time zone of the period."""
        zone = self.start.tzinfo
        assert isinstance(zone, ZoneInfo)  # noqa: S101 - checked at the start, for type checkers
        return zone

    @property
    def start_us(self) -> int:
        """Start in microseconds since the epoch."""
        return to_microseconds(self.start)

    @property
    def end_us(self) -> int:
        """End in microseconds since the epoch."""
        return to_microseconds(self.end)

    @classmethod
    def parse(
        cls, from_text: str, to_text: str | None, timezone: ZoneInfo, now: datetime
    ) -> Period:
        """Return the period that two texts describe.

        - Each text is a date (``2026-11-30``), a month (``2026-11``), a time in ISO 8601
          (``2026-11-30T09:00``; without an offset, it is local time), or ``today``,
          ``yesterday``, ``this-week``, ``last-week``, ``this-month``, ``last-month``. Weeks start
          on Monday.
        - The period starts with ``from_text``. It ends with the end of the day, week or month
          ``to_text``; a time is the end itself.
        - ``to_text`` ``None``: the period is the day, week or month ``from_text``. If that is a
          time, the period ends at ``now``.
        - ``now``: the present time, with a time zone.

        Raise ``UsageError`` for other texts, and for an empty period.
        """
        check_instance("timezone", timezone, ZoneInfo, "a ZoneInfo")
        check_instance("now", now, datetime, "a datetime")
        if now.tzinfo is None:
            raise UsageError("now must have a time zone")
        now = now.astimezone(timezone)
        start, end = _range("from", from_text, now)
        if to_text is not None:
            last, end_of_last = _range("to", to_text, now)
            end = last if end_of_last is None else end_of_last
        return cls(start, now if end is None else end)


def midnight(day: date, timezone: ZoneInfo) -> datetime:
    """Return the start of a day. Where a clock change skips midnight, it is the first moment."""
    # An imaginary time becomes a real one by way of UTC. If midnight comes twice, it is the first.
    return datetime.combine(day, time(), timezone).astimezone(UTC).astimezone(timezone)


def add_months(day: date, months: int) -> date:
    """Return the first day of the month that is this number of months after that of ``day``."""
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, 1)


def _range(name: str, text: str, now: datetime) -> tuple[datetime, datetime | None]:
    """Return start and end of what a text describes; the end of a time is ``None``."""
    check_text(name, text)
    days = _days(name, text.strip().lower(), now.date())
    zone = now.tzinfo
    assert isinstance(zone, ZoneInfo)  # noqa: S101 - for type checkers
    if days is not None:
        return midnight(days[0], zone), midnight(days[1], zone)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{name} must be {_FORMS}") from None
    _check_year(name, moment.year)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone).astimezone(UTC)
    return moment.astimezone(zone), None


def _days(name: str, text: str, today: date) -> tuple[date, date] | None:
    """Return the first day and the first day after; ``None`` for a text of another form."""
    monday = today - timedelta(days=today.weekday())
    match text:
        case "today":
            return _one_day(today)
        case "yesterday":
            return _one_day(today - timedelta(days=1))
        case "this-week":
            return monday, monday + timedelta(days=7)
        case "last-week":
            return monday - timedelta(days=7), monday
        case "this-month":
            return add_months(today, 0), add_months(today, 1)
        case "last-month":
            return add_months(today, -1), add_months(today, 0)
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?", text, re.ASCII):
        return None
    _check_year(name, int(text[:4]))
    try:
        if len(text) == len("2026-11"):
            first = date.fromisoformat(f"{text}-01")
            return first, add_months(first, 1)
        return _one_day(date.fromisoformat(text))
    except ValueError:
        raise UsageError(f"{name}: there is no {text} in the calendar") from None


def _one_day(day: date) -> tuple[date, date]:
    return day, day + timedelta(days=1)


def _check_year(name: str, year: int) -> None:
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise UsageError(
            f"{name} must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}, got the year {year}"
        )
