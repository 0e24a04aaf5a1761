"""Random rows of a call log, and databases that contain given rows."""

from __future__ import annotations

from typing import get_args

import attrs

from basix_ws_cti import Participation, QueueWait
from basix_ws_cti.calllog.database import create_writer, parse_database
from basix_ws_cti.calllog.migrations import migrate
from basix_ws_cti.calllog.schema import CALLS, GAPS, NAMES, PARTICIPATIONS, WAITS
from basix_ws_cti.calls.model import Direction, Purpose, Role, WaitResult

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
