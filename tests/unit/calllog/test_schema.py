"""Types of the tables' columns."""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger, Boolean, Text

from basix_ws_cti.calllog.schema import CALLS, METADATA, PARTICIPATIONS, WAITS


@pytest.mark.parametrize(
    ("column", "kind", "nullable"),
    [
        (CALLS.c.id, Text, False),
        (CALLS.c.started, BigInteger, False),
        (CALLS.c.ended, BigInteger, True),
        (CALLS.c.complete, Boolean, False),
        (CALLS.c.caller_name, Text, True),
        (WAITS.c.result, Text, True),
        (PARTICIPATIONS.c.role, Text, False),
    ],
    ids=str,
)
def test_type_of_a_column_is_that_of_the_field(column, kind, nullable):
    assert isinstance(column.type, kind)
    assert column.nullable is nullable


def test_every_table_has_a_key():
    assert all(table.primary_key.columns for table in METADATA.tables.values())
    assert [column.name for column in WAITS.primary_key] == ["call_id", "position"]
