"""Parts of tables."""

from __future__ import annotations

import pytest
from support.report_tables import hand_made

from basix_ws_cti.reports.table_selection import Condition, select_columns, select_rows


def names(table):
    return [row[4] for row in table.rows]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (("result", "=", "answered"), ["山田 太郎"]),
        (("result", "!=", "answered"), ["00312341234", None]),
        (("result", "=", ""), [None]),
        (("result", "!=", ""), ["山田 太郎", "00312341234"]),
        (("offered", "=", "0"), ["00312341234"]),
        (("complete", "=", "true"), ["山田 太郎"]),
        (("group_id", "=", "90001001"), ["山田 太郎"]),
        (("name", "=", "00312341234"), ["00312341234"]),
    ],
)
def test_rows_with_a_value_are_selected(condition, found):
    assert names(select_rows(hand_made(), [Condition(*condition)])) == found


def test_rows_must_meet_all_conditions():
    conditions = [Condition("result", "!=", ""), Condition("offered", "!=", "0")]
    assert names(select_rows(hand_made(), conditions)) == ["山田 太郎"]


def test_columns_are_selected_in_the_given_order():
    table = select_columns(hand_made(), ["talked_seconds", "day"])
    assert [column.key for column in table.columns] == ["talked", "day"]
    assert [row[0] for row in table.rows] == [3_661_500_000, 0, None]
    assert table.shown == [0, 1]  # a detail that is asked for is shown


def test_no_conditions_and_no_columns_select_all():
    table = hand_made()
    assert select_rows(table, []) is table
    assert select_columns(table, []) is table


@pytest.mark.parametrize("name", ["talked", "moon"])
def test_unknown_columns_raise_key_error(name):
    with pytest.raises(KeyError, match=name):
        select_rows(hand_made(), [Condition(name, "=", "")])
    with pytest.raises(KeyError, match=name):
        select_columns(hand_made(), [name])
