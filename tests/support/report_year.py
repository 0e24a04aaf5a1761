"""A call log of a large call centre's year, with rows written as they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import islice
from random import Random

from basix_ws_cti.calllog.database import create_writer, parse_database
from basix_ws_cti.calllog.migrations import migrate
from basix_ws_cti.calllog.schema import CALLS, PARTICIPATIONS, WAITS

SECOND = 1_000_000
DAY = 86_400 * SECOND

GROUPS = range(1, 21)
USERS = range(101, 301)

# Waits by result, of 1,000.
_RESULTS = (
    ["answered"] * 800
    + ["abandoned"] * 100
    + ["overflowed"] * 80
    + ["voicemail"] * 10
    + ["ended"] * 8
    + ["unknown"] * 2
)


def write_year(path, start, *, calls):
    """Write a call log with a year of calls to a new file: 1.2 waits and 2.5 participations each.

    ``start``: start of the year in microseconds since the epoch. Calls come from 08:00 to 20:00
    UTC, on each day of the year.
    """
    writer = create_writer(parse_database(path))
    migrate(writer)
    tables = CALLS, WAITS, PARTICIPATIONS
    indexes = [index for table in tables for index in table.indexes]
    with writer.begin() as connection:
        for index in indexes:
            index.drop(connection)
    _write_rows(path, _rows(Random(1), start, calls))
    with writer.begin() as connection:
        for index in indexes:
            index.create(connection)
    writer.dispose()
    return path


def _write_rows(path, rows):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        while batch := [*islice(rows, 20_000)]:
            for place, table in enumerate((CALLS, WAITS, PARTICIPATIONS)):
                names = _COLUMNS[table.name]
                marks = ", ".join("?" * len(names))
                connection.executemany(
                    f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})",
                    [row for one in batch for row in one[place]],
                )
        connection.commit()


_COLUMNS = {
    "calls": (
        *("id", "purpose", "direction", "went_outside", "started", "answered", "ended"),
        *("caller_number", "caller_number_normalised", "called_number"),
        *("called_number_normalised", "group_id", "disposition", "last_phase", "ivr_us"),
        *("queued_us", "ringing_us", "talking_us", "parked_us", "voicemail_us", "conference_us"),
        *("other_us", "total_us", "transfers", "blind_transfers", "attended_transfers"),
        *("complete", "clock_adjusted", "change"),
    ),
    "waits": (
        *("call_id", "position", "group_id", "entered", "left", "waited_us", "result"),
        *("next_group_id", "answered_by_user_id", "rings", "entered_by_transfer", "purpose"),
        "complete",
    ),
    "participations": (
        *("call_id", "position", "user_id", "number", "role", "group_id", "result", "rings"),
        *("rang_us", "talked_us", "held_us", "transfers_out", "transfers_in", "first_offered"),
        *("answered", "left", "complete", "clock_adjusted", "direction", "purpose"),
    ),
}


def _rows(random, start, calls):
    """Yield the rows of each call, oldest first: calls, waits and participations."""
    per_day = calls / 365
    for number in range(calls):
        day, rest = divmod(number, per_day)
        at = start + int(day) * DAY + 8 * 3600 * SECOND + int(rest / per_day * DAY / 2)
        yield _call(random, f"{number:08}-{random.getrandbits(64):016x}", number, at)


def _call(random, call_id, number, at):
    result = random.choice(_RESULTS)
    group, waited = random.choice(GROUPS), int(random.expovariate(1 / 25e6))
    next_group = random.choice(GROUPS) if result == "overflowed" else None
    waits = [_wait(call_id, 0, group, at, waited, result=result, next_group=next_group)]
    if next_group is not None or number % 8 == 0:
        again = int(random.expovariate(1 / 25e6))
        last = random.choice(("answered", "abandoned")) if next_group else result
        waits.append(_wait(call_id, 1, next_group or group, at + waited, again, result=last))
        result = last
    is_answered = result == "answered"
    talked = int(random.expovariate(1 / 200e6)) if is_answered else 0
    end = at + waited + talked
    caller = f"09{random.randrange(10**8):08}"
    times = {"at": at, "end": end, "talked": talked}
    parts = [_part(call_id, 0, "placed", took=is_answered, number=caller, **times)]
    for position in range(1, 2 + number % 2):
        took = is_answered and position == 1
        offer = {"user": random.choice(USERS), "rang": int(random.expovariate(1 / 8e6))}
        parts.append(_part(call_id, position, "offered", took=took, group=group, **offer, **times))
    call = (
        *(call_id, "call", "inbound", 0, at, at + waited if is_answered else None, end),
        *(caller, caller, "05011112222", "05011112222", group),
        *("answered" if is_answered else "abandoned", "talking", 0, waited, 0, talked),
        *(0, 0, 0, 0, waited + talked, 0, 0, 0, 1, 0, number + 1),
    )
    return (call,), waits, parts


def _wait(call_id, position, group, entered, waited, *, result, next_group=None):
    return (
        *(call_id, position, group, entered, entered + waited, waited, result, next_group),
        *(101 if result == "answered" else None, 1, position == 1, "call", 1),
    )


def _part(
    call_id, position, role, *, took, at, end, talked, user=None, number=None, group=None, rang=0
):
    result = "answered" if took else "unanswered" if role == "placed" else "missed"
    return (
        *(call_id, position, user, number, role, group, result, 1, rang),
        *(talked if took else 0, 0, int(took and talked % 16 == 0), 0, at),
        *(at + rang if took else None, end, 1, 0, "inbound", "call"),
    )
