"""Texts of values for people."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from support.report_tables import hand_made

from basix_ws_cti.reports.tables import Column

MOMENT = datetime(2026, 11, 30, 9, 5, 7, 999_999, tzinfo=ZoneInfo("Asia/Tokyo"))


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("text", "山田", "山田"),
        ("text", "busy", "話中"),
        ("id", 90001001, "90001001"),
        ("integer", 1234567, "1,234,567"),
        ("number", 1234.56, "1,234.6"),
        ("duration", 3_661_900_000, "1:01:01"),
        ("rate", 0.875, "87.5%"),
        ("rate", 1.0, "100.0%"),
        ("time", MOMENT, "2026-11-30 09:05:07"),
        ("minute", MOMENT, "2026-11-30 09:05"),
        ("date", MOMENT, "2026-11-30"),
        ("boolean", True, "yes"),
        ("boolean", False, "no"),
        ("integer", None, ""),
        ("integer", 0, "0"),
        ("duration", 0, "0:00"),
    ],
)
def test_value_is_shown(kind, value, text):
    column = Column(key="x", heading="X", kind=kind, words={"busy": "話中"})
    assert column.display(value) == text


def test_missing_value_is_shown_by_the_text_of_its_column():
    assert Column(key="x", heading="X", empty="All").display(None) == "All"


def test_name_has_the_unit_of_durations():
    assert Column(key="talked", heading="Talk", kind="duration").name == "talked_seconds"
    assert Column(key="offered", heading="Offered", kind="integer").name == "offered"


def test_details_are_not_shown():
    table = hand_made()
    assert [column.key for column in table.columns if column.is_detail] == ["day"]
    assert table.shown == [0, *range(2, 11)]
