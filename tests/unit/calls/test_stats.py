"""QueueStats: live figures, compared with those calculated by hand and with those of all rows."""

from __future__ import annotations

import math
import random
import re
import tracemalloc
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from support.call_builders import call, leg, party
from support.call_rows import SECOND
from support.call_transcripts import Office
from support.sizes import NIGHTLY

from basix_ws_cti import UsageError
from basix_ws_cti.calls import (
    AgentFigures,
    CallAnswered,
    CallEnded,
    CallStarted,
    CallUpdated,
    Participation,
    QueueFigures,
    QueueStats,
    QueueWait,
    Thresholds,
    Transfer,
    rows_in_period,
)
from basix_ws_cti.calls.model import Phase
from basix_ws_cti.calls.phase_history import MAX_PHASES, PhaseHistory
from basix_ws_cti.simulator import scenarios

HOUR = 3600


def make_call(call_id, text, ended=None, *, by=None, legs=(), **fields):
    """Return a call from a text such as ``"0 queued g1, 5 talking u7"``; times are in seconds."""
    scaled = re.sub(r"(^|, )(\d+)", lambda match: f"{match[1]}{int(match[2]) * SECOND}", text)
    if by == "caller" and "talking" not in text.rpartition(",")[2]:
        fields = {"disposition": "abandoned", "abandoned_in": "queue"} | fields
    ended = None if ended is None else ended * SECOND
    return call(scaled, ended, by=by, id=call_id, legs=tuple(legs), **fields)


def agent_leg(who, offered, answered=None, ended=None, *, left=None, **fields):
    """Return the leg of an agent whom group 1 called; times are in seconds.

    It talks from ``answered`` to ``ended``. A leg that was not answered timed out at ``ended``.
    """
    end = None if ended is None else ended * SECOND
    values = {"group_id": 1, "rings": 1}
    if answered is None:
        values |= {"timed_out": end is not None, "outcome": end and "missed"}
        values["rang_us"] = 0 if end is None else end - offered * SECOND
    else:
        values |= {"answered": answered * SECOND, "rang_us": (answered - offered) * SECOND}
        values |= {"outcome": end and "answered"}
        if end is None:
            values["talking_since"] = answered * SECOND
        else:
            values["talks"] = [(answered * SECOND, end)]
    return leg(who, offered * SECOND, end, **values | fields)


def answered_call(call_id, start, waited=5, talked=60, *, group="g1", user="u7"):
    """Return a call that waited for a group and was answered by one of its agents."""
    answered, ended = start + waited, start + waited + talked
    group_id = party(group).group_id
    return make_call(
        call_id,
        f"{start} queued {group}, {answered} talking {user}",
        ended,
        by="caller",
        legs=[agent_leg(user, start, answered, ended, group_id=group_id)],
    )


def abandoned_call(call_id, start, waited=5, *, group="g1"):
    """Return a call whose caller hung up in the queue."""
    return make_call(call_id, f"{start} queued {group}", start + waited, by="caller")


def ended(*calls):
    return [CallEnded(one) for one in calls]


def counts(figures):
    """Return how many waits a queue has in all, answered, abandoned, unknown and now."""
    return (
        figures.offered,
        figures.answered,
        figures.abandoned,
        figures.unknown,
        figures.waiting,
    )


# -- figures ----------------------------------------------------------------------------


def test_unknown_group_and_user_have_empty_figures():
    stats = QueueStats()
    assert stats.group(1, 0) == QueueFigures.of([])
    assert stats.user(7, 0) == AgentFigures.of([])
    assert stats.groups == stats.users == set()
    assert stats.active_calls == 0


def test_queue_figures_of_answered_abandoned_and_waiting_calls():
    """Three calls are answered after 5, 30 and 10 s, one is abandoned after 40 s, two wait."""
    stats = QueueStats(service_level=20)
    calls = [answered_call(str(seconds), 0, seconds) for seconds in (5, 30, 10)]
    stats.apply(ended(*calls, abandoned_call("abandoned", 60, 40)))
    stats.apply([CallStarted(make_call(f"at {at}", f"{at} queued g1")) for at in (190, 197)])
    figures = stats.group(1, 200 * SECOND)
    assert counts(figures) == (6, 3, 1, 0, 2)
    assert figures.longest_wait == 10 * SECOND
    assert figures.average_answer == 15 * SECOND
    assert figures.maximum_answer == 30 * SECOND
    assert figures.service_level_of_offered == 0.5  # 5 s and 10 s, of four that ended
    assert (figures.handled, figures.talked) == (3, 180 * SECOND)
    assert stats.groups == {1}
    assert stats.users == {7}


