"""CallCounters: counters that count each wait and call once, and never fall."""

from __future__ import annotations

from collections import Counter

import pytest
from support.call_builders import call
from support.ledger_day import play_day

from basix_ws_cti.bridges.call_counters import CallCounters, DurationCounter
from basix_ws_cti.calls import CallAnswered, CallEnded, CallStarted, CallUpdated, Party
from basix_ws_cti.calls.tallies import counts_in_queue, is_offer_of_queue

SECOND = 1_000_000


def waiting(call_id="a", text="0 queued g1", **fields):
    return call(text, id=call_id, **fields)


def counts(counters, group_id=1):
    queue = counters.queue(group_id)
    return queue.entered, dict(queue.results), len(queue.waiting)


# -- durations --------------------------------------------------------------------------


def test_duration_on_a_bound_belongs_to_the_class_below():
    durations = DurationCounter((5, 10))
    for seconds in (0, 5, 5.000001, 10, 11, -3):
        durations.add(round(seconds * SECOND))
    assert durations.counts == [3, 2, 1]
    assert durations.total == 31_000_001


def test_copy_of_a_counter_counts_for_itself():
    durations = DurationCounter((5, 10))
    durations.add(7 * SECOND)
    duplicate = durations.copy()
    durations.add(8 * SECOND)
    assert (duplicate.buckets, duplicate.seconds) == ([("5.0", 0), ("10.0", 1), ("+Inf", 1)], 7.0)
    assert (durations.buckets, durations.seconds) == ([("5.0", 0), ("10.0", 2), ("+Inf", 2)], 15.0)


# -- waits ------------------------------------------------------------------------------


def test_wait_counts_once_when_its_end_is_known():
    counters = CallCounters(10)
    counters.apply(CallStarted(waiting()))
    assert counts(counters) == (1, {}, 1)
    talking = call(f"0 queued g1, {7 * SECOND} talking u7", id="a")
    for _ in range(3):
        counters.apply(CallAnswered(talking, Party(user_id=7), 7 * SECOND))
        assert counts(counters) == (1, {"answered": 1}, 0)
    counters.apply(CallEnded(call(f"0 queued g1, {7 * SECOND} talking u7", 60 * SECOND, id="a")))
    assert counts(counters) == (1, {"answered": 1}, 0)
    assert counters.queue(1).answered.total == 7 * SECOND


def test_overflow_leaves_one_queue_and_enters_the_next():
    counters = CallCounters(10)
    counters.apply(CallStarted(waiting()))
    counters.apply(CallUpdated(waiting(text="0 queued g1, 20 queued g2")))
    assert counts(counters, 1) == (1, {"overflowed": 1}, 0)
    assert counts(counters, 2) == (1, {}, 1)


def test_waits_before_the_first_event_of_an_old_call_do_not_count():
    counters = CallCounters(10)
    counters.apply(CallStarted(waiting(text="0 queued g1, 5 queued g2", complete=False)))
    assert counts(counters, 1) == (0, {}, 0)
    assert counts(counters, 2) == (0, {}, 1)
    counters.apply(CallEnded(waiting(text="0 queued g1, 5 queued g2", ended=9, by="caller")))
    assert counts(counters, 1) == (0, {}, 0)
    assert sum(counters.queue(2).results.values()) == 1


def test_lost_end_makes_the_last_wait_unknown_and_an_end_that_comes_late_changes_nothing():
    counters = CallCounters(10)
    counters.apply(CallStarted(waiting("lost")))
    counters.apply(CallStarted(waiting("kept")))
    counters.restart([waiting("kept"), waiting("new")])
    assert counts(counters) == (2, {"unknown": 1}, 2)
    counters.apply(CallEnded(call("0 queued g1", 9, by="caller", id="lost")))
    assert counts(counters) == (2, {"unknown": 1}, 2)


def test_consult_call_counts_nowhere():
    counters = CallCounters(10)
    counters.apply(CallStarted(waiting(purpose="consult")))
    counters.apply(CallEnded(call("0 queued g1", 9, by="caller", id="a", purpose="consult")))
    assert counts(counters) == (0, {}, 0)
    assert not counters.calls


def test_queues_beyond_the_limit_are_added_up():
    counters = CallCounters(2)
    for number in range(1, 6):
        counters.apply(CallStarted(waiting(str(number), f"0 queued g{number}")))
    assert set(counters.queues) == {1, 2}
    assert counters.other.entered == 3
    assert len(counters.other.waiting) == 3
    counters.apply(CallEnded(call("0 queued g4", 9, by="caller", id="4")))
    assert len(counters.other.waiting) == 2
    assert sum(counters.other.results.values()) == 1


# -- a simulated day --------------------------------------------------------------------


@pytest.mark.slow
def test_counters_of_a_day_equal_the_sums_over_its_rows_and_never_fall():
    counters, before = CallCounters(100), Counter()

    def totals():
        found = Counter({("calls", *key): count for key, count in counters.calls.items()})
        found["talked"] = counters.talks.total
        for group_id, queue in counters.queues.items():
            found["entered", group_id] = queue.entered
            found |= Counter({(result, group_id): count for result, count in queue.results.items()})
            for name in ("answered", "abandoned", "handled"):
                found[name, "time", group_id] = getattr(queue, name).total
        return found

    def on_events(events):
        for event in events:
            counters.apply(event)
        now = totals()
        assert all(now[key] >= value for key, value in before.items())
        before.update(now - before)

    _, rows = play_day(11, 300, on_events=on_events)
    waits = [wait for wait in rows.waits if counts_in_queue(wait)]
    served = [row for row in rows.participations if row.result == "answered"]
    served = [row for row in served if is_offer_of_queue(row)]
    assert len(waits) > 100
    groups = {wait.group_id for wait in waits}
    for group_id in groups:
        queue, own = counters.queues[group_id], [w for w in waits if w.group_id == group_id]
        assert queue.entered == len(own)
        assert queue.results == Counter(wait.result for wait in own)
        assert not queue.waiting
        for result in ("answered", "abandoned"):
            expected = sum(wait.waited_us for wait in own if wait.result == result)
            assert getattr(queue, result).total == expected
        handled = [row.talked_us + row.held_us for row in served if row.group_id == group_id]
        assert queue.handled.total == sum(handled)
        assert sum(queue.handled.counts) == len(handled)
    calls = [one for one in rows.ended if one.purpose == "call" and one.joined is None]
    assert counters.calls == Counter((one.direction, one.disposition) for one in calls)
