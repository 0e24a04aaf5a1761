"""Random rows of a call log, and databases that contain given rows."""

from __future__ import annotations

from typing import get_args

import attrs

from basix_ws_cti import CallRecord, Participation, QueueWait
from basix_ws_cti.calllog.database import create_writer, parse_database
from basix_ws_cti.calllog.migrations import migrate
from basix_ws_cti.calllog.schema import CALLS, GAPS, NAMES, PARTICIPATIONS, WAITS
from basix_ws_cti.calls.model import Direction, Disposition, Purpose, Role, WaitResult

SECOND = 1_000_000

# Of a participation; ``None``: it is not decided yet.
PART_RESULTS = (
    *("answered", "missed", "abandoned", "picked_up_elsewhere", "busy", "rejected", "failed"),
    *("unanswered", "unknown", None),
)


def fill(database, *, calls=(), waits=(), participations=(), gaps=(), names=()):
    """Write rows to a new call log as they are; ``gaps`` and ``names`` are dicts."""
    writer = create_writer(parse_database(database))
    try:
        migrate(writer)
        with writer.begin() as connection:
            for table, rows in (
                (CALLS, [{**row.to_dict(), "change": n} for n, row in enumerate(calls)]),
                (WAITS, numbered(waits)),
                (PARTICIPATIONS, numbered(participations)),
                (GAPS, [*gaps]),
                (NAMES, [*names]),
            ):
                if rows:
                    connection.execute(table.insert(), rows)
    finally:
        writer.dispose()
    return database


def numbered(rows):
    return [{**attrs.asdict(row), "position": number} for number, row in enumerate(rows)]


def random_waits(random, number, start, end, *, groups=4):
    """Return waits of every kind that began between two times in microseconds."""
    return [_random_wait(random, start, end, groups) for _ in range(number)]


def _random_wait(random, start, end, groups):
    entered = random.randrange(start, end)
    result = random.choice([*get_args(WaitResult), "answered", "abandoned", None])
    # Durations at and next to the thresholds, too.
    waited = random.choice([random.randrange(90 * SECOND), 5 * SECOND, 20 * SECOND, 20_000_001])
    if result is None or random.random() < 0.03:
        waited = None
    has_next = result == "overflowed" and random.random() < 0.7
    return QueueWait(
        call_id=str(random.randrange(10**9)),
        group_id=random.randrange(1, groups + 1),
        entered=entered,
        left=None if waited is None else entered + waited,
        waited_us=waited,
        result=result,
        next_group_id=random.randrange(1, groups + 1) if has_next else None,
        answered_by_user_id=11 if result == "answered" else None,
        rings=random.randrange(4),
        entered_by_transfer=random.random() < 0.1,
        purpose=random.choice(["call", "call", "call", *get_args(Purpose)]),
        complete=result is not None,
    )


def random_participations(random, number, start, end, *, groups=4, users=6):
    """Return participations of every kind whose time lies between two times in microseconds."""
    return [_random_participation(random, start, end, groups, users) for _ in range(number)]


def _random_participation(random, start, end, groups, users):
    at = random.randrange(start, end)
    user_id = random.choice([None, *range(11, 11 + users)])
    result = random.choice(["answered", "answered", *PART_RESULTS])
    # The PBX may send no time of the offer, and then none of the answer.
    first_offered, answered, left = random.choice(
        [(at, at + SECOND, at + 9 * SECOND)] * 8
        + [(None, at, at + SECOND), (None, None, at), (at, None, None), (None, None, None)]
    )
    return Participation(
        call_id=str(random.randrange(10**9)),
        user_id=user_id,
        number="0312341234" if user_id is None else None,
        role=random.choice(["offered", *get_args(Role)]),
        group_id=random.choice([None, *range(1, groups + 1)]),
        result=result,
        rings=random.randrange(4),
        rang_us=random.randrange(40 * SECOND),
        talked_us=random.randrange(600 * SECOND),
        held_us=random.randrange(60 * SECOND),
        transfers_out=random.choice([0, 0, 1, 2]),
        transfers_in=random.choice([0, 0, 1]),
        first_offered=first_offered,
        answered=answered,
        left=left,
        complete=True,
        clock_adjusted=False,
        direction=random.choice(get_args(Direction)),
        purpose=random.choice(["call", "call", *get_args(Purpose)]),
    )


def call_record(call_id="1", started=0, **columns):
    """Return an answered call from outside that started at a time in microseconds."""
    values = dict.fromkeys(attribute.name for attribute in attrs.fields(CallRecord))
    values |= {name: 0 for name in values if name.endswith(("_us", "transfers"))}
    values |= {
        "id": str(call_id),
        "purpose": "call",
        "direction": "inbound",
        "went_outside": False,
        "started": started,
        "answered": started + SECOND,
        "ended": started + 60 * SECOND,
        "caller_number": "03-1234-1234",
        "caller_number_normalised": "0312341234",
        "called_number": "050-1111-2222",
        "called_number_normalised": "05011112222",
        "disposition": "answered",
        "last_phase": "talking",
        "complete": True,
        "clock_adjusted": False,
    }
    return CallRecord(**values | columns)


def unanswered(call_id="1", started=0, **columns):
    """Return a call from outside whose caller hung up in a queue."""
    values = {"answered": None, "disposition": "abandoned", "abandoned_in": "queue", **columns}
    return call_record(call_id, started, **values)


def random_calls(random, number, start, end):
    """Return calls of every kind that started between two times in microseconds."""
    return [_random_call(random, str(id_), random.randrange(start, end)) for id_ in range(number)]


def _random_call(random, call_id, started):
    disposition = random.choice([None, "no_message", *get_args(Disposition), "answered"])
    is_answered = disposition == "answered"
    direction = random.choice(get_args(Direction))
    outside = random.choice([None, *(f"03{one:08}" for one in range(9))])
    inside = random.choice([None, "0501", "0502"])
    numbers = (outside, inside) if direction == "inbound" else (inside, outside)
    return call_record(
        call_id,
        started,
        purpose=random.choice(["call", "call", "call", *get_args(Purpose)]),
        direction=direction,
        joined=random.choice([None] * 9 + ["x"]),
        answered=started + SECOND if is_answered else None,
        ended=None if disposition is None else started + 60 * SECOND,
        disposition=disposition,
        caller_number=numbers[0],
        caller_number_normalised=numbers[0],
        called_number=numbers[1],
        called_number_normalised=None if numbers[1] == "0502" else numbers[1],
        caller_name=random.choice([None, "Sato", "Ito"]),
        caller_user_id=random.choice([None, *range(11, 17)]),
        group_id=random.choice([None, 1, 2]),
        origination=random.choice([None, None, '["api"]']),
        talking_us=random.randrange(600 * SECOND) if is_answered else 0,
    )