def test_party_outside_whom_a_queue_called_counts_in_the_handle_time():
    agent = agent_leg("09012345678", 0, 5, 65)
    caller = leg("0312341234", 0, 65 * SECOND, role="placed", talks=[(5 * SECOND, 65 * SECOND)])
    stats = QueueStats()
    text = "0 queued g1, 5 talking 09012345678"
    stats.apply(ended(make_call("a", text, 65, by="caller", legs=[caller, agent])))
    figures = stats.group(1, 100 * SECOND)
    assert (figures.handled, figures.talked) == (1, 60 * SECOND)
    assert stats.users == set()


def test_options_reach_the_figures():
    stats = QueueStats(service_level=4, short_abandon=3, bands=[10], wrap_up=30)
    assert stats.thresholds == Thresholds(service_level=4, short_abandon=3, bands=(10,))
    assert (stats.service_level, stats.by, stats.wrap_up) == (4, "start", 30)
    stats.apply(ended(answered_call("1", 0, 5), abandoned_call("2", 0, 3)))
    figures = stats.group(1, 100 * SECOND)
    assert figures.service_level_of_answered == 0.0
    assert figures.short_abandons == 1
    assert [(band.answered, band.abandoned) for band in figures.bands] == [(1, 1), (0, 0)]
    assert figures.handle_time == 90 * SECOND
    assert stats.user(7, 100 * SECOND).handle_time == 90 * SECOND


def test_call_that_overflows_is_offered_to_both_queues():
    """Only the second queue answers the call, and only its wait there counts for it."""
    stats = QueueStats(service_level=12)
    text = "0 queued g1, 20 queued g2, 32 talking u7"
    stats.apply([CallAnswered(make_call("1", text), party("u7"), 32 * SECOND)])
    first, second = (stats.group(group, 32 * SECOND) for group in (1, 2))
    assert (first.offered, first.answered, first.overflowed_out, first.overflowed_in) == (
        *(1, 0, 1, 0),
    )
    assert (second.offered, second.answered, second.overflowed_out, second.overflowed_in) == (
        *(1, 1, 0, 1),
    )
    assert second.average_answer == 12 * SECOND
    assert stats.groups == {1, 2}


def test_agent_figures_of_one_queue():
    stats = QueueStats()
    stats.apply(ended(answered_call("1", 0), answered_call("2", 0, group="g2", talked=10)))
    now = 100 * SECOND
    assert stats.user(7, now).answered == 2
    assert stats.user(7, now, group_id=2).talked == 10 * SECOND
    assert stats.user(7, now, group_id=3) == AgentFigures.of([])


def test_agent_who_transferred_a_call_that_lasts_has_figures():
    """The talk counts when the agent has left, not hours later when the call ends."""
    stats = QueueStats(window=HOUR)
    legs = [agent_leg("u7", 0, 5, 65), agent_leg("u8", 65, 70, group_id=None)]
    text = "0 queued g1, 5 talking u7, 65 ringing u8, 70 talking u8"
    stats.apply([CallUpdated(make_call("1", text, legs=legs))])
    assert stats.user(7, 100 * SECOND).talked == 60 * SECOND
    assert stats.user(8, 100 * SECOND).answered == 1
    assert stats.user(7, 2 * HOUR * SECOND) == AgentFigures.of([])


def test_transfer_by_an_agent_who_did_not_answer_counts_for_the_queue():
    """Live as in the figures of all rows."""
    to_colleague = Transfer(
        at=10 * SECOND, source=party("u7"), target=party("u8"), phase="ringing", attended=False
    )
    one = make_call(
        "1",
        "0 queued g1, 10 ringing u8",
        20,
        legs=[agent_leg("u7", 0, ended=10)],
        transfer_history=(to_colleague,),
    )
    stats = QueueStats()
    stats.apply(ended(one))
    assert stats.group(1, 100 * SECOND).transferred_out == 1
    assert QueueFigures.of(QueueWait.of(one), Participation.of(one)).transferred_out == 1


