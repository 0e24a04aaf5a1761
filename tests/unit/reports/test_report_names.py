"""Names of users and groups at some time."""

from __future__ import annotations

import pytest
from support.report_rows import fill

from basix_ws_cti.calllog.read_access import ReadAccess
from basix_ws_cti.reports.names import Names


@pytest.fixture
def names(tmp_path):
    rows = [
        ("user", 1, 10, "Sato", "1001"),
        ("user", 1, 20, "Ito", "1002"),
        ("group", 1, 15, "Sales", None),
    ]
    keys = ("kind", "id", "since", "name", "extension")
    database = fill(
        str(tmp_path / "calls.db"), names=[dict(zip(keys, row, strict=True)) for row in rows]
    )
    with ReadAccess(database).transaction() as connection:
        return Names.read(connection)


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (5, ("Sato", "1001")),  # nothing older is known
        (11, ("Sato", "1001")),
        (20, ("Sato", "1001")),
        (21, ("Ito", "1002")),
    ],
)
def test_name_is_the_last_one_before_a_time(names, until, expected):
    assert names.user(1, until) == expected


def test_users_and_groups_have_names_of_their_own(names):
    assert names.group(1, 99) == "Sales"
    assert names.group(2, 99) is None
    assert names.group(None, 99) is None
    assert names.user(None, 99) == (None, None)
