"""Calls by direction and disposition."""

from __future__ import annotations

from collections import Counter
from random import Random

import attrs
import pytest
from support.call_rows import participation, queue_wait
from support.report_periods import AUTUMN, at, week
from support.report_rows import call_record, fill, random_calls, unanswered

from basix_ws_cti.board.durations import to_microseconds
from basix_ws_cti.reports import Reports, VolumeRow, split

COLUMNS = [
    *("answered", "abandoned", "missed", "voicemail", "no_message", "ended_in_menu"),
    *("unanswered", "busy", "rejected", "unreachable", "picked_up_elsewhere", "failed"),
    *("unknown", "active"),
]

MORNING = at(2026, 10, 23, 9)


@pytest.mark.slow
@pytest.mark.parametrize("by", [None, "hour", "day"])
def test_numbers_are_those_of_the_calls(database, by):
    calls = random_calls(Random(6), 700, AUTUMN.start_us - 10**10, AUTUMN.end_us + 10**10)
    fill(database, calls=calls)
    rows = Reports(database).volumes(week(), by)
    found = {(to_microseconds(row.start), row.direction): row for row in rows}
    intervals = split(AUTUMN, by)
    assert len(found) == 4 * len(intervals)
    for interval in intervals:
        start, end = to_microseconds(interval.start), to_microseconds(interval.end)
        counted = [
            call
            for call in calls
            if start <= call.started < end and call.purpose == "call" and call.joined is None
        ]
        for direction in (None, "inbound", "outbound", "internal"):
            expected = Counter(
                call.disposition or "active"
                for call in counted
                if direction in {None, call.direction}
            )
            row = found[start, direction]
            assert {name: getattr(row, name) for name in COLUMNS if getattr(row, name)} == expected
            assert row.calls == expected.total()


def test_every_number_is_a_column():
    names = [attribute.name for attribute in attrs.fields(VolumeRow)]
    assert names == ["start", "end", "direction", "calls", *COLUMNS]


def test_disposition_of_a_later_version_is_unknown(database):
    fill(database, calls=[call_record("1", MORNING, disposition="teleported")])
    assert Reports(database).volumes(week())[0].unknown == 1


@pytest.mark.slow
def test_groups_and_users_limit_the_calls(database):
    fill(
        database,
        calls=[
            unanswered("waited", MORNING),
            call_record("rang", MORNING),
            call_record("active", MORNING, group_id=1, ended=None, disposition=None),
            call_record("placed", MORNING, caller_user_id=11, direction="outbound"),
            call_record("other", MORNING, group_id=2),
        ],
        waits=[queue_wait("waited", group_id=3), queue_wait("waited", group_id=1)],
        participations=[participation("rang", 11, result="missed"), participation("waited", 12)],
    )
    reports = Reports(database)

    def calls(**conditions):
        return [row.calls for row in reports.volumes(week(**conditions))]

    assert calls() == [5, 4, 1, 0]
    assert calls(groups={1}) == [2, 2, 0, 0]
    assert calls(users={11}) == [2, 1, 1, 0]
    assert calls(users={12}, groups={3}) == [1, 1, 0, 0]
    assert calls(users={11}, groups={3}) == [0, 0, 0, 0]


def test_call_log_without_calls_gives_zeros(database):
    rows = Reports(fill(database)).volumes(week(), "day")
    assert [row.calls for row in rows] == [0] * 28