# -- windows ----------------------------------------------------------------------------


def test_only_rows_within_the_window_count():
    """A row whose end was exactly one window ago counts; the talks end 60 s after the waits."""
    stats = QueueStats(window=60)
    stats.apply(ended(answered_call("1", 10), answered_call("2", 20)))
    offered = [stats.group(1, second * SECOND).offered for second in (30, 75)]
    assert offered == [2, 2]
    now = 75 * SECOND + 1
    assert (stats.group(1, now).offered, stats.user(7, now).offered) == (1, 2)
    now += 10 * SECOND
    assert (stats.group(1, now).answered, stats.user(7, now).offered) == (0, 2)
    now += 50 * SECOND
    assert (stats.group(1, now).handled, stats.user(7, now).offered) == (1, 1)
    now += 10 * SECOND
    assert stats.group(1, now) == QueueFigures.of([])
    assert stats.user(7, now) == AgentFigures.of([])


def test_talk_longer_than_the_window_counts_while_it_lasts_and_for_a_window_afterwards():
    """The agent talks from 5 to 4,000 s and then transfers the call, which goes on."""
    stats = QueueStats(window=HOUR)
    stats.apply(
        [
            CallAnswered(
                make_call("1", "0 queued g1, 5 talking u7", legs=[agent_leg("u7", 0, 5)]),
                party("u7"),
                5 * SECOND,
            )
        ]
    )
    assert stats.user(7, 3700 * SECOND).answered == 1
    legs = [agent_leg("u7", 0, 5, 4000), agent_leg("u8", 4000, group_id=None)]
    text = "0 queued g1, 5 talking u7, 4000 ringing u8"
    stats.apply([CallUpdated(make_call("1", text, legs=legs))])
    for second in (4001, 4000 + HOUR):
        assert stats.user(7, second * SECOND).talked == 3995 * SECOND
        assert stats.group(1, second * SECOND).talked == 3995 * SECOND
    assert stats.user(7, (4001 + HOUR) * SECOND) == AgentFigures.of([])
    assert stats.user(8, (4001 + HOUR) * SECOND).offered == 1


def test_caller_who_hangs_up_after_more_than_a_window_is_abandoned():
    stats = QueueStats(window=HOUR)
    stats.apply([CallStarted(make_call("1", "0 queued g1"))])
    assert counts(stats.group(1, 3700 * SECOND)) == (1, 0, 0, 0, 1)
    stats.apply(ended(abandoned_call("1", 0, 4000)))
    for second in (4000, 4000 + HOUR):
        assert counts(stats.group(1, second * SECOND)) == (1, 0, 1, 0, 0)
    assert stats.group(1, (4001 + HOUR) * SECOND) == QueueFigures.of([])


def test_row_whose_end_was_lost_leaves_the_window_by_its_start():
    """Also one that has a result, as a talk does."""
    stats = QueueStats(window=60)
    talk = make_call("1", "0 queued g1, 5 talking u7", legs=[agent_leg("u7", 0, 5)])
    stats.apply([CallUpdated(talk)])
    assert stats.user(7, 100 * SECOND).answered == 1
    stats.restart([])
    assert stats.user(7, 100 * SECOND) == AgentFigures.of([])
    stats.apply([CallUpdated(talk)])  # it goes on after all
    assert stats.user(7, 100 * SECOND).answered == 1


def test_rows_leave_the_window_by_their_own_time():
    """The first row to come is the last one to leave."""
    stats = QueueStats(window=100)
    stats.apply(ended(*(answered_call(str(start), start) for start in (90, 60, 75))))
    offered = [stats.group(1, second * SECOND).offered for second in (165, 166, 181, 196)]
    assert offered == [3, 2, 1, 0]


