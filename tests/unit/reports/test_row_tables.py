"""Tables of typed rows: columns for files, columns for reading, totals and labels."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import attrs
import pytest

from basix_ws_cti import AgentFigures, QueueFigures, QueueWait, Thresholds
from basix_ws_cti.reports.row_tables import (
    agent_table,
    callback_table,
    first_contact_table,
    number_table,
    outbound_table,
    queue_table,
    repeat_caller_table,
    volume_table,
)
from basix_ws_cti.reports.rows import (
    AgentRow,
    CallbackRow,
    FirstContactRow,
    NumberRow,
    OutboundRow,
    QueueRow,
    RepeatCallerRow,
    VolumeRow,
)

TOKYO = ZoneInfo("Asia/Tokyo")
START, END = (datetime(2026, 11, day, tzinfo=TOKYO) for day in (29, 30))
SECOND = 1_000_000


def wait(seconds, result):
    return QueueWait(
        call_id="A",
        group_id=1,
        entered=0,
        left=seconds * SECOND,
        waited_us=seconds * SECOND,
        result=result,
        next_group_id=None,
        answered_by_user_id=None,
        rings=1,
        entered_by_transfer=False,
        purpose="call",
        complete=True,
    )


WAITS = [wait(8, "answered"), wait(25, "answered"), wait(4, "abandoned"), wait(40, "abandoned")]
FIGURES = QueueFigures.of(WAITS, thresholds=Thresholds(bands=(10, 30)))
NO_QUEUE_FIGURES = QueueFigures.of([], thresholds=Thresholds(bands=(10, 30)))
NO_AGENT_FIGURES = AgentFigures.of([])


def queue_row(group_id, name, figures=FIGURES):
    return QueueRow(start=START, end=END, group_id=group_id, group_name=name, figures=figures)


def agent_row(user_id, name, group_id=None, group_name=None):
    return AgentRow(
        start=START,
        end=END,
        user_id=user_id,
        user_name=name,
        extension=None,
        group_id=group_id,
        group_name=group_name,
        figures=NO_AGENT_FIGURES,
    )


def records(table):
    """Return the rows of a table as dicts, for programs."""
    names = [column.key for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def shown(table):
    """Return heading and rows of a table, for people."""
    indexes = table.shown
    columns = [table.columns[index] for index in indexes]
    rows = [
        [column.display(row[index]) for column, index in zip(columns, indexes, strict=True)]
        for row in table.rows
    ]
    return [[column.heading for column in columns], *rows]


def test_queue_table_for_reading():
    rows = [queue_row(None, None), queue_row(1, "営業"), queue_row(2, None, NO_QUEUE_FIGURES)]
    heading, total, sales, other = shown(queue_table(rows, TOKYO))
    assert heading == [
        *("Queue", "Offered", "Answered", "Abandoned", "Service level", "ASA", "Longest wait"),
        *("AHT", "Abandon rate", "Short abandons", "Time to abandon", "Overflowed", "Voicemail"),
    ]
    figures = ["4", "2", "2", "25.0%", "0:16", "0:40", "", "50.0%", "1", "0:22", "0", "0"]
    assert total == ["All queues", *figures]
    assert sales == ["営業", *figures]
    assert other == ["2", *["0"] * 3, *[""] * 5, "0", "", "0", "0"]


def test_queue_table_for_programs():
    rows = [queue_row(None, None), queue_row(1, "営業")]
    total, sales = records(queue_table(rows, TOKYO, target=0.25))
    assert {key: total[key] for key in ("total", "group_id", "group_name")} == {
        "total": True,
        "group_id": None,
        "group_name": None,
    }
    expected = attrs.asdict(FIGURES)
    del expected["bands"], expected["longest_wait"]  # the present is no part of a report
    assert {key: sales[key] for key in expected} == expected
    assert {key: value for key, value in sales.items() if key not in expected} == {
        "start": START,
        "end": END,
        "total": False,
        "group_id": 1,
        "group_name": "営業",
        "target_reached": True,
        "answered_0_to_10": 1,
        "abandoned_0_to_10": 1,
        "answered_10_to_30": 1,
        "abandoned_10_to_30": 0,
        "answered_from_30": 0,
        "abandoned_from_30": 1,
    }


@pytest.mark.parametrize(("target", "is_reached"), [(0.25, True), (0.26, False)])
def test_service_level_is_compared_with_its_target(target, is_reached):
    rows = [queue_row(1, "a"), queue_row(2, "b", NO_QUEUE_FIGURES)]
    reached = [row["target_reached"] for row in records(queue_table(rows, TOKYO, target=target))]
    assert reached == [is_reached, None]


@pytest.mark.parametrize(
    ("by", "text"), [("hour", "2026-11-29 00:00"), ("day", "2026-11-29"), ("month", "2026-11-29")]
)
def test_intervals_are_shown_as_times_or_dates(by, text):
    heading, row = shown(queue_table([queue_row(1, "a")], TOKYO, by))
    assert (heading[0], row[0]) == ("Start", text)


def test_agent_table_has_all_figures():
    table = agent_table([agent_row(None, None), agent_row(11, None)], TOKYO)
    assert {*attrs.asdict(NO_AGENT_FIGURES)} <= {column.key for column in table.columns}
    heading, total, agent = shown(table)
    assert heading[:3] == ["Agent", "Extension", "Offered"]
    assert (total[:2], agent[:2]) == (["All agents", ""], ["11", ""])


def test_agents_by_queue_name_calls_that_no_queue_offered():
    rows = [
        agent_row(None, None),
        agent_row(11, "佐藤"),
        agent_row(11, "佐藤", 1, "営業"),
        agent_row(11, "佐藤", 2),
    ]
    table = agent_table(rows, TOKYO, by_group=True)
    assert (table.name, table.title) == ("agents_by_queue", "Agents by queue")
    queues = [row[2] for row in shown(table)]
    assert queues == ["Queue", "", "no queue", "営業", "2"]


def test_volumes_have_a_column_for_each_result():
    names = [attribute.name for attribute in attrs.fields(VolumeRow)][3:]
    numbers = {name: number for number, name in enumerate(names)}
    row = VolumeRow(start=START, end=END, direction="inbound", **numbers)
    table = volume_table([attrs.evolve(row, direction=None), row], TOKYO)
    heading, total, inbound = shown(table)
    assert heading[:3] == ["Direction", "Calls", "Answered"]
    assert (total[:3], inbound[:3]) == (["All directions", "0", "1"], ["inbound", "0", "1"])
    table = volume_table([row], TOKYO)
    assert {key: value for key, value in records(table)[0].items() if key in numbers} == numbers


def test_callback_table():
    row = CallbackRow(
        number="0312341234",
        name="=1+1",
        calls=2,
        first=START,
        last=END,
        group_id=1,
        group_name=None,
        disposition="no_message",
        queued_us=61 * SECOND,
        attempts=1,
    )
    assert shown(callback_table([row], TOKYO)) == [
        [
            *("Number", "Name", "Calls", "Last call", "Result", "Queue", "Wait"),
            *("Attempts to call back", "First call"),
        ],
        [
            *("0312341234", "=1+1", "2", "2026-11-30 00:00:00", "voicemail without message", "1"),
            *("1:01", "1", "2026-11-29 00:00:00"),
        ],
    ]


def test_repeat_caller_table():
    row = RepeatCallerRow(number="1", name=None, calls=3, answered=2, first=START, last=END)
    assert shown(repeat_caller_table([row], TOKYO))[1] == [
        *("1", "", "3", "2", "2026-11-29 00:00:00", "2026-11-30 00:00:00")
    ]


def test_first_contact_table():
    row = FirstContactRow(callers=8, resolved=7, rate=0.875)
    assert shown(first_contact_table(row, TOKYO))[1] == ["8", "7", "87.5%"]


@pytest.mark.parametrize(
    ("make", "row_class", "label"),
    [(outbound_table, OutboundRow, "All agents"), (number_table, NumberRow, "All numbers")],
)
def test_first_row_is_named_as_the_total(make, row_class, label):
    names = [attribute.name for attribute in attrs.fields(row_class)]
    texts = {"user_id", "user_name", "extension", "number"}
    row = row_class(**{name: None if name in texts else 5 for name in names})
    table = make([row], TOKYO)
    assert records(table)[0]["total"] is True
    table = make([row], TOKYO)
    assert shown(table)[1][0] == label
    assert {*names} <= {column.key for column in table.columns}
