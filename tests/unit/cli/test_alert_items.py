"""Names of queues in the rules of ``--alerts``."""

from __future__ import annotations

import pytest
from support.cases import for_each

from basix_ws_cti import AlertRule, UsageError
from basix_ws_cti.cli.alert_items import check_queues
from basix_ws_cti.elements import Group

GROUPS = {
    "group": {
        1: Group(id=1, name="sales", label="Sales desk", main_extension="601"),
        2: Group(id=2),
    }
}


@for_each("queue", ["1", "2", "601", "sales", "Sales desk"])
def test_queue_of_a_rule_is_known_by_id_extension_name_and_label(queue):
    check_queues([AlertRule.parse(f"waiting>5@{queue}")], GROUPS)


@for_each(
    "queue, advice",
    [
        ("sale", "did you mean 'sales'?"),
        ("Sales desc", "did you mean 'Sales desk'?"),
        ("none", "no id, extension, name or label matches; --allow-unknown accepts it"),
        ("None", "no id, extension, name or label matches; --allow-unknown accepts it"),
    ],
)
def test_unknown_queue_is_an_error_that_suggests_existing_names_only(queue, advice):
    with pytest.raises(UsageError) as caught:
        check_queues([AlertRule.parse("waiting>5"), AlertRule.parse(f"waiting>5@{queue}")], GROUPS)
    assert str(caught.value) == f"unknown queue {queue!r}; {advice}"
