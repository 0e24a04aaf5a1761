"""Alert monitor: crossings, hysteresis, stale figures and due times."""

from __future__ import annotations

import re

import pytest
from support.call_builders import call
from support.call_rows import SECOND

from basix_ws_cti import AlertRule, Group
from basix_ws_cti.alerts.monitor import AlertMonitor, find_queue
from basix_ws_cti.calls import CallEnded, CallStarted, CallUpdated

GROUPS = {
    1: Group(id=1, name="sales", label="Sales", main_extension="601"),
    2: Group(id=2, name="601", label="support", main_extension="602"),
    3: Group(id=3),
}


def waiting(call_id, entered, group=1):
    return CallStarted(call(f"{entered * SECOND} queued g{group}", id=call_id))


def answered(call_id, entered, at, group=1):
    phases = f"{entered * SECOND} queued g{group}, {at * SECOND} talking u7"
    return CallUpdated(call(phases, id=call_id))


def abandoned(call_id, entered, at):
    ended = call(
        f"{entered * SECOND} queued g1",
        at * SECOND,
        by="caller",
        id=call_id,
        disposition="abandoned",
        abandoned_in="queue",
    )
    return CallEnded(ended)


class Watch:
    """Monitor of one rule, and what it reported: state, value and second."""

    def __init__(self, rule, *, groups=GROUPS, live=True):
        self.monitor = AlertMonitor(lambda: groups)
        self.rule = AlertRule.parse(rule)
        self.monitor.add(self.rule, ())
        if not live:
            self.monitor.feed_lost(0)

    def at(self, second, *events):
        """Apply events at a time; return what is reported between the last check and then."""
        reported = []
        while (due := self.monitor.next_check()) is not None and due < second * SECOND:
            reported += self._check(due)
        for event in events:
            self.monitor.apply(event)
        return reported + self._check(second * SECOND)

    def _check(self, now):
        return [
            (one.state, None if one.value is None else round(one.value, 3), round(one.at / SECOND))
            for one in self.monitor.check(now)
        ]


def test_long_wait_is_reported_when_it_reaches_the_limit_without_an_event():
    watch = Watch("longest-wait>60")
    assert watch.at(100, waiting("a", 100)) == []
    assert watch.monitor.next_check() == 160 * SECOND + 1
    assert watch.at(160) == []
    assert watch.at(200) == [("raised", 60, 160)]
    assert watch.monitor.next_check() is None
    # A second one that waits long is the same crossing.
    assert watch.at(250, waiting("b", 201)) == []
    assert watch.at(262, answered("a", 100, 262)) == []
    assert watch.at(263, answered("b", 201, 263)) == [("ended", 0, 263)]


def test_wait_between_end_and_limit_changes_nothing():
    watch = Watch("longest-wait>60,end=30")
    watch.at(0, waiting("a", 0), waiting("b", 40))
    assert watch.at(80) == [("raised", 60, 60)]
    assert watch.at(81, answered("a", 0, 81)) == []  # b waits for 41 s
    assert watch.at(90, waiting("c", 85)) == []
    assert watch.at(91, answered("b", 40, 91)) == [("ended", 6, 91)]


def test_number_of_waiting_calls_crosses_once():
    watch = Watch("waiting>1")
    assert watch.at(1, waiting("a", 1)) == []
    assert watch.at(2, waiting("b", 2, group=2)) == [("raised", 2, 2)]
    assert watch.at(3, waiting("c", 3)) == []
    assert watch.at(4, answered("a", 1, 4)) == []
    assert watch.at(5, answered("b", 2, 5, group=2)) == []  # one call waits: above the end, 0
    assert watch.at(6, answered("c", 3, 6)) == [("ended", 0, 6)]
    assert watch.at(7, waiting("d", 7), waiting("e", 7)) == [("raised", 2, 7)]


def test_service_level_falls_and_recovers_when_calls_leave_the_window():
    watch = Watch("service-level<50%,window=100")
    assert watch.at(10, waiting("a", 10)) == []
    assert watch.at(20, answered("a", 10, 20)) == []  # 1 of 1 within 20 s
    assert watch.at(50, waiting("b", 20), waiting("c", 20)) == []
    assert watch.at(51, answered("b", 20, 51)) == []  # 1 of 2
    assert watch.at(52, abandoned("c", 20, 52)) == [("raised", 0.333, 52)]
    assert watch.at(60, waiting("d", 59)) == []
    assert watch.at(61, answered("d", 59, 61)) == []  # 2 of 4: at the limit, and below the end
    # The answered call a leaves after 120 s, the others after 151 s and 152 s.
    assert watch.at(150) == []
    assert watch.monitor.next_check() == 151 * SECOND + 1
    assert watch.at(151) == []
    assert watch.at(153) == [("ended", 1, 152)]
    assert watch.at(162) == []
    assert watch.monitor.next_check() is None


