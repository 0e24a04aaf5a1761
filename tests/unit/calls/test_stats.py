"""QueueStats: figures compared with those calculated by hand."""

from __future__ import annotations

import math

import pytest
from support.call_transcripts import CALLERS, Office

from basix_ws_cti import UsageError
from basix_ws_cti.calls import QueueFigures, QueueStats, UserFigures, stats
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.simulator.model import SECOND

EMPTY = QueueFigures(
    waiting=0,
    longest_wait=0,
    offered=0,
    answered=0,
    abandoned=0,
    average_answer=None,
    maximum_answer=None,
    service_level=None,
)


class CallCentre(Office):
    """An office with a queue of five phones, and its figures."""

    def __init__(self, **options):
        super().__init__()
        self.stats = QueueStats(**options)

    def enter(self, group=None):
        """Let a customer call a group, and return the caller's leg."""
        caller_leg = self.pbx.receive(CALLERS[0], DID)
        self.pbx.call_group(caller_leg, group or self.group)
        return caller_leg

    def answer(self, caller_leg, number):
        """Let a user answer, and return the user's leg."""
        leg = next(
            leg for leg in self.pbx.ringing_for(caller_leg) if leg.user is self.users[number]
        )
        self.pbx.connect(leg)
        return leg

    def figures(self, group=None):
        self._count()
        return self.stats.group((group or self.group).id, self.pbx.now)

    def user(self, number):
        self._count()
        return self.stats.user(self.users[number].id, self.pbx.now)

    def _count(self):
        self.stats.apply(self.events)
        self.events = []


def test_unknown_group_and_user_have_empty_figures():
    centre = CallCentre()
    assert centre.figures() == EMPTY
    assert centre.user(0) == UserFigures(answered=0, missed=0, talked=0)
    assert centre.stats.groups == centre.stats.users == set()


def test_queue_figures_of_answered_abandoned_and_waiting_calls():
    """Three calls are answered after 5, 30 and 10 s, one is abandoned after 40 s, two wait."""
    centre = CallCentre()
    for seconds, number in ((5, 0), (30, 1), (10, 2)):
        caller_leg = centre.enter()
        centre.wait(seconds)
        centre.answer(caller_leg, number)
        centre.wait(60)
        centre.pbx.hang_up(caller_leg)
    caller_leg = centre.enter()
    centre.wait(40)
    centre.pbx.hang_up(caller_leg)
    centre.enter()
    centre.wait(7)
    centre.enter()
    centre.wait(3)
    assert centre.figures() == QueueFigures(
        waiting=2,
        longest_wait=10 * SECOND,
        offered=4,
        answered=3,
        abandoned=1,
        average_answer=15 * SECOND,
        maximum_answer=30 * SECOND,
        service_level=0.5,  # 5 s and 10 s, of four
    )
    assert centre.stats.groups == {centre.group.id}


def test_call_transferred_between_queues_is_offered_to_both():
    """Only the second queue answers the call."""
    centre = CallCentre(service_level=12)
    other = centre.pbx.create_group("other")
    centre.pbx.add_member(centre.users[4], other)
    caller_leg = centre.enter()
    centre.wait(20)
    centre.pbx.transfer(caller_leg, other)
    centre.wait(12)
    centre.answer(caller_leg, 4)
    assert centre.figures() == QueueFigures(
        waiting=0,
        longest_wait=0,
        offered=1,
        answered=0,
        abandoned=0,
        average_answer=None,
        maximum_answer=None,
        service_level=0.0,
    )
    assert centre.figures(other).average_answer == 12 * SECOND
    assert centre.figures(other).service_level == 1.0


def test_wait_ended_by_the_pbx_is_not_abandoned():
    """It is not answered either."""
    centre = CallCentre()
    caller_leg = centre.enter()
    centre.wait(5)
    centre.pbx.hang_up(caller_leg, by_peer=False)
    figures = centre.figures()
    assert (figures.offered, figures.answered, figures.abandoned) == (1, 0, 0)


def test_only_waits_within_the_window_count():
    """A wait that ended exactly one window ago counts."""
    centre = CallCentre(window=60)
    for number in range(2):
        caller_leg = centre.enter()
        centre.wait(10)
        centre.answer(caller_leg, number)
        centre.pbx.hang_up(caller_leg)
    assert centre.figures().offered == 2
    centre.wait(50)
    assert centre.figures().offered == 2
    centre.pbx.now += 1
    assert centre.figures().offered == 1
    centre.wait(60)
    assert centre.figures() == EMPTY


def test_user_figures_count_their_own_phone():
    """A user who lost the race for a call did not miss it."""
    centre = CallCentre()
    caller_leg = centre.enter()
    centre.wait(5)
    centre.answer(caller_leg, 0)
    centre.wait(100)
    centre.pbx.hang_up(caller_leg)
    missed = centre.pbx.receive(CALLERS[0], DID)
    leg = centre.pbx.call_user(missed, centre.users[0])
    centre.wait(30)
    centre.pbx.hang_up(leg, "NO_ANSWER", by_peer=False)
    # User 0 talked for 100 s and missed a call; user 1 lost the race, which is no missed call.
    assert centre.user(0) == UserFigures(answered=1, missed=1, talked=100 * SECOND)
    assert centre.user(1) == UserFigures(answered=0, missed=0, talked=0)
    assert centre.stats.users == {user.id for user in centre.users}


def test_stay_in_a_queue_counts_once():
    """A stay in a queue counts when it ends; later events of the call do not count it again."""
    centre = CallCentre()
    caller_leg = centre.enter()
    centre.wait(5)
    centre.answer(caller_leg, 0)
    assert centre.figures().offered == 1
    assert centre.stats.active_calls == 1
    centre.pbx.park(caller_leg)
    assert centre.figures().offered == 1
    centre.wait(5)
    centre.pbx.hang_up(caller_leg)
    assert centre.figures().offered == 1
    assert centre.stats.active_calls == 0


def test_leg_that_moved_to_another_call_does_not_count_yet():
    """The leg goes on in the other call."""
    office = Office(seed=3).play("attended_transfer")
    stats = QueueStats()
    for event in office.events:
        if event.call.joined:
            stats.apply([event])
    assert stats.users == set()


def test_number_of_waits_kept_is_limited(monkeypatch):
    """A group keeps its newest waits."""
    monkeypatch.setattr(stats, "MAX_KEPT", 2)
    centre = CallCentre()
    for seconds in (1, 2, 3):
        caller_leg = centre.enter()
        centre.wait(seconds)
        centre.answer(caller_leg, 0)
        centre.pbx.hang_up(caller_leg)
    figures = centre.figures()
    assert (figures.offered, figures.average_answer) == (2, 2_500_000)
    assert centre.user(0).answered == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window must be a positive number of seconds, got 0"),
        ({"window": -1}, "window must be a positive number of seconds, got -1"),
        ({"window": math.nan}, "window must be a positive number of seconds, got nan"),
        ({"service_level": -1}, "service_level must be a number of seconds, 0 or more, got -1"),
    ],
)
def test_options_out_of_range_raise_usage_error(options, message):
    """The window must have a length, and the service level must not be negative."""
    with pytest.raises(UsageError) as caught:
        QueueStats(**options)
    assert str(caught.value) == message
