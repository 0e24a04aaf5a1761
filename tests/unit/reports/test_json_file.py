"""JSON documents of reports."""

from __future__ import annotations

import io
import json

import jsonschema
import pytest
from support.report_tables import HOSTILE_NAMES, ROWS, hand_made, named

from basix_ws_cti.reports.formats.json_file import document_schema, json_lines, write_json


def document(table, about=None):
    file = io.BytesIO()
    write_json(table, file, about or {})
    return json.loads(file.getvalue())


def test_document_has_selection_columns_and_rows():
    found = document(hand_made(), {"by": "hour"})
    assert {name: found[name] for name in ("v", "type", "report", "by")} == {
        "v": 1,
        "type": "report",
        "report": "queues",
        "by": "hour",
    }
    assert found["columns"][8] == {"name": "talked_seconds", "kind": "duration", "unit": "seconds"}
    assert found["columns"][4] == {"name": "name", "kind": "text"}
    assert found["rows"][0] == {
        "start": "2026-10-25T02:30:00+02:00",
        "day": "2026-10-25T02:30:00+02:00",
        "at": "2026-10-25T20:15:30.250000+01:00",
        "group_id": 90001001,
        "name": "山田 太郎",
        "result": "answered",
        "offered": 1234,
        "per_hour": 2.5,
        "talked_seconds": 3661.5,
        "rate": 0.875,
        "complete": True,
    }
    assert found["rows"][1]["start"] == "2026-10-25T02:30:00+01:00"
    assert {*found["rows"][2].values()} == {None, "2026-10-25T02:30:00+01:00"}


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_document_is_valid_for_any_number_of_rows(count):
    table = hand_made(ROWS[:count])
    found = document(table)
    assert len(found["rows"]) == count
    jsonschema.validate(found, document_schema(table))


def test_hostile_names_survive_a_round_trip():
    rows = document(named(HOSTILE_NAMES))["rows"]
    assert [row["name"] for row in rows] == [*HOSTILE_NAMES]


def test_rows_are_read_while_lines_are_written():
    read = []
    lines = json_lines(hand_made(read.append(row) or row for row in ROWS), {})
    next(lines)
    assert read == []
    next(lines)
    assert len(read) == 2  # a comma follows the first one