def test_miss_leaves_the_window_at_its_own_time():
    """The call goes on for 45 s after the agent missed it, and ends behind an answered one."""
    stats = QueueStats(window=100, by="end")
    missed = [agent_leg("u8", 0, ended=20), agent_leg("u7", 20, 25, 65)]
    stats.apply(ended(answered_call("first", 0, 5, 55)))
    stats.apply(
        ended(make_call("1", "0 queued g1, 25 talking u7", 65, by="caller", legs=missed)),
    )
    assert [stats.user(8, second * SECOND).missed for second in (120, 121)] == [1, 0]
    assert [stats.user(7, second * SECOND).answered for second in (160, 161, 166)] == [2, 1, 0]


def test_rows_count_by_their_end_as_an_option():
    """A call that waits is offered once its wait has ended."""
    midnight = ZoneInfo("UTC")
    by_end, by_start = QueueStats(by="end"), QueueStats(since_midnight=midnight)
    for stats in (by_end, by_start):
        stats.apply([CallStarted(make_call("1", "0 queued g1"))])
    assert counts(by_end.group(1, 50 * SECOND)) == (0, 0, 0, 0, 1)
    assert counts(by_start.group(1, 50 * SECOND)) == (1, 0, 0, 0, 1)
    for stats in (by_end, by_start):
        stats.apply(ended(abandoned_call("1", 0, 70)))
        assert counts(stats.group(1, 80 * SECOND)) == (1, 0, 1, 0, 0)


@pytest.mark.parametrize(("by", "offered"), [("start", 0), ("end", 1)])
def test_row_that_spans_midnight_counts_on_one_day(by, offered):
    stats = QueueStats(since_midnight=ZoneInfo("UTC"), by=by)
    stats.apply(ended(abandoned_call("1", 24 * HOUR - 10, 20)))
    assert stats.group(1, (24 * HOUR + 15) * SECOND).offered == offered


def test_call_that_waits_longer_than_the_window_still_waits():
    stats = QueueStats(window=60)
    stats.apply([CallStarted(make_call("1", "0 queued g1"))])
    figures = stats.group(1, 300 * SECOND)
    assert counts(figures) == (1, 0, 0, 0, 1)
    assert figures.longest_wait == 300 * SECOND
    assert stats.groups == {1}


def seconds_of(zone, *local):
    return int(datetime(*local, tzinfo=ZoneInfo(zone)).timestamp())


@pytest.mark.parametrize(
    ("zone", "local", "hours"),
    [
        ("Asia/Tokyo", (2026, 6, 1), 24),
        ("Europe/Berlin", (2026, 3, 29), 23),
        ("Europe/Berlin", (2026, 10, 25), 25),
        # The clock is set back from 1 to 0 o'clock: midnight comes twice.
        ("America/Havana", (2026, 11, 1), 25),
        # The clock is set from 0 to 1 o'clock: there is no midnight.
        ("America/Sao_Paulo", (2018, 11, 4), 23),
        ("UTC", (2026, 6, 1), 24),
    ],
)
def test_day_since_midnight_is_as_long_as_the_day_of_the_zone(zone, local, hours):
    """A call at the first moment counts until the day is over, one right before it never does."""
    stats = QueueStats(since_midnight=ZoneInfo(zone))
    midnight = seconds_of(zone, *local)
    stats.apply(ended(abandoned_call("today", midnight), abandoned_call("before", midnight - 1)))
    last_moment = (midnight + hours * HOUR) * SECOND - 1
    assert stats.group(1, (midnight + 10) * SECOND).offered == 1
    assert stats.group(1, last_moment).offered == 1
    assert stats.group(1, last_moment + 1).offered == 0


def test_rows_since_midnight_stay_although_many_hours_pass_without_a_look_at_them():
    """The calls of a day of 25 hours are complete when it ends."""
    zone = ZoneInfo("Europe/Berlin")
    stats = QueueStats(since_midnight=zone)
    midnight = seconds_of("Europe/Berlin", 2026, 10, 25)
    for hour in range(-48, 25):
        stats.apply(ended(answered_call(str(hour), midnight + hour * HOUR)))
    assert stats.group(1, (midnight + 25 * HOUR) * SECOND - 1).offered == 25
    assert stats.user(7, (midnight + 25 * HOUR) * SECOND - 1).answered == 25


