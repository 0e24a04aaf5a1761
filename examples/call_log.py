"""Keep a log of all calls in a SQLite database: a row per call, and one per wait in a queue.

    python examples/call_log.py calls.db --time-zone Asia/Tokyo

It runs until Ctrl-C or for ``--seconds``, and then prints the last calls. The row is inserted
when the call starts, and is marked ``complete`` when the whole call was observed. A lost
connection or a restart of this program causes neither a second row nor a wrong one.
The waits of a call are inserted when it ends. feed.py chooses the PBX.
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

import attrs
from feed import feed, run, until_reader_leaves

from basix_ws_cti import CallEnded, CallRecord, CallStarted, Client, QueueWait
from basix_ws_cti.calls.call_record import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from basix_ws_cti import Call

WAIT_COLUMNS = tuple(column.name for column in attrs.fields(QueueWait))

TABLES = f"""
CREATE TABLE IF NOT EXISTS calls ({", ".join(COLUMNS)}, PRIMARY KEY (id));
CREATE TABLE IF NOT EXISTS waits ({", ".join(WAIT_COLUMNS)},
    PRIMARY KEY (call_id, group_id, entered));
"""

INSERT = f"INSERT INTO calls VALUES ({', '.join(f':{name}' for name in COLUMNS)})"  # noqa: S608

# The row of a call in progress is incomplete until its end was observed.
INSERT_STARTED = f"{INSERT} ON CONFLICT DO NOTHING"

UPSERT_ENDED = f"""
{INSERT} ON CONFLICT DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in COLUMNS)}
WHERE NOT calls.complete
"""

INSERT_WAIT = f"INSERT INTO waits VALUES ({', '.join(f':{name}' for name in WAIT_COLUMNS)})"  # noqa: S608

SELECT_LAST = """
SELECT started, direction, coalesce(caller_name, caller_number, 'user ' || caller_user_id, '?'),
    called_number, CASE disposition WHEN 'abandoned' THEN 'abandoned in ' || abandoned_in
        ELSE coalesce(disposition, 'end not seen') END,
    talking_us, complete
FROM (SELECT * FROM calls ORDER BY started DESC LIMIT ?) ORDER BY started, id
"""


def open_log(path: str) -> sqlite3.Connection:
    log = sqlite3.connect(path, isolation_level=None)  # autocommit: each row is written at once
    try:
        log.execute("PRAGMA journal_mode = WAL")
        log.execute("PRAGMA synchronous = NORMAL")
        log.executescript(TABLES)
    except BaseException:
        log.close()
        raise
    return log


def write_ended(log: sqlite3.Connection, call: Call) -> None:
    """Write the row of an ended call and its waits, unless a complete row exists already."""
    with log:  # commits, or rolls back
        log.execute("BEGIN")
        if log.execute(UPSERT_ENDED, CallRecord.of(call).to_dict()).rowcount:
            log.execute("DELETE FROM waits WHERE call_id = ?", [call.id])
            log.executemany(INSERT_WAIT, [wait.to_dict() for wait in QueueWait.of(call)])


async def record_calls(log: sqlite3.Connection) -> None:
    async with feed("call_log") as pbx:
        client = Client(**pbx, full_events=True)
        # If the disk stays slower than the PBX, stop with an error rather than lose calls.
        events = client.call_events(policy="fail", size=10_000)
        async with client:
            async for event in events:
                match event:
                    case CallStarted(call):
                        log.execute(INSERT_STARTED, CallRecord.of(call).to_dict())
                    case CallEnded(call):
                        write_ended(log, call)


def table(log: sqlite3.Connection, zone: tzinfo, limit: int) -> Iterator[str]:
    """Yield the last calls as lines of a table, oldest first."""
    yield line("started", "direction", "caller", "called", "result", "talk", "")
    for started, direction, caller, called, result, talk, complete in log.execute(
        SELECT_LAST, [limit]
    ):
        local = (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=started)).astimezone(zone)
        talked = timedelta(seconds=talk // 1_000_000) if talk else ""
        note = "" if complete else "incomplete"
        yield line(f"{local:%Y-%m-%d %H:%M:%S}", direction, caller, called, result, talked, note)


def line(*cells: object) -> str:
    return "  ".join(fit(cells, (19, 9, 24, 14, 20, 7, 10))).rstrip()


def fit(cells: Iterable[object], widths: Iterable[int]) -> Iterator[str]:
    """Yield cells padded or cut to the widths of their columns, in terminal columns."""
    for cell, width in zip(cells, widths, strict=True):
        # A name may contain control characters, which could manipulate the terminal.
        text = "".join(c if c.isprintable() else "?" for c in str(cell or ""))
        while (free := width - sum(columns(c) for c in text)) < 0:
            text = text[:-1]
        yield text + " " * free


def columns(char: str) -> int:
    """Return the width of a character in a terminal: 2 for a Japanese one, else 1."""
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def time_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise argparse.ArgumentTypeError(
            f"unknown time zone {name!r}: on systems without time zones, install tzdata"
        ) from None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("database", help="path of the SQLite file, created if missing")
    parser.add_argument(
        "--time-zone",
        type=time_zone,
        default=UTC,
        help="zone of the times, such as Asia/Tokyo (default UTC)",
    )
    parser.add_argument("--seconds", type=float, help="stop after this many seconds")
    parser.add_argument(
        "--last", type=int, default=20, help="number of calls to print at the end (default 20)"
    )
    options = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # for terminals that cannot show Japanese
    try:
        log = open_log(options.database)
    except sqlite3.Error as error:
        sys.exit(f"call_log: {options.database}: {error}")
    try:
        run(record_calls(log), options.seconds)
    finally:
        with until_reader_leaves():
            print(*table(log, options.time_zone, options.last), sep="\n")
        log.close()


if __name__ == "__main__":
    main()
