"""Call logs for reports: a hand-made morning, and a simulated day."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.pbx import Pbx

from .call_rows import SECOND, participation, queue_wait
from .ledger_day import play_day
from .report_rows import call_record, fill

TOKYO = ZoneInfo("Asia/Tokyo")
MORNING = datetime(2026, 11, 30, 9, tzinfo=TOKYO)
START = int(MORNING.timestamp())

HOSTILE_GROUP = '=HYPERLINK("http://evil.example","x")'
HOSTILE_USER = "@SUM(1+1)"
HOSTILE_CALLER = "\t=1+1"


def call_at(call_id="1", started=START, **columns):
    """Return an answered call of one minute; ``started`` is in seconds."""
    values = {"waited_us": 8 * SECOND, "talking_us": 60 * SECOND, "total_us": 68 * SECOND}
    return call_record(call_id, started * SECOND, **values | columns)


def log_morning(database):
    """Write a new log of three calls from 09:00 on in Tokyo; people chose hostile names.

    Call 1 waits 8 s in queue 1 and is answered by user 11. Call 2 waits there for 30 s, and its
    caller hangs up. Call 3 goes to number 0501234567 without a queue, and ends in the menu.
    """
    caller = {
        "caller_number": "0312341234",
        "caller_number_normalised": "0312341234",
        "called_number": "0501234567",
        "called_number_normalised": "0501234567",
    }
    unanswered = {"answered": None, "waited_us": None, "talking_us": 0}
    return fill(
        database,
        calls=[
            call_at(
                "1",
                caller_name=HOSTILE_CALLER,
                group_id=1,
                answered_by_user_id=11,
                last_handler_user_id=11,
                **caller,
            ),
            call_at("2", START + 1800, group_id=1, disposition="abandoned", **unanswered, **caller),
            call_at("3", START + 7200, disposition="ended_in_menu", **unanswered, **caller),
        ],
        waits=[
            queue_wait("1", START, 8, answered_by_user_id=11),
            queue_wait("2", START + 1800, 30, "abandoned"),
        ],
        participations=[participation("1", offered=START, rang=8, talked=60, group_id=1)],
        names=[
            {"kind": "group", "id": 1, "since": 0, "name": HOSTILE_GROUP, "extension": "1900"},
            {"kind": "user", "id": 11, "since": 0, "name": HOSTILE_USER, "extension": "1001"},
            {"kind": "user", "id": 12, "since": 0, "name": "佐藤 健", "extension": "1002"},
        ],
        gaps=[
            {
                "started": (START + 600) * SECOND,
                "ended": (START + 612) * SECOND,
                "reason": "ConnectionLost",
            }
        ],
    )


def log_day(database, seed=5, calls=150, users=6):
    """Write the calls of a simulated day, and the names of its users and groups, to a new log."""
    _, rows = play_day(seed, calls, users=users)
    morning = Pbx(seed)  # before users change their names
    scenarios.populate(morning, users)
    return fill(
        database,
        calls=rows.calls,
        waits=rows.waits,
        participations=rows.participations,
        names=[*_names(morning)],
    )


def _names(pbx):
    for kind in ("user", "group"):
        for values in pbx.snapshot()[kind].values():
            yield {
                "kind": kind,
                "id": values["id"],
                "since": 0,
                "name": values.get("label") or values["name"],
                "extension": values.get("main_extension"),
            }