def test_time_that_is_no_date_has_no_midnight():
    with pytest.raises(UsageError, match="now must be microseconds since the epoch, got -"):
        QueueStats(since_midnight=UTC).group(1, -(10**18))


# -- each row once ----------------------------------------------------------------------


def test_stay_in_a_queue_counts_once():
    """It counts from its start, however many events its call has, and whoever asks meanwhile."""
    stats = QueueStats()
    texts = ["0 queued g1", "0 queued g1, 5 talking u7", "0 queued g1, 5 talking u7, 9 parked"]
    seen = []
    for text in texts:
        stats.apply([CallUpdated(make_call("1", text))] * 2)
        seen.append(counts(stats.group(1, 10 * SECOND)))
    stats.apply(ended(make_call("1", texts[-1], 20, by="pbx")) * 2)
    seen.append(counts(stats.group(1, 30 * SECOND)))
    assert seen == [(1, 0, 0, 0, 1), *[(1, 1, 0, 0, 0)] * 3]
    assert stats.active_calls == 0


def test_same_figures_whether_or_not_somebody_asks_in_between():
    texts = ["0 ivr", "0 ivr, 3 queued g1", "0 ivr, 3 queued g1, 8 queued g2", "0 queued g2"]
    asked, unasked = QueueStats(), QueueStats()
    for text in texts:
        for stats in (asked, unasked):
            stats.apply([CallUpdated(make_call("1", text))])
        asked.group(1, 10 * SECOND)
    for group in (1, 2):
        assert asked.group(group, 10 * SECOND) == unasked.group(group, 10 * SECOND)
    assert counts(asked.group(1, 10 * SECOND)) == (0, 0, 0, 0, 0)


def test_call_that_is_joined_keeps_its_waits_and_hands_over_its_agents():
    """The agent of the joined call counts once, in the call that goes on."""
    stats = QueueStats()
    legs = [agent_leg("u7", 0, 5)]
    stats.apply([CallUpdated(make_call("1", "0 queued g1, 5 talking u7", legs=legs))])
    assert stats.user(7, 10 * SECOND).answered == 1
    joined = make_call("1", "0 queued g1, 5 talking u7", 20, joined="2", legs=legs)
    other = make_call("2", "0 talking u7", 90, by="caller", legs=[agent_leg("u7", 0, 5, 90)])
    stats.apply(ended(joined))
    assert stats.user(7, 10 * SECOND).answered == 0
    stats.apply(ended(other))
    assert stats.user(7, 100 * SECOND).answered == 1
    assert stats.group(1, 100 * SECOND).answered == 1


def test_no_wait_is_lost_in_a_call_with_more_phases_than_are_kept():
    """The call returns to the queue after each talk."""
    stats = QueueStats()
    phases = PhaseHistory(Phase(kind="ivr", started=0))
    talks = MAX_PHASES // 2 + 100
    for number in range(talks):
        start = number * 3 * SECOND
        phases.begin(Phase(kind="queued", started=start, party=party("g1")))
        phases.begin(Phase(kind="talking", started=start + SECOND, party=party("u7")))
        if number % 100 == 0:
            values = {"phases": phases.as_tuple(), "merged": phases.merged}
            stats.apply([CallUpdated(call("0 ivr", id="1", **values))])
            assert stats.group(1, start + SECOND).answered == number + 1
    phases.close(talks * 3 * SECOND)
    values = {"phases": phases.as_tuple(), "merged": phases.merged, "disposition": "answered"}
    stats.apply(ended(call("0 ivr", talks * 3 * SECOND, id="1", **values)))
    figures = stats.group(1, HOUR * SECOND)
    assert (figures.answered, figures.average_answer) == (talks, SECOND)


