"""Selections: arguments that cannot work."""

from __future__ import annotations

from datetime import UTC, time

import pytest
from support.report_periods import AUTUMN

from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.reports import Selection


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"period": "today"}, "period must be a Period, got str"),
        ({"weekdays": {7}}, "weekdays must be an int from 0 to 6, got 7"),
        ({"weekdays": 3}, "weekdays, groups and users must be sets of numbers, got int"),
        ({"groups": {"Sales"}}, "groups must be an int from 0 to"),
        ({"users": {-1}}, "users must be an int from 0 to"),
        ({"users": {2**63}}, "users must be an int from 0 to"),
        ({"hours": (9, 18)}, "hours must be two times without a time zone"),
        ({"hours": "09:00-18:00"}, "hours must be two times without a time zone"),
        ({"hours": (time(9), time(18, tzinfo=UTC))}, "hours must be two times without a time"),
        ({"hours": (time(9), time(9))}, "hours must not be empty: pass None for the whole day"),
    ],
)
def test_wrong_condition_is_an_error(arguments, problem):
    with pytest.raises(UsageError, match=problem):
        Selection(**{"period": AUTUMN, **arguments})


def test_sets_may_be_given_as_lists():
    selection = Selection(period=AUTUMN, weekdays=[4, 0, 4], groups=(1,), users=range(2))
    assert selection.weekdays == {0, 4}
    assert (selection.groups, selection.users) == ({1}, {0, 1})
    assert isinstance(selection.groups, frozenset)
