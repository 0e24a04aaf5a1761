"""Table of calls."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import attrs
import pytest
from support.report_rows import call_record

from basix_ws_cti import CallRecord
from basix_ws_cti.reports.call_columns import call_table
from basix_ws_cti.reports.rows import CallListRow

TOKYO = ZoneInfo("Asia/Tokyo")
START = datetime(2026, 11, 30, 9, tzinfo=TOKYO)
START_US = int(START.timestamp()) * 1_000_000


def call_row(names=(None, None, None, None), **values):
    record = {
        "disposition": "ended_in_menu",
        "answered": START_US + 8_000_001,
        "ended": None,
        "waited_us": 8_000_001,
        "talking_us": 120_000_000,
        **dict.fromkeys(("caller_number", "caller_number_normalised"), None),
        **dict.fromkeys(("called_number", "called_number_normalised"), None),
        **values,
    }
    return CallListRow(
        call=call_record("A", START_US, **record),
        started=START,
        caller_user_name=names[0],
        group_name=names[1],
        answered_by_user_name=names[2],
        last_handler_user_name=names[3],
    )


def record_of(row):
    table = call_table([row], TOKYO)
    (values,) = table.rows
    return dict(zip((column.key for column in table.columns), values, strict=True))


def test_table_has_all_columns_of_call_record():
    keys = [column.key for column in call_table([], TOKYO).columns]
    names = [attribute.name.removesuffix("_us") for attribute in attrs.fields(CallRecord)]
    assert len(keys) == len({*keys})
    assert {*keys} == {*names, "caller", "dialled", "queue", "answered_by", "last_handler"}


def test_values_have_the_kinds_of_their_columns():
    kinds = {column.key: column.kind for column in call_table([], TOKYO).columns}
    by_kind = {
        kind: {key for key, one in kinds.items() if one == kind} for kind in {*kinds.values()}
    }
    assert by_kind["time"] == {"started", "answered", "ended"}
    assert by_kind["boolean"] == {"went_outside", "complete", "clock_adjusted"}
    assert by_kind["integer"] == {"transfers", "blind_transfers", "attended_transfers"}
    assert by_kind["duration"] == {
        *("waited", "ivr", "queued", "ringing", "talking", "parked", "voicemail"),
        *("conference", "other", "total"),
    }
    assert {"group_id", "caller_user_id", "sip_status"} <= by_kind["id"]
    assert {"id", "menu_id", "caller_end_user_id"} <= by_kind["text"]  # as the PBX has them


def test_times_are_local():
    values = record_of(call_row())
    assert values["started"] == START
    assert values["started"].tzinfo == TOKYO
    assert values["answered"].isoformat() == "2026-11-30T09:00:08.000001+09:00"
    assert values["ended"] is None
    assert values["waited"] == 8_000_001


@pytest.mark.parametrize(
    ("names", "values", "label", "text"),
    [
        ((None,) * 4, {"caller_name": "山田", "caller_number": "03"}, "caller", "山田"),
        ((None,) * 4, {"caller_number": "03", "caller_number_normalised": "1"}, "caller", "1"),
        ((None,) * 4, {"caller_number": "x"}, "caller", "x"),
        (("佐藤", None, None, None), {"caller_user_id": 11}, "caller", "佐藤"),
        ((None,) * 4, {"caller_user_id": 11}, "caller", "11"),
        ((None,) * 4, {}, "caller", None),
        ((None, "営業", None, None), {"group_id": 1}, "queue", "営業"),
        ((None,) * 4, {"group_id": 1}, "queue", "1"),
        ((None, None, "佐藤", None), {"answered_by_user_id": 11}, "answered_by", "佐藤"),
        ((None,) * 4, {"answered_by_number": "090"}, "answered_by", "090"),
        ((None, None, None, "鈴木"), {"last_handler_user_id": 12}, "last_handler", "鈴木"),
        ((None,) * 4, {"last_handler_number": "090"}, "last_handler", "090"),
    ],
)
def test_labels_are_names_or_else_numbers_or_ids(names, values, label, text):
    assert record_of(call_row(names, **values))[label] == text


def test_words_are_for_reading_and_values_for_programs():
    table = call_table([call_row(caller_name="山田", called_number="0501234567")], TOKYO)
    (values,) = table.rows
    shown = [table.columns[index].display(values[index]) for index in table.shown]
    assert shown == [
        *("2026-11-30 09:00:00", "inbound", "山田", "0501234567", "", "", "ended in the menu"),
        *("0:08", "2:00", "0"),
    ]
    assert record_of(call_row())["disposition"] == "ended_in_menu"


def test_rows_are_read_while_the_table_is_iterated_over():
    read = []
    table = call_table((read.append(row) or row for row in [call_row(), call_row()]), TOKYO)
    assert read == []
    next(iter(table.rows))
    assert len(read) == 1