@pytest.mark.parametrize("by", ["start", "end"])
def test_live_figures_equal_those_of_all_rows_of_the_period(by):
    """Random calls, in the order of their ends; the window slides over them.

    All have ended. So the window has the rows that ended in it, by their start, too.
    """
    rng = random.Random(5)
    calls = []
    for number in range(200):
        start, group = rng.randrange(7200), rng.choice(["g1", "g2"])
        make = rng.choice([answered_call, abandoned_call])
        calls.append(make(str(number), start, rng.randrange(1, 900), group=group))
    calls.sort(key=lambda one: one.ended)
    stats = QueueStats(window=1800, by=by)
    for number, one in enumerate(calls):
        stats.apply([CallUpdated(one), CallEnded(one)])
        if number % 10 == 0:
            now, past = one.ended, calls[: number + 1]
            since = now - 1800 * SECOND
            waits = [row for one in past for row in QueueWait.of(one)]
            rows = [row for one in past for row in Participation.of(one)]
            period = (
                [*rows_in_period(waits, since, None, by="end")],
                [*rows_in_period(rows, since, None, by="end")],
            )
            for group in (1, 2):
                expected = QueueFigures.of(*period, group_id=group)
                assert stats.group(group, now).to_dict() == expected.to_dict() | {"longest_wait": 0}
            assert stats.user(7, now) == AgentFigures.of(period[1], user_id=7)


def test_waits_that_began_at_the_same_moment_count_each():
    """A clock was set back while the caller left the queue. The start of the call moves, too."""
    stats = QueueStats()
    rest = "queued g1, 20 voicemail u7, 20 queued g1, 20 voicemail u7, 20 queued g1"
    offered = []
    for start, end in ((20, None), (15, None), (20, None), (20, 40)):
        one = make_call("1", f"{start} {rest}", end, by="caller" if end else None)
        stats.apply([CallUpdated(one) if end is None else CallEnded(one)])
        figures = stats.group(1, 50 * SECOND)
        assert figures == QueueFigures.of(QueueWait.of(one), group_id=1, now=50 * SECOND)
        offered.append((figures.offered, figures.voicemail, figures.waiting))
    assert offered == [(3, 2, 1), (3, 2, 1), (3, 2, 1), (3, 2, 0)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20 if NIGHTLY else 3))
def test_live_figures_of_a_simulated_day_equal_those_of_all_rows(seed):
    """Transfers, consults, pickups and joins included; somebody asks now and then."""
    office = Office(seed, users=12)
    stats = QueueStats(window=10**6)
    office.timeline.start(scenarios.day(office.pbx, office.timeline, 30), 1)
    calls = {}
    for number in range(600):
        office.timeline.step()
        stats.apply(office.events)
        calls |= {event.call.id: event.call for event in office.events}
        office.events = []
        if number % 50 == 0:
            now = office.pbx.now
            waits = [row for one in calls.values() for row in QueueWait.of(one)]
            rows = [row for one in calls.values() for row in Participation.of(one)]
            by_group = QueueFigures.by_group(waits, rows, now=now)
            assert {group: stats.group(group, now) for group in stats.groups} == by_group
            agents = {user: stats.user(user, now) for user in stats.users}
            assert agents == AgentFigures.by_agent(rows)
    assert sum(one.ended is not None for one in calls.values()) > 50


# -- start and recovery -----------------------------------------------------------------


def test_calls_that_wait_at_the_start_count():
    calls = [
        make_call("1", "0 queued g1"),
        make_call("2", "0 queued g1, 20 queued g2"),
        make_call("3", "0 queued g1, 5 talking u7", legs=[agent_leg("u7", 0, 5)]),
    ]
    stats = QueueStats(calls=calls)
    assert stats.groups == {1, 2}
    assert stats.active_calls == 3
    assert counts(stats.group(1, 30 * SECOND)) == (3, 1, 0, 0, 1)
    assert counts(stats.group(2, 30 * SECOND)) == (1, 0, 0, 0, 1)
    assert stats.user(7, 30 * SECOND).answered == 1


def test_restart_drops_calls_whose_end_was_lost():
    """They wait no more, and their waits count as unknown."""
    stats = QueueStats()
    lasting = make_call("1", "0 queued g1")
    stats.apply([CallStarted(lasting), CallStarted(make_call("2", "0 queued g1"))])
    ringing = make_call("3", "0 queued g1", legs=[agent_leg("u7", 0)])
    stats.apply([CallStarted(ringing)])
    stats.restart([lasting, make_call("4", "20 queued g1")])
    assert stats.active_calls == 2
    assert counts(stats.group(1, 30 * SECOND)) == (4, 0, 0, 2, 2)
    assert (stats.user(7, 30 * SECOND).offered, stats.user(7, 30 * SECOND).failed) == (1, 1)


