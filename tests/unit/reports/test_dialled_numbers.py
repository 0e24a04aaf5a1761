"""Incoming calls by the number that the caller dialled."""

from __future__ import annotations

from support.call_rows import queue_wait
from support.report_periods import at, week
from support.report_rows import call_record, fill, unanswered

from basix_ws_cti.reports import NumberRow, Reports

NOON = at(2026, 10, 23, 12)


def test_calls_are_counted_by_number_and_result(database):
    to_raw = {"called_number": "*97", "called_number_normalised": None}
    to_none = {"called_number": None, "called_number_normalised": None}
    other = {"called_number_normalised": "0502"}
    fill(
        database,
        calls=[
            call_record("1", NOON),
            unanswered("2", NOON),
            unanswered("3", NOON, disposition="voicemail"),
            unanswered("4", NOON, disposition="no_message", **other),
            unanswered("5", NOON, disposition="missed", **other),
            unanswered("6", NOON, disposition=None, ended=None, **to_raw),
            call_record("7", NOON, **to_none),
            call_record("8", NOON, direction="outbound"),
            call_record("9", NOON, purpose="pickup"),
            call_record("10", 0),
        ],
        waits=[queue_wait("4", group_id=5)],
    )
    reports = Reports(database)

    def row(number, calls, *, answered=0, abandoned=0, voicemail=0, other=0, active=0):
        return NumberRow(
            number=number,
            calls=calls,
            answered=answered,
            abandoned=abandoned,
            voicemail=voicemail,
            other=other,
            active=active,
        )

    assert reports.numbers(week()) == (
        row(None, 7, answered=2, abandoned=1, voicemail=2, other=1, active=1),
        row("05011112222", 3, answered=1, abandoned=1, voicemail=1),
        row("0502", 2, voicemail=1, other=1),
        row("*97", 1, active=1),
    )
    assert reports.numbers(week(groups={5})) == (
        row(None, 1, voicemail=1),
        row("0502", 1, voicemail=1),
    )
    assert reports.numbers(week(weekdays={6})) == (row(None, 0),)
