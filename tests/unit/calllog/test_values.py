"""Values that every database can store."""

from __future__ import annotations

import json

import pytest

from basix_ws_cti.calllog.schema import CALLS, NAMES
from basix_ws_cti.calllog.values import MAX_JSON, MAX_KEY, MAX_TEXT, storable, storable_key


@pytest.mark.parametrize(
    ("column", "value", "stored"),
    [
        ("caller_name", "山田", "山田"),
        ("caller_name", "a\0b", "a\ufffdb"),
        ("caller_name", "\ud800 \udc00", "\ufffd \ufffd"),
        ("caller_name", "\N{GRINNING FACE}", "\N{GRINNING FACE}"),
        ("caller_name", "x" * 9999, "x" * MAX_TEXT),
        ("caller_name", 1001, "1001"),
        ("caller_name", 2.5, None),
        ("caller_name", b"x", None),
        ("caller_name", None, None),
        ("id", "x" * 9999, "x" * MAX_KEY),
        ("handlers", "[1, null]", "[1, null]"),
        ("handlers", "x" * (MAX_JSON + 1), None),
        ("handlers", 7, None),
        ("tags", json.dumps(["x" * 5000]), json.dumps(["x" * 5000])),
        ("group_id", 2**63 - 1, 2**63 - 1),
        ("group_id", 2**63, None),
        ("group_id", -(2**63), -(2**63)),
        ("group_id", "7", None),
        ("complete", True, True),
        ("complete", 1, None),
    ],
)
def test_value_is_stored_as_the_type_of_its_column(column, value, stored):
    assert storable({column: value}, CALLS) == {column: stored}


def test_columns_of_the_key_are_cut_in_each_table():
    assert storable({"kind": "k" * 9999, "name": "n" * 9999}, NAMES) == {
        "kind": "k" * MAX_KEY,
        "name": "n" * MAX_TEXT,
    }


def test_key_is_the_one_that_is_stored():
    key = "\0" + "x" * 9999
    assert storable_key(key) == storable({"id": key}, CALLS)["id"]