def test_restart_keeps_waits_that_ended_before():
    """A change that nobody has looked at before the restart counts, too."""
    stats = QueueStats()
    stats.apply([CallUpdated(make_call("1", "0 queued g1, 5 talking u7"))])
    stats.restart([])
    assert counts(stats.group(1, 30 * SECOND)) == (1, 1, 0, 0, 0)


def test_end_that_is_reported_after_a_restart_counts():
    """``client.calls`` is ahead of the events that are still queued for the subscriber."""
    stats = QueueStats()
    stats.apply([CallStarted(make_call("1", "0 queued g1", legs=[agent_leg("u7", 0)]))])
    stats.restart([])
    stats.apply([CallUpdated(make_call("1", "0 queued g1, 5 talking u7"))])
    stats.apply(ended(answered_call("1", 0)))
    assert counts(stats.group(1, 90 * SECOND)) == (1, 1, 0, 0, 0)
    assert (stats.user(7, 90 * SECOND).answered, stats.user(7, 90 * SECOND).failed) == (1, 0)


# -- memory -----------------------------------------------------------------------------


def test_number_of_rows_kept_is_limited():
    """A group and an agent keep their newest rows."""
    stats = QueueStats(max_rows=2)
    stats.apply(ended(*(answered_call(str(start), start, start) for start in (1, 2, 3))))
    figures = stats.group(1, 10 * SECOND)
    assert (figures.offered, figures.average_answer) == (2, 2_500_000)
    assert stats.user(7, 10 * SECOND).answered == 2


def test_one_wrong_time_does_not_empty_the_window():
    """One call seems to end in 2096."""
    stats = QueueStats()
    stats.apply(ended(answered_call("1", 0)))
    stats.apply(ended(abandoned_call("2", 4 * 10**9), answered_call("3", 10)))
    assert stats.group(1, 100 * SECOND).answered == 2


def month_of_calls(stats, days, calls_per_day=100):
    """Apply the calls of some days, and yield the traced memory at the end of each."""
    number = 0
    for day in range(days):
        for position in range(calls_per_day):
            number += 1
            start = day * 24 * HOUR + position * (24 * HOUR // calls_per_day)
            user, group = f"u{position % 7}", f"g{position % 3}"
            one = answered_call(str(number), start, user=user, group=group)
            stats.apply([CallUpdated(one), CallEnded(one)])
        yield tracemalloc.get_traced_memory()[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"window": HOUR}, {"since_midnight": ZoneInfo("Asia/Tokyo")}], ids=["hour", "day"]
)
def test_memory_stays_flat_over_a_month_in_which_nobody_asks(options):
    stats = QueueStats(**options)
    tracemalloc.start()
    try:
        # Old rows are dropped in steps: memory grows during the first 2,500 calls.
        sizes = [*month_of_calls(stats, 30, 1000 if NIGHTLY else 200)]
    finally:
        tracemalloc.stop()
    assert max(sizes[15:]) < 1.1 * max(sizes[:15])
    assert stats.active_calls == 0


# -- options ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window must be a positive number of seconds, got 0"),
        ({"window": -1}, "window must be a positive number of seconds, got -1"),
        ({"window": math.nan}, "window must be a positive number of seconds, got nan"),
        ({"service_level": -1}, "service_level must be a number of seconds, 0 or more, got -1"),
        ({"since_midnight": "UTC"}, "since_midnight must be a tzinfo (or None), got str"),
        ({"by": "entry"}, "by must be 'start' or 'end', got 'entry'"),
        ({"wrap_up": -1}, "wrap_up must be a number of seconds, 0 or more, got -1"),
        ({"max_rows": 0}, "max_rows must be an int of 1 or more, got 0"),
    ],
)
def test_options_out_of_range_raise_usage_error(options, message):
    with pytest.raises(UsageError) as caught:
        QueueStats(**options)
    assert str(caught.value) == message
