"""Keep a log of all calls in a SQLite database, one row for each.

    python examples/call_log.py calls.db --time-zone Asia/Tokyo

It runs until Ctrl-C, or for so many ``--seconds``, and prints the last calls then. A call has its
row from its beginning on, and is ``complete`` when it was seen from there to its end: neither
a lost connection nor a restart of this program makes a second row, or a false one.
Which PBX: see feed.py.
"""

from __future__ import annotations

import argparse
import io
import sqlite3
import sys
import unicodedata
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from feed import feed, run

from basix_ws_cti import CallEnded, CallRecord, CallStarted, Client
from basix_ws_cti.calls.call_record import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from basix_ws_cti import Call

TABLE = f"CREATE TABLE IF NOT EXISTS calls ({', '.join(COLUMNS)}, PRIMARY KEY (id))"

# That it is not complete is true until it has been seen to end.
BEGUN = """
INSERT INTO calls (id, direction, started, caller_number, caller_name, caller_user_id,
    called_number, complete)
VALUES (?, ?, ?, ?, ?, ?, ?, FALSE) ON CONFLICT DO NOTHING
"""

ENDED = f"""
INSERT INTO calls VALUES ({", ".join(f":{name}" for name in COLUMNS)})
ON CONFLICT DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in COLUMNS)}
WHERE NOT calls.complete
"""  # noqa: S608 - the columns' names are ours

LAST = """
SELECT started, direction, coalesce(caller_name, caller_number, 'user ' || caller_user_id, '?'),
    called_number, coalesce(disposition || coalesce(' in ' || abandoned_in, ''), 'end not seen'),
    talking_us, complete
FROM (SELECT * FROM calls ORDER BY started DESC LIMIT ?) ORDER BY started, id
"""


def open_log(path: str) -> sqlite3.Connection:
    log = sqlite3.connect(path, isolation_level=None)  # each row is there at once
    try:
        log.execute("PRAGMA journal_mode = WAL")
        log.execute("PRAGMA synchronous = NORMAL")
        log.execute(TABLE)
    except BaseException:
        log.close()
        raise
    return log


def begun(log: sqlite3.Connection, call: Call) -> None:
    who = call.caller
    caller = (who.number, who.name, who.user_id)
    row = (call.id, call.direction, call.started, *caller, call.called_number)
    log.execute(BEGUN, row)


async def write(log: sqlite3.Connection) -> None:
    async with feed("call_log") as pbx:
        client = Client(**pbx, full_events=True)
        # Should the disk be slower than the PBX for long, it ends rather than leave calls out.
        events = client.call_events(policy="fail", size=10_000)
        async with client:
            async for event in events:
                match event:
                    case CallStarted(call):
                        begun(log, call)
                    case CallEnded(call):
                        log.execute(ENDED, CallRecord.of(call).to_dict())


def table(log: sqlite3.Connection, zone: tzinfo, limit: int) -> Iterator[str]:
    """The last calls, as lines."""
    yield line("started", "direction", "caller", "called", "how it went", "talk", "")
    for started, direction, caller, called, how, talk, complete in log.execute(LAST, [limit]):
        local = (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=started)).astimezone(zone)
        talked = timedelta(seconds=talk // 1_000_000) if talk else ""
        note = "" if complete else "incomplete"
        yield line(f"{local:%Y-%m-%d %H:%M:%S}", direction, caller, called, how, talked, note)


def line(*cells: object) -> str:
    return "  ".join(fit(cells, (19, 9, 24, 14, 20, 7, 10))).rstrip()


def fit(cells: Iterable[object], widths: Iterable[int]) -> Iterator[str]:
    """Cells as wide as their columns. Japanese characters take two places each."""
    for cell, width in zip(cells, widths, strict=True):
        # Nobody outside is to write on our terminal with control characters in a name.
        text = "".join(c if c.isprintable() else "?" for c in str(cell or ""))
        while (free := width - sum(places(c) for c in text)) < 0:
            text = text[:-1]
        yield text + " " * free


def places(char: str) -> int:
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def time_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise argparse.ArgumentTypeError(
            f"no such time zone: {name} (tzdata brings them)"
        ) from None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("database", help="a file; it is made if it is not there")
    parser.add_argument("--time-zone", type=time_zone, default=UTC, help="such as Asia/Tokyo")
    parser.add_argument("--seconds", type=float, help="end after that time")
    parser.add_argument("--last", type=int, default=20, help="calls to print at the end")
    options = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Japanese
    try:
        log = open_log(options.database)
    except sqlite3.Error as error:
        sys.exit(f"call_log: {options.database}: {error}")
    try:
        run(write(log), options.seconds)
    finally:
        print(*table(log, options.time_zone, options.last), sep="\n")
        log.close()


if __name__ == "__main__":
    main()