def test_service_level_without_calls_is_unknown():
    watch = Watch("service-level<50%,window=10,calls=2")
    assert watch.at(30, waiting("a", 0), answered("a", 0, 30)) == []
    assert watch.at(31, waiting("b", 1), answered("b", 1, 31)) == [("raised", 0, 31)]
    assert watch.at(60) == [("ended", None, 40)]


def test_stale_figures_raise_and_end_nothing():
    watch = Watch("longest-wait>60")
    watch.at(0, waiting("a", 0), waiting("b", 100))
    assert watch.at(61) == [("raised", 60, 60)]
    watch.monitor.feed_lost(70 * SECOND)
    assert watch.monitor.next_check() is None
    assert watch.at(130, answered("a", 0, 80)) == []
    watch.monitor.feed_live()
    assert watch.at(200) == []  # b waits for 100 s: the alert goes on
    assert watch.at(201, answered("b", 100, 201)) == [("ended", 0, 201)]


def test_crossing_in_a_gap_is_reported_only_if_it_holds_afterwards():
    watch = Watch("waiting>1")
    watch.monitor.feed_lost(0)
    assert watch.at(10, waiting("a", 10), waiting("b", 10)) == []
    watch.at(20, answered("a", 10, 20))
    watch.monitor.feed_live()
    assert watch.at(30) == []
    watch.monitor.feed_lost(40 * SECOND)
    watch.at(50, waiting("c", 50))
    watch.monitor.feed_live()
    assert watch.at(60) == [("raised", 2, 60)]


def test_lost_feed_is_reported_after_its_limit_and_once():
    watch = Watch("feed-lost>30")
    assert watch.at(100) == []
    watch.monitor.feed_lost(100 * SECOND)
    watch.monitor.feed_lost(120 * SECOND)  # another attempt has failed
    assert watch.at(200) == [("raised", 30, 130)]
    watch.monitor.feed_live()
    assert watch.at(210) == [("ended", 0, 210)]
    watch.monitor.feed_lost(300 * SECOND)
    watch.monitor.feed_live()
    assert watch.at(400) == []


@pytest.mark.parametrize(
    ("queue", "group"),
    [("1", 1), ("601", 1), ("602", 2), ("sales", 1), ("support", 2), ("x", None), ("None", None)],
)
def test_queue_is_found_by_id_extension_name_or_label(queue, group):
    assert find_queue(queue, GROUPS) == group


def test_rule_of_one_queue_ignores_the_others():
    watch = Watch("waiting>0@support")
    assert watch.at(1, waiting("a", 1)) == []
    assert watch.at(2, waiting("b", 2, group=2)) == [("raised", 1, 2)]
    assert watch.monitor.raised(watch.rule).group_id == 2


def test_rule_waits_until_its_queue_is_known():
    groups = {}
    watch = Watch("waiting>0@sales", groups=groups)
    assert watch.at(1, waiting("a", 1)) == []
    assert watch.monitor.unknown_queues() == [watch.rule]
    groups.update(GROUPS)
    assert watch.at(2) == [("raised", 1, 2)]
    assert watch.monitor.unknown_queues() == []


def test_removed_rule_is_not_checked():
    watch = Watch("waiting>0")
    watch.monitor.remove(watch.rule)
    assert watch.at(1, waiting("a", 1)) == []
    assert watch.monitor.next_check() is None


def test_late_rule_counts_the_calls_that_wait():
    monitor = AlertMonitor(lambda: GROUPS)
    rule = AlertRule("waiting", 0)
    monitor.add(rule, [waiting("a", 1).call])
    (alert,) = monitor.check(5 * SECOND)
    assert (alert.state, alert.value, alert.at, alert.raised_at) == (
        "raised",
        1,
        5 * SECOND,
        5 * SECOND,
    )
    assert re.match("waiting>0", str(alert.rule))
