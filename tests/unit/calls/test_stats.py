"""QueueStats: figures that were worked out by hand."""

from __future__ import annotations

import math

import pytest
from support.call_transcripts import CALLERS, World

from basix_ws_cti import UsageError
from basix_ws_cti.calls import QueueFigures, QueueStats, UserFigures, stats
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.simulator.model import SECOND

NOTHING = QueueFigures(
    waiting=0,
    longest_wait=0,
    offered=0,
    answered=0,
    abandoned=0,
    average_answer=None,
    maximum_answer=None,
    service_level=None,
)


class CallCentre(World):
    """A queue of five telephones, and its figures."""

    def __init__(self, **options):
        super().__init__()
        self.stats = QueueStats(**options)

    def enter(self, group=None):
        """Somebody calls, and waits for a group."""
        line = self.pbx.receive(CALLERS[0], DID)
        self.pbx.call_group(line, group or self.group)
        return line

    def answer(self, line, number):
        """A user answers."""
        leg = next(leg for leg in self.pbx.ringing_for(line) if leg.user is self.users[number])
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


def test_nothing_happened():
    """Of a group or user that nobody called there are figures all the same: none."""
    centre = CallCentre()
    assert centre.figures() == NOTHING
    assert centre.user(0) == UserFigures(answered=0, missed=0, talked=0)
    assert centre.stats.groups == centre.stats.users == set()


def test_a_morning_at_a_queue():
    """Three answered after 5, 30 and 10 s, one who gave up after 40 s, two who wait."""
    centre = CallCentre()
    for seconds, number in ((5, 0), (30, 1), (10, 2)):
        line = centre.enter()
        centre.wait(seconds)
        centre.answer(line, number)
        centre.wait(60)
        centre.pbx.hang_up(line)
    line = centre.enter()
    centre.wait(40)
    centre.pbx.hang_up(line)
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


def test_who_goes_elsewhere():
    """Who is sent from one queue to another was offered to both, and answered by one."""
    centre = CallCentre(service_level=12)
    other = centre.pbx.create_group("other")
    centre.pbx.add_member(centre.users[4], other)
    line = centre.enter()
    centre.wait(20)
    centre.pbx.transfer(line, other)
    centre.wait(12)
    centre.answer(line, 4)
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


def test_the_end_by_the_pbx_is_no_abandoning():
    """A wait that the PBX ended was neither answered nor abandoned."""
    centre = CallCentre()
    line = centre.enter()
    centre.wait(5)
    centre.pbx.hang_up(line, by_peer=False)
    figures = centre.figures()
    assert (figures.offered, figures.answered, figures.abandoned) == (1, 0, 0)


def test_the_window_slides():
    """What ended longer ago than the window does not count; at its very edge it does."""
    centre = CallCentre(window=60)
    for number in range(2):
        line = centre.enter()
        centre.wait(10)
        centre.answer(line, number)
        centre.pbx.hang_up(line)
    assert centre.figures().offered == 2
    centre.wait(50)
    assert centre.figures().offered == 2
    centre.pbx.now += 1
    assert centre.figures().offered == 1
    centre.wait(60)
    assert centre.figures() == NOTHING


def test_users():
    """A user's figures are of their own telephone: what they answered, missed, and their talk."""
    centre = CallCentre()
    line = centre.enter()
    centre.wait(5)
    centre.answer(line, 0)
    centre.wait(100)
    centre.pbx.hang_up(line)
    missed = centre.pbx.receive(CALLERS[0], DID)
    leg = centre.pbx.call_user(missed, centre.users[0])
    centre.wait(30)
    centre.pbx.hang_up(leg, "NO_ANSWER", by_peer=False)
    # 0 answered one for 100 s and missed one; 1 lost the race, which is no missed call.
    assert centre.user(0) == UserFigures(answered=1, missed=1, talked=100 * SECOND)
    assert centre.user(1) == UserFigures(answered=0, missed=0, talked=0)
    assert centre.stats.users == {user.id for user in centre.users}


def test_a_wait_is_counted_once():
    """A stay in a queue counts when it ends, once, however many events come after it."""
    centre = CallCentre()
    line = centre.enter()
    centre.wait(5)
    centre.answer(line, 0)
    assert centre.figures().offered == 1
    centre.pbx.park(line)
    assert centre.figures().offered == 1
    centre.wait(5)
    centre.pbx.hang_up(line)
    assert centre.figures().offered == 1
    assert not centre.stats._calls
    assert not centre.stats._counted


def test_legs_without_an_end_count_nothing():
    """A leg that went to another call, and lives on there, does not count yet."""
    world = World(seed=3).play("attended_transfer")
    stats = QueueStats()
    for event in world.events:
        if event.call.joined:
            stats.apply([event])
    assert stats.users == set()


def test_memory_is_bounded(monkeypatch):
    """Of a group's waits so many are kept, the newest."""
    monkeypatch.setattr(stats, "MAX_KEPT", 2)
    centre = CallCentre()
    for seconds in (1, 2, 3):
        line = centre.enter()
        centre.wait(seconds)
        centre.answer(line, 0)
        centre.pbx.hang_up(line)
    figures = centre.figures()
    assert (figures.offered, figures.average_answer) == (2, 2_500_000)
    assert centre.user(0).answered == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window must be more than 0 seconds, got 0"),
        ({"window": -1}, "window must be more than 0 seconds, got -1"),
        ({"window": math.nan}, "window must be more than 0 seconds, got nan"),
        ({"service_level": -1}, "service_level must be 0 seconds or more, got -1"),
    ],
)
def test_options_out_of_range(options, message):
    """A window without length, or a negative service level, raises UsageError."""
    with pytest.raises(UsageError) as caught:
        QueueStats(**options)
    assert str(caught.value) == message
