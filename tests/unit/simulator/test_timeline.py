"""When things happen: order, beginnings, and what becomes of a call that is interfered with."""

from __future__ import annotations

import pytest
from support.feed_follower import Office

from basix_ws_cti.simulator.errors import NotPossibleError
from basix_ws_cti.simulator.model import SECOND
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.scenarios import CALLERS
from basix_ws_cti.simulator.timeline import Timeline


class Log:
    """A timeline, and scenarios that write down when they go on."""

    def __init__(self):
        self.pbx = Pbx()
        self.start = self.pbx.now
        self.timeline = Timeline(self.pbx)
        self.lines = []

    def note(self, name):
        self.lines.append((name, (self.pbx.now - self.start) / SECOND))

    def scenario(self, name, *waits):
        self.note(name)
        for wait in waits:
            yield wait
            self.note(name)


def test_things_happen_in_the_order_of_time():
    """Scenarios run side by side, each when its time has come."""
    log = Log()
    log.timeline.start(log.scenario("a", 5, 1))
    log.timeline.start(log.scenario("b", 2, 3.5), after=1)
    while log.timeline.time_to_next is not None:
        log.timeline.step()
    assert log.lines == [("a", 0), ("b", 1), ("b", 3), ("a", 5), ("a", 6), ("b", 6.5)]


def test_first_come_first_served():
    """Of those due at the same moment, the one that was scheduled first goes first."""
    log = Log()
    for name in "cab":
        log.timeline.start(log.scenario(name, 0, 1), after=2)
    log.timeline.advance(10)
    assert [name for name, _ in log.lines] == list("cab" * 3)
    assert [time for _, time in log.lines] == [2] * 6 + [3] * 3


def test_pause_is_the_time_until_the_next_thing():
    """Pause is in seconds of the PBX, and None when nothing will happen."""
    log = Log()
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


def test_advance_stops_at_its_end():
    """What falls into the time happens, the end included, and the clock stands at the end."""
    log = Log()
    log.timeline.start(log.scenario("a", 2, 3, 0.5))
    log.timeline.advance(5)
    assert log.lines == [("a", 0), ("a", 2), ("a", 5)]
    assert log.pbx.now == log.start + 5 * SECOND
    log.timeline.advance(0.25)
    assert len(log.lines) == 3
    assert log.timeline.time_to_next == 0.25
    log.timeline.advance(100)
    assert log.lines[3:] == [("a", 5.5)]
    assert log.pbx.now == log.start + round(105.25 * SECOND)


def test_start_waits_and_begin_does_not():
    """A started scenario begins when the clock moves; a begun one has begun already."""
    log = Log()
    log.timeline.start(log.scenario("started", 1))
    assert log.lines == []
    log.timeline.start_now(log.scenario("begun", 1))
    assert log.lines == [("begun", 0)]
    log.timeline.advance(1)
    assert log.lines == [("begun", 0), ("started", 0), ("begun", 1), ("started", 1)]


def test_begin_tells_what_is_not_possible():
    """A scenario that can't begin raises, and is not tried again."""
    log = Log()

    def impossible():
        raise NotPossibleError("no")
        yield

    with pytest.raises(NotPossibleError, match="no"):
        log.timeline.start_now(impossible())
    assert log.timeline.time_to_next is None


def test_a_scenario_may_begin_and_start_others():
    """A scenario that begins another goes on after it, and the channels of each are its own."""
    office = Office()
    timeline = Timeline(office.pbx)

    def inner():
        office.talk(0)
        yield 1
        raise NotPossibleError("somebody interfered")

    def outer():
        timeline.start_now(inner())
        line, _ = office.talk(1)
        yield 100
        office.pbx.hang_up(line)

    timeline.start_now(outer())
    timeline.advance(60)
    assert [leg.user for leg in office.pbx.channels.values()] == [None, office.users[1]]
    timeline.advance(60)
    assert office.pbx.channels == {}


@pytest.mark.parametrize("story", ["connect", "set_state"])
def test_a_scenario_that_is_interfered_with_ends(story):
    """A call whose channel somebody else hung up goes on no more, and its rest peters out."""
    office = Office()
    pbx, timeline = office.pbx, Timeline(office.pbx)
    went_on = []

    def scenario():
        line, leg = office.ring()
        other = office.call(CALLERS[1])
        yield 5
        if story == "connect":
            pbx.connect(leg)
        else:
            pbx.set_state(line, "conference", room_id="1")
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
    office.client.check()


def test_what_peters_out_takes_its_time():
    """The channels that are left end one by one, each as calls end, and foreign ones stay."""
    office = Office()
    pbx, timeline = office.pbx, Timeline(office.pbx)
    foreign, _ = office.talk(4)

    def scenario():
        for number in range(3):
            office.talk(number)
        yield 1
        raise NotPossibleError("somebody interfered")

    timeline.start(scenario())
    timeline.advance(1)
    assert len(pbx.channels) == 8
    counts = [len(pbx.channels)]
    while timeline.time_to_next is not None:
        timeline.step()
        counts.append(len(pbx.channels))
    assert counts == [8, 6, 4, 2, 2]
    assert foreign.uuid in pbx.channels
    assert set(office.client.endings().values()) == {
        "recv_bye,NORMAL_CLEARING",
        "send_bye,NORMAL_CLEARING",
    }


def test_other_errors_come_out():
    """A scenario that is broken is not swallowed, and leaves the timeline usable."""
    log = Log()

    def broken():
        yield 1
        raise LookupError("the world ended")

    log.timeline.start(broken())
    log.timeline.start(log.scenario("a"), after=2)
    with pytest.raises(LookupError, match="the world ended"):
        log.timeline.advance(5)
    log.timeline.advance(5)
    assert [name for name, _ in log.lines] == ["a"]


def test_a_restart_leaves_nothing_to_peter_out():
    """Calls that were lost in a restart end without a word, in the timeline too."""
    office = Office()
    pbx, timeline = office.pbx, Timeline(office.pbx)

    def scenario():
        line, _ = office.talk()
        yield 5
        pbx.hang_up(line)

    timeline.start(scenario())
    timeline.step()
    told = office.told()
    pbx.drop_channels()
    timeline.advance(100)
    assert timeline.time_to_next is None
    assert office.told() == told
