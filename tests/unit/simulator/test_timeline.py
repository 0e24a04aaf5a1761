"""The timeline: order and start of scenarios, and the end of calls that are disturbed."""

from __future__ import annotations

import pytest
from support.feed_follower import Office

from basix_ws_cti.simulator.errors import NotPossibleError
from basix_ws_cti.simulator.model import SECOND
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.scenarios import CALLERS
from basix_ws_cti.simulator.timeline import Timeline


class ScenarioLog:
    """Timeline, and scenarios that record their names and the seconds at which they continue."""

    def __init__(self):
        self.pbx = Pbx()
        self.start = self.pbx.now
        self.timeline = Timeline(self.pbx)
        self.entries = []

    def record(self, name):
        self.entries.append((name, (self.pbx.now - self.start) / SECOND))

    def scenario(self, name, *waits):
        self.record(name)
        for wait in waits:
            yield wait
            self.record(name)


def test_scenarios_continue_in_the_order_of_time():
    log = ScenarioLog()
    log.timeline.start(log.scenario("a", 5, 1))
    log.timeline.start(log.scenario("b", 2, 3.5), after=1)
    while log.timeline.time_to_next is not None:
        log.timeline.step()
    assert log.entries == [("a", 0), ("b", 1), ("b", 3), ("a", 5), ("a", 6), ("b", 6.5)]


def test_steps_at_the_same_time_run_in_scheduling_order():
    log = ScenarioLog()
    for name in "cab":
        log.timeline.start(log.scenario(name, 0, 1), after=2)
    log.timeline.advance(10)
    assert [name for name, _ in log.entries] == list("cab" * 3)
    assert [time for _, time in log.entries] == [2] * 6 + [3] * 3


def test_time_to_next_is_in_seconds():
    """It is None when no step is due."""
    log = ScenarioLog()
    assert log.timeline.time_to_next is None
    log.timeline.start(log.scenario("a", 2.5), after=4)
    assert log.timeline.time_to_next == 4
    log.timeline.step()
    assert log.timeline.time_to_next == 2.5
    log.pbx.now += SECOND
    assert log.timeline.time_to_next == 1.5
    log.timeline.step()
    assert log.timeline.time_to_next is None
    assert log.pbx.now == log.start + 6.5 * SECOND


def test_advance_runs_all_steps_up_to_its_end():
    """The end is included, and the clock stands at the end."""
    log = ScenarioLog()
    log.timeline.start(log.scenario("a", 2, 3, 0.5))
    log.timeline.advance(5)
    assert log.entries == [("a", 0), ("a", 2), ("a", 5)]
    assert log.pbx.now == log.start + 5 * SECOND
    log.timeline.advance(0.25)
    assert len(log.entries) == 3
    assert log.timeline.time_to_next == 0.25
    log.timeline.advance(100)
    assert log.entries[3:] == [("a", 5.5)]
    assert log.pbx.now == log.start + round(105.25 * SECOND)


def test_start_now_runs_the_first_step_at_once():
    """start() runs it when the clock moves."""
    log = ScenarioLog()
    log.timeline.start(log.scenario("started", 1))
    assert log.entries == []
    log.timeline.start_now(log.scenario("started now", 1))
    assert log.entries == [("started now", 0)]
    log.timeline.advance(1)
    assert log.entries == [("started now", 0), ("started", 0), ("started now", 1), ("started", 1)]


def test_start_now_raises_not_possible_error():
    """The scenario is not scheduled again."""
    log = ScenarioLog()

    def impossible():
        raise NotPossibleError("no")
        yield

    with pytest.raises(NotPossibleError, match="no"):
        log.timeline.start_now(impossible())
    assert log.timeline.time_to_next is None


def test_scenario_can_start_another():
    """Each scenario has its own channels: a failure of one does not end those of the other."""
    office = Office()
    timeline = Timeline(office.pbx)

    def inner():
        office.talk(0)
        yield 1
        raise NotPossibleError("disturbed")

    def outer():
        timeline.start_now(inner())
        lead, _ = office.talk(1)
        yield 100
        office.pbx.hang_up(lead)

    timeline.start_now(outer())
    timeline.advance(60)
    assert [leg.user for leg in office.pbx.channels.values()] == [None, office.users[1]]
    timeline.advance(60)
    assert office.pbx.channels == {}


@pytest.mark.parametrize("operation", ["connect", "set_state"])
def test_disturbed_scenario_ends(operation):
    """If another action hung up its channel, it does not continue, and its other channels end."""
    office = Office()
    pbx, timeline = office.pbx, Timeline(office.pbx)
    went_on = []

    def scenario():
        lead, leg = office.ring()
        other = office.call(CALLERS[1])
        yield 5
        if operation == "connect":
            pbx.connect(leg)
        else:
            pbx.set_state(lead, "conference", room_id="1")
        went_on.append(other)

    timeline.start(scenario())
    timeline.step()
    first = next(iter(pbx.channels.values()))
    pbx.hang_up(first)
    assert len(pbx.channels) == 1
    timeline.step()
    assert went_on == []
    assert len(pbx.channels) == 1
    assert 1 <= timeline.time_to_next <= 20
    timeline.advance(40)
    assert pbx.channels == {}
    assert timeline.time_to_next is None
    assert went_on == []
    office.client.assert_in_sync()


def test_channels_of_a_disturbed_scenario_end_one_by_one():
    """Channels of other scenarios stay."""
    office = Office()
    pbx, timeline = office.pbx, Timeline(office.pbx)
    other_lead, _ = office.talk(4)

    def scenario():
        for number in range(3):
            office.talk(number)
        yield 1
        raise NotPossibleError("disturbed")

    timeline.start(scenario())
    timeline.advance(1)
    assert len(pbx.channels) == 8
    counts = [len(pbx.channels)]
    while timeline.time_to_next is not None:
        timeline.step()
        counts.append(len(pbx.channels))
    assert counts == [8, 6, 4, 2, 2]
    assert other_lead.uuid in pbx.channels
    assert set(office.client.endings().values()) == {
        "recv_bye,NORMAL_CLEARING",
        "send_bye,NORMAL_CLEARING",
    }


def test_other_errors_are_raised():
    """The timeline stays usable."""
    log = ScenarioLog()

    def broken():
        yield 1
        raise LookupError("a bug")

    log.timeline.start(broken())
    log.timeline.start(log.scenario("a"), after=2)
    with pytest.raises(LookupError, match="a bug"):
        log.timeline.advance(5)
    log.timeline.advance(5)
    assert [name for name, _ in log.entries] == ["a"]


def test_restart_leaves_no_channels_to_end():
    """Calls lost in a restart end without events, and the timeline has no further step."""
    office = Office()
    pbx, timeline = office.pbx, Timeline(office.pbx)

    def scenario():
        lead, _ = office.talk()
        yield 5
        pbx.hang_up(lead)

    timeline.start(scenario())
    timeline.step()
    count = office.event_count()
    pbx.drop_channels()
    timeline.advance(100)
    assert timeline.time_to_next is None
    assert office.event_count() == count
